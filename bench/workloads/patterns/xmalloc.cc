// xmalloc: producers and consumers (Lever & Boreham, "malloc() Performance in a Multithreaded Linux
// Environment", USENIX 2000).
//
// Half of the threads allocate batches of blocks and push them to one bounded queue, the others pop
// and free them: no block is ever freed by the thread that made it. One thread alone does both, the
// queue being full all the time.
#include <condition_variable>
#include <memory>
#include <mutex>

#include "workload.h"

namespace {

constexpr size_t kBatchBlocks = 100;
constexpr uint64_t kBatches = 240'000;

struct Batch {
  bench::Block blocks[kBatchBlocks];
};

using BatchPointer = std::unique_ptr<Batch>;

// First in, first out; any thread may call anything.
class Queue {
 public:
  explicit Queue(unsigned producers) : producers_(producers) {}

  void push(BatchPointer batch) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [&] { return tail_ - head_ < kSlots; });
    slots_[tail_++ % kSlots] = std::move(batch);
    lock.unlock();
    not_empty_.notify_one();
  }

  // Null once every producer has left and the queue is empty.
  BatchPointer pop() {
    std::unique_lock lock(mutex_);
    not_empty_.wait(lock, [&] { return tail_ != head_ || producers_ == 0; });
    if (tail_ == head_) return nullptr;
    BatchPointer batch = std::move(slots_[head_++ % kSlots]);
    lock.unlock();
    not_full_.notify_one();
    return batch;
  }

  void producer_leaves() {
    const std::lock_guard lock(mutex_);
    --producers_;
    not_empty_.notify_all();
  }

  bool full() {
    const std::lock_guard lock(mutex_);
    return tail_ - head_ == kSlots;
  }

 private:
  static constexpr size_t kSlots = 64;

  std::mutex mutex_;
  std::condition_variable not_full_, not_empty_;
  size_t head_ = 0, tail_ = 0;
  unsigned producers_;
  BatchPointer slots_[kSlots];
};

// 16 B to 2 KiB, every doubling as likely as the next, as in objects of protocols and parsers.
size_t object_size(bench::Random& random) {
  const size_t base = size_t{16} << random.below(7);
  return base + random.below(base);
}

BatchPointer make_batch(bench::Random& random) {
  auto batch = std::make_unique<Batch>();
  for (bench::Block& block : batch->blocks) {
    block = bench::allocate(object_size(random), random.next(), bench::kEndsOnly);
  }
  return batch;
}

uint64_t free_batch(BatchPointer batch) {
  uint64_t checksum = 0;
  for (bench::Block& block : batch->blocks) checksum += bench::release(block);
  return checksum;
}

uint64_t produce_and_consume(Queue& queue, uint64_t seed, uint64_t batches) {
  bench::Random random(seed);
  uint64_t checksum = 0;
  for (uint64_t i = 0; i < batches; ++i) {
    if (queue.full()) checksum += free_batch(queue.pop());
    queue.push(make_batch(random));
  }
  return checksum;
}

uint64_t produce(Queue& queue, uint64_t seed, uint64_t batches) {
  bench::Random random(seed);
  for (uint64_t i = 0; i < batches; ++i) queue.push(make_batch(random));
  queue.producer_leaves();
  return 0;
}

uint64_t consume(Queue& queue) {
  uint64_t checksum = 0;
  while (BatchPointer batch = queue.pop()) checksum += free_batch(std::move(batch));
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const unsigned producers = (options.threads + 1) / 2;
  const uint64_t batches = bench::part(options.scaled(kBatches), producers);
  Queue queue(producers);
  uint64_t checksum = 0;
  if (options.threads == 1) {
    checksum = produce_and_consume(queue, options.seed, batches);
    queue.producer_leaves();
    checksum += consume(queue);
  } else {
    checksum = bench::sum_over_threads(options.threads, [&](unsigned i) {
      return i < producers ? produce(queue, options.seed + i, batches) : consume(queue);
    });
  }
  return bench::report(checksum, producers * batches * kBatchBlocks);
}
