#!/usr/bin/python3
"""g++ and clang++: a large generated C++ file compiled to identical objects.

    compilers.py LIBRARY COMPILER
"""

import sys

import harness

KINDS = 2
HEAD = """
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct Sum { static constexpr long value = N + Sum<N - 1>::value; };
template <> struct Sum<0> { static constexpr long value = 0; };
template <typename... T> auto total(T... values) { return (values + ... + 0); }
"""
PART = """
namespace part@ {
struct Key { int first; std::string second; auto operator<=>(const Key&) const = default; };
using Value = std::variant<int, std::string, std::vector<Key>, std::tuple<double, char, Key>>;

template <typename T, int N> struct Table {
  std::map<Key, std::vector<T>> by_key;
  std::unordered_map<std::string, std::shared_ptr<T>> by_name;
  void add(Key key, T value) {
    by_name[key.second] = std::make_shared<T>(value);
    by_key[std::move(key)].push_back(std::move(value));
  }
  long size() const {
    return std::accumulate(by_key.begin(), by_key.end(), Sum<N + @>::value,
                           [](long sum, auto& item) { return sum + long(item.second.size()); });
  }
};

long run(const std::string& text) {
  static const std::regex pattern("([a-z]+)@=(\\\\d{2,5})(;|$)");
  Table<Value, 200> values;
  Table<std::function<long(int)>, 300> functions;
  for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i) {
    values.add({@, (*i)[1]}, std::stoi((*i)[2]));
    functions.add({@, (*i)[2]}, [n = i->length()](int x) { return total(x, n, @L); });
  }
  std::vector<Key> keys;
  for (const auto& [key, value] : values.by_key) keys.push_back(key);
  std::stable_sort(keys.begin(), keys.end(), std::greater<Key>());
  return values.size() + functions.size() + long(keys.size());
}
}  // namespace part@
"""


def body(trial: harness.Harness) -> None:
    compiler = sys.argv[2]
    trial.need(compiler)
    source = trial.scratch / "large.cc"
    source.write_text(HEAD + "".join(PART.replace("@", str(kind)) for kind in range(KINDS)))
    # No -g: it would write the directory, which differs, into the object.
    trial.same([compiler, "-std=c++20", "-O2", "-c", str(source), "-o", "large.o"])
    # And the way of an error: "Sum" is gone, so that the templates do not compile.
    trial.same([compiler, "-std=c++20", "-fsyntax-only", "-DSum=", str(source)], succeeds=False)


if __name__ == "__main__":
    harness.main(body)
