// cfrac: arithmetic with numbers of a few words, every result of every operation a block of its own
// (after Barrett's cfrac, one of the programs of Zorn & Grunwald, "Empirical Measurements of Six
// Allocation-Intensive C Programs", 1992).
//
// Factors products of two primes by Pollard's rho (1975). Practically all blocks are tiny, 16 to 48
// bytes, and live for two or three operations. One thread.
#include <algorithm>
#include <utility>

#include "workload.h"

namespace {

constexpr uint64_t kFactorings = 250;
constexpr uint64_t kPrimeMin = 1 << 22, kPrimeMax = 1 << 24;
constexpr unsigned kStepsPerGcd = 32;

uint64_t operations = 0;

// A natural number, its limbs in a block of its own, the lowest first. The highest is not 0; the
// number 0 has none.
class Number {
 public:
  Number() : Number(0u) {}
  explicit Number(uint64_t value) : Number(Room{2}) {
    block_->limbs[0] = static_cast<uint32_t>(value);
    block_->limbs[1] = static_cast<uint32_t>(value >> 32);
    trim();
  }
  Number(Number&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Number& operator=(Number&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Number() { std::free(block_); }

  Number copy() const {
    Number result(Room{size()});
    std::copy_n(block_->limbs, size(), result.block_->limbs);
    return result;
  }

  bool is_zero() const { return size() == 0; }
  uint64_t low() const { return limb(0) | uint64_t{limb(1)} << 32; }

  friend int compare(const Number& a, const Number& b) {
    if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
    for (size_t i = a.size(); i-- > 0;) {
      if (a.limb(i) != b.limb(i)) return a.limb(i) < b.limb(i) ? -1 : 1;
    }
    return 0;
  }

  friend Number operator+(const Number& a, const Number& b) {
    Number sum(Room{std::max(a.size(), b.size()) + 1});
    uint64_t carry = 0;
    for (size_t i = 0; i < sum.size(); ++i) {
      carry += uint64_t{a.limb(i)} + b.limb(i);
      sum.block_->limbs[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    sum.trim();
    return sum;
  }

  // a is not below b.
  friend Number operator-(const Number& a, const Number& b) {
    Number difference(Room{a.size()});
    uint64_t borrow = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      const uint64_t digit = uint64_t{a.limb(i)} - b.limb(i) - borrow;
      difference.block_->limbs[i] = static_cast<uint32_t>(digit);
      borrow = digit >> 63;
    }
    difference.trim();
    return difference;
  }

  friend Number operator*(const Number& a, const Number& b) {
    Number product(Room{a.size() + b.size()});
    std::fill_n(product.block_->limbs, product.size(), 0);
    for (size_t i = 0; i < a.size(); ++i) {
      uint64_t carry = 0;
      for (size_t j = 0; j < b.size() || carry != 0; ++j) {
        carry += uint64_t{a.limb(i)} * b.limb(j) + product.block_->limbs[i + j];
        product.block_->limbs[i + j] = static_cast<uint32_t>(carry);
        carry >>= 32;
      }
    }
    product.trim();
    return product;
  }

  friend Number shifted_left(const Number& a, unsigned bits) {
    Number result(Room{a.size() + 1});
    uint64_t carry = 0;
    for (size_t i = 0; i < result.size(); ++i) {
      carry |= uint64_t{a.limb(i)} << bits;
      result.block_->limbs[i] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    result.trim();
    return result;
  }

  friend Number shifted_right(const Number& a, unsigned bits) {
    Number result(Room{a.size()});
    for (size_t i = 0; i < a.size(); ++i) {
      const uint64_t both = a.limb(i) | uint64_t{a.limb(i + 1)} << 32;
      result.block_->limbs[i] = static_cast<uint32_t>(both >> bits);
    }
    result.trim();
    return result;
  }

  // Long division as Knuth describes it (The Art of Computer Programming, 4.3.1, algorithm D): a
  // digit is guessed from the leading limbs, at most two too large, once the divisor's highest bit
  // is set. The quotient is not kept.
  friend Number operator%(const Number& dividend, const Number& divisor) {
    if (compare(dividend, divisor) < 0) return dividend.copy();
    const size_t n = divisor.size();
    const unsigned shift = static_cast<unsigned>(__builtin_clz(divisor.limb(n - 1)));
    const Number scaled = shifted_left(divisor, shift);
    Number rest(Room{dividend.size() + 1});
    const Number start = shifted_left(dividend, shift);
    for (size_t i = 0; i < rest.size(); ++i) rest.block_->limbs[i] = start.limb(i);
    for (size_t at = dividend.size() - n + 1; at-- > 0;) rest.reduce(scaled, at);
    rest.trim();
    return shifted_right(rest, shift);
  }

 private:
  struct Block {
    size_t size;
    uint32_t limbs[];
  };
  struct Room {
    size_t limbs;
  };

  explicit Number(Room room)
      : block_(static_cast<Block*>(std::malloc(sizeof(Block) + room.limbs * sizeof(uint32_t)))) {
    if (block_ == nullptr) bench::fail("out of memory");
    block_->size = room.limbs;
    ++operations;
  }

  size_t size() const { return block_->size; }
  uint32_t limb(size_t i) const { return i < block_->size ? block_->limbs[i] : 0; }
  void trim() {
    while (block_->size > 0 && block_->limbs[block_->size - 1] == 0) --block_->size;
  }

  // Takes away the largest multiple of divisor << 32 * at; the limb at + n is 0 then.
  void reduce(const Number& divisor, size_t at) {
    const size_t n = divisor.size();
    uint32_t* const limbs = block_->limbs + at;
    const uint64_t leading = uint64_t{limbs[n]} << 32 | limbs[n - 1];
    uint64_t digit = std::min<uint64_t>(leading / divisor.limb(n - 1), UINT32_MAX);
    uint64_t borrow = 0;
    for (size_t i = 0; i <= n; ++i) {
      const uint64_t taken = digit * divisor.limb(i) + borrow;
      borrow = (taken >> 32) + (limbs[i] < static_cast<uint32_t>(taken) ? 1 : 0);
      limbs[i] -= static_cast<uint32_t>(taken);
    }
    while (borrow != 0) {
      uint64_t carry = 0;
      for (size_t i = 0; i <= n; ++i) {
        carry += uint64_t{limbs[i]} + divisor.limb(i);
        limbs[i] = static_cast<uint32_t>(carry);
        carry >>= 32;
      }
      borrow -= carry;
    }
  }

  Block* block_;
};

Number greatest_common_divisor(Number a, Number b) {
  while (!b.is_zero()) {
    Number rest = a % b;
    a = std::move(b);
    b = std::move(rest);
  }
  return a;
}

// One factor of n, or n itself where the sequence x -> x^2 + c finds all at once.
Number rho(const Number& n, uint64_t c) {
  const Number addend(c), one(1);
  const auto next = [&](const Number& x) { return (x * x + addend) % n; };
  Number slow(2), fast(2), factor(1);
  while (compare(factor, one) == 0) {
    Number product(1);
    for (unsigned i = 0; i < kStepsPerGcd; ++i) {
      slow = next(slow);
      fast = next(next(fast));
      const Number difference = compare(slow, fast) < 0 ? fast - slow : slow - fast;
      product = product * difference % n;
    }
    factor = greatest_common_divisor(std::move(product), n.copy());
  }
  return factor;
}

bool is_prime(uint64_t candidate) {
  for (uint64_t divisor = 2; divisor * divisor <= candidate; ++divisor) {
    if (candidate % divisor == 0) return false;
  }
  return true;
}

uint64_t random_prime(bench::Random& random) {
  uint64_t candidate = random.between(kPrimeMin, kPrimeMax) | 1;
  while (!is_prime(candidate)) candidate += 2;
  return candidate;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  bench::Random random(options.seed);
  const uint64_t factorings = options.scaled(kFactorings);
  // The large factor is 2^89 - 1, a prime of Mersenne's list: rho finds the small one.
  const Number large = Number(uint64_t{1} << 45) * Number(uint64_t{1} << 44) - Number(1);
  uint64_t checksum = 0;
  for (uint64_t i = 0; i < factorings; ++i) {
    const uint64_t prime = random_prime(random);
    const Number n = large * Number(prime);
    Number factor = n.copy();
    for (uint64_t c = 1; compare(factor, n) == 0; ++c) factor = rho(n, c);
    if (compare(factor, Number(prime)) != 0) bench::fail("a wrong factor");
    checksum = checksum * 31 + factor.low();
  }
  return bench::report(checksum, operations);
}
