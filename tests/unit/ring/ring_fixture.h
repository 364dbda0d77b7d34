// A ring with one producer, and consumers that leave when the test is over.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "include/elasticpool/ring.h"

namespace elasticpool::test {

class Ring : public testing::Test {
 protected:
  void open(uint32_t slots = 64, uint32_t flags = 0) {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.slots = slots;
    options.flags = flags;
    options.pool_bytes = size_t{4} << 20;
    ASSERT_EQ(ep_ring_create(nullptr, &options, &ring_), EP_RING_OK);
    ASSERT_EQ(ep_ring_producer_open(ring_, &producer_), EP_RING_OK);
  }
  void TearDown() override {
    for (ep_ring_consumer* consumer : consumers_) ep_ring_consumer_close(consumer, nullptr);
    ep_ring_producer_close(producer_);
    ep_ring_detach(ring_);
  }
  ep_ring_consumer* join(const char* group, const char* name = nullptr,
                         ep_ring_group_options group_options = {}) {
    ep_ring_consumer_options options = {};
    options.group = group;
    options.name = name;
    options.group_options = group_options;
    ep_ring_consumer* consumer = nullptr;
    EXPECT_EQ(ep_ring_consumer_open(ring_, &options, &consumer), EP_RING_OK);
    consumers_.push_back(consumer);
    return consumer;
  }
  ep_ring_consumer* join_dropping() {
    return join("dropping", nullptr, {EP_RING_OLDEST, 0, EP_RING_DROP_OLDEST});
  }
  void leave(ep_ring_consumer* consumer, const char* transfer_to = nullptr) {
    std::erase(consumers_, consumer);
    ep_ring_consumer_close(consumer, transfer_to);
  }
  int publish(uint32_t tag, uint64_t key = 0, int timeout_ms = 0) {
    ep_ring_buffer buffer;
    const int error = ep_ring_reserve(producer_, sizeof(tag), timeout_ms, &buffer);
    if (error != EP_RING_OK) return error;
    memcpy(buffer.data, &tag, sizeof(tag));
    const ep_ring_label label = {key, tag};
    const int published = ep_ring_publish(producer_, &buffer, &label, timeout_ms, nullptr);
    if (published != EP_RING_OK) {
      EXPECT_EQ(ep_ring_discard(producer_, &buffer), EP_RING_OK);
    }
    return published;
  }
  void publish_many(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) ASSERT_EQ(publish(i), EP_RING_OK) << i;
  }
  uint64_t pool_used() const {
    ep_ring_stat stat;
    ep_ring_read_stat(ring_, &stat);
    return stat.pool_used_bytes;
  }
  static uint32_t value_of(const ep_ring_message& message) {
    uint32_t value = 0;
    memcpy(&value, message.data, sizeof(value));
    return value;
  }
  // The tag of the next message, acknowledged; or the error, negative.
  int64_t take(ep_ring_consumer* consumer) {
    ep_ring_message message;
    const int error = ep_ring_get(consumer, 0, &message);
    if (error != EP_RING_OK) return -error;
    EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
    return message.tag;
  }

  ep_ring* ring_ = nullptr;
  ep_ring_producer* producer_ = nullptr;
  std::vector<ep_ring_consumer*> consumers_;
};

}  // namespace elasticpool::test
