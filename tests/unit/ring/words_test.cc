// The words of the ring: what goes in comes out, and no two facts share a word.
#include "ring/words.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace elasticpool {
namespace {

TEST(RingWords, TagHoldsPlaceAndGeneration) {
  for (const uint32_t place : {0U, 1U, 47U, 127U, (1U << kPlaceBits) - 1}) {
    for (const uint32_t generation : {0U, 1U, 12345U, kGenerationMask}) {
      const Tag tag = make_tag(place, generation);
      EXPECT_EQ(place_of(tag), place);
      EXPECT_EQ(generation_of(tag), generation);
    }
  }
}

TEST(RingWords, NobodyIsNoMember) { EXPECT_GE(place_of(kNobody), 128U); }

TEST(RingWords, FieldsDoNotTouchEachOther) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 10'000; ++i) {
    const auto tag = make_tag(static_cast<uint32_t>(random() % 1024),
                              static_cast<uint32_t>(random()) & kGenerationMask);
    const auto low = static_cast<uint32_t>(random());
    const auto block = block_word(BlockState::kAttached, tag, low);
    EXPECT_EQ(block_state(block), BlockState::kAttached);
    EXPECT_EQ(block_tag(block), tag);
    EXPECT_EQ(block_low(block), low);
    const auto slot = slot_word(SlotState::kPublished, tag, low);
    EXPECT_EQ(slot_state(slot), SlotState::kPublished);
    EXPECT_EQ(slot_tag(slot), tag);
    EXPECT_EQ(slot_lap(slot), low);
    const auto count = static_cast<uint32_t>(random()) % (kDeliveriesMax + 1);
    const auto delivery = delivery_word(DeliveryState::kReturned, tag, low, count);
    EXPECT_EQ(delivery_state(delivery), DeliveryState::kReturned);
    EXPECT_EQ(delivery_tag(delivery), tag);
    EXPECT_EQ(delivery_count(delivery), count);
    EXPECT_TRUE(is_of_lap(delivery, low));
    EXPECT_FALSE(is_of_lap(delivery, low + 1));
    const auto member = member_word(MemberState::kFenced, generation_of(tag), low);
    EXPECT_EQ(member_state(member), MemberState::kFenced);
    EXPECT_EQ(member_generation(member), generation_of(tag));
    EXPECT_EQ(member_process(member), low);
  }
}

TEST(RingWords, AFreshFileIsFreeGranulesAndEmptySlots) {
  EXPECT_EQ(kFreeGranule, 0U);
  EXPECT_EQ(slot_state(0), SlotState::kEmpty);
  EXPECT_EQ(slot_lap(0), 0U);
  EXPECT_EQ(member_state(0), MemberState::kFree);
  EXPECT_TRUE(is_unclaimed(0, 0));
}

TEST(RingWords, DeliveriesAreCountedAndSaturate) {
  const Tag tag = make_tag(3, 9);
  const uint64_t other_lap = delivery_word(DeliveryState::kAcked, tag, 4, 200);
  EXPECT_EQ(next_delivery(other_lap, 5), 1U);
  uint64_t word = delivery_word(DeliveryState::kReturned, kNobody, 5, 1);
  EXPECT_EQ(next_delivery(word, 5), 2U);
  word = delivery_word(DeliveryState::kReturned, kNobody, 5, kDeliveriesMax);
  EXPECT_EQ(next_delivery(word, 5), kDeliveriesMax);
}

TEST(RingWords, WhatIsUnclaimed) {
  const Tag tag = make_tag(3, 9);
  EXPECT_TRUE(is_unclaimed(delivery_word(DeliveryState::kVoid, tag, 0, 0), 0));
  EXPECT_TRUE(is_unclaimed(delivery_word(DeliveryState::kAcked, tag, 6, 1), 7));
  EXPECT_TRUE(is_unclaimed(delivery_word(DeliveryState::kReturned, tag, 7, 1), 7));
  for (const auto state :
       {DeliveryState::kClaimed, DeliveryState::kAcked, DeliveryState::kDropped}) {
    EXPECT_FALSE(is_unclaimed(delivery_word(state, tag, 7, 1), 7));
  }
}

TEST(RingWords, HoldersAreOfOneSequence) {
  const uint64_t word = holder_word(0x12345, 0) | holder_bit(make_tag(47, 1));
  EXPECT_TRUE(is_held_as(word, 0x12345));
  EXPECT_TRUE(is_held_as(word, 0x52345)) << "sixteen bits of it";
  EXPECT_FALSE(is_held_as(word, 0x12346));
  EXPECT_EQ(holders_of(word), uint64_t{1} << 47);
  std::set<uint64_t> bits;
  for (uint32_t place = 0; place < kHoldersMax; ++place) {
    bits.insert(holder_bit(make_tag(place, place)));
  }
  EXPECT_EQ(bits.size(), kHoldersMax);
}

}  // namespace
}  // namespace elasticpool
