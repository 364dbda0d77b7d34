// Runs of the buddy layer, and a naive account of them: who has which granule, what it holds, and
// what the frames' records and the statistics must say.
//
// Threads  one.
// Content  a run is full of words that tell whose they are; a granule that was ever handed out is
//          never zero again unless its memory went back.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/held_memory.h"
#include "buddy/buddy.h"
#include "buddy/hugetlb_trial.h"
#include "naive_frame.h"
#include "os/vm.h"
#include "tune/options.h"
#include "zones.h"

namespace elasticpool::test {

// No slabs here: the frame records alone.
inline constexpr ZoneSides kBuddySides = {
    {kFrameRecordBytes, kFrameRecordBytes, kFrameRecordBytes}};

// The frame heaps live as long as the process, and so do the zones and the account of the system.
inline FakeVm& buddy_vm() {
  static FakeVm* fake = [] {
    auto* vm = new FakeVm;
    plan_zones_anew(*vm, kBuddySides, test_anchor());
    return vm;
  }();
  return *fake;
}

inline void set_hugetlb(const char* value) {
  const std::string variable = std::string("MEMPOOL_HUGETLB=") + value;
  const char* const environment[] = {variable.c_str(), nullptr};
  load_options(environment, false, nullptr);
}

inline Frame* frame_record(const Zone& zone, size_t frame) {
  return static_cast<Frame*>(zone.side_of(frame));
}

// After refusals some frames are not tried from the pool: takes so many, and gives all back. The
// pool must give now.
inline void end_hugetlb_pause(Zone& zone, NodeId node) {
  std::vector<void*> runs;
  bool zeroed = false;
  do {
    ASSERT_LE(runs.size(), HugetlbTrial::kLongestPause + zone_frames(zone)) << "never tried";
    runs.push_back(buddy_allocate(zone, node, kGranulesPerFrame, &zeroed));
    ASSERT_NE(runs.back(), nullptr);
  } while (frame_record(zone, zone.frame_of(runs.back()))->pages != FramePages::kHugetlb);
  for (void* run : runs) buddy_free(zone, run);
}

struct Run {
  Zone* zone = nullptr;
  NodeId node{};
  char* start = nullptr;
  size_t granules = 0;
  bool is_block = false;
  uint64_t stamp = 0;

  size_t bytes() const { return granules * kGranuleBytes; }
  size_t frame() const { return zone->frame_of(start); }
  unsigned first() const {
    return static_cast<unsigned>((address_of(start) - zone->base) % kFrameBytes / kGranuleBytes);
  }
};

class Runs {
 public:
  bool allocate(Zone& zone, NodeId node, size_t granules) {
    const std::vector<uint32_t> before = free_bits(zone, node);
    bool zeroed = false;
    void* start = buddy_allocate(zone, node, granules, &zeroed);
    if (start == nullptr) return false;
    add({&zone, node, static_cast<char*>(start), granules, false, ++last_stamp_}, zeroed);
    expect_best_place(before, runs_.back(), granules);
    return true;
  }

  bool allocate_block(NodeId node, size_t bytes, size_t align_bytes) {
    const std::vector<uint32_t> before = free_bits(g_medium_zone, node);
    bool zeroed = false;
    void* start = buddy_allocate_block(node, bytes, align_bytes, &zeroed);
    if (start == nullptr) return false;
    EXPECT_EQ(address_of(start) % align_bytes, 0U);
    const size_t granules = divide_up(bytes, kGranuleBytes);
    add({&g_medium_zone, node, static_cast<char*>(start), granules, true, ++last_stamp_}, zeroed);
    ++requests_;
    expect_best_place(before, runs_.back(), std::max(granules, align_bytes / kGranuleBytes));
    return true;
  }

  void free(size_t index) {
    const Run run = runs_[index];
    verify(run);
    runs_[index] = runs_.back();
    runs_.pop_back();
    if (run.is_block) {
      buddy_free_block(run.start);
    } else {
      buddy_free(*run.zone, run.start);
    }
  }

  void free_all() {
    while (!runs_.empty()) free(runs_.size() - 1);
  }

