// slab_take() and slab_put() against a std::set of the blocks that are in the slab.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "slabs.h"

namespace elasticpool::test {
namespace {

constexpr unsigned kSeed = 502;

class ModelledSlab {
 public:
  explicit ModelledSlab(ClassId id) : slab_(slab_create(id, kTestNode)), taken_(slab_->blocks) {
    for (uint32_t i = 0; i < slab_->blocks; ++i) in_.insert(block_at(slab_, i));
  }
  ~ModelledSlab() {
    while (!out_.empty()) put(0, 1);
    check();
    slab_destroy(slab_);
  }
  ModelledSlab(const ModelledSlab&) = delete;
  ModelledSlab& operator=(const ModelledSlab&) = delete;

  // The lowest addresses come first, and all that are there.
  void take(size_t wanted) {
    const size_t taken = slab_take(slab_, taken_.data(), wanted);
    ASSERT_EQ(taken, std::min(wanted, in_.size()));
    for (size_t i = 0; i < taken; ++i) {
      ASSERT_EQ(taken_[i], *in_.begin()) << "block " << i << " of " << taken;
      in_.erase(in_.begin());
      out_.push_back(taken_[i]);
    }
  }

  // As many of those from `index` on as there are.
  void put(size_t index, size_t most) {
    const size_t count = std::min(most, out_.size() - index);
    const auto first = out_.begin() + static_cast<ptrdiff_t>(index);
    const auto last = first + static_cast<ptrdiff_t>(count);
    ASSERT_EQ(slab_put(slab_, &*first, count), count);
    in_.insert(first, last);
    out_.erase(first, last);
  }

  void check() const {
    ASSERT_EQ(slab_->free_count, in_.size());
    for (uint32_t i = 0; i < slab_->blocks; ++i) {
      const bool is_in = (slab_->free_bits[i / 64] >> (i % 64) & 1) != 0;
      ASSERT_EQ(is_in, in_.count(block_at(slab_, i)) == 1) << "block " << i;
    }
    for (uint32_t word = 0; word < slab_->hint; ++word) {
      ASSERT_EQ(slab_->free_bits[word], 0U) << "below the hint";
    }
  }

  size_t out() const { return out_.size(); }
  size_t blocks() const { return slab_->blocks; }

 private:
  Slab* slab_;
  std::vector<void*> taken_;
  std::set<void*> in_;
  std::vector<void*> out_;
};

TEST(SlabModel, EveryClass) {
  slab_vm().fail_nothing();
  std::mt19937 random(kSeed);
  for (size_t i = 0; i < kClasses; ++i) {
    SCOPED_TRACE(testing::Message() << "class " << i << ", seed " << kSeed);
    ModelledSlab slab(class_at(i));
    for (int step = 0; step < 60; ++step) {
      slab.take(random() % (step % 10 == 0 ? slab.blocks() + 1 : 40));
      const size_t puts = step % 15 == 0 ? slab.out() : random() % 40;
      for (size_t k = 0; k < puts && slab.out() > 0; ++k) {
        slab.put(random() % slab.out(), 1 + random() % 8);
      }
      slab.check();
      if (HasFatalFailure()) return;
    }
    slab.take(slab.blocks());
    slab.take(1);
    slab.take(0);
    slab.check();
  }
}

}  // namespace
}  // namespace elasticpool::test
