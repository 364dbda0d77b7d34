// Reads recordings line by line; the first line that is wrong ends it.
#include "traces.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace {

std::string without(std::string name, const std::string& ending) {
  if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  return name;
}

// False where the line is no sample that can follow the ones before.
bool take_line(const std::string& line, Trace* trace) {
  double time_s = 0;
  uint64_t used_bytes = 0;
  uint64_t limit_bytes = 0;
  int end = 0;
  if (std::sscanf(line.c_str(), "%lf,%" SCNu64 ",%" SCNu64 "%n", &time_s, &used_bytes, &limit_bytes,
                  &end) != 3) {
    return false;
  }
  const std::string rest = line.substr(static_cast<size_t>(end));
  const bool later = trace->size() == 0 || time_s > trace->time_s.back();
  if ((!rest.empty() && rest != "\r") || !std::isfinite(time_s) || time_s < 0 || !later ||
      limit_bytes == 0 || line.find('-') != std::string::npos) {
    return false;
  }
  trace->time_s.push_back(time_s);
  trace->used_bytes.push_back(used_bytes);
  trace->limit_bytes.push_back(limit_bytes);
  return true;
}

bool read_trace(const std::filesystem::path& path, Trace* trace, std::string* problem) {
  trace->name = path.stem().string();
  trace->program = without(without(trace->name, "_rss"), "_live");
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || !line.starts_with("time_s,used_bytes,limit_bytes")) {
    *problem = path.string() + ":1: not the heading `time_s,used_bytes,limit_bytes`";
    return false;
  }
  for (size_t number = 2; std::getline(file, line); ++number) {
    if (!take_line(line, trace)) {
      *problem = path.string() + ":" + std::to_string(number) +
                 ": not `time_s,used_bytes,limit_bytes`, or not later than the line before";
      return false;
    }
  }
  if (trace->size() == 0) {
    *problem = path.string() + ": no samples";
    return false;
  }
  return true;
}

}  // namespace

std::optional<std::vector<Trace>> read_traces(const std::string& folder, std::string* problem) {
  std::vector<std::filesystem::path> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".csv") paths.push_back(entry.path());
  }
  if (error || paths.empty()) {
    *problem = folder + ": " + (error ? error.message() : "no *.csv in it");
    return std::nullopt;
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Trace> traces(paths.size());
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!read_trace(paths[i], &traces[i], problem)) return std::nullopt;
  }
  return traces;
}

std::vector<bool> held_out(const std::vector<Trace>& traces) {
  constexpr size_t kEvery = 5;
  std::vector<std::string> programs;
  for (const Trace& trace : traces) programs.push_back(trace.program);
  std::sort(programs.begin(), programs.end());
  programs.erase(std::unique(programs.begin(), programs.end()), programs.end());
  std::vector<bool> out;
  for (const Trace& trace : traces) {
    const auto place = std::lower_bound(programs.begin(), programs.end(), trace.program);
    out.push_back(static_cast<size_t>(place - programs.begin()) % kEvery == kEvery - 1);
  }
  return out;
}
