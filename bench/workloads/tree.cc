// tree: containers through operator new, as C++ programs use them: a map from strings to vectors is
// built, half of it is erased, the rest is changed, copied and freed; lists are sorted and spliced.
#include <list>
#include <map>
#include <string>

#include "workload.h"

namespace {

constexpr uint64_t kWords = 100'000;
constexpr uint64_t kListNodes = 200'000;

using Index = std::map<std::string, std::vector<uint32_t>>;

std::string word(bench::Random& random, uint64_t words) {
  std::string text = "word-" + std::to_string(random.below(words));
  // Three of four exceed the string's own buffer, so that they are allocated.
  if (random.below(4) != 0) text.append(random.between(10, 60), 'x');
  return text;
}

uint64_t sum(const Index& index) {
  uint64_t checksum = 0;
  for (const auto& [text, lines] : index) {
    checksum += text.size();
    for (const uint32_t line : lines) checksum += line;
  }
  return checksum;
}

uint64_t index_words(bench::Random& random, uint64_t words) {
  Index index;
  for (uint32_t line = 0; line < words * 3; ++line) index[word(random, words)].push_back(line);
  bool erase = false;
  for (auto entry = index.begin(); entry != index.end(); erase = !erase) {
    entry = erase ? index.erase(entry) : std::next(entry);
  }
  uint64_t checksum = sum(index);
  const Index copy = index;
  for (uint32_t line = 0; line < words; ++line) index[word(random, words)].push_back(line);
  return checksum + sum(index) + sum(copy);
}

uint64_t sort_lists(bench::Random& random, uint64_t nodes) {
  std::list<uint64_t> first, second;
  for (uint64_t i = 0; i < nodes; ++i) (i % 2 == 0 ? first : second).push_back(random.below(nodes));
  first.sort();
  second.sort();
  first.merge(second);
  first.unique();
  uint64_t checksum = 0;
  for (const uint64_t value : first) checksum = checksum * 31 + value;
  return checksum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = bench::Options::parse(argc, argv);
  const uint64_t words = options.scaled(kWords), nodes = options.scaled(kListNodes);
  bench::Random random(options.seed);
  uint64_t checksum = index_words(random, words);
  checksum += sort_lists(random, nodes);
  return bench::report(checksum, words * 4 + nodes);
}
