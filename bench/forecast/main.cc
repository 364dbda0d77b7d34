// How good are the forecasts of memory use? Replays a folder of traces through every method.
//
//   forecast [--holdout] [--traces] [--method NAME] FOLDER
//
//   --holdout  every fifth program's traces apart: two tables, those that tuning saw and the rest
//   --traces   the shares trace by trace, too
//   --method   this one only
//
// The columns are defined in score.h. Exit status 2: a file is not as it should be, or the call.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "score.h"

namespace {

struct Arguments {
  bool holdout = false;
  bool traces = false;
  std::string method;
  std::string folder;
};

constexpr char kUsage[] = "usage: forecast [--holdout] [--traces] [--method NAME] FOLDER\n";

bool parse(int count, char** values, Arguments* arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string value = values[i];
    if (value == "--holdout") {
      arguments->holdout = true;
    } else if (value == "--traces") {
      arguments->traces = true;
    } else if (value == "--method" && i + 1 < count) {
      arguments->method = values[++i];
    } else if (!value.starts_with("-") && arguments->folder.empty()) {
      arguments->folder = value;
    } else {
      return false;
    }
  }
  return !arguments->folder.empty();
}

std::string percent(double share) {
  if (std::isnan(share)) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", 100 * share);
  return text;
}

std::string three(const double (&values)[elasticpool::kHorizons]) {
  return percent(values[0]) + "/" + percent(values[1]) + "/" + percent(values[2]);
}

void print_heading(const char* title, size_t traces) {
  std::printf("%s: %zu traces\n", title, traces);
  std::printf("%-10s %-15s %-15s %-15s %9s %7s %5s %6s %9s %6s %6s %5s\n", "method",
              "within 10 pt, %", "90 % interval", "confidence off", "crossings", "missed%", "lead",
              ">=30s%", "harmful%", "safe%", "calm%", "us");
}

double ratio(size_t part, size_t whole) {
  return whole == 0 ? std::nan("") : static_cast<double>(part) / static_cast<double>(whole);
}

void print_row(const std::string& name, const Score& s) {
  const std::string harmful =
      percent(ratio(s.harmful, s.episodes)) + "/" + std::to_string(s.episodes);
  std::printf("%-10s %-15s %-15s %-15s %9zu %7s %5.0f %6s %9s %6s %6s %5.1f\n", name.c_str(),
              three(s.within).c_str(), three(s.covered).c_str(), three(s.calibration).c_str(),
              s.crossings, percent(ratio(s.missed, s.crossings)).c_str(), s.lead_median_s,
              percent(s.lead_early).c_str(), harmful.c_str(), percent(s.safe_alarmed).c_str(),
              percent(s.calm_alarmed).c_str(), s.step_us);
}

void print_set(const char* title, const std::vector<Trace>& traces,
               const std::vector<std::vector<Replay>>& replays, const std::vector<Method>& methods,
               const std::vector<bool>& chosen) {
  size_t count = 0;
  for (const bool is : chosen) count += is ? 1 : 0;
  print_heading(title, count);
  for (size_t m = 0; m < methods.size(); ++m) {
    print_row(methods[m].name, score(traces, replays[m], chosen));
  }
  std::printf("\n");
}

void print_traces(const std::vector<Trace>& traces, const std::vector<Replay>& replays,
                  const std::string& method) {
  for (size_t i = 0; i < traces.size(); ++i) {
    std::vector<bool> only(traces.size(), false);
    only[i] = true;
    if (i == 0) print_heading(method.c_str(), traces.size());
    std::printf("%s\n", traces[i].name.c_str());
    print_row("", score(traces, replays, only));
  }
  std::printf("\n");
}

}  // namespace

int main(int count, char** values) {
  Arguments arguments;
  if (!parse(count, values, &arguments)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::vector<Method> methods;
  for (const Method& m : all_methods()) {
    if (arguments.method.empty() || m.name == arguments.method) methods.push_back(m);
  }
  if (methods.empty()) {
    std::fprintf(stderr, "forecast: no method `%s`\n", arguments.method.c_str());
    return 2;
  }
  std::string problem;
  const auto traces = read_traces(arguments.folder, &problem);
  if (!traces) {
    std::fprintf(stderr, "forecast: %s\n", problem.c_str());
    return 2;
  }
  std::vector<std::vector<Replay>> replays;
  for (const Method& m : methods) {
    auto& of_method = replays.emplace_back();
    for (const Trace& trace : *traces) of_method.push_back(replay(trace, m));
    if (arguments.traces) print_traces(*traces, of_method, m.name);
  }
  if (arguments.holdout) {
    const std::vector<bool> out = held_out(*traces);
    std::vector<bool> in = out;
    in.flip();
    print_set("tuned on", *traces, replays, methods, in);
    print_set("held out", *traces, replays, methods, out);
  } else {
    print_set("all", *traces, replays, methods, std::vector<bool>(traces->size(), true));
  }
  std::printf("state: %zu bytes\n", sizeof(elasticpool::Forecaster));
  return 0;
}
