// A wake count becomes a readable descriptor.
#include "ring/event_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "ring/futex.h"

namespace elasticpool {

int EventThread::start(Deliverer& deliverer) {
  if (fd_ >= 0) return fd_;
  Region& region = deliverer.handle().region();
  if (join(region, kConsumersMax, kMembersMax, MemberName{}, &member_) != EP_RING_OK) {
    errno = EAGAIN;
    return -1;
  }
  deliverer_ = &deliverer;
  // Readable at first: what is there already was published before anybody slept.
  fd_ = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  int error = fd_ < 0 ? errno : 0;
  if (fd_ >= 0) error = pthread_create(&thread_, nullptr, run, this);
  if (error == 0) {
    deliverer.use_events();
    return fd_;
  }
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  Pool pool(region, member_.tag, kNobody, 0);
  leave_region(member_, pool, Leftovers::kNone);
  errno = error;
  return -1;
}

void EventThread::stop() {
  if (fd_ < 0) return;
  // order[ring-stop]: the thread sees it at its next turn
  is_stopping_.store(true, std::memory_order_release);
  SharedU32& wake = deliverer_->handle().member.record->wake_count;
  wake.add(1);
  futex_wake(wake, INT32_MAX);
  pthread_join(thread_, nullptr);
  close(fd_);
  fd_ = -1;
}

void* EventThread::run(void* self) {
  static_cast<EventThread*>(self)->loop();
  return nullptr;
}

void EventThread::loop() {
  const Member& consumer = deliverer_->handle().member;
  Region& region = *consumer.region;
  GroupRecord& group = region.group(deliverer_->group());
  const uint64_t bit = holder_bit(consumer.tag);
  Pool pool(region, member_.tag, kNobody, 0);
  uint32_t seen = consumer.record->wake_count.load_ordered();
  // order[ring-stop]: with stop()
  while (!is_stopping_.load(std::memory_order_acquire)) {
    futex_wait(consumer.record->wake_count, seen, kWatchIntervalNs);
    const uint32_t now = consumer.record->wake_count.load_ordered();
    const bool is_idle = (group.sleepers.load_ordered() & bit) != 0;
    const uint64_t time = ring_now_ns();
    // Who waits for messages is not hung.
    if (is_idle && consumer.is_live()) {
      consumer.record->lease_until_ns.store_relaxed(time + consumer.lease_ns());
    }
    if (member_.is_live()) {
      member_.renew(time);
      if (is_watch_due(region, time)) watch_region(member_, pool, time);
    }
    // Fenced: the consumer is to find out.
    if (now == seen && is_idle && consumer.is_live()) continue;
    seen = now;
    const uint64_t one = 1;
    if (write(fd_, &one, sizeof(one)) < 0 && errno != EAGAIN) break;
  }
  leave_region(member_, pool, Leftovers::kNone);
}

}  // namespace elasticpool
