// Consumers that come and go.
#include "ring/scaler.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "ring/visit.h"

namespace elasticpool {
namespace {

constexpr uint64_t kMsNs = 1'000'000;
constexpr uint64_t kGraceDefaultNs = 5000 * kMsNs;
// Who dies younger died at once.
constexpr uint64_t kYoungNs = 1000 * kMsNs;
constexpr uint64_t kDelayFirstNs = 100 * kMsNs;
constexpr uint64_t kDelayMostNs = 10'000 * kMsNs;
constexpr uint64_t kRetryNs = 10 * kMsNs;

std::atomic<uint32_t> scalers_opened{0};

}  // namespace

Scaler::Scaler(Region& region, const char* group, const ep_ring_starter& starter)
    : region_(region),
      starter_(starter),
      group_(name_text(group)),
      group_index_(find_group(region, group_)),
      group_word_(group_index_ == kGroupsMax ? 0 : region.group(group_index_).state.load_acquire()),
      number_(scalers_opened.fetch_add(1, std::memory_order_relaxed)),
      grace_ns_(starter.grace_ms != 0 ? starter.grace_ms * kMsNs : kGraceDefaultNs) {}

bool Scaler::is_group_there() const {
  return group_index_ != kGroupsMax &&
         is_same_group(region_.group(group_index_).state.load_acquire(), group_word_);
}

uint32_t Scaler::wanted() const {
  uint32_t count = 0;
  for (const Consumer& consumer : consumers_) {
    if (consumer.state == State::kRunning || consumer.state == State::kWaiting) ++count;
  }
  return count;
}

bool Scaler::is_name_taken(const NameText& name, bool by_dormant_too) const {
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    const MemberRecord& record = region_.member(place);
    const MemberState state = member_state(record.state.load_acquire());
    if (state == MemberState::kFree || (state == MemberState::kDormant && !by_dormant_too)) {
      continue;
    }
    if (record.group.load_relaxed() == group_index_ && record.name.get() == name) return true;
  }
  return false;
}

// The process, this scaler in it, a count: what an earlier process of that number left dormant is
// not taken up by chance.
NameText Scaler::new_name() {
  NameText name;
  do {
    snprintf(name.text, sizeof(name.text), "s%d.%u.%u", getpid(), number_, ++started_);
  } while (is_name_taken(name, true));
  return name;
}

ep_ring_error Scaler::start(Consumer& consumer) {
  const ep_ring_error error =
      start_consumer(region_, starter_, group_.text, consumer.name.text, &consumer.process);
  if (error != EP_RING_OK) return error;
  consumer.state = State::kRunning;
  consumer.is_asked = false;
  consumer.signals_sent = 0;
  consumer.started_at_ns = ring_now_ns();
  return EP_RING_OK;
}

ep_ring_error Scaler::scale_up(uint32_t count) {
  if (!is_group_there()) return EP_RING_MISSING;
  uint32_t places = 0;
  for (const Consumer& consumer : consumers_) places += consumer.state == State::kFree ? 1 : 0;
  uint32_t taken = 0;
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    const MemberState state = member_state(region_.member(place).state.load_acquire());
    if (state != MemberState::kFree) ++taken;
  }
  if (count > places || count > kConsumersMax - taken) return EP_RING_BUSY;
  for (Consumer& consumer : consumers_) {
    if (count == 0) break;
    if (consumer.state != State::kFree) continue;
    consumer = Consumer{};
    consumer.name = new_name();
    consumer.order = started_;
    const ep_ring_error error = start(consumer);
    if (error != EP_RING_OK) return error;
    --count;
  }
  return EP_RING_OK;
}

// By its name; or by its process, where its program chose another.
bool Scaler::is_member(const Consumer& consumer, uint32_t place, uint64_t word) const {
  const MemberRecord& record = region_.member(place);
  return member_state(word) == MemberState::kLive && record.group.load_relaxed() == group_index_ &&
         (record.name.get() == consumer.name ||
          member_process(word) == consumer.process.identity.process);
}

bool Scaler::has_joined(const Consumer& consumer) const {
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    if (is_member(consumer, place, region_.member(place).state.load_acquire())) return true;
  }
  return false;
}

// False: it has not joined yet.
bool Scaler::ask_to_leave(Consumer& consumer) {
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    MemberRecord& record = region_.member(place);
    const uint64_t word = record.state.load_acquire();
    if (!is_member(consumer, place, word)) continue;
    const uint32_t mark = leave_mark(tag_at(place, word));
    for (;;) {
      const uint32_t before = record.leave_wanted.load_relaxed();
      if (before == mark || record.leave_wanted.change(before, mark)) break;
    }
    consumer.is_asked = true;
  }
  return consumer.is_asked;
}

