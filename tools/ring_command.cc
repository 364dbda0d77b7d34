// elasticpool ring ls, check and rm.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <system_error>

#include "commands.h"
#include "ring_view.h"

namespace elasticpool {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// Where ep_ring_create() puts a name without a slash.
constexpr const char* kFolder = "/dev/shm";
constexpr const char* kSuffix = ".ring";

std::vector<std::string> names_in_shared_memory() {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(kFolder, error), end; !error && it != end; it.increment(error)) {
    const fs::path& path = it->path();
    std::string name = path.stem();
    // A name with a point in front is no ring's.
    if (path.extension() == kSuffix && name.front() != '.') names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

struct ListedRing {
  std::string name;
  std::string error;  // why nothing more is known
  uint64_t memory_bytes = 0;
  RingFigures figures;
  const char* state() const {
    if (!error.empty()) return error.c_str();
    return figures.is_used ? "alive" : "stale";
  }
};

// One that cannot be attached to is listed with the reason.
ListedRing look_at(const std::string& name) {
  ListedRing listed;
  listed.name = name;
  struct stat status {};
  if (stat((std::string(kFolder) + "/" + name + kSuffix).c_str(), &status) == 0) {
    listed.memory_bytes = static_cast<uint64_t>(status.st_blocks) * 512;
  }
  try {
    const RingView view(name);
    listed.figures = read_figures(view.get());
  } catch (const CommandError& error) {
    const std::string before = ring_error_text(name, EP_RING_OK);
    const size_t name_bytes = before.size() - std::string(ep_ring_strerror(EP_RING_OK)).size();
    listed.error = std::string(error.what()).substr(name_bytes);
  }
  return listed;
}

void write_listed(TextWriter& out, const ListedRing& ring) {
  out.text(printable_name(ring.name).c_str()).pad_to(24).human_bytes(ring.memory_bytes);
  if (!ring.error.empty()) {
    out.pad_to(78).text(ring.error.c_str()).text("\n");
    return;
  }
  const ep_ring_stat& stat = ring.figures.stat;
  out.pad_to(36).percent(stat.pool_used_bytes, stat.pool_bytes);
  out.decimal_at(56, messages_held(stat)).decimal_at(66, stat.producers);
  out.decimal_at(76, stat.consumers).pad_to(78).text(ring.state()).text("\n");
}

Json listed_json(const ListedRing& ring) {
  Json row = {{"name", ring.name}, {"memory_bytes", ring.memory_bytes}};
  if (!ring.error.empty()) {
    row["state"] = "unreadable";
    row["error"] = ring.error;
    return row;
  }
  const ep_ring_stat& stat = ring.figures.stat;
  row["pool_bytes"] = stat.pool_bytes;
  row["pool_used_bytes"] = stat.pool_used_bytes;
  row["messages"] = messages_held(stat);
  row["producers"] = stat.producers;
  row["consumers"] = stat.consumers;
  row["groups"] = stat.groups;
  row["state"] = ring.state();
  return row;
}

void print_json(const Json& json) {
  // Names of files and of consumers may be any bytes.
  std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

using Lines = std::vector<std::string>;

Lines faults_of(ep_ring* ring) {
  Lines lines;
  ep_ring_check(
      ring,
      [](void* context, const char* line) { static_cast<Lines*>(context)->emplace_back(line); },
      &lines);
  return lines;
}

// What others change at the moment looks wrong once; what is wrong looks wrong each time.
Lines lasting_faults_of(ep_ring* ring) {
  constexpr int kLooks = 4;
  constexpr useconds_t kBetweenLooksUs = 50'000;
  Lines lasting = faults_of(ring);
  for (int look = 1; look < kLooks && !lasting.empty() && ep_ring_is_used(ring); ++look) {
    usleep(kBetweenLooksUs);
    Lines again = faults_of(ring);
    std::sort(again.begin(), again.end());
    std::erase_if(lasting, [&again](const std::string& line) {
      return !std::binary_search(again.begin(), again.end(), line);
    });
  }
  return lasting;
}

// Whose ring it is not, or what is no ring, is nothing to complain of.
bool is_left_alone(int error) {
  return error == EP_RING_BUSY || error == EP_RING_FOREIGN || error == EP_RING_DENIED ||
         error == EP_RING_MISSING;
}

int remove_stale() {
  int code = 0;
  for (const std::string& name : names_in_shared_memory()) {
    const int error = ep_ring_remove_stale(name.c_str());
    if (error == EP_RING_OK) {
      std::cout << "removed " << printable_name(name) << '\n';
    } else if (!is_left_alone(error)) {
      std::cerr << "elasticpool: " << ring_error_text(name, error) << '\n';
      code = kExitBadUse;
    }
  }
  return code;
}

void remove_one(const RingRequest& request) {
  const std::string& name = request.name;
  const int error =
      request.force ? ep_ring_remove(name.c_str()) : ep_ring_remove_stale(name.c_str());
  if (error == EP_RING_OK) return;
  std::string text = error == EP_RING_BUSY
                         ? "ring " + printable_name(name) + ": processes are attached to it"
                         : ring_error_text(name, error);
  const bool may_be_forced = error == EP_RING_BUSY || error == EP_RING_VERSION ||
                             error == EP_RING_TRUNCATED || error == EP_RING_CORRUPT;
  if (may_be_forced && !request.force) text += "; --force removes its name all the same";
  throw CommandError(text);
}

}  // namespace

int ring_ls_command(const RingRequest& request) {
  std::vector<ListedRing> rings;
  for (const std::string& name : names_in_shared_memory()) rings.push_back(look_at(name));
  if (request.as_json) {
    Json rows = Json::array();
    for (const ListedRing& ring : rings) rows.push_back(listed_json(ring));
    print_json(rows);
    return 0;
  }
  if (rings.empty()) return 0;
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, to_stdout);
  out.text("NAME").pad_to(24).text("MEMORY").pad_to(36).text("POOL USED").pad_to(48);
  out.text("MESSAGES PRODUCERS CONSUMERS").pad_to(78).text("STATE\n");
  for (const ListedRing& ring : rings) write_listed(out, ring);
  out.flush();
  return 0;
}

int ring_check_command(const RingRequest& request) {
  const RingView view(request.name);
  const Lines faults = lasting_faults_of(view.get());
  if (request.as_json) {
    print_json({{"name", request.name}, {"faults", faults}});
  } else {
    for (const std::string& line : faults) std::cout << line << '\n';
  }
  return faults.empty() ? 0 : 1;
}

int ring_rm_command(const RingRequest& request) {
  if (request.stale) return remove_stale();
  if (request.name.empty()) throw CommandError("ring rm: which ring? A name, or --stale");
  remove_one(request);
  return 0;
}

}  // namespace elasticpool
