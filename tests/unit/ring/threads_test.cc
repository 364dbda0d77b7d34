// The ring between threads of one process: for the thread sanitizer, which sees one process only.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "include/elasticpool/ring.h"

namespace {

constexpr uint64_t kMessages = 20'000;
constexpr unsigned kProducers = 2;
constexpr unsigned kConsumers = 2;

struct Shared {
  ep_ring* ring = nullptr;
  std::atomic<uint64_t> received{0};
  std::atomic<bool> is_over{false};
  std::vector<std::atomic<uint32_t>> seen =
      std::vector<std::atomic<uint32_t>>(kProducers * kMessages + 1);
};

void produce(Shared& shared) {
  ep_ring_producer* producer = nullptr;
  ASSERT_EQ(ep_ring_producer_open(shared.ring, &producer), EP_RING_OK);
  for (uint64_t i = 0; i < kMessages; ++i) {
    ep_ring_buffer buffer;
    ASSERT_EQ(ep_ring_reserve(producer, i % 50 == 0 ? 9000 : 64, EP_RING_FOREVER, &buffer),
              EP_RING_OK);
    memset(buffer.data, static_cast<int>(i), buffer.size);
    const ep_ring_label label = {i % 3, static_cast<uint32_t>(i)};
    ASSERT_EQ(ep_ring_publish(producer, &buffer, &label, EP_RING_FOREVER, nullptr), EP_RING_OK);
  }
  ep_ring_producer_close(producer);
}

// A batch has keys and sizes as above.
void produce_batches(Shared& shared) {
  constexpr uint64_t kBatch = 25;
  ep_ring_producer* producer = nullptr;
  ASSERT_EQ(ep_ring_producer_open(shared.ring, &producer), EP_RING_OK);
  for (uint64_t i = 0; i < kMessages; i += kBatch) {
    ep_ring_buffer buffers[kBatch];
    ep_ring_label labels[kBatch];
    for (uint64_t j = 0; j < kBatch; ++j) {
      const uint64_t number = i + j;
      ASSERT_EQ(
          ep_ring_reserve(producer, number % 50 == 0 ? 9000 : 64, EP_RING_FOREVER, &buffers[j]),
          EP_RING_OK);
      memset(buffers[j].data, static_cast<int>(number), buffers[j].size);
      labels[j] = {number % 3, static_cast<uint32_t>(number)};
    }
    size_t published = 0;
    ASSERT_EQ(ep_ring_publish_batch(producer, buffers, kBatch, labels, EP_RING_FOREVER, &published),
              EP_RING_OK);
    ASSERT_EQ(published, kBatch);
  }
  ep_ring_producer_close(producer);
}

void consume(Shared& shared, unsigned rejoin_every) {
  ep_ring_consumer_options options = {};
  options.group = "threads";
  ep_ring_consumer* consumer = nullptr;
  ASSERT_EQ(ep_ring_consumer_open(shared.ring, &options, &consumer), EP_RING_OK);
  for (unsigned taken = 0; !shared.is_over.load();) {
    ep_ring_message message;
    const int error = ep_ring_get(consumer, 20, &message);
    if (error == EP_RING_EMPTY) continue;
    ASSERT_EQ(error, EP_RING_OK);
    const auto* bytes = static_cast<const unsigned char*>(message.data);
    ASSERT_EQ(bytes[0], static_cast<unsigned char>(message.tag));
    ASSERT_EQ(bytes[message.size - 1], static_cast<unsigned char>(message.tag));
    ASSERT_EQ(shared.seen[message.sequence].fetch_add(1), 0U) << message.sequence;
    const bool is_held = taken % 7 == 0;
    if (is_held) {
      ASSERT_EQ(ep_ring_hold(consumer, &message), EP_RING_OK);
    }
    ASSERT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
    if (is_held) {
      ASSERT_EQ(ep_ring_unhold(consumer, &message), EP_RING_OK);
    }
    if (shared.received.fetch_add(1) + 1 == kProducers * kMessages) shared.is_over = true;
    if (++taken % rejoin_every != 0) continue;
    ep_ring_consumer_close(consumer, nullptr);
    ASSERT_EQ(ep_ring_consumer_open(shared.ring, &options, &consumer), EP_RING_OK);
  }
  ep_ring_consumer_close(consumer, nullptr);
}

void expect_everything_once(void (*producer)(Shared&)) {
  Shared shared;
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = size_t{2} << 20;
  options.slots = 256;
  ASSERT_EQ(ep_ring_create(nullptr, &options, &shared.ring), EP_RING_OK);
  ASSERT_EQ(ep_ring_group_create(shared.ring, "threads", nullptr), EP_RING_OK);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kProducers; ++i) threads.emplace_back([&] { producer(shared); });
  for (unsigned i = 0; i < kConsumers; ++i) {
    threads.emplace_back([&, i] { consume(shared, 300 + 200 * i); });
  }
  for (std::thread& thread : threads) thread.join();
  ep_ring_stat stat;
  ep_ring_read_stat(shared.ring, &stat);
  EXPECT_EQ(stat.tail_sequence, kProducers * kMessages + 1);
  EXPECT_EQ(stat.pool_used_bytes, 0U);
  EXPECT_EQ(ep_ring_check(shared.ring, nullptr, nullptr), 0U);
  ep_ring_detach(shared.ring);
}

