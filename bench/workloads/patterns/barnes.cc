// barnes: gravity of many bodies through an octree (Barnes & Hut, "A Hierarchical O(N log N)
// Force-Calculation Algorithm", Nature 1986), as object-oriented programs do it.
//
// Every body is an object, and every step builds a fresh tree of malloc'ed cells and leaves, walks
// it once for each body, moves the bodies and frees the tree. One thread.
#include <cmath>
#include <new>

#include "workload.h"

namespace {

constexpr uint64_t kBodies = 20'000;
constexpr unsigned kSteps = 24;
constexpr unsigned kDepthMax = 64;
// A cell that looks smaller than this angle counts as one mass.
constexpr double kOpening = 1.2;
constexpr double kSoftening = 0.05, kStepTime = 0.01;

struct Vector {
  double x = 0, y = 0, z = 0;

  Vector operator+(const Vector& other) const { return {x + other.x, y + other.y, z + other.z}; }
  Vector operator-(const Vector& other) const { return {x - other.x, y - other.y, z - other.z}; }
  Vector operator*(double factor) const { return {x * factor, y * factor, z * factor}; }
  double squared() const { return x * x + y * y + z * z; }
};

struct Body {
  Vector place, speed;
  double mass = 0;
};

template <typename T>
T* make(const T& value) {
  void* const memory = std::malloc(sizeof(T));
  if (memory == nullptr) bench::fail("out of memory");
  return new (memory) T(value);
}

// A leaf has a body, a cell has up to eight nodes; a leaf's block ends before the children.
struct Node {
  double mass = 0;
  Vector centre;
  const Body* body = nullptr;
};

struct Cell : Node {
  Node* children[8] = {};
};

struct Cube {
  Vector middle;
  double half = 0;

  unsigned octant(const Vector& place) const {
    return (place.x >= middle.x ? 1u : 0u) | (place.y >= middle.y ? 2u : 0u) |
           (place.z >= middle.z ? 4u : 0u);
  }
  Cube part(unsigned octant) const {
    const double step = half / 2;
    const Vector shift{octant & 1 ? step : -step, octant & 2 ? step : -step,
                       octant & 4 ? step : -step};
    return {middle + shift, step};
  }
};

Node* make_leaf(const Body* body) { return make(Node{body->mass, body->place, body}); }

// A cell takes the place of a leaf that is in the way.
Node* insert(Node* node, const Cube& cube, const Body* body, unsigned depth) {
  if (node == nullptr) return make_leaf(body);
  if (depth == kDepthMax) bench::fail("two bodies in one place");
  Cell* const cell = node->body == nullptr ? static_cast<Cell*>(node) : make(Cell{});
  if (node->body != nullptr) cell->children[cube.octant(node->body->place)] = node;
  const unsigned octant = cube.octant(body->place);
  cell->children[octant] = insert(cell->children[octant], cube.part(octant), body, depth + 1);
  return cell;
}

void sum_up(Node* node) {
  if (node == nullptr || node->body != nullptr) return;
  Vector moment;
  for (Node* child : static_cast<Cell*>(node)->children) {
    sum_up(child);
    if (child == nullptr) continue;
    node->mass += child->mass;
    moment = moment + child->centre * child->mass;
  }
  node->centre = moment * (1 / node->mass);
}

Vector pull(const Node* node, double width, const Body* body) {
  if (node == nullptr || node->body == body) return {};
  const Vector distance = node->centre - body->place;
  const double squared = distance.squared() + kSoftening * kSoftening;
  if (node->body != nullptr || width * width < kOpening * kOpening * squared) {
    return distance * (node->mass / (squared * std::sqrt(squared)));
  }
  Vector total;
  for (const Node* child : static_cast<const Cell*>(node)->children) {
    total = total + pull(child, width / 2, body);
  }
  return total;
}

uint64_t free_tree(Node* node) {
  if (node == nullptr) return 0;
  uint64_t count = 1;
  if (node->body == nullptr) {
    for (Node* child : static_cast<Cell*>(node)->children) count += free_tree(child);
  }
  std::free(node);
  return count;
}

Cube around(const std::vector<Body*>& bodies) {
  double half = 0;
  for (const Body* body : bodies) {
    half = std::fmax(half, std::fmax(std::fabs(body->place.x), std::fabs(body->place.y)));
    half = std::fmax(half, std::fabs(body->place.z));
  }
  return {{}, half * 1.001};
}

// Returns how many nodes the tree had.
uint64_t step(const std::vector<Body*>& bodies) {
  const Cube cube = around(bodies);
  Node* root = nullptr;
  double mass = 0;
  for (const Body* body : bodies) {
    root = insert(root, cube, body, 0);
    mass += body->mass;
  }
  sum_up(root);
  if (std::fabs(root->mass - mass) > 1e-9 * mass) bench::fail("the tree has lost a body");
  for (Body* body : bodies) {
    body->speed = body->speed + pull(root, cube.half * 2, body) * kStepTime;
  }
  for (Body* body : bodies) body->place = body->place + body->speed * kStepTime;
  return free_tree(root);
}

double unit(bench::Random& random) {
  return static_cast<double>(random.below(1 << 30)) / (1 << 30);
}

// More of them near the middle, as in a cluster of stars.
Body* make_body(bench::Random& random, uint64_t bodies) {
  const Vector direction{unit(random) - 0.5, unit(random) - 0.5, unit(random) - 0.5};
  const double radius = unit(random) * unit(random);
  return make(Body{direction * radius, Vector{direction.y, -direction.x, 0} * 0.5,
                   (0.5 + unit(random)) / static_cast<double>(bodies)});
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  bench::Random random(options.seed);
  const uint64_t count = options.scaled(kBodies);
  std::vector<Body*> bodies;
  for (uint64_t i = 0; i < count; ++i) bodies.push_back(make_body(random, count));
  uint64_t operations = count;
  for (unsigned i = 0; i < kSteps; ++i) operations += step(bodies);
  uint64_t checksum = operations;
  for (Body* body : bodies) {
    checksum = checksum * 31 + static_cast<uint64_t>(std::llround(body->place.x * 1e6));
    std::free(body);
  }
  return bench::report(checksum, operations);
}
