// Recordings of memory use: a file of lines `time_s,used_bytes,limit_bytes` under that heading.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct Trace {
  std::string name;     // of the file, without ".csv"
  std::string program;  // the name without "_rss" or "_live": two views of one run
  std::vector<double> time_s;
  std::vector<uint64_t> used_bytes;
  std::vector<uint64_t> limit_bytes;

  size_t size() const { return used_bytes.size(); }
  double share(size_t i) const {
    return static_cast<double>(used_bytes[i]) / static_cast<double>(limit_bytes[i]);
  }
};

// All *.csv of a folder by name. Nothing, and what is wrong in `problem`, where one of them is not
// such a recording or there is none.
std::optional<std::vector<Trace>> read_traces(const std::string& folder, std::string* problem);

// Every fifth program in the order of names: what was kept aside.
std::vector<bool> held_out(const std::vector<Trace>& traces);
