// Figures of all rounds: medians, their ratios to the bare machine, tables and JSON.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

// Figures of one measurement in one round, by name. Times are in nanoseconds.
using Values = std::map<std::string, double>;

// <prefix>p50, p99 and max.
void add_percentiles(std::vector<double> samples, const std::string& prefix, Values* values);

enum class Section { kLatency, kWoken, kThroughput, kRecovery, kJoin };

struct Row {
  std::string name;
  Section section = Section::kLatency;
  std::vector<Values> rounds;
  std::string unable;  // why there are none
};

class Results {
 public:
  void add(const Row& row) { rows_.push_back(row); }
  std::vector<Row>& rows() { return rows_; }
  bool is_empty() const;
  void print() const;
  nlohmann::ordered_json to_json() const;

 private:
  // Median over the rounds; NaN: there is none.
  static double median(const Row& row, const std::string& key);
  // The same over that of the bare line or futex.
  double ratio(const Row& row, const std::string& key) const;
  void print_section(Section section) const;
  void print_row(const Row& row) const;

  std::vector<Row> rows_;
};

inline constexpr char kBareLine[] = "latency/line";
inline constexpr char kBareFutex[] = "woken/futex";
