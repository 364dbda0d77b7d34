// espresso: minimises logic functions held as lists of bit vectors (after Espresso of Brayton,
// Hachtel, McMullen & Sangiovanni-Vincentelli, 1984, one of the programs of Zorn & Grunwald, 1992).
//
// A cube is a block of 16 to 600 bytes: two bits for each input, one for each output. A cover is a
// list of cubes that grows through realloc. A random cover is extended by consensus (Quine, 1955),
// freed of cubes that others contain and of those that all others together make superfluous, which
// a recursion over cofactors decides: many covers of middling lifetime. One thread.
#include <algorithm>
#include <utility>

#include "workload.h"

namespace {

constexpr uint64_t kFunctions = 1'500;
constexpr size_t kCubesMax = 160;
constexpr size_t kResultsKept = 12;
constexpr unsigned kInputs = 12;
constexpr uint64_t kAllInputs = (uint64_t{1} << (2 * kInputs)) - 1;
constexpr uint64_t kLowBits = 0x5555'5555'5555'5555u & kAllInputs;

uint64_t operations = 0;

template <typename T>
T* reallocated(T* old, size_t bytes) {
  ++operations;
  void* const memory = std::realloc(old, bytes);
  if (memory == nullptr) bench::fail("out of memory");
  return static_cast<T*>(memory);
}

// Of an input's two bits the lower says that the cube holds where it is 0, the higher where it is
// 1; both: anywhere; none: the cube is empty. The outputs follow, `words` of them.
struct Cube {
  uint64_t inputs;
  uint64_t outputs[1];
};

Cube* make_cube(size_t words) { return reallocated<Cube>(nullptr, sizeof(uint64_t) * (1 + words)); }

// Bit 2i is set where input i has neither of its bits.
uint64_t empty_inputs(uint64_t inputs) { return ~(inputs | inputs >> 1) & kLowBits; }

class Cover {
 public:
  explicit Cover(size_t words) : words_(words) {}
  Cover(Cover&& other) noexcept
      : words_(other.words_),
        size_(std::exchange(other.size_, 0)),
        room_(std::exchange(other.room_, 0)),
        cubes_(std::exchange(other.cubes_, nullptr)) {}
  Cover& operator=(Cover&& other) noexcept {
    std::swap(words_, other.words_);
    std::swap(size_, other.size_);
    std::swap(room_, other.room_);
    std::swap(cubes_, other.cubes_);
    return *this;
  }
  ~Cover() {
    for (size_t i = 0; i < size_; ++i) std::free(cubes_[i]);
    std::free(cubes_);
  }

  size_t words() const { return words_; }
  size_t size() const { return size_; }
  const Cube& operator[](size_t i) const { return *cubes_[i]; }

  void take(Cube* cube) {
    if (size_ == room_) {
      room_ += 8;
      cubes_ = reallocated(cubes_, room_ * sizeof(Cube*));
    }
    cubes_[size_++] = cube;
  }
  // The last takes its place.
  Cube* give(size_t i) {
    std::swap(cubes_[i], cubes_[size_ - 1]);
    return cubes_[--size_];
  }

  bool contains(const Cube& cube) const {
    return std::any_of(cubes_, cubes_ + size_, [&](const Cube* other) {
      if ((cube.inputs & ~other->inputs) != 0) return false;
      for (size_t w = 0; w < words_; ++w) {
        if ((cube.outputs[w] & ~other->outputs[w]) != 0) return false;
      }
      return true;
    });
  }

 private:
  size_t words_;
  size_t size_ = 0, room_ = 0;
  Cube** cubes_ = nullptr;
};

Cover random_cover(bench::Random& random) {
  Cover cover(random.below(4) == 0 ? random.between(16, 74) : random.between(1, 15));
  const uint64_t cubes = random.between(10, 40);
  // Cubes with equal outputs are those that consensus can merge.
  const uint64_t kinds = random.between(2, 6), kind_seed = random.next();
  for (uint64_t i = 0; i < cubes; ++i) {
    Cube* const cube = make_cube(cover.words());
    cube->inputs = kAllInputs;
    for (unsigned input = 0; input < kInputs; ++input) {
      if (random.below(2) == 0) cube->inputs &= ~(uint64_t{1} << (2 * input + random.below(2)));
    }
    bench::Random outputs(kind_seed + random.below(kinds));
    for (size_t w = 0; w < cover.words(); ++w) cube->outputs[w] = outputs.next() | outputs.next();
    cover.take(cube);
  }
  return cover;
}

// What two cubes that disagree in one input say where that input does not matter; null if they
// disagree in none, or in more, or share no output.
Cube* consensus(const Cube& a, const Cube& b, size_t words) {
  const uint64_t both = a.inputs & b.inputs, apart = empty_inputs(both);
  if (apart == 0 || (apart & (apart - 1)) != 0) return nullptr;
  Cube* const cube = make_cube(words);
  cube->inputs = both | apart | apart << 1;
  uint64_t any = 0;
  for (size_t w = 0; w < words; ++w) any |= cube->outputs[w] = a.outputs[w] & b.outputs[w];
  if (any != 0) return cube;
  std::free(cube);
  return nullptr;
}

// One round of consensus. Returns whether anything was new.
bool extend(Cover& cover) {
  const size_t size = cover.size();
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = 0; j < i && cover.size() < kCubesMax; ++j) {
      Cube* const cube = consensus(cover[i], cover[j], cover.words());
      if (cube == nullptr) continue;
      if (cover.contains(*cube)) {
        std::free(cube);
      } else {
        cover.take(cube);
      }
    }
  }
  return cover.size() > size;
}

