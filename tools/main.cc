// elasticpool(1): runs programs under the library, explains its options, shows its reports.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "commands.h"
#include "elasticpool/elasticpool.h"

namespace elasticpool {

static_assert(std::string_view(EP_VERSION_STRING) ==
                  EP_STRINGIFY(EP_VERSION_MAJOR) "." EP_STRINGIFY(
                      EP_VERSION_MINOR) "." EP_STRINGIFY(EP_VERSION_PATCH),
              "elasticpool.h and meson.build name different versions");

void to_stdout(void* /*context*/, const char* bytes, size_t count) {
  fwrite(bytes, 1, count, stdout);
}

int version_command() {
  std::cout << "elasticpool " EP_VERSION_STRING "\n";
  return 0;
}

namespace {

using Action = std::function<int()>;
using Words = std::vector<std::string>;

// `elasticpool run OPTIONS -- COMMAND`: CLI11 would take what is behind the mark for arguments of
// the program, not of the subcommand. So it sees only what is before it.
int count_before_mark(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != "run") return argc;
  int count = 2;
  while (count < argc && std::string_view(argv[count]) != "--") ++count;
  return count;
}

// `before` is what CLI11 left over: a command that came without the mark. Then the mark is its own.
Words join_command(Words before, const Words& from_mark) {
  if (!before.empty() && before[0].starts_with('-')) {
    throw CommandError("run: unknown option " + before[0] + "; see elasticpool run --help");
  }
  const bool is_ours = before.empty() && !from_mark.empty();
  before.insert(before.end(), from_mark.begin() + (is_ours ? 1 : 0), from_mark.end());
  return before;
}

void add_run(CLI::App& app, const Words& from_mark, Action& action) {
  static RunRequest request;
  CLI::App* run = app.add_subcommand("run", "Run a command under libelasticpool.so");
  CLI::Option* stats =
      run->add_flag("--stats", request.stats, "Print statistics to standard error at exit");
  run->add_option("--json", request.json_file, "Write them to FILE as JSON; %p is the process id")
      ->type_name("FILE")
      ->excludes(stats);
  run->add_option("-o", request.settings, "Set an option; see `elasticpool options`")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
  run->add_option("--library", request.library, "Preload this file")->type_name("FILE");
  run->prefix_command();
  run->footer("The command and its arguments follow, behind -- or at once.");
  run->callback([run, &from_mark, &action] {
    request.command = join_command(run->remaining(), from_mark);
    action = [] { return run_command(request); };
  });
}

void add_others(CLI::App& app, Action& action) {
  static bool as_json = false;
  static std::string file;
  CLI::App* options = app.add_subcommand("options", "List the options of the library");
  options->add_flag("--json", as_json, "As JSON");
  options->callback([&action] { action = [] { return options_command(as_json); }; });
  CLI::App* stats = app.add_subcommand("stats", "Show a report of MEMPOOL_STATS=json");
  stats->add_option("FILE", file, "The report; - is standard input")->required()->type_name("");
  stats->callback([&action] { action = [] { return stats_command(file); }; });
  CLI::App* version = app.add_subcommand("version", "Print the version");
  version->callback([&action] { action = version_command; });
}

void add_ring_looks(CLI::App& ring, RingRequest& request, Action& action) {
  CLI::App* ls = ring.add_subcommand("ls", "List the rings in shared memory");
  ls->add_flag("--json", request.as_json, "As JSON");
  ls->callback([&] { action = [&] { return ring_ls_command(request); }; });
  CLI::App* stat = ring.add_subcommand("stat", "Show the figures of a ring");
  stat->add_option("NAME", request.name, "The ring")->required()->type_name("");
  stat->add_flag("--json", request.as_json, "As JSON");
  stat->add_option("--interval", request.interval_s, "Look twice, and show rates between the looks")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.01, 86400.0));
  stat->callback([&] { action = [&] { return ring_stat_command(request); }; });
  CLI::App* tail = ring.add_subcommand("tail", "Follow the messages, without taking them");
  tail->add_option("NAME", request.name, "The ring")->required()->type_name("");
  tail->add_option("--count", request.count, "End after that many messages")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  tail->add_option("--from", request.from, "Begin there, not with the last ten")->type_name("SEQ");
  tail->add_flag("--no-follow", request.no_follow, "End with what is there now");
  tail->callback([&] { action = [&] { return ring_tail_command(request); }; });
}

void add_ring(CLI::App& app, Action& action) {
  static RingRequest request;
  CLI::App* ring = app.add_subcommand("ring", "Look into the rings of libelasticpool-ring.so");
  ring->require_subcommand(1);
  ring->footer("NAME is a name in shared memory, or a path with a slash in it.");
  add_ring_looks(*ring, request, action);
  CLI::App* check = ring->add_subcommand("check", "Check every word of a ring");
  check->add_option("NAME", request.name, "The ring")->required()->type_name("");
  check->add_flag("--json", request.as_json, "As JSON");
  check->callback([&action] { action = [] { return ring_check_command(request); }; });
  CLI::App* rm = ring->add_subcommand("rm", "Remove rings that nobody uses");
  CLI::Option* name = rm->add_option("NAME", request.name, "The ring")->type_name("");
  rm->add_flag("--stale", request.stale, "All in shared memory that nobody uses")->excludes(name);
  rm->add_flag("--force", request.force, "Also one that is used, or cannot be read")->needs(name);
  rm->callback([&action] { action = [] { return ring_rm_command(request); }; });
}

int run_main(int argc, char** argv) {
  CLI::App app("The elasticpool memory allocator", "elasticpool");
  const int before_mark = count_before_mark(argc, argv);
  const Words from_mark(argv + before_mark, argv + argc);
  Action action;
  app.require_subcommand(1);
  add_run(app, from_mark, action);
  add_others(app, action);
  add_ring(app, action);
  try {
    app.parse(before_mark, argv);
    return action();
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    throw CommandError(std::string(error.what()) + "; see elasticpool --help");
  }
}

}  // namespace
}  // namespace elasticpool

int main(int argc, char** argv) {
  try {
    const int code = elasticpool::run_main(argc, argv);
    std::cout.flush();
    if (std::cout && fflush(stdout) == 0 && ferror(stdout) == 0) return code;
    throw elasticpool::CommandError("standard output cannot be written");
  } catch (const std::exception& error) {
    std::cerr << "elasticpool: " << error.what() << '\n';
    return elasticpool::kExitBadUse;
  }
}