TEST(RingThreads, EverythingOnceWhileConsumersComeAndGo) { expect_everything_once(produce); }

TEST(RingThreads, EverythingOnceInBatches) { expect_everything_once(produce_batches); }

// Consumers that are slower than the ring is long: what they are busy with is dropped under their
// hands, stays as it was until they give it up, and is freed then, though they stay.
// Publishers wait for no consumer, but for another publisher that is stopped in the middle.
void publish_what_is_dropped(ep_ring* ring, uint64_t messages = kMessages) {
  ep_ring_producer* producer = nullptr;
  ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
  for (uint64_t i = 0; i < messages; ++i) {
    ep_ring_buffer buffer;
    ASSERT_EQ(ep_ring_reserve(producer, i % 50 == 0 ? 9000 : 64, EP_RING_FOREVER, &buffer),
              EP_RING_OK);
    memset(buffer.data, static_cast<int>(i), buffer.size);
    const ep_ring_label label = {0, static_cast<uint32_t>(i)};
    ASSERT_EQ(ep_ring_publish(producer, &buffer, &label, EP_RING_FOREVER, nullptr), EP_RING_OK);
  }
  ep_ring_producer_close(producer);
}

void check_all_bytes(const ep_ring_message& message) {
  const auto* bytes = static_cast<const unsigned char*>(message.data);
  for (size_t i = 0; i < message.size; ++i) {
    ASSERT_EQ(bytes[i], static_cast<unsigned char>(message.tag)) << message.sequence;
  }
}

