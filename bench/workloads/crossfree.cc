// crossfree: blocks are freed by another thread than the one that allocated them.
//
// First one way: a producer allocates, a consumer frees. Then both ways at once, so that each
// thread frees the other's blocks while its own are freed under it. The consumer keeps a backlog,
// as caches and queues do: blocks do not come back in the order in which they were made.
#include <atomic>
#include <memory>

#include "workload.h"

namespace {

constexpr size_t kBacklogBlocks = 20'000;
constexpr uint64_t kMessages = 1'500'000;

// One producer, one consumer. Slot i belongs to the consumer while head <= i < tail.
class Ring {
 public:
  bool try_push(const bench::Block& block) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    // order[ring-head]: acquire, with the release in try_pop(): the slot's last reader is done.
    if (tail - head_.load(std::memory_order_acquire) == kSlots) return false;
    slots_[tail % kSlots] = block;
    // order[ring-tail]: release, with the acquire in try_pop(): the slot and the block's contents.
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  bool try_pop(bench::Block* block) {
    const size_t head = head_.load(std::memory_order_relaxed);
    // order[ring-tail]: acquire, with the release in try_push().
    if (tail_.load(std::memory_order_acquire) == head) return false;
    *block = slots_[head % kSlots];
    // order[ring-head]: release, with the acquire in try_push().
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

 private:
  static constexpr size_t kSlots = 1024;

  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::atomic<size_t> tail_{0};
  alignas(64) bench::Block slots_[kSlots];
};

// Sends `outgoing` messages to out and takes `incoming` ones from in; which of the two it does next
// depends on the other thread, but what it sends and the sum of what it receives do not.
uint64_t exchange(Ring& out, uint64_t outgoing, Ring& in, uint64_t incoming, uint64_t seed,
                  size_t backlog_blocks) {
  bench::Random sizes(seed), victims(seed + 100);
  std::vector<bench::Block> backlog(backlog_blocks);
  bench::Block next, received;
  uint64_t checksum = 0;
  while (outgoing + incoming > 0) {
    bool idle = true;
    if (outgoing > 0) {
      if (next.data == nullptr) next = bench::allocate(sizes.between(16, 1024), outgoing);
      if (out.try_push(next)) {
        next = bench::Block{};
        --outgoing;
        idle = false;
      }
    }
    if (incoming > 0 && in.try_pop(&received)) {
      bench::Block& slot = backlog[victims.below(backlog.size())];
      checksum += bench::release(slot);
      slot = received;
      --incoming;
      idle = false;
    }
    if (idle) std::this_thread::yield();
  }
  return checksum + bench::release_all(backlog);
}

uint64_t run(uint64_t from_first, uint64_t from_second, uint64_t seed, size_t backlog_blocks) {
  const auto there = std::make_unique<Ring>();
  const auto back = std::make_unique<Ring>();
  return bench::sum_over_threads(2, [&](unsigned i) {
    if (i == 0) return exchange(*there, from_first, *back, from_second, seed, backlog_blocks);
    return exchange(*back, from_second, *there, from_first, seed + 1, backlog_blocks);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t messages = options.scaled(kMessages);
  const size_t backlog_blocks = options.scaled(kBacklogBlocks);
  uint64_t checksum = run(messages, 0, options.seed, backlog_blocks);
  checksum += run(messages / 2, messages / 2, options.seed + 2, backlog_blocks);
  return bench::report(checksum, messages + messages / 2 * 2);
}
