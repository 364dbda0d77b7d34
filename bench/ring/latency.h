// One message at a time, from one process to another.
//
//   ping_pong()  both poll as their link does: half of each round trip, and (in a second half of
//                the time) each way by the time in the message. In the first nothing but the start
//                and the end of a round trip reads the clock. Both ways by time count as one, so a
//                difference between the processors' counters does not shift the median.
//   woken()      the receiver waits; the sender lets it fall asleep each time. One way, by the time
//                in the message.
#pragma once

#include <sys/resource.h>

#include <functional>
#include <memory>

#include "bare_link.h"
#include "results.h"

struct Setting {
  std::vector<int> cpus;
  double seconds = 0.2;
};

template <typename Link>
using MakeLink = std::function<std::unique_ptr<Link>(const MessageForm&)>;

class Samples {
 public:
  void add(uint64_t ticks) {
    if (count_ < shared_.count()) {
      shared_[count_++] = ticks < UINT32_MAX ? static_cast<uint32_t>(ticks) : UINT32_MAX;
    }
    kept_[0] = count_;
  }
  bool is_full() const { return count_ == shared_.count(); }
  // For who did not add them.
  void append_to(std::vector<double>* all, double scale) const {
    for (uint64_t i = 0; i < kept_[0]; ++i) all->push_back(shared_[i] * scale);
  }

 private:
  static constexpr size_t kMost = size_t{1} << 20;
  SharedMemory<uint32_t> shared_{kMost};
  SharedMemory<uint64_t> kept_;
  uint64_t count_ = 0;
};

struct alignas(128) Meeting {
  std::atomic<unsigned> arrived;
  alignas(128) std::atomic<uint64_t> last;  // number of the last message; 0: not yet known
  alignas(128) std::atomic<uint64_t> seen;
};

inline constexpr uint64_t kWarmUp = 200;
inline constexpr double kPatienceSeconds = 60;

inline void check_number(const Arrival& arrival, uint64_t number) {
  if (arrival.number == number) return;
  throw Failure("message " + std::to_string(arrival.number) + " in place of " +
                std::to_string(number));
}

template <typename Link>
void ping(Link& there, Link& back, bool is_stamped, double seconds, Meeting& meeting,
          Samples& samples) {
  typename Link::Sender sender(there);
  typename Link::Receiver receiver(back);
  sender.prepare();
  const auto span = static_cast<uint64_t>(seconds * 1e9 / ns_per_tick());
  meet(meeting.arrived, 2);
  uint64_t end = UINT64_MAX;
  bool is_last = false;
  for (uint64_t number = 1; !is_last; ++number) {
    if (number == kWarmUp) end = ticks() + span;
    is_last = samples.is_full() || ticks() >= end;
    if (is_last) meeting.last = number;
    const uint64_t before = ticks();  // not earlier: what else is done here does not count
    sender.send(number);
    sender.prepare();
    const Arrival arrival = receiver.receive();
    const uint64_t now = arrival_ticks();
    receiver.finish();
    check_number(arrival, number);
    if (number > kWarmUp) samples.add(is_stamped ? now - arrival.sent_ticks : (now - before) / 2);
  }
}

template <typename Link>
void pong(Link& there, Link& back, bool is_stamped, Meeting& meeting, Samples& samples) {
  typename Link::Receiver receiver(there);
  typename Link::Sender sender(back);
  sender.prepare();
  meet(meeting.arrived, 2);
  for (uint64_t number = 1; meeting.last != number - 1 || number == 1; ++number) {
    const Arrival arrival = receiver.receive();
    const uint64_t now = is_stamped ? arrival_ticks() : 0;
    sender.send(number);
    sender.prepare();
    receiver.finish();
    check_number(arrival, number);
    if (is_stamped && number > kWarmUp) samples.add(now - arrival.sent_ticks);
  }
}

template <typename Link>
Values ping_pong(const Setting& setting, MessageForm form, const MakeLink<Link>& make) {
  Values values;
  for (const bool is_stamped : {false, true}) {
    form.is_stamped = is_stamped;
    const std::unique_ptr<Link> there = make(form);
    const std::unique_ptr<Link> back = make(form);
    SharedMemory<Meeting> meeting;
    Samples of_ping;
    Samples of_pong;
    Team team(setting.cpus);
    team.add(0, [&] { ping(*there, *back, is_stamped, setting.seconds / 2, *meeting, of_ping); });
    team.add(1, [&] { pong(*there, *back, is_stamped, *meeting, of_pong); });
    team.finish(kPatienceSeconds + setting.seconds);
    std::vector<double> all;
    of_ping.append_to(&all, ns_per_tick());
    of_pong.append_to(&all, ns_per_tick());
    const std::string prefix = is_stamped ? "stamp_" : "half_";
    add_percentiles(std::move(all), prefix, &values);
  }
  return values;
}

// The sender of woken(): long enough after a message was seen that its receiver sleeps again.
template <typename Link>
void call(Link& link, double seconds, Meeting& meeting) {
  constexpr double kFallAsleepNs = 1e6;
  typename Link::Sender sender(link);
  sender.prepare();
  const auto pause = static_cast<uint64_t>(kFallAsleepNs / ns_per_tick());
  const auto count = static_cast<uint64_t>(seconds * 1e9 / kFallAsleepNs) + 4;
  meet(meeting.arrived, 2);
  for (uint64_t number = 1; number <= count; ++number) {
    while (meeting.seen != number - 1) pause_cpu();
    const uint64_t until = ticks() + pause;
    while (ticks() < until) pause_cpu();
    if (number == count) meeting.last = number;
    sender.send(number);
    sender.prepare();
  }
}

template <typename Link>
void answer(Link& link, Meeting& meeting, Samples& samples, double* sleeps) {
  const auto switches = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
  };
  typename Link::Receiver receiver(link);
  meet(meeting.arrived, 2);
  const long before = switches();
  for (uint64_t number = 1; meeting.last != number - 1 || number == 1; ++number) {
    const Arrival arrival = receiver.receive();
    const uint64_t now = arrival_ticks();
    receiver.finish();
    check_number(arrival, number);
    if (number > 2) samples.add(now - arrival.sent_ticks);
    meeting.seen = number;
  }
  *sleeps = static_cast<double>(switches() - before);
}

template <typename Link>
Values woken(const Setting& setting, MessageForm form, const MakeLink<Link>& make) {
  form.is_stamped = true;
  const std::unique_ptr<Link> link = make(form);
  SharedMemory<Meeting> meeting;
  SharedMemory<double> sleeps;
  Samples samples;
  Team team(setting.cpus);
  team.add(0, [&] { call(*link, setting.seconds, *meeting); });
  team.add(1, [&] { answer(*link, *meeting, samples, &*sleeps); });
  team.finish(kPatienceSeconds + setting.seconds);
  std::vector<double> all;
  samples.append_to(&all, ns_per_tick());
  Values values;
  add_percentiles(std::move(all), "", &values);
  values["slept_percent"] = std::min(100.0, 100 * *sleeps / static_cast<double>(meeting->last));
  return values;
}