void consume_slowly(ep_ring_consumer* consumer, const std::atomic<bool>& is_over) {
  for (unsigned round = 0;; ++round) {
    ep_ring_message messages[8];
    size_t count = 0;
    const bool is_last = is_over.load();
    const int error = ep_ring_get_batch(consumer, 1, messages, 8, &count);
    if (error == EP_RING_EMPTY && is_last) return;
    if (round % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    for (size_t i = 0; i < count; ++i) {
      const bool is_held = i % 3 == 0 && ep_ring_hold(consumer, &messages[i]) == EP_RING_OK;
      check_all_bytes(messages[i]);
      if (is_held && i % 2 == 0) {
        ASSERT_EQ(ep_ring_unhold(consumer, &messages[i]), EP_RING_OK);
      }
      check_all_bytes(messages[i]);
      const int acked = ep_ring_ack(consumer, &messages[i]);
      ASSERT_TRUE(acked == EP_RING_OK || acked == EP_RING_GONE) << acked;
      if (is_held && i % 2 != 0) {
        check_all_bytes(messages[i]);
        ASSERT_EQ(ep_ring_unhold(consumer, &messages[i]), EP_RING_OK);
      }
    }
  }
}

TEST(RingThreads, DroppedInWork) {
  ep_ring* ring = nullptr;
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.slots = 128;
  ASSERT_EQ(ep_ring_create(nullptr, &options, &ring), EP_RING_OK);
  ep_ring_consumer* consumers[kConsumers];
  ep_ring_consumer_options consumer_options = {};
  consumer_options.group = "dropping";
  consumer_options.group_options.policy = EP_RING_DROP_OLDEST;
  for (ep_ring_consumer*& consumer : consumers) {
    ASSERT_EQ(ep_ring_consumer_open(ring, &consumer_options, &consumer), EP_RING_OK);
  }
  // One is busy with its first message all the time: however the threads come to run, that goes.
  ep_ring_message first;
  publish_what_is_dropped(ring, 1);
  ASSERT_EQ(ep_ring_get(consumers[0], EP_RING_FOREVER, &first), EP_RING_OK);
  std::atomic<bool> is_over{false};
  std::vector<std::thread> slow;
  for (ep_ring_consumer* consumer : consumers) {
    slow.emplace_back([&, consumer] { consume_slowly(consumer, is_over); });
  }
  std::vector<std::thread> producers;
  for (unsigned i = 0; i < kProducers; ++i) {
    producers.emplace_back([&] { publish_what_is_dropped(ring); });
  }
  for (std::thread& thread : producers) thread.join();
  is_over = true;
  for (std::thread& thread : slow) thread.join();
  check_all_bytes(first);
  EXPECT_EQ(ep_ring_ack(consumers[0], &first), EP_RING_GONE);
  EXPECT_EQ(ep_ring_cleanup_before(ring, UINT64_MAX), EP_RING_OK);
  ep_ring_stat stat;
  ep_ring_read_stat(ring, &stat);
  EXPECT_EQ(stat.pool_used_bytes, 0U);
  EXPECT_EQ(ep_ring_check(ring, nullptr, nullptr), 0U);
  for (ep_ring_consumer* consumer : consumers) ep_ring_consumer_close(consumer, nullptr);
  ep_ring_detach(ring);
}

// There is no piece so large, and another publishes all the time: who asks for it comes to an end.
TEST(RingThreads, WhatCannotBeHadIsRefused) {
  ep_ring* ring = nullptr;
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = size_t{4} << 20;
  ASSERT_EQ(ep_ring_create(nullptr, &options, &ring), EP_RING_OK);
  ep_ring_group_options dropping = {EP_RING_OLDEST, 0, EP_RING_DROP_OLDEST};
  ASSERT_EQ(ep_ring_group_create(ring, "dropping", &dropping), EP_RING_OK);
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    ep_ring_producer* producer = nullptr;
    ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
    while (!is_over.load()) {
      ep_ring_buffer buffer;
      if (ep_ring_reserve(producer, 64, 0, &buffer) != EP_RING_OK) continue;
      if (ep_ring_publish(producer, &buffer, nullptr, 0, nullptr) == EP_RING_OK) continue;
      ASSERT_EQ(ep_ring_discard(producer, &buffer), EP_RING_OK);
    }
    ep_ring_producer_close(producer);
  });
  ep_ring_producer* producer = nullptr;
  ASSERT_EQ(ep_ring_producer_open(ring, &producer), EP_RING_OK);
  ep_ring_buffer kept;
  ep_ring_buffer buffer;
  ASSERT_EQ(ep_ring_reserve(producer, size_t{1} << 20, EP_RING_FOREVER, &kept), EP_RING_OK);
  for (const int timeout_ms : {0, 20}) {
    const int error = ep_ring_reserve(producer, (size_t{4} << 20) - 4096, timeout_ms, &buffer);
    EXPECT_TRUE(error == EP_RING_NO_MEMORY || error == EP_RING_TIMEOUT) << error;
  }
  is_over = true;
  other.join();
  ep_ring_producer_close(producer);
  ep_ring_detach(ring);
}

}  // namespace
