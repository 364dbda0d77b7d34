// A second free, and a free, realloc or size query of what is no live block: one line, then abort,
// in every tier.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cinttypes>
#include <string>

#include "base/bits.h"
#include "base/die.h"
#include "base/units.h"
#include "heap/heap.h"

extern "C" char** environ;

namespace elasticpool {
namespace {

std::string line(const char* what, const void* p) {
  char text[128];
  snprintf(text, sizeof text, "^elasticpool: %s 0x%" PRIxPTR "\n$", what, address_of(p));
  return text;
}

// In the child of a death test, whose standard error is not the one that boot has seen.
void speak() {
  set_fatal_sink([](const char* text, size_t bytes) {
    if (write(STDERR_FILENO, text, bytes) < 0) _exit(1);
  });
}

// One size of each tier: small slab, medium slab, buddy of one granule and of several, extent.
class Misuse : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    heap_start(environ);
    heap_free(heap_allocate(16));  // the thread has a cache, whichever test is the first
    block_ = static_cast<char*>(heap_allocate(GetParam()));
    // A neighbour keeps the slab, the frame or the range in use.
    neighbour_ = heap_allocate(GetParam());
  }
  void TearDown() override { heap_free(neighbour_); }

  char* block_ = nullptr;
  void* neighbour_ = nullptr;
};

TEST_P(Misuse, ASecondFreeAborts) {
  heap_free(block_);
  EXPECT_EXIT((speak(), heap_free(block_)), testing::KilledBySignal(SIGABRT),
              line("double free of", block_));
}

TEST_P(Misuse, ASecondFreeAbortsAfterATrimToo) {
  heap_free(block_);
  heap_trim(0);
  EXPECT_EXIT((speak(), heap_free(block_)), testing::KilledBySignal(SIGABRT),
              line("double free of", block_));
}

TEST_P(Misuse, AnInteriorFreeAborts) {
  for (const size_t offset : {size_t{1}, size_t{8}, size_t{16}, GetParam() / 2, GetParam() - 1}) {
    if (offset == 0 || offset >= GetParam()) continue;
    EXPECT_EXIT((speak(), heap_free(block_ + offset)), testing::KilledBySignal(SIGABRT),
                line("free of interior pointer", block_ + offset))
        << offset;
  }
  heap_free(block_);
}

TEST_P(Misuse, AReallocOfADeadBlockAborts) {
  heap_free(block_);
  EXPECT_EXIT((speak(), heap_reallocate(block_, 100)), testing::KilledBySignal(SIGABRT),
              line("realloc of a pointer that is not live", block_));
}

TEST_P(Misuse, ASizeQueryOfADeadBlockOrAnInteriorPointerAborts) {
  EXPECT_EXIT((speak(), heap_usable_bytes(block_ + 8)), testing::KilledBySignal(SIGABRT),
              line("malloc_usable_size of a pointer that is not live", block_ + 8));
  heap_free(block_);
  EXPECT_EXIT((speak(), heap_usable_bytes(block_)), testing::KilledBySignal(SIGABRT),
              line("malloc_usable_size of a pointer that is not live", block_));
}

TEST_P(Misuse, AReallocOfAnInteriorPointerAborts) {
  EXPECT_EXIT((speak(), heap_reallocate(block_ + 8, 100)), testing::KilledBySignal(SIGABRT),
              line("realloc of a pointer that is not live", block_ + 8));
  heap_free(block_);
}

class MisuseOfAQuarter : public testing::Test {
 protected:
  void SetUp() override { heap_start(environ); }
};

// The granule is held by a slab of another class, the quarter by none.
TEST_F(MisuseOfAQuarter, WhateverLiesInAFreeOneWasFreedBefore) {
  heap_trim(0);
  auto* gone = static_cast<char*>(heap_allocate(200));
  void* other = heap_allocate(300);
  ASSERT_EQ(round_down(address_of(gone), kGranuleBytes),
            round_down(address_of(other), kGranuleBytes));
  heap_free(gone);
  heap_trim(0);
  EXPECT_EXIT((speak(), heap_free(gone + 16)), testing::KilledBySignal(SIGABRT),
              line("double free of", gone + 16));
  heap_free(other);
}

INSTANTIATE_TEST_SUITE_P(Tiers, Misuse,
                         testing::Values(24, 1000, 5000, 32 * kKiB, 40000, 64 * kKiB, 300000,
                                         1 * kMiB, 3 * kMiB, 64 * kMiB));

}  // namespace
}  // namespace elasticpool
