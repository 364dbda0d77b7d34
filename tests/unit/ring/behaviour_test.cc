// What <elasticpool/ring.h> promises, function by function.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "ring_fixture.h"

namespace {

using elasticpool::test::Ring;

TEST_F(Ring, EveryErrorHasALine) {
  for (int error = 0; error <= EP_RING_SYSTEM; ++error) {
    EXPECT_GT(strlen(ep_ring_strerror(error)), 3U);
    EXPECT_STRNE(ep_ring_strerror(error), "unknown error");
  }
  EXPECT_STREQ(ep_ring_strerror(-1), "unknown error");
  EXPECT_STREQ(ep_ring_strerror(EP_RING_SYSTEM + 1), "unknown error");
}

TEST_F(Ring, OptionsThatCannotBeRight) {
  ep_ring_options options;
  const auto refused = [&] { return ep_ring_create(nullptr, &options, &ring_) == EP_RING_INVALID; };
  ep_ring_options_init(&options);
  options.pool_bytes = 0;
  EXPECT_TRUE(refused());
  ep_ring_options_init(&options);
  options.pool_bytes = size_t{1} << 40;
  EXPECT_TRUE(refused());
  ep_ring_options_init(&options);
  options.slots = 1U << 25;
  EXPECT_TRUE(refused());
  ep_ring_options_init(&options);
  options.flags = 1U << 30;
  EXPECT_TRUE(refused());
  ep_ring_options_init(&options);
  options.lease_ms = 5;
  EXPECT_TRUE(refused());
  for (const char* name : {"", ".", "..", ".hidden"}) {
    EXPECT_EQ(ep_ring_create(name, nullptr, &ring_), EP_RING_INVALID) << name;
  }
  EXPECT_EQ(ep_ring_create("/nowhere/at/all", nullptr, &ring_), EP_RING_MISSING);
  EXPECT_EQ(ep_ring_attach("surely-no-such-ring", 0, &ring_), EP_RING_MISSING);
  EXPECT_EQ(ep_ring_attach("/dev/null", 0, &ring_), EP_RING_FOREIGN);
  EXPECT_EQ(ep_ring_attach("/tmp/", 0, &ring_), EP_RING_FOREIGN);
  EXPECT_EQ(ep_ring_remove("/etc/passwd"), EP_RING_FOREIGN);
  EXPECT_EQ(ep_ring_remove("surely-no-such-ring"), EP_RING_MISSING);
}

TEST_F(Ring, NamedRegionsHaveTheirModeAndGoWhenRemoved) {
  const std::string name = "unit-" + std::to_string(getpid());
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = 1 << 20;
  options.mode = 0640;
  ASSERT_EQ(ep_ring_create(name.c_str(), &options, &ring_), EP_RING_OK);
  ep_ring* second = nullptr;
  EXPECT_EQ(ep_ring_create(name.c_str(), &options, &second), EP_RING_EXISTS);
  struct stat status {};
  ASSERT_EQ(stat(("/dev/shm/" + name + ".ring").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
  ASSERT_EQ(ep_ring_attach(name.c_str(), 0, &second), EP_RING_OK);
  ep_ring_detach(second);
  EXPECT_EQ(ep_ring_remove(name.c_str()), EP_RING_OK);
  EXPECT_EQ(ep_ring_attach(name.c_str(), 0, &second), EP_RING_MISSING);
}

TEST_F(Ring, MessagesComeInOrderAndOnce) {
  open();
  ep_ring_consumer* consumer = join("group");
  publish_many(50);
  for (uint32_t i = 0; i < 50; ++i) EXPECT_EQ(take(consumer), i);
  EXPECT_EQ(take(consumer), -EP_RING_EMPTY);
}

TEST_F(Ring, EachGroupSeesEveryMessage) {
  open();
  ep_ring_consumer* first = join("first");
  ep_ring_consumer* second = join("second");
  publish_many(20);
  for (uint32_t i = 0; i < 20; ++i) EXPECT_EQ(take(first), i);
  for (uint32_t i = 0; i < 20; ++i) EXPECT_EQ(take(second), i);
}

TEST_F(Ring, LateJoinersChoose) {
  open();
  publish_many(10);  // sequences 1 to 10
  EXPECT_EQ(take(join("oldest")), 0);
  ep_ring_consumer* newest = join("newest", nullptr, {EP_RING_NEWEST, 0, EP_RING_BLOCK});
  EXPECT_EQ(take(newest), -EP_RING_EMPTY);
  EXPECT_EQ(take(join("from", nullptr, {EP_RING_SEQUENCE, 6, EP_RING_BLOCK})), 5);
  ASSERT_EQ(publish(99), EP_RING_OK);
  EXPECT_EQ(take(newest), 99);
}

TEST_F(Ring, WithoutGroupsTheOldestGo) {
  open();
  publish_many(500);
  ep_ring_consumer* late = join("late");
  const int64_t first = take(late);
  EXPECT_GE(first, 500 - 64);
  for (int64_t i = first + 1; i < 500; ++i) EXPECT_EQ(take(late), i);
}

TEST_F(Ring, AGroupThatBlocksMakesPublishersWait) {
  open();
  ep_ring_consumer* consumer = join("slow");
  publish_many(64);
  EXPECT_EQ(publish(64), EP_RING_FULL);
  EXPECT_EQ(publish(64, 0, 20), EP_RING_TIMEOUT);
  std::thread waiter([this] { EXPECT_EQ(publish(64, 0, EP_RING_FOREVER), EP_RING_OK); });
  usleep(20'000);
  for (uint32_t i = 0; i < 64; ++i) EXPECT_EQ(take(consumer), i);
  waiter.join();
  EXPECT_EQ(take(consumer), 64);
}

TEST_F(Ring, AGroupThatFailsTellsPublishers) {
  open();
  join("strict", nullptr, {EP_RING_OLDEST, 0, EP_RING_FAIL});
  publish_many(64);
  EXPECT_EQ(publish(64, 0, EP_RING_FOREVER), EP_RING_FULL);
}

TEST_F(Ring, AGroupThatDropsLosesItsOldestAndTheOthersNothing) {
  open();
  ep_ring_consumer* dropping = join("dropping", nullptr, {EP_RING_OLDEST, 0, EP_RING_DROP_OLDEST});
  ep_ring_consumer* keeping = join("keeping");
  for (uint32_t i = 0; i < 200; ++i) {
    ASSERT_EQ(publish(i), EP_RING_OK);
    EXPECT_EQ(take(keeping), i);
  }
  EXPECT_EQ(take(dropping), 200 - 64);
  ep_ring_group_stat stat;
  ASSERT_TRUE(ep_ring_read_group(ring_, 0, &stat));
  EXPECT_STREQ(stat.name, "dropping");
  EXPECT_EQ(stat.dropped, 200U - 64U);
  EXPECT_EQ(stat.lag, 63U);
}

TEST_F(Ring, WhatIsReleasedComesAgainAndSaysSo) {
  open();
  ep_ring_consumer* consumer = join("group");
  publish_many(2);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  EXPECT_EQ(message.deliveries, 1U);
  ASSERT_EQ(ep_ring_release(consumer, &message), EP_RING_OK);
  EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_GONE);
  EXPECT_EQ(ep_ring_hold(consumer, &message), EP_RING_GONE);
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  EXPECT_EQ(message.tag, 0U);
  EXPECT_EQ(message.deliveries, 2U);
}

TEST_F(Ring, LeavingHandsMessagesToWhomItNames) {
  open();
  ep_ring_consumer* leaver = join("group", "leaver");
  publish_many(5);
  ep_ring_message message;
  for (int i = 0; i < 5; ++i) ASSERT_EQ(ep_ring_get(leaver, 0, &message), EP_RING_OK);
  ep_ring_consumer* other = join("group", "other");
  ep_ring_consumer* heir = join("group", "heir");
  leave(leaver, "heir");
  ASSERT_EQ(ep_ring_get(heir, 0, &message), EP_RING_OK);
  EXPECT_EQ(message.deliveries, 2U);
  EXPECT_EQ(message.tag, 0U);
  for (uint32_t i = 1; i < 5; ++i) EXPECT_EQ(take(heir), i);
  EXPECT_EQ(take(other), -EP_RING_EMPTY);
}

TEST_F(Ring, NamesAreUniqueWithinAGroup) {
  open();
  join("group", "one");
  ep_ring_consumer_options options = {};
  options.group = "group";
  options.name = "one";
  ep_ring_consumer* second = nullptr;
  EXPECT_EQ(ep_ring_consumer_open(ring_, &options, &second), EP_RING_EXISTS);
  options.group = "another";
  ASSERT_EQ(ep_ring_consumer_open(ring_, &options, &second), EP_RING_OK);
  consumers_.push_back(second);
  options.group = "a name that is longer than thirty-one bytes";
  EXPECT_EQ(ep_ring_consumer_open(ring_, &options, &second), EP_RING_INVALID);
}

TEST_F(Ring, CheckpointsKeepWhatIsBehindThem) {
  open();
  ep_ring_consumer* consumer = join("group", "worker");
  EXPECT_EQ(ep_ring_checkpoint(join("group"), 1), EP_RING_INVALID) << "it has no name";
  leave(consumers_.back());
  publish_many(10);
  ASSERT_EQ(ep_ring_checkpoint(consumer, 0), EP_RING_OK);
  for (uint32_t i = 0; i < 10; ++i) EXPECT_EQ(take(consumer), i);
  ASSERT_EQ(ep_ring_checkpoint(consumer, 4), EP_RING_OK);
  EXPECT_EQ(ep_ring_checkpoint(consumer, 3), EP_RING_INVALID);
  uint64_t resume = 0;
  ASSERT_EQ(ep_ring_recover(consumer, &resume), EP_RING_OK);
  EXPECT_EQ(resume, 5U);
  for (uint32_t i = 4; i < 10; ++i) EXPECT_EQ(take(consumer), i);
  ASSERT_EQ(ep_ring_cleanup_before(ring_, 11), EP_RING_OK);
  ASSERT_EQ(ep_ring_recover(consumer, &resume), EP_RING_OK);
  EXPECT_EQ(resume, 11U);
  EXPECT_EQ(take(consumer), -EP_RING_EMPTY);
}

TEST_F(Ring, ADeadConsumersNameTakesUpItsCheckpoint) {
  open();
  ASSERT_EQ(ep_ring_group_create(ring_, "group", nullptr), EP_RING_OK);
  publish_many(10);
  const pid_t child = fork();
  if (child == 0) {
    ep_ring* own = nullptr;
    ep_ring_attach_fd(ep_ring_fd(ring_), 0, &own);
    ep_ring_consumer_options options = {};
    options.group = "group";
    options.name = "worker";
    ep_ring_consumer* consumer = nullptr;
    ep_ring_consumer_open(own, &options, &consumer);
    ep_ring_message message;
    for (int i = 0; i < 8; ++i) {
      if (i == 3) ep_ring_checkpoint(consumer, message.sequence);
      ep_ring_get(consumer, 0, &message);
      ep_ring_ack(consumer, &message);
    }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_GE(ep_ring_watch(ring_), 1U);
  ep_ring_consumer* again = join("group", "worker");
  uint64_t resume = 0;
  ASSERT_EQ(ep_ring_recover(again, &resume), EP_RING_OK);
  EXPECT_EQ(resume, 4U);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_get(again, 0, &message), EP_RING_OK);
  EXPECT_EQ(message.sequence, 4U);
  EXPECT_EQ(message.deliveries, 2U);
}

TEST_F(Ring, AnEventDescriptorIsReadableWhileMessagesWait) {
  open();
  ep_ring_consumer* consumer = join("group");
  const int fd = ep_ring_consumer_eventfd(consumer);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(ep_ring_consumer_eventfd(consumer), fd);
  uint64_t count = 0;
  for (uint32_t i = 0; i < 20; ++i) {
    while (take(consumer) >= 0) {
    }
    while (read(fd, &count, sizeof(count)) > 0) {
    }
    EXPECT_EQ(take(consumer), -EP_RING_EMPTY);
    ASSERT_EQ(publish(i), EP_RING_OK);
    pollfd ready = {fd, POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, 10'000), 1);
    EXPECT_EQ(take(consumer), i);
  }
}

TEST_F(Ring, ReadOnlyPayloadsAreReadAndNotWritten) {
  open();
  ASSERT_EQ(publish(5), EP_RING_OK);
  ep_ring* reader = nullptr;
  ASSERT_EQ(ep_ring_attach_fd(ep_ring_fd(ring_), EP_RING_READ_ONLY_PAYLOADS, &reader), EP_RING_OK);
  ep_ring_producer* producer = nullptr;
  EXPECT_EQ(ep_ring_producer_open(reader, &producer), EP_RING_DENIED);
  ep_ring_consumer_options options = {};
  options.group = "group";
  ep_ring_consumer* consumer = nullptr;
  ASSERT_EQ(ep_ring_consumer_open(reader, &options, &consumer), EP_RING_OK);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  EXPECT_EQ(*static_cast<const uint32_t*>(message.data), 5U);
  EXPECT_DEATH(*static_cast<volatile uint32_t*>(const_cast<void*>(message.data)) = 1, "");
  ASSERT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
  ep_ring_consumer_close(consumer, nullptr);
  ep_ring_detach(reader);
}

TEST_F(Ring, ADamagedPayloadIsRefusedAndTheNextComes) {
  open(64, EP_RING_CHECK_PAYLOADS);
  ep_ring_consumer* consumer = join("group");
  publish_many(2);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_peek(ring_, 1, &message), EP_RING_OK);
  *static_cast<uint32_t*>(const_cast<void*>(message.data)) = 77;
  EXPECT_EQ(take(consumer), -EP_RING_CORRUPT);
  EXPECT_EQ(take(consumer), 1);
  EXPECT_EQ(ep_ring_peek(ring_, 3, &message), EP_RING_EMPTY);
}

TEST_F(Ring, BuffersThatAreNotItsOwnAreRefused) {
  open();
  ep_ring_buffer buffer;
  ASSERT_EQ(ep_ring_reserve(producer_, 100, 0, &buffer), EP_RING_OK);
  ep_ring_producer* other = nullptr;
  ASSERT_EQ(ep_ring_producer_open(ring_, &other), EP_RING_OK);
  EXPECT_EQ(ep_ring_discard(other, &buffer), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_publish(other, &buffer, nullptr, 0, nullptr), EP_RING_INVALID);
  ep_ring_producer_close(other);
  ep_ring_buffer wrong = buffer;
  wrong.block = 0xFFFFFFFF;
  EXPECT_EQ(ep_ring_publish(producer_, &wrong, nullptr, 0, nullptr), EP_RING_INVALID);
  wrong = buffer;
  wrong.size = buffer.capacity + 1;
  EXPECT_EQ(ep_ring_publish(producer_, &wrong, nullptr, 0, nullptr), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_publish(producer_, &buffer, nullptr, 0, nullptr), EP_RING_OK);
  EXPECT_EQ(ep_ring_publish(producer_, &buffer, nullptr, 0, nullptr), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_reserve(producer_, size_t{5} << 20, 0, &buffer), EP_RING_NO_MEMORY);
}

TEST_F(Ring, AConsumersOwnBlocksArePublishedByWhoAdoptsThem) {
  open();
  ep_ring_consumer_options options = {};
  options.group = "g";
  options.private_bytes = size_t{64} << 10;
  ep_ring_consumer* consumer = nullptr;
  ASSERT_EQ(ep_ring_consumer_open(ring_, &options, &consumer), EP_RING_OK);
  consumers_.push_back(consumer);
  ep_ring_buffer first;
  ASSERT_EQ(ep_ring_consumer_reserve(consumer, 64, &first), EP_RING_OK);
  EXPECT_EQ(ep_ring_discard(producer_, &first), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_publish(producer_, &first, nullptr, 0, nullptr), EP_RING_INVALID);
  memcpy(first.data, "answer", 7);
  ASSERT_EQ(ep_ring_adopt(producer_, consumer, &first), EP_RING_OK);
  EXPECT_EQ(ep_ring_adopt(producer_, consumer, &first), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_consumer_discard(consumer, &first), EP_RING_INVALID);
  ASSERT_EQ(ep_ring_publish(producer_, &first, nullptr, 0, nullptr), EP_RING_OK);
  ep_ring_message message;
  ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
  EXPECT_STREQ(static_cast<const char*>(message.data), "answer");
  EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
  // Taken out by the producer, the block is the consumer's again, not the producer's.
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(publish(i), EP_RING_OK);
    ASSERT_EQ(ep_ring_get(consumer, 0, &message), EP_RING_OK);
    ASSERT_NE(message.data, first.data);
    EXPECT_EQ(ep_ring_ack(consumer, &message), EP_RING_OK);
  }
  // What it still has goes with it; its slabs are everybody's then.
  ASSERT_EQ(ep_ring_consumer_reserve(consumer, 64, &first), EP_RING_OK);
  ASSERT_EQ(ep_ring_consumer_reserve(consumer, size_t{100} << 10, &first), EP_RING_OK);
  leave(consumer);
  EXPECT_EQ(ep_ring_cleanup_before(ring_, UINT64_MAX), EP_RING_OK);
  ep_ring_stat stat;
  ep_ring_read_stat(ring_, &stat);
  EXPECT_EQ(stat.pool_used_bytes, 0U);
}

TEST_F(Ring, WhatIsAdoptedIsOfTheSameAttachment) {
  open();
  ep_ring_consumer* consumer = join("g");
  ep_ring_buffer buffer;
  ASSERT_EQ(ep_ring_consumer_reserve(consumer, 64, &buffer), EP_RING_OK);
  ep_ring* again = nullptr;
  ASSERT_EQ(ep_ring_attach_fd(ep_ring_fd(ring_), 0, &again), EP_RING_OK);
  ep_ring_producer* other = nullptr;
  ASSERT_EQ(ep_ring_producer_open(again, &other), EP_RING_OK);
  EXPECT_EQ(ep_ring_adopt(other, consumer, &buffer), EP_RING_INVALID);
  ep_ring_buffer wrong = buffer;
  wrong.size = wrong.capacity = SIZE_MAX;
  EXPECT_EQ(ep_ring_adopt(producer_, consumer, &wrong), EP_RING_INVALID);
  EXPECT_EQ(ep_ring_adopt(producer_, consumer, &buffer), EP_RING_OK);
  EXPECT_EQ(ep_ring_discard(producer_, &buffer), EP_RING_OK);
  ep_ring_producer_close(other);
  ep_ring_detach(again);
}

// What has passed is not taken out before somebody needs it.
TEST_F(Ring, AConsumerReservesWhatHasPassed) {
  open();
  ep_ring_consumer* consumer = join("g");
  uint32_t count = 0;
  for (; count < 60; ++count) {
    ep_ring_buffer buffer;
    if (ep_ring_reserve(producer_, 100'000, 0, &buffer) != EP_RING_OK) break;
    ASSERT_EQ(ep_ring_publish(producer_, &buffer, nullptr, 0, nullptr), EP_RING_OK);
  }
  ASSERT_GT(count, 30U);
  for (uint32_t i = 0; i < count; ++i) ASSERT_GE(take(consumer), 0);
  ep_ring_buffer buffer;
  EXPECT_EQ(ep_ring_consumer_reserve(consumer, 100'000, &buffer), EP_RING_OK);
}

TEST_F(Ring, PlacesAreLimitedAndComeFreeAgain) {
  open();
  std::vector<ep_ring_producer*> producers;
  ep_ring_producer* producer = nullptr;
  int error = EP_RING_OK;
  while ((error = ep_ring_producer_open(ring_, &producer)) == EP_RING_OK) {
    producers.push_back(producer);
  }
  EXPECT_EQ(error, EP_RING_BUSY);
  EXPECT_GE(producers.size(), 64U);
  for (ep_ring_producer* p : producers) ep_ring_producer_close(p);
  for (int i = 0; i < 16; ++i) {
    std::string name = "g";
    name += std::to_string(i);
    ASSERT_EQ(ep_ring_group_create(ring_, name.c_str(), nullptr), EP_RING_OK);
  }
  EXPECT_EQ(ep_ring_group_create(ring_, "one more", nullptr), EP_RING_BUSY);
  EXPECT_EQ(ep_ring_group_remove(ring_, "g3"), EP_RING_OK);
  EXPECT_EQ(ep_ring_group_create(ring_, "one more", nullptr), EP_RING_OK);
}

TEST_F(Ring, AnExhaustedPoolWaitsForItsConsumers) {
  open(1024);
  ep_ring_consumer* consumer = join("group");
  ep_ring_buffer buffer;
  int published = 0;
  for (;; ++published) {
    const int error = ep_ring_reserve(producer_, 100'000, 0, &buffer);
    if (error == EP_RING_NO_MEMORY) break;
    ASSERT_EQ(error, EP_RING_OK);
    ASSERT_EQ(ep_ring_publish(producer_, &buffer, nullptr, 0, nullptr), EP_RING_OK);
  }
  EXPECT_GE(published, 38);
  EXPECT_EQ(ep_ring_reserve(producer_, 100'000, 20, &buffer), EP_RING_TIMEOUT);
  std::thread waiter([this] {
    ep_ring_buffer late;
    EXPECT_EQ(ep_ring_reserve(producer_, 100'000, EP_RING_FOREVER, &late), EP_RING_OK);
    EXPECT_EQ(ep_ring_discard(producer_, &late), EP_RING_OK);
  });
  usleep(20'000);
  EXPECT_EQ(take(consumer), 0);
  waiter.join();
}

// To take out what all have passed is the work of a whole ring: who stays does it.
TEST_F(Ring, WhoLeavesTakesSomeOutAndTheLastOneAll) {
  constexpr uint32_t kMessages = 3000;
  open(4096);
  ep_ring_consumer* consumer = join("group");
  publish_many(kMessages);
  std::vector<ep_ring_message> messages(kMessages);
  size_t count = 0;
  ASSERT_EQ(ep_ring_get_batch(consumer, 0, messages.data(), kMessages, &count), EP_RING_OK);
  ASSERT_EQ(count, kMessages);
  ASSERT_EQ(ep_ring_ack_batch(consumer, messages.data(), kMessages), EP_RING_OK);
  leave(consumer);
  EXPECT_GT(pool_used(), kMessages / 2 * 64U);
  ep_ring_producer_close(producer_);
  EXPECT_EQ(pool_used(), 0U);
  ASSERT_EQ(ep_ring_producer_open(ring_, &producer_), EP_RING_OK);
}

}  // namespace
