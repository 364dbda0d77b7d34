// elasticpool ring stat: the figures of one ring, and rates between two looks.
#include <unistd.h>

#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "ring_view.h"

namespace elasticpool {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kPolicies[] = {"block", "drop oldest", "fail"};

// As the region says it: any number.
const char* policy_name(ep_ring_policy policy) {
  const auto index = static_cast<size_t>(policy);
  return index < sizeof(kPolicies) / sizeof(kPolicies[0]) ? kPolicies[index] : "?";
}

// Two looks, of which the first may be missing.
class Looks {
 public:
  Looks(const RingFigures* before, const RingFigures& now) : before_(before), now_(now) {}

  bool has_rates() const { return before_ != nullptr; }
  const RingFigures& now() const { return now_; }

  uint64_t published() const { return rate(before_->stat.tail_sequence, now_.stat.tail_sequence); }
  // What a group has still to pass shrinks by what it passes and grows by what is published.
  uint64_t passed(const ep_ring_group_stat& group) const {
    for (const ep_ring_group_stat& old : before_->groups) {
      if (std::string_view(old.name) != group.name) continue;
      return rate(before_->stat.tail_sequence - old.lag, now_.stat.tail_sequence - group.lag);
    }
    return 0;
  }
  uint64_t messages(const ep_ring_member_stat& member) const {
    const ep_ring_member_stat* old = find(member);
    return rate(old != nullptr ? old->messages : 0, member.messages);
  }
  uint64_t acknowledged(const ep_ring_member_stat& member) const {
    const ep_ring_member_stat* old = find(member);
    return rate(old != nullptr ? old->acknowledged : 0, member.acknowledged);
  }

 private:
  const ep_ring_member_stat* find(const ep_ring_member_stat& member) const {
    for (const ep_ring_member_stat& old : before_->members) {
      if (old.number == member.number && old.pid == member.pid) return &old;
    }
    return nullptr;
  }
  uint64_t rate(uint64_t before, uint64_t now) const {
    const double seconds = now_.taken_at_s - before_->taken_at_s;
    if (now <= before || seconds <= 0) return 0;
    return static_cast<uint64_t>(static_cast<double>(now - before) / seconds);
  }

