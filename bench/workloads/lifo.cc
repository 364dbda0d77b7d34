// lifo: one small size, last in, first out. Stacks of 48-byte nodes rise and fall by random
// heights: mostly a few nodes, now and then thousands, so that caches of every depth over- and
// underflow.
#include "workload.h"

namespace {

constexpr uint64_t kSwings = 3'500'000;

struct Node {
  Node* below;
  uint64_t value;
  char payload[32];
};

Node* push(Node* top, uint64_t value) {
  Node* node = static_cast<Node*>(std::malloc(sizeof(Node)));
  if (node == nullptr) bench::fail("out of memory");
  node->below = top;
  node->value = value;
  node->payload[0] = static_cast<char>(value);
  return node;
}

uint64_t swing_height(bench::Random& random) {
  const uint64_t kind = random.below(1000);
  if (kind < 900) return random.between(1, 8);
  if (kind < 998) return random.between(8, 128);
  return random.between(128, 8192);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t swings = options.scaled(kSwings);
  bench::Random random(options.seed);
  uint64_t checksum = 0, operations = 0;
  for (uint64_t swing = 0; swing < swings; ++swing) {
    const uint64_t height = swing_height(random);
    Node* top = nullptr;
    for (uint64_t i = 0; i < height; ++i) top = push(top, swing ^ i);
    while (top != nullptr) {
      Node* const below = top->below;
      checksum += top->value + static_cast<unsigned char>(top->payload[0]);
      std::free(top);
      top = below;
    }
    operations += height;
  }
  return bench::report(checksum, operations);
}
