// On which node the resident pages of our ranges lie: only the kernel knows, so it is asked.
//
// Where      /proc/self/numa_maps, one line a mapping: its start, its policy, then words, of which
//            "N1=512" are pages on node 1 and "kernelpagesize_kB=4" is the size of these pages.
// Threads    any; a parser belongs to one.
// Exactness  pages are counted one mapping after the other, while others go on. Nodes share a row
//            modulo kNodesMax.
// Cost       the kernel walks the page tables of the whole process. Nothing is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/units.h"

namespace elasticpool {

struct PagesOfRange {
  uintptr_t start = 0;
  uintptr_t end = 0;
  uint64_t resident_bytes[kNodesMax] = {};
};

// Adds to the range that holds a mapping's start the mapping's pages. A range that shares a mapping
// with its neighbour is counted with whoever comes first: ours are far apart.
class NumaMapsParser {
 public:
  explicit NumaMapsParser(std::span<PagesOfRange> ranges) : ranges_(ranges) {}

  // The file in pieces, cut anywhere.
  void feed(const char* bytes, size_t count);

 private:
  void end_word();
  void end_line();

  std::span<PagesOfRange> ranges_;
  PagesOfRange* range_ = nullptr;  // of this line
  uint64_t pages_[kNodesMax] = {};
  uint64_t page_kib_ = 0;
  bool first_word_ = true;
  // What is longer is none of the words that count.
  char word_[48] = {};
  size_t word_bytes_ = 0;
};

// False: the kernel does not say (no /proc, built without it).
bool numa_resident_pages(std::span<PagesOfRange> ranges);

}  // namespace elasticpool