  const RingFigures* before_;
  const RingFigures& now_;
};

bool is_consumer(const ep_ring_member_stat& member) { return member.group[0] != '\0'; }
bool has_checkpoint(const ep_ring_member_stat& member) { return member.checkpoint != UINT64_MAX; }

Json group_json(const Looks& looks, const ep_ring_group_stat& group) {
  Json row = {{"name", group.name},
              {"lag", group.lag},
              {"dropped", group.dropped},
              {"policy", policy_name(group.policy)},
              {"consumers", group.consumers}};
  if (looks.has_rates()) row["passed_per_second"] = looks.passed(group);
  return row;
}

Json member_json(const Looks& looks, const ep_ring_member_stat& member) {
  Json row = {{"kind", is_consumer(member) ? "consumer" : "producer"},
              {"number", member.number},
              {"pid", member.pid},
              {"alive", member.alive},
              {"messages", member.messages}};
  if (looks.has_rates()) row["messages_per_second"] = looks.messages(member);
  if (!is_consumer(member)) return row;
  row["name"] = member.name;
  row["group"] = member.group;
  row["acknowledged"] = member.acknowledged;
  row["redelivered"] = member.redelivered;
  row["unacknowledged"] = member.unacknowledged;
  row["checkpoint"] = has_checkpoint(member) ? Json(member.checkpoint) : Json(nullptr);
  if (looks.has_rates()) row["acknowledged_per_second"] = looks.acknowledged(member);
  return row;
}

Json stat_json(const std::string& name, const Looks& looks) {
  const ep_ring_stat& stat = looks.now().stat;
  Json json = {{"name", name},
               {"state", looks.now().is_used ? "alive" : "stale"},
               {"pool_bytes", stat.pool_bytes},
               {"pool_used_bytes", stat.pool_used_bytes},
               {"pool_cached_bytes", stat.pool_cached_bytes},
               {"pool_backed_bytes", stat.pool_backed_bytes},
               {"slots", stat.slots},
               {"messages", messages_held(stat)},
               {"head_sequence", stat.head_sequence},
               {"tail_sequence", stat.tail_sequence},
               {"producers", stat.producers},
               {"consumers", stat.consumers},
               {"deaths", stat.deaths},
               {"redeliveries", stat.redeliveries},
               {"corruptions", stat.corruptions}};
  if (looks.has_rates()) json["published_per_second"] = looks.published();
  json["groups"] = Json::array();
  for (const auto& group : looks.now().groups) json["groups"].push_back(group_json(looks, group));
  json["members"] = Json::array();
  for (const auto& member : looks.now().members) {
    json["members"].push_back(member_json(looks, member));
  }
  return json;
}

void write_head(TextWriter& out, const std::string& name, const Looks& looks) {
  const ep_ring_stat& stat = looks.now().stat;
  out.text("ring ").text(printable_name(name).c_str());
  out.text(looks.now().is_used ? ", alive\n" : ", stale: no process is attached\n");
  out.text("  pool").pad_to(20).human_bytes(stat.pool_bytes).text(", ");
  out.percent(stat.pool_used_bytes, stat.pool_bytes).text(" used: ");
  out.human_bytes(stat.pool_used_bytes).text("; ").human_bytes(stat.pool_cached_bytes);
  out.text(" in caches, ").human_bytes(stat.pool_backed_bytes).text(" backed by memory\n");
  out.text("  messages").pad_to(20).decimal(messages_held(stat)).text(" of ");
  out.decimal(stat.slots).text(", head ").decimal(stat.head_sequence).text(", tail ");
  out.decimal(stat.tail_sequence).text("\n  handles").pad_to(20).decimal(stat.producers);
  out.text(" producers, ").decimal(stat.consumers).text(" consumers in ").decimal(stat.groups);
  out.text(" groups\n  trouble").pad_to(20).decimal(stat.deaths).text(" deaths, ");
  out.decimal(stat.redeliveries).text(" redeliveries, ").decimal(stat.corruptions);
  out.text(" corruptions\n");
  if (looks.has_rates()) {
    out.text("  published").pad_to(20).decimal(looks.published()).text(" per second\n");
  }
}

void write_groups(TextWriter& out, const Looks& looks) {
  if (looks.now().groups.empty()) return;
  out.text("\n  group").pad_to(34).text("policy").pad_to(49).text("lag     dropped consumers");
  out.text(looks.has_rates() ? "    passed/s\n" : "\n");
  for (const ep_ring_group_stat& group : looks.now().groups) {
    out.text("  ").text(printable_name(group.name).c_str()).pad_to(34);
    out.text(policy_name(group.policy)).decimal_at(52, group.lag).decimal_at(64, group.dropped);
    out.decimal_at(74, group.consumers);
    if (looks.has_rates()) out.decimal_at(86, looks.passed(group));
    out.text("\n");
  }
}

void write_producers(TextWriter& out, const Looks& looks) {
  bool is_first = true;
  for (const ep_ring_member_stat& member : looks.now().members) {
    if (is_consumer(member)) continue;
    if (is_first) {
      out.text("\n  producer     pid    published");
      out.text(looks.has_rates() ? "  published/s\n" : "\n");
    }
    is_first = false;
    out.decimal_at(10, member.number).decimal_at(18, member.pid).decimal_at(31, member.messages);
    if (looks.has_rates()) out.decimal_at(44, looks.messages(member));
    out.text(member.alive ? "\n" : "  fenced\n");
  }
}

void write_consumer(TextWriter& out, const Looks& looks, const ep_ring_member_stat& member) {
  const std::string name = printable_name(member.name);
  const std::string who = printable_name(member.group) + "/" + (name.empty() ? "-" : name);
  out.text("  ").text(who.c_str()).pad_to(26).decimal_at(34, member.pid);
  out.decimal_at(45, member.messages).decimal_at(56, member.acknowledged);
  out.decimal_at(66, member.redelivered).decimal_at(74, member.unacknowledged);
  if (has_checkpoint(member)) {
    out.decimal_at(86, member.checkpoint);
  } else {
    out.pad_to(85).text("-");
  }
  if (looks.has_rates()) {
    out.decimal_at(99, looks.messages(member)).decimal_at(111, looks.acknowledged(member));
  }
  out.text(member.alive ? "\n" : "  gone\n");
}

void write_consumers(TextWriter& out, const Looks& looks) {
  bool is_first = true;
  for (const ep_ring_member_stat& member : looks.now().members) {
    if (!is_consumer(member)) continue;
    if (is_first) {
      out.text("\n  consumer").pad_to(31).text("pid  delivered acknowledg. redeliv. unacked");
      out.text("  checkpoint");
      out.text(looks.has_rates() ? "  delivered/s  acknowl./s\n" : "\n");
    }
    is_first = false;
    write_consumer(out, looks, member);
  }
}

void sleep_for(double seconds) {
  timespec rest{};
  rest.tv_sec = static_cast<time_t>(seconds);
  rest.tv_nsec = static_cast<long>((seconds - static_cast<double>(rest.tv_sec)) * 1e9);
  nanosleep(&rest, nullptr);
}

}  // namespace

int ring_stat_command(const RingRequest& request) {
  const RingView view(request.name);
  RingFigures before;
  const bool has_rates = request.interval_s > 0;
  if (has_rates) {
    before = read_figures(view.get());
    sleep_for(request.interval_s);
  }
  const RingFigures now = read_figures(view.get());
  const Looks looks(has_rates ? &before : nullptr, now);
  if (request.as_json) {
    std::cout << stat_json(request.name, looks).dump(2, ' ', false, Json::error_handler_t::replace)
              << '\n';
    return 0;
  }
  char buffer[1024];
  TextWriter out(buffer, sizeof buffer, to_stdout);
  write_head(out, request.name, looks);
  write_groups(out, looks);
  write_producers(out, looks);
  write_consumers(out, looks);
  out.flush();
  return 0;
}

}  // namespace elasticpool
