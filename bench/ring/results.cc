// Medians, tables, JSON.
#include "results.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace {

constexpr double kNsPerUs = 1e3;
constexpr double kNsPerMs = 1e6;

struct Column {
  const char* title;
  const char* key;
  double unit;
  bool is_ratio;  // to the bare row of its section
};

struct Table {
  const char* title;
  std::vector<Column> columns;
};

const Table& table_of(Section section) {
  static const Table kLatency{"One way, one message at a time (ns; x: times the bare line)",
                              {{"p50", "half_p50", 1, false},
                               {"p99", "half_p99", 1, false},
                               {"x p50", "half_p50", 1, true},
                               {"x p99", "half_p99", 1, true},
                               {"stamp p50", "stamp_p50", 1, false},
                               {"stamp p99", "stamp_p99", 1, false},
                               {"x p50", "stamp_p50", 1, true},
                               {"x p99", "stamp_p99", 1, true}}};
  static const Table kWoken{"One way to a receiver that sleeps (us; x: times the bare futex)",
                            {{"p50", "p50", kNsPerUs, false},
                             {"p99", "p99", kNsPerUs, false},
                             {"x p50", "p50", 1, true},
                             {"x p99", "p99", 1, true},
                             {"slept, %", "slept_percent", 1, false}}};
  static const Table kThroughput{
      "Throughput (millions of messages a second; least: of two receivers, in %)",
      {{"M/s", "millions_per_second", 1, false}, {"least", "least_percent", 1, false}}};
  static const Table kRecovery{
      "From SIGKILL of who holds a message to its delivery to another (ms)",
      {{"p50", "p50", kNsPerMs, false}, {"max", "max", kNsPerMs, false}}};
  static const Table kJoin{"A consumer joins and leaves (us)",
                           {{"join p50", "join_p50", kNsPerUs, false},
                            {"join max", "join_max", kNsPerUs, false},
                            {"leave p50", "leave_p50", kNsPerUs, false},
                            {"leave max", "leave_max", kNsPerUs, false}}};
  switch (section) {
    case Section::kLatency:
      return kLatency;
    case Section::kWoken:
      return kWoken;
    case Section::kThroughput:
      return kThroughput;
    case Section::kRecovery:
      return kRecovery;
    case Section::kJoin:
      break;
  }
  return kJoin;
}

double at_share(const std::vector<double>& sorted, double share) {
  const auto place = static_cast<size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(place, sorted.size() - 1)];
}

}  // namespace

void add_percentiles(std::vector<double> samples, const std::string& prefix, Values* values) {
  if (samples.empty()) return;
  std::sort(samples.begin(), samples.end());
  (*values)[prefix + "p50"] = at_share(samples, 0.50);
  (*values)[prefix + "p99"] = at_share(samples, 0.99);
  (*values)[prefix + "max"] = samples.back();
}

bool Results::is_empty() const {
  return std::all_of(rows_.begin(), rows_.end(), [](const Row& row) { return row.rounds.empty(); });
}

double Results::median(const Row& row, const std::string& key) {
  std::vector<double> all;
  for (const Values& values : row.rounds) {
    const auto found = values.find(key);
    if (found != values.end()) all.push_back(found->second);
  }
  if (all.empty()) return std::nan("");
  std::sort(all.begin(), all.end());
  return (all[(all.size() - 1) / 2] + all[all.size() / 2]) / 2;
}

double Results::ratio(const Row& row, const std::string& key) const {
  const char* bare = row.section == Section::kLatency ? kBareLine : kBareFutex;
  for (const Row& other : rows_) {
    if (other.name == bare) return median(row, key) / median(other, key);
  }
  return std::nan("");
}

void Results::print_row(const Row& row) const {
  std::printf("%-34s", row.name.c_str());
  if (row.rounds.empty()) {
    std::printf("  %s\n", row.unable.empty() ? "-" : row.unable.c_str());
    return;
  }
  for (const Column& column : table_of(row.section).columns) {
    const double value =
        column.is_ratio ? ratio(row, column.key) : median(row, column.key) / column.unit;
    if (std::isnan(value)) {
      std::printf(" %10s", "-");
    } else {
      const int digits = column.is_ratio ? 2 : value < 10 ? 3 : value < 1000 ? 1 : 0;
      std::printf(" %10.*f", digits, value);
    }
  }
  std::printf("\n");
}

void Results::print_section(Section section) const {
  const bool is_there = std::any_of(rows_.begin(), rows_.end(),
                                    [section](const Row& row) { return row.section == section; });
  if (!is_there) return;
  std::printf("\n%s\n%-34s", table_of(section).title, "");
  for (const Column& column : table_of(section).columns) std::printf(" %10s", column.title);
  std::printf("\n");
  for (const Row& row : rows_) {
    if (row.section == section) print_row(row);
  }
}

void Results::print() const {
  for (const Section section : {Section::kLatency, Section::kWoken, Section::kThroughput,
                                Section::kRecovery, Section::kJoin}) {
    print_section(section);
  }
}

nlohmann::ordered_json Results::to_json() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Row& row : rows_) {
    nlohmann::ordered_json entry;
    entry["name"] = row.name;
    if (!row.unable.empty()) entry["unable"] = row.unable;
    entry["median"] = nlohmann::ordered_json::object();
    if (!row.rounds.empty()) {
      for (const auto& [key, value] : row.rounds.front()) entry["median"][key] = median(row, key);
    }
    entry["ratio"] = nlohmann::ordered_json::object();
    for (const Column& column : table_of(row.section).columns) {
      const double value = column.is_ratio ? ratio(row, column.key) : std::nan("");
      if (!std::isnan(value)) entry["ratio"][column.key] = value;
    }
    entry["rounds"] = row.rounds;
    json.push_back(entry);
  }
  return json;
}