void Scaler::scale_down(uint32_t to) {
  bool any_asked = false;
  for (uint32_t count = wanted(); count > to; --count) {
    // The youngest: it has the least to lose.
    Consumer* leaver = nullptr;
    for (Consumer& consumer : consumers_) {
      const bool is_wanted = consumer.state == State::kRunning || consumer.state == State::kWaiting;
      if (is_wanted && (leaver == nullptr || consumer.order > leaver->order)) leaver = &consumer;
    }
    if (leaver == nullptr) break;
    if (leaver->state == State::kWaiting) {
      leaver->state = State::kFree;
      continue;
    }
    leaver->state = State::kLeaving;
    leaver->due_at_ns = ring_now_ns() + grace_ns_;
    any_asked = ask_to_leave(*leaver) || any_asked;
  }
  if (any_asked) stir_group(region_, group_index_);
}

// One that was asked to leave and is still there.
void Scaler::press(Consumer& consumer, uint64_t now_ns) {
  if (!consumer.is_asked && ask_to_leave(consumer)) stir_group(region_, group_index_);
  if (now_ns < consumer.due_at_ns) return;
  send_signal(consumer.process, consumer.signals_sent == 0 ? SIGTERM : SIGKILL);
  ++consumer.signals_sent;
  consumer.due_at_ns = now_ns + grace_ns_;
}

void Scaler::report(const Consumer& consumer, int status, bool was_asked, int start_error) const {
  if (starter_.exited == nullptr) return;
  ep_ring_exit exit{};
  exit.consumer = consumer.name.text;
  exit.process = consumer.process.number();
  exit.status = status;
  exit.was_asked = was_asked;
  exit.start_error = start_error;
  starter_.exited(starter_.context, &exit);
}

void Scaler::delay(Consumer& consumer, uint64_t now_ns) {
  uint64_t delay_ns = kDelayFirstNs;
  for (uint32_t i = 0; i < consumer.early_deaths && delay_ns < kDelayMostNs; ++i) delay_ns *= 2;
  if (delay_ns > kDelayMostNs) delay_ns = kDelayMostNs;
  ++consumer.early_deaths;
  consumer.due_at_ns = now_ns + delay_ns;
}

void Scaler::see_exit(Consumer& consumer, int status, uint64_t now_ns) {
  const bool was_asked = consumer.state == State::kLeaving;
  report(consumer, status, was_asked, 0);
  if (was_asked) {
    consumer.state = State::kFree;
    return;
  }
  consumer.state = State::kWaiting;
  if (now_ns - consumer.started_at_ns >= kYoungNs) {
    consumer.early_deaths = 0;
    consumer.due_at_ns = now_ns;
  } else {
    delay(consumer, now_ns);
  }
}

void Scaler::start_again(Consumer& consumer, uint64_t now_ns) {
  if (now_ns < consumer.due_at_ns) return;
  // Its former process is swept first, or the name would be refused to the new one.
  if (!is_group_there() || is_name_taken(consumer.name, false)) {
    consumer.due_at_ns = now_ns + kRetryNs;
    return;
  }
  if (start(consumer) == EP_RING_OK) {
    ++restarts_;
    return;
  }
  report(consumer, -1, false, errno != 0 ? errno : ENOMEM);
  delay(consumer, now_ns);
}

uint32_t Scaler::tend() {
  uint32_t exits = 0;
  const uint64_t now = ring_now_ns();
  for (Consumer& consumer : consumers_) {
    if (consumer.state != State::kRunning && consumer.state != State::kLeaving) continue;
    int status = 0;
    if (has_exited(consumer.process, &status)) {
      ++exits;
      see_exit(consumer, status, now);
    } else if (consumer.state == State::kLeaving) {
      press(consumer, now);
    }
  }
  exits_ += exits;
  // What they had goes to others now, and not when somebody looks.
  if (exits != 0) watch_now(region_);
  for (Consumer& consumer : consumers_) {
    if (consumer.state == State::kWaiting) start_again(consumer, now);
  }
  return exits;
}

void Scaler::read_stat(ep_ring_scaler_stat* stat) const {
  *stat = {};
  stat->exits = exits_;
  stat->restarts = restarts_;
  for (const Consumer& consumer : consumers_) {
    if (consumer.state == State::kRunning) ++stat->running;
    if (consumer.state == State::kLeaving) ++stat->leaving;
    if (consumer.state == State::kWaiting) ++stat->waiting;
    if (consumer.state == State::kRunning && has_joined(consumer)) ++stat->joined;
  }
}

}  // namespace elasticpool