void drop_contained(Cover& cover) {
  for (size_t i = cover.size(); i-- > 0;) {
    Cube* const cube = cover.give(i);
    if (cover.contains(*cube)) {
      std::free(cube);
    } else {
      cover.take(cube);
    }
  }
}

// The cover as it looks from inside of `where`, to which it no longer refers.
Cover cofactor(const Cover& cover, uint64_t where) {
  Cover inside(cover.words());
  for (size_t i = 0; i < cover.size(); ++i) {
    if (empty_inputs(cover[i].inputs & where) != 0) continue;
    Cube* const part = make_cube(cover.words());
    part->inputs = cover[i].inputs | (~where & kAllInputs);
    std::copy_n(cover[i].outputs, cover.words(), part->outputs);
    inside.take(part);
  }
  return inside;
}

enum class Known { kYes, kNo, kNotYet };

// Whether all inputs give the wanted outputs, as far as it shows without a split.
Known gives_always(const Cover& cover, const uint64_t* wanted) {
  bool always = true;
  for (size_t w = 0; w < cover.words(); ++w) {
    uint64_t sometimes_given = 0, always_given = 0;
    for (size_t i = 0; i < cover.size(); ++i) {
      sometimes_given |= cover[i].outputs[w];
      if (cover[i].inputs == kAllInputs) always_given |= cover[i].outputs[w];
    }
    if ((wanted[w] & ~sometimes_given) != 0) return Known::kNo;
    if ((wanted[w] & ~always_given) != 0) always = false;
  }
  return always ? Known::kYes : Known::kNotYet;
}

// Splits at the input that most cubes name.
bool covers_all(const Cover& cover, const uint64_t* wanted) {
  const Known known = gives_always(cover, wanted);
  if (known != Known::kNotYet) return known == Known::kYes;
  unsigned counts[kInputs] = {};
  for (size_t i = 0; i < cover.size(); ++i) {
    for (unsigned input = 0; input < kInputs; ++input) {
      if ((cover[i].inputs >> (2 * input) & 3) != 3) ++counts[input];
    }
  }
  const auto most = std::max_element(counts, counts + kInputs) - counts;
  const uint64_t bit = uint64_t{1} << (2 * most);
  return covers_all(cofactor(cover, kAllInputs & ~bit), wanted) &&
         covers_all(cofactor(cover, kAllInputs & ~(bit << 1)), wanted);
}

void drop_superfluous(Cover& cover) {
  for (size_t i = cover.size(); i-- > 0;) {
    Cube* const cube = cover.give(i);
    if (covers_all(cofactor(cover, cube->inputs), cube->outputs)) {
      std::free(cube);
    } else {
      cover.take(cube);
    }
  }
}

// The outputs at a point where each input is 0 or 1, as a sum.
uint64_t value_at(const Cover& cover, uint64_t point) {
  uint64_t sum = 0;
  for (size_t w = 0; w < cover.words(); ++w) {
    uint64_t outputs = 0;
    for (size_t i = 0; i < cover.size(); ++i) {
      if ((point & ~cover[i].inputs) == 0) outputs |= cover[i].outputs[w];
    }
    sum = sum * 31 + outputs;
  }
  return sum;
}

uint64_t values(const Cover& cover, uint64_t seed) {
  bench::Random random(seed);
  uint64_t sum = 0;
  for (unsigned i = 0; i < 100; ++i) {
    const uint64_t ones = random.next() & kLowBits;
    sum = sum * 31 + value_at(cover, (kLowBits & ~ones) | ones << 1);
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  bench::Random random(options.seed);
  const uint64_t functions = options.scaled(kFunctions);
  std::vector<Cover> results;
  for (size_t i = 0; i < kResultsKept; ++i) results.emplace_back(0);
  uint64_t checksum = 0;
  for (uint64_t function = 0; function < functions; ++function) {
    Cover cover = random_cover(random);
    const uint64_t before = values(cover, function);
    while (extend(cover)) drop_contained(cover);
    drop_superfluous(cover);
    if (values(cover, function) != before) bench::fail("the function is another one now");
    checksum = checksum * 31 + before + cover.size();
    std::swap(results[random.below(kResultsKept)], cover);
  }
  return bench::report(checksum, operations);
}
