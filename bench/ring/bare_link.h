// What the machine takes at least: one cache line that is polled, one futex that is woken.
//
// Every link has one shape, and goes one way. It is made before the processes are. In these then:
//
//   Link::Sender    send(number)     one message, on its way when it returns
//                   prepare()        what can be done before the next send()
//   Link::Receiver  receive()        waits for a message as the link does, and reads it
//                   finish()         gives it up
//
// and for throughput (ring_link.h, peer_links.h)
//
//   Link::Sender    stock(count)     makes room for so many ahead, where the link can
//                   send_many(number, count), end()
//   Link::Receiver  receive_many(take)   take(Arrival) for what is there; none after a while
//
// They are called through templates: a virtual call would show beside a cache line.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"

struct alignas(128) Line {
  std::atomic<uint64_t> number;
  std::atomic<uint64_t> sent_ticks;
  std::atomic<uint32_t> futex;
};

class LineLink {
 public:
  explicit LineLink(const MessageForm& form) : form_(form) {}

  class Sender {
   public:
    explicit Sender(LineLink& link) : is_stamped_(link.form_.is_stamped), line_(*link.line_) {}
    void send(uint64_t number) {
      if (is_stamped_) line_.sent_ticks.store(ticks(), std::memory_order_relaxed);
      line_.number.store(number, std::memory_order_release);  // order[bench-line]: behind the time
    }
    void prepare() {}

   private:
    const bool is_stamped_;
    Line& line_;
  };

  class Receiver {
   public:
    explicit Receiver(LineLink& link) : line_(*link.line_) {}
    Arrival receive() {
      ++number_;
      // order[bench-line]: before the time
      while (line_.number.load(std::memory_order_acquire) != number_) {
      }
      return {number_, line_.sent_ticks.load(std::memory_order_relaxed)};
    }
    void finish() {}

   private:
    Line& line_;
    uint64_t number_ = 0;
  };

 private:
  const MessageForm form_;
  SharedMemory<Line> line_;
};

class FutexLink {
 public:
  explicit FutexLink(const MessageForm&) {}

  class Sender {
   public:
    explicit Sender(FutexLink& link) : line_(*link.line_) {}
    void send(uint64_t number) {
      line_.sent_ticks = ticks();
      line_.futex = static_cast<uint32_t>(number);
      syscall(SYS_futex, &line_.futex, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    }
    void prepare() {}

   private:
    Line& line_;
  };

  class Receiver {
   public:
    explicit Receiver(FutexLink& link) : line_(*link.line_) {}
    Arrival receive() {
      const uint32_t seen = number_++;
      while (line_.futex == seen) {
        syscall(SYS_futex, &line_.futex, FUTEX_WAIT, seen, nullptr, nullptr, 0);
      }
      return {number_, line_.sent_ticks};
    }
    void finish() {}

   private:
    Line& line_;
    uint32_t number_ = 0;
  };

 private:
  SharedMemory<Line> line_;
};
