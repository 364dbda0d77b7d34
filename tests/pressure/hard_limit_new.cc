// MEMPOOL_HARD_LIMIT as C++ sees it: new throws, asks the new_handler first, and nothrow is null.
//
//   hard_limit_new MIB throws     loops of new char[1M] end at MIB, to 2 %, with bad_alloc
//   hard_limit_new MIB handler    the new_handler gives blocks back, and the new succeeds
//
// For MEMPOOL_HARD_LIMIT=MIB; 20 times each.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace {

constexpr size_t kMiB = size_t{1} << 20;
constexpr int kRounds = 20;

using Block = std::unique_ptr<char[]>;
// Blocks that the new_handler may take back; room for its own growth is made beforehand.
std::vector<Block> g_spare;
int g_handler_calls = 0;

#define EXPECT(condition)                                                          \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      std::_Exit(1);                                                               \
    }                                                                              \
  } while (0)

Block make_block() {
  Block block(new char[kMiB]);
  std::memset(block.get(), 1, kMiB);
  return block;
}

std::vector<Block> take_all(size_t most) {
  std::vector<Block> blocks;
  blocks.reserve(most);
  bool thrown = false;
  while (!thrown && blocks.size() < most) {
    try {
      blocks.push_back(make_block());
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
  }
  EXPECT(thrown);
  return blocks;
}

void expect_at_limit(size_t blocks, size_t limit_mib) {
  if (blocks + 1 < limit_mib * 98 / 100 || blocks > limit_mib * 102 / 100) {
    std::fprintf(stderr, "the last new threw at %zu MiB\n", blocks);
    std::_Exit(1);
  }
}

void throws(size_t limit_mib) {
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<Block> blocks = take_all(2 * limit_mib);
    expect_at_limit(blocks.size(), limit_mib);
    // A new-expression that nobody uses clang takes for one that succeeds.
    EXPECT(::operator new(kMiB, std::nothrow) == nullptr);
    std::vector<Block> small;
    for (int i = 0; i < 200; ++i) small.emplace_back(new char[4096]);
  }
}

void give_spare_back() {
  ++g_handler_calls;
  // None left: out of memory after all, as the standard has it.
  if (g_spare.empty()) std::set_new_handler(nullptr);
  if (!g_spare.empty()) g_spare.pop_back();
}

void handler(size_t limit_mib) {
  for (int round = 0; round < kRounds; ++round) {
    g_spare.reserve(limit_mib);
    for (size_t i = 0; i < limit_mib / 4; ++i) g_spare.push_back(make_block());
    std::set_new_handler(give_spare_back);
    g_handler_calls = 0;
    const std::vector<Block> blocks = take_all(2 * limit_mib);
    expect_at_limit(blocks.size(), limit_mib);
    EXPECT(g_spare.empty());
    EXPECT(g_handler_calls > static_cast<int>(limit_mib / 4));
    EXPECT(std::get_new_handler() == nullptr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  EXPECT(argc == 3);
  const size_t limit_mib = std::strtoul(argv[1], nullptr, 10);
  EXPECT(limit_mib > 16 && limit_mib < 2048);
  if (std::strcmp(argv[2], "throws") == 0) {
    throws(limit_mib);
  } else {
    EXPECT(std::strcmp(argv[2], "handler") == 0);
    handler(limit_mib);
  }
  return 0;
}
