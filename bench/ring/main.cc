// How fast messages go between processes: the ring, what else there is, and the bare machine.
//
//   ring [--only SELECTION] [--seconds S] [--rounds N] [--cpus A,B[,..]] [--json FILE] ...
//
// Every round measures everything once, so that what the machine does meanwhile hits all alike; the
// tables show medians over the rounds, and ratios of medians to the bare machine.
// Exit status: 0; 1 where contents or order were wrong or something failed; 2 for a call that
// cannot be right; 130 when interrupted, after the tables of what there is.
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "plan.h"

namespace {

struct Options {
  PlanOptions plan;
  std::vector<std::string> only;
  unsigned rounds = 5;
  std::string json;
  bool is_list = false;
  bool is_quiet = false;
};

std::vector<int> permitted_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

bool is_chosen(const std::string& name, const std::vector<std::string>& only) {
  if (only.empty() || name == kBareLine || name == kBareFutex) return true;
  return std::any_of(only.begin(), only.end(), [&name](const std::string& part) {
    return name.find(part) != std::string::npos;
  });
}

// One line about what cannot be right; empty: nothing.
std::string check_options(Options* options, const std::vector<Measurement>& plan) {
  std::vector<int>& cpus = options->plan.setting.cpus;
  const std::vector<int> permitted = permitted_cpus();
  if (cpus.empty()) {
    if (permitted.size() < 2) return "needs two processors";
    cpus.assign(permitted.begin(), permitted.begin() + 2);
  }
  if (cpus.size() < 2) return "--cpus: two at least, as in 0,1";
  for (size_t i = 0; i < cpus.size(); ++i) {
    const std::string name = std::to_string(cpus[i]);
    if (std::find(permitted.begin(), permitted.end(), cpus[i]) == permitted.end()) {
      return "--cpus: there is no processor " + name + " for this process";
    }
    if (std::find(cpus.begin(), cpus.begin() + static_cast<long>(i), cpus[i]) !=
        cpus.begin() + static_cast<long>(i)) {
      return "--cpus: " + name + " is there twice";
    }
  }
  for (const std::string& part : options->only) {
    const auto matches = [&part](const Measurement& one) {
      return one.name.find(part) != std::string::npos;
    };
    if (part.empty() || std::none_of(plan.begin(), plan.end(), matches)) {
      return "--only: no measurement has '" + part + "' in its name; --list names them";
    }
  }
  return "";
}

void add_options(CLI::App& app, Options* options, bool* reads_all) {
  app.add_option("--only", options->only, "measurements with one of these parts in their names")
      ->delimiter(',');
  app.add_option("--seconds", options->plan.setting.seconds, "a measurement in a round; 0.2")
      ->check(CLI::Range(0.001, 3600.0));
  app.add_option("--rounds", options->rounds, "5")->check(CLI::Range(1U, 10000U));
  app.add_option("--cpus", options->plan.setting.cpus, "A,B: the first two permitted")
      ->delimiter(',');
  app.add_option("--kills", options->plan.kills, "deaths, joins and leaves in a round; 20")
      ->check(CLI::Range(1U, 10000U));
  app.add_option("--slots", options->plan.slots, "messages in the ring at once; 16384")
      ->check(CLI::Range(128U, 1U << 20));
  app.add_flag("--whole", *reads_all,
               "payloads are written and read whole, of the ring and of the others; else their "
               "first lines");
  app.add_flag("--check-payloads", options->plan.checks_payloads,
               "the ring checks payloads, too, not headers alone");
  app.add_option("--json", options->json, "writes every figure of every round there");
  app.add_flag("--list", options->is_list, "names the measurements");
  app.add_flag("--quiet", options->is_quiet, "no word about the rounds");
}

// Status, or -1 to go on.
int parse(int count, char** values, Options* options) {
  CLI::App app("How fast messages go between processes.");
  bool reads_all = false;
  add_options(app, options, &reads_all);
  try {
    app.parse(count, values);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "ring: %s\n", error.what());
    return 2;
  }
  if (reads_all) options->plan.touch = Touch::kAll;
  const std::vector<Measurement> plan = make_plan(options->plan);
  if (options->is_list) {
    for (const Measurement& one : plan) std::printf("%s\n", one.name.c_str());
    return 0;
  }
  const std::string problem = check_options(options, plan);
  if (problem.empty()) return -1;
  std::fprintf(stderr, "ring: %s\n", problem.c_str());
  return 2;
}

nlohmann::ordered_json machine() {
  utsname system;
  uname(&system);
  std::string processor;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) processor = line.substr(line.find(':') + 2);
  }
  return {{"kernel", system.release}, {"processor", processor}};
}

// One measurement in one round; what was wrong, or "".
std::string measure(const Measurement& measurement, Row* row) {
  if (!row->unable.empty()) return "";
  try {
    row->rounds.push_back(measurement.run());
  } catch (const Unable& unable) {
    row->unable = unable.what();
  } catch (const std::exception& failure) {
    return measurement.name + ": " + failure.what();
  }
  return "";
}

int run_rounds(const Options& options, const std::vector<Measurement>& plan, Results* results) {
  std::string problem;
  try {
    for (unsigned round = 0; round < options.rounds && problem.empty(); ++round) {
      if (!options.is_quiet) {
        std::fprintf(stderr, "ring: round %u of %u\n", round + 1, options.rounds);
      }
      for (size_t i = 0; i < plan.size() && problem.empty(); ++i) {
        throw_if_interrupted();
        problem = measure(plan[i], &results->rows()[i]);
      }
    }
  } catch (const Interrupted&) {
    std::fputs("ring: interrupted\n", stderr);
    return 130;
  }
  if (problem.empty()) return 0;
  std::fprintf(stderr, "ring: %s\n", problem.c_str());
  return 1;
}

bool write_json(const Options& options, const Results& results) {
  nlohmann::ordered_json json;
  json["machine"] = machine();
  json["cpus"] = options.plan.setting.cpus;
  json["seconds"] = options.plan.setting.seconds;
  json["rounds"] = options.rounds;
  json["slots"] = options.plan.slots;
  json["whole"] = options.plan.touch == Touch::kAll;
  json["check_payloads"] = options.plan.checks_payloads;
  json["results"] = results.to_json();
  std::ofstream file(options.json);
  file << json.dump(1) << "\n";
  return static_cast<bool>(file.flush());
}

}  // namespace

int main(int count, char** values) {
  Options options;
  const int status = parse(count, values, &options);
  if (status >= 0) return status;
  block_signals();
  ns_per_tick();
  std::vector<Measurement> plan = make_plan(options.plan);
  std::erase_if(plan, [&](const Measurement& one) { return !is_chosen(one.name, options.only); });
  Results results;
  for (const Measurement& one : plan) results.add({one.name, one.section, {}, ""});
  const int outcome = run_rounds(options, plan, &results);
  if (!results.is_empty()) {
    const std::vector<int>& cpus = options.plan.setting.cpus;
    const std::string processor = machine()["processor"];
    std::printf("%s; processors %d and %d; %u rounds of %g s\n", processor.c_str(), cpus[0],
                cpus[1], options.rounds, options.plan.setting.seconds);
    results.print();
  }
  if (!options.json.empty() && !write_json(options, results)) {
    std::fprintf(stderr, "ring: cannot write %s\n", options.json.c_str());
    return outcome != 0 ? outcome : 1;
  }
  return outcome;
}
