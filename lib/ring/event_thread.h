// The thread behind ep_ring_consumer_eventfd(): it sleeps in place of an event loop.
//
// Threads     start() and stop(): the consumer's own. The thread itself touches the consumer's wake
//             count and lease only.
// Work        a consumer that found the ring empty says that it sleeps; who wakes it raises its
//             wake count, and the thread makes the descriptor readable. Meanwhile the thread
//             renews the consumer's lease and looks for who died, in a place of its own.
// Fork        the thread is not there in the child; there the consumer is not used either.
// Cost        a wake-up ten times a second, and one a message that meets a sleeping consumer.
#pragma once

#include <pthread.h>

#include <atomic>

#include "ring/deliver.h"

namespace elasticpool {

class EventThread {
 public:
  // The descriptor, or -1 with errno.
  int start(Deliverer& deliverer);
  void stop();

 private:
  static void* run(void* self);
  void loop();

  Deliverer* deliverer_ = nullptr;
  Member member_;
  pthread_t thread_{};
  int fd_ = -1;
  std::atomic<bool> is_stopping_{false};
};

}  // namespace elasticpool
