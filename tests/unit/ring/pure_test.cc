// Sizes, checksums, sharing and the layout of a region: all that is arithmetic.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ring/block_sizes.h"
#include "ring/crc32c.h"
#include "ring/groups.h"
#include "ring/header_line.h"
#include "ring/layout.h"

namespace elasticpool {
namespace {

TEST(BlockSizes, EverySizeFitsAndHardlyMoreThanFits) {
  for (size_t bytes = 1; bytes <= kSlabBlockBytesMax; ++bytes) {
    const size_t index = block_size_index(bytes);
    ASSERT_LT(index, kBlockSizes) << bytes;
    ASSERT_GE(kBlockSizeTable[index].block_bytes, bytes);
    if (index > 0) {
      ASSERT_LT(kBlockSizeTable[index - 1].block_bytes, bytes) << "a smaller one would do";
    }
    if (bytes > kRingLinearBytesMax) {
      ASSERT_LE(kBlockSizeTable[index].block_bytes - bytes, kBlockSizeTable[index].block_bytes / 5);
    }
  }
  EXPECT_EQ(block_size_index(0), 0U);
}

TEST(BlockSizes, SlabsHoldTheirBlocksInHintWords) {
  for (const BlockSize& size : kBlockSizeTable) {
    EXPECT_EQ(size.block_bytes % kLineBytes, 0U);
    EXPECT_LE(size.slab_granules, kRingSlabGranulesMax);
    EXPECT_GE(size.blocks_per_slab, 8U);
    EXPECT_LE(size.blocks_per_slab * size.block_bytes, size.slab_granules * kRingGranuleBytes);
    EXPECT_LE(size.blocks_per_slab, size.slab_granules * kLinesPerGranule);
  }
}

// RFC 3720, appendix B.4.
TEST(Crc32c, KnownValues) {
  std::vector<uint8_t> data(32, 0);
  EXPECT_EQ(crc32c(data.data(), 32), 0x8A9136AAU);
  memset(data.data(), 0xFF, 32);
  EXPECT_EQ(crc32c(data.data(), 32), 0x62A8AB43U);
  for (uint8_t i = 0; i < 32; ++i) data[i] = i;
  EXPECT_EQ(crc32c(data.data(), 32), 0x46DD794EU);
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283U);
}

TEST(Crc32c, AllWaysAgreeAtAllLengths) {
  std::mt19937 random(5);
  std::vector<uint8_t> data(5000);
  for (auto& byte : data) byte = static_cast<uint8_t>(random());
  for (size_t length = 0; length < data.size(); length += 1 + length / 50) {
    for (const size_t start : {size_t{0}, size_t{1}, size_t{7}}) {
      if (start + length > data.size()) continue;
      const uint32_t by_table =
          crc32c_end(crc32c_add_by_table(crc32c_begin(), data.data() + start, length));
      ASSERT_EQ(crc32c(data.data() + start, length), by_table) << length;
    }
  }
}

TEST(HeaderLine, OpensWhatWasSealedAndNothingElse) {
  SharedLine line{};
  MessageHeader header{};
  header.magic = kMessageMagic;
  header.size_bytes = 100;
  header.key = 77;
  header.flags = 3;
  header.tag = 0x12345678;
  header.offset = 0x0102030405060708;
  header.block = 0x9ABCDEF0;
  header.producer = 0x1357;
  header.references = 0x2468;
  header.payload_checksum = 0xFEDCBA98;
  HeaderWords words = pack_header(header);
  EXPECT_EQ(memcmp(&words, &header, sizeof(words)), 0);
  seal_header(words, header_checksum_prefix(words), 42);
  header = std::bit_cast<MessageHeader>(words);
  store_header_body(line, words);
  store_header_sequence(line, 42);
  MessageHeader opened{};
  ASSERT_TRUE(open_header(line, 42, &opened));
  EXPECT_EQ(memcmp(&opened, &header, sizeof(header)), 0);
  EXPECT_FALSE(open_header(line, 43, &opened));
  for (size_t word = 0; word < kHeaderWords; ++word) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      const uint64_t value = line.words[word].load_relaxed();
      line.words[word].store_relaxed(value ^ uint64_t{1} << bit);
      EXPECT_FALSE(open_header(line, 42, &opened)) << word << " " << bit;
      line.words[word].store_relaxed(value);
    }
  }
}

TEST(Membership, RanksAndPlacesAgree) {
  const Membership members(0b1011'0100);
  EXPECT_EQ(members.count(), 4U);
  for (uint32_t rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(members.rank_of(members.place_of_rank(rank)), rank);
  }
  EXPECT_EQ(members.place_of_rank(0), 2U);
  EXPECT_EQ(members.place_of_rank(3), 7U);
}

TEST(Membership, SharesAreEven) {
  for (const uint64_t places : {0b11U, 0b10101U, 0b1111U, 0b11111110U}) {
    const Membership members(places);
    std::vector<uint64_t> plain(members.count());
    std::vector<uint64_t> keyed(members.count());
    constexpr uint64_t kMessages = 100'000;
    for (uint64_t i = 0; i < kMessages; ++i) {
      ++plain[members.rank_for(i, 0)];
      ++keyed[members.rank_for(i, 1 + i % 5000)];
    }
    const double fair = double{kMessages} / members.count();
    for (uint32_t rank = 0; rank < members.count(); ++rank) {
      EXPECT_NEAR(static_cast<double>(plain[rank]), fair, fair * 0.01);
      EXPECT_NEAR(static_cast<double>(keyed[rank]), fair, fair * 0.10);
    }
  }
}

TEST(Layout, TablesDoNotOverlapAndPayloadsAreAligned) {
  for (const uint64_t slots : {64U, 16384U, kSlotsMax}) {
    for (const uint64_t pool : {uint64_t{1}, uint64_t{64} << 20, uint64_t{128} << 30}) {
      const RegionGeometry g = make_geometry(slots, pool);
      const std::vector<uint64_t> tables = {
          g.durable,    g.members,         g.groups,        g.line_map,   g.spares, g.slot_words,
          g.lines,      g.granule_entries, g.granule_info,  g.free_hints, g.backed, g.size_hints,
          g.slab_hints, g.fixed_end,       g.block_entries, g.payloads,   g.end};
      EXPECT_TRUE(std::is_sorted(tables.begin(), tables.end()));
      EXPECT_EQ(g.payloads % kPayloadAlignBytes, 0U);
      EXPECT_GE(g.end - g.payloads, pool);
      EXPECT_GE(g.slot_words, g.spares + kMembersMax * sizeof(SharedU64));
      EXPECT_GE(g.granule_entries, g.lines + (slots + kMembersMax) * sizeof(SharedLine));
    }
  }
}

}  // namespace
}  // namespace elasticpool
