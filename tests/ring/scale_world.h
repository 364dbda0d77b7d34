// A group under load in real processes, and a book of what each of them was delivered.
//
// Threads  none; the book is shared memory that every child of the test inherits.
// Book     one bit for each delivery number that a message was seen with, and whether it was
//          acknowledged: so that a message that is lost, or delivered twice as the first time, is
//          found by its sequence. Deliveries of consumers that were killed may repeat, with a
//          higher number.
#pragma once

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "include/elasticpool/ring.h"

namespace ring_scale {

inline constexpr uint64_t kMessagesMost = 8'000'000;
inline constexpr uint32_t kWorkersMost = 512;
inline constexpr uint64_t kKeysChecked = 256;

struct Worker {
  char name[32];
  std::atomic<int> process;
  std::atomic<uint64_t> messages;
};

struct Book {
  std::atomic<uint32_t> stop;       // the producer
  std::atomic<uint32_t> stubborn;   // workers do not leave when they are asked
  std::atomic<uint32_t> batch_ns;   // each batch takes a worker so long, asleep
  std::atomic<uint64_t> published;  // the last sequence
  std::atomic<uint32_t> faults;
  std::atomic<uint32_t> workers;
  Worker worker[kWorkersMost];
  std::atomic<uint64_t> last_of_key[kKeysChecked];
  std::atomic<uint8_t> seen[kMessagesMost];   // bit d - 1: as delivery d
  std::atomic<uint8_t> acked[kMessagesMost];  // how often
};

inline Book* make_book() {
  void* memory = mmap(nullptr, sizeof(Book), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<Book*>(memory);
}
inline void drop_book(Book* book) { munmap(book, sizeof(Book)); }

inline uint64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}
inline void sleep_ns(uint64_t ns) {
  const timespec time{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&time, nullptr);
}

inline void fault(Book& book, const char* what, const ep_ring_message& message) {
  if (book.faults.fetch_add(1) < 10) {
    fprintf(stderr, "%s: sequence %llu key %llu deliveries %u\n", what,
            static_cast<unsigned long long>(message.sequence),
            static_cast<unsigned long long>(message.key), message.deliveries);
  }
}

inline void note_seen(Book& book, const ep_ring_message& message) {
  if (message.sequence >= kMessagesMost) return fault(book, "too many messages", message);
  const unsigned delivery = message.deliveries < 8 ? message.deliveries : 8;
  const auto bit = static_cast<uint8_t>(1U << (delivery - 1));
  const uint8_t before = book.seen[message.sequence].fetch_or(bit);
  if (delivery < 8 && (before & bit) != 0) fault(book, "delivered twice", message);
  if (memcmp(message.data, &message.sequence, sizeof(uint64_t)) != 0)
    fault(book, "contents", message);
  if (message.key != 0 && message.key < kKeysChecked) {
    const uint64_t last = book.last_of_key[message.key].exchange(message.sequence);
    if (message.deliveries == 1 && last > message.sequence) fault(book, "overtaken", message);
  }
}

inline Worker& register_worker(Book& book, const char* name) {
  Worker& worker = book.worker[book.workers.fetch_add(1) % kWorkersMost];
  strncpy(worker.name, name, sizeof(worker.name) - 1);
  worker.process = getpid();
  return worker;
}

// A consumer until it is asked to leave. The exit status says how it ended.
inline int work(ep_ring* ring, Book& book, const char* group, const char* name) {
  Worker& self = register_worker(book, name);
  ep_ring_consumer_options options{};
  options.group = group;
  options.name = name;
  ep_ring_consumer* consumer = nullptr;
  if (ep_ring_consumer_open(ring, &options, &consumer) != EP_RING_OK) return 3;
  ep_ring_message messages[16];
  for (;;) {
    size_t count = 0;
    const int error = ep_ring_get_batch(consumer, 1000, messages, 16, &count);
    if (error == EP_RING_EMPTY) continue;
    if (error == EP_RING_STOPPED) {
      if (book.stubborn == 0) break;
      sleep_ns(1'000'000);
      continue;
    }
    if (error != EP_RING_OK) return 4;
    for (size_t i = 0; i < count; ++i) note_seen(book, messages[i]);
    if (book.batch_ns != 0) sleep_ns(book.batch_ns);
    for (size_t i = 0; i < count; ++i) {
      if (ep_ring_ack(consumer, &messages[i]) != EP_RING_OK) return 5;
      if (book.acked[messages[i].sequence].fetch_add(1) != 0) {
        fault(book, "acknowledged twice", messages[i]);
      }
    }
    self.messages += count;
  }
  ep_ring_consumer_close(consumer, nullptr);
  return 0;
}

// Publishes until told to stop. keys: 0, none; else so many; UINT64_MAX: all different.
inline int produce(ep_ring* ring, Book& book, uint64_t keys, uint64_t pause_ns) {
  ep_ring_producer* producer = nullptr;
  if (ep_ring_producer_open(ring, &producer) != EP_RING_OK) return 3;
  uint64_t number = 0;
  while (book.stop == 0 && book.published + 64 < kMessagesMost) {
    ep_ring_buffer buffers[32];
    ep_ring_label labels[32];
    for (size_t i = 0; i < 32; ++i) {
      if (ep_ring_reserve(producer, 64, EP_RING_FOREVER, &buffers[i]) != EP_RING_OK) return 4;
      ++number;
      memcpy(buffers[i].data, &number, sizeof(number));
      labels[i] = {keys == 0 ? 0 : keys == UINT64_MAX ? number : 1 + number % keys, 0};
    }
    for (size_t done = 0; done < 32;) {
      size_t published = 0;
      const int error = ep_ring_publish_batch(producer, buffers + done, 32 - done, labels + done,
                                              100, &published);
      done += published;
      book.published += published;
      if (error != EP_RING_OK && error != EP_RING_TIMEOUT) return 5;
    }
    if (pause_ns != 0) sleep_ns(pause_ns);
  }
  ep_ring_producer_close(producer);
  return 0;
}

template <typename Function>
pid_t in_child(Function function) {
  fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that fails leaves nobody behind
  if (getppid() != parent) _exit(1);
  _exit(function());
}

}  // namespace ring_scale
