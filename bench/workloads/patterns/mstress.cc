// mstress: short and long lives, sizes in geometric steps, blocks that change hands, threads that
// come and go (the idea is that of test-stress in Leijen's mimalloc, 2019).
//
// Most blocks go into a small table of young ones, some into a large table of old ones. One of
// eight is exchanged for whatever lies in a random place of an array that all threads share. The
// threads of a round end; a quarter of the old blocks is left to those of the next.
#include <atomic>
#include <memory>

#include "workload.h"

namespace {

constexpr unsigned kRounds = 50;
constexpr uint64_t kStepsPerRound = 500'000;
constexpr size_t kYoungBlocks = 256;
constexpr size_t kOldBlocks = 8'000;
constexpr size_t kSharedBlocks = 1024;

// A block that says itself what it is: it is freed by a thread that has only its address. The stamp
// is repeated at the block's end.
struct Node {
  size_t size;
  uint64_t stamp;
};

Node* make_node(size_t size, uint64_t stamp) {
  Node* const node = static_cast<Node*>(std::malloc(size));
  if (node == nullptr) bench::fail("out of memory");
  *node = Node{size, stamp};
  bench::fill(
      bench::Block{reinterpret_cast<char*>(node) + sizeof(Node), size - sizeof(Node), stamp},
      bench::kLineBytes);
  return node;
}

uint64_t free_node(Node* node) {
  if (node == nullptr) return 0;
  const uint64_t stamp = node->stamp, size = node->size;
  bench::verify({reinterpret_cast<char*>(node) + sizeof(Node), size - sizeof(Node), stamp});
  std::free(node);
  return stamp ^ size;
}

// Every doubling is half as likely as the one before: 32 to 64 B most often, 32 KiB at most.
size_t geometric_size(bench::Random& random) {
  const uint64_t bits = random.next() | 512;
  const size_t base = size_t{32} << __builtin_ctzll(bits);
  return base + random.below(base);
}

using Exchange = std::vector<std::atomic<Node*>>;

// What a thread of one round leaves to its successor. No choice depends on what other threads left
// in the exchange, so that the blocks made, and the sum over them, follow from the seed.
class alignas(bench::kLineBytes) Worker {
 public:
  Worker(uint64_t seed, size_t old_blocks) : random_(seed), old_(old_blocks) {}

  void run_round(Exchange& exchange, uint64_t steps) {
    for (uint64_t i = 0; i < steps; ++i) step(exchange);
    for (Node*& node : young_) replace(node, nullptr);
    for (Node*& node : old_) {
      if (random_.below(4) != 0) replace(node, nullptr);
    }
  }

  uint64_t finish() {
    for (Node*& node : old_) replace(node, nullptr);
    return checksum_;
  }

 private:
  void step(Exchange& exchange) {
    Node* node = make_node(geometric_size(random_), random_.next());
    const uint64_t fate = random_.below(16);
    if (fate < 3) {
      replace(old_[random_.below(old_.size())], node);
      return;
    }
    if (fate < 5) {
      // order[mstress]: acquire and release, with the same line in another thread: what is given
      // away was written, and what is taken was written by its maker.
      node = exchange[random_.below(exchange.size())].exchange(node, std::memory_order_acq_rel);
    }
    replace(young_[random_.below(kYoungBlocks)], node);
  }

  void replace(Node*& slot, Node* node) {
    checksum_ += free_node(slot);
    slot = node;
  }

  bench::Random random_;
  std::vector<Node*> young_ = std::vector<Node*>(kYoungBlocks);
  std::vector<Node*> old_;
  uint64_t checksum_ = 0;
};

void run_round(std::vector<Worker>& workers, Exchange& exchange, uint64_t steps) {
  std::vector<std::thread> threads;
  for (Worker& worker : workers) {
    threads.emplace_back([&] { worker.run_round(exchange, steps); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t steps = options.share(kStepsPerRound);
  Exchange exchange(kSharedBlocks);
  std::vector<Worker> workers;
  for (unsigned i = 0; i < options.threads; ++i) {
    workers.emplace_back(options.seed + i, options.share(kOldBlocks));
  }
  for (unsigned round = 0; round < kRounds; ++round) run_round(workers, exchange, steps);
  uint64_t checksum = 0;
  for (Worker& worker : workers) checksum += worker.finish();
  // order[mstress]: relaxed is enough, those who wrote were joined.
  for (auto& slot : exchange) checksum += free_node(slot.load(std::memory_order_relaxed));
  return bench::report(checksum, kRounds * options.threads * steps);
}