  // Of a block. Growing succeeds exactly where the granules behind are free.
  bool resize(size_t index, size_t bytes) {
    Run& run = runs_[index];
    const size_t granules = divide_up(bytes, kGranuleBytes);
    const auto added = static_cast<unsigned>(granules > run.granules ? granules - run.granules : 0);
    const unsigned end = run.first() + static_cast<unsigned>(run.granules);
    const bool possible = naive_is_free(frame_record(*run.zone, run.frame())->free, end, added);
    const bool resized = buddy_resize_block(run.start, bytes);
    EXPECT_EQ(resized, possible);
    if (resized) {
      const size_t kept = std::min(run.granules, granules);
      run.granules = granules;
      expect_stamps(run, kept * kGranuleBytes);
      fill(run);
    }
    verify(run);
    return resized;
  }

  // Every frame's record, the account of the system and the statistics agree with the runs.
  void check() const {
    check_zone(g_tiny_zone, ZoneKind::kTiny);
    check_zone(g_small_zone, ZoneKind::kSmall);
    check_zone(g_medium_zone, ZoneKind::kMedium);
    check_frames();
    uint64_t live_blocks = 0;
    uint64_t live_bytes = 0;
    for (const Run& run : runs_) {
      verify(run);
      live_blocks += run.is_block;
      live_bytes += run.is_block ? run.bytes() : 0;
    }
    const BuddyStats stats = buddy_stats(ZoneKind::kMedium);
    EXPECT_EQ(stats.live_blocks, live_blocks);
    EXPECT_EQ(stats.live_bytes, live_bytes);
    EXPECT_EQ(stats.requests - requests_before_, requests_);
  }

  // The part of it that holds whoever has the runs.
  static void check_frames() {
    check_frames_of(g_tiny_zone, ZoneKind::kTiny);
    check_frames_of(g_small_zone, ZoneKind::kSmall);
    check_frames_of(g_medium_zone, ZoneKind::kMedium);
    const size_t dirty_granules = dirty_granules_of(g_tiny_zone) + dirty_granules_of(g_small_zone) +
                                  dirty_granules_of(g_medium_zone);
    EXPECT_EQ(held_bytes(), dirty_granules * kGranuleBytes);
  }

  // Free bytes of one heap that a release can give back: no part of a hugetlb page.
  static size_t releasable_bytes(const Zone& zone, NodeId node) {
    size_t granules = 0;
    for (size_t i = 0; i < zone_frames(zone); ++i) {
      const Frame* frame = frame_record(zone, i);
      if (!frame->mapped || frame->node != node) continue;
      if (is_hugetlb(frame->pages) && frame->free != kAllFree) continue;
      granules += static_cast<size_t>(std::popcount(frame->dirty & frame->free));
    }
    return granules * kGranuleBytes;
  }

  // Free bytes of one heap that were handed out since their memory last came.
  static size_t free_dirty_bytes(const Zone& zone, NodeId node) {
    size_t granules = 0;
    for (size_t i = 0; i < zone_frames(zone); ++i) {
      const Frame* frame = frame_record(zone, i);
      if (frame->mapped && frame->node == node) {
        granules += static_cast<size_t>(std::popcount(frame->dirty & frame->free));
      }
    }
    return granules * kGranuleBytes;
  }

  const std::vector<Run>& all() const { return runs_; }
  bool empty() const { return runs_.empty(); }

 private:
  static constexpr size_t kStepBytes = 512;

  static void fill(const Run& run) {
    for (size_t at = 0; at < run.bytes(); at += kStepBytes) {
      const uint64_t word = run.stamp << 32 | at | 1;
      memcpy(run.start + at, &word, sizeof word);
    }
    run.start[run.bytes() - 1] = 1;
  }

  static void expect_stamps(const Run& run, size_t bytes) {
    for (size_t at = 0; at < bytes; at += kStepBytes) {
      uint64_t word = 0;
      memcpy(&word, run.start + at, sizeof word);
      ASSERT_EQ(word, run.stamp << 32 | at | 1) << "byte " << at << " of run " << run.stamp;
    }
  }

  static void verify(const Run& run) {
    expect_stamps(run, run.bytes());
    EXPECT_EQ(buddy_run_bytes(*run.zone, run.start), run.bytes());
    for (const size_t offset : {size_t{0}, size_t{1}, run.bytes() / 2, run.bytes() - 1}) {
      EXPECT_EQ(buddy_run_start(*run.zone, run.start + offset), run.start) << "from " << offset;
    }
  }

  static void expect_zero(const Run& run) {
    for (size_t at = 0; at < run.bytes(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      memcpy(&word, run.start + at, sizeof word);
      ASSERT_EQ(word, 0U) << "byte " << at << " is said to be zero";
    }
  }

  void add(const Run& run, bool zeroed) {
    EXPECT_TRUE(buddy_vm().is_mapped(address_of(run.start), run.bytes()));
    EXPECT_LE(run.first() + run.granules, kGranulesPerFrame) << "over the end of the frame";
    const size_t align_bytes = kGranuleBytes << ceil_log2(run.granules);
    EXPECT_EQ((address_of(run.start) - run.zone->base) % align_bytes, 0U);
    if (zeroed) expect_zero(run);
    fill(run);
    runs_.push_back(run);
  }

  // Of all mapped frames of a heap; 0 for the others.
  static std::vector<uint32_t> free_bits(const Zone& zone, NodeId node) {
    std::vector<uint32_t> bits(zone_frames(zone));
    for (size_t i = 0; i < bits.size(); ++i) {
      const Frame* frame = frame_record(zone, i);
      if (frame->mapped && frame->node == node) bits[i] = frame->free;
    }
    return bits;
  }

  // The fullest frame that fits; in it what naive_choice() says.
  static void expect_best_place(const std::vector<uint32_t>& before, const Run& run,
                                size_t granules) {
    const unsigned order = ceil_log2(granules);
    int least_free = kGranulesPerFrame + 1;
    for (const uint32_t free : before) {
      if (naive_choice(free, order) >= 0) least_free = std::min(least_free, std::popcount(free));
    }
    const bool is_new = run.frame() >= before.size() || before[run.frame()] == 0;
    if (is_new) {
      EXPECT_GT(least_free, static_cast<int>(kGranulesPerFrame)) << "a frame too many";
      EXPECT_EQ(run.first(), 0U);
      return;
    }
    EXPECT_EQ(std::popcount(before[run.frame()]), least_free) << "not the fullest frame";
    EXPECT_EQ(static_cast<int>(run.first()), naive_choice(before[run.frame()], order));
  }

  void check_zone(const Zone& zone, ZoneKind kind) const {
    std::vector<uint32_t> used(zone_frames(zone));
    uint64_t used_granules = 0;
    for (const Run& run : runs_) {
      if (run.zone != &zone) continue;
      for (unsigned i = run.first(); i < run.first() + run.granules; ++i) {
        ASSERT_EQ(used[run.frame()] >> i & 1, 0U) << "two runs have granule " << i;
        used[run.frame()] |= 1U << i;
        ++used_granules;
      }
    }
    for (size_t i = 0; i < used.size(); ++i) {
      const Frame* frame = frame_record(zone, i);
      ASSERT_EQ(frame->free, frame->mapped ? ~used[i] : 0) << "frame " << i;
    }
    EXPECT_EQ(buddy_stats(kind).used_granules, used_granules);
  }

  // In use or free.
  static size_t dirty_granules_of(const Zone& zone) {
    size_t granules = 0;
    for (size_t i = 0; i < zone_frames(zone); ++i) {
      granules += static_cast<size_t>(std::popcount(frame_record(zone, i)->dirty));
    }
    return granules;
  }

  static void check_frames_of(const Zone& zone, ZoneKind kind) {
    uint64_t frames = 0;
    uint64_t hugetlb_frames = 0;
    uint64_t free_dirty = 0;
    for (size_t i = 0; i < zone_frames(zone); ++i) {
      const Frame* frame = frame_record(zone, i);
      const bool hugetlb = frame->mapped && is_hugetlb(frame->pages);
      const uintptr_t start = zone.frame_address(i);
      ASSERT_EQ(buddy_vm().mapped_bytes_in(start, kFrameBytes), frame->mapped ? kFrameBytes : 0)
          << "frame " << i;
      ASSERT_EQ(buddy_vm().hugetlb_bytes_in(start, kFrameBytes), hugetlb ? kFrameBytes : 0)
          << "frame " << i;
      frames += frame->mapped;
      hugetlb_frames += hugetlb;
      free_dirty += static_cast<uint64_t>(std::popcount(frame->free & frame->dirty));
    }
    const BuddyStats stats = buddy_stats(kind);
    EXPECT_EQ(stats.frames, frames);
    EXPECT_EQ(stats.hugetlb_frames, hugetlb_frames);
    EXPECT_EQ(stats.free_dirty_granules, free_dirty);
  }

  std::vector<Run> runs_;
  uint64_t last_stamp_ = 0;
  uint64_t requests_ = 0;
  uint64_t requests_before_ = buddy_stats(ZoneKind::kMedium).requests;
};

}  // namespace elasticpool::test
