// Messages a second, from senders to receivers.
//
// Time      from the first sent to the last received and acknowledged, which the senders wait for.
// Stocked   with a burst, senders reserve so many messages ahead, outside of the time; then all
//           begin at once, and these are sent and waited for, again and again. What the ring does
//           to recycle the blocks of acknowledged messages while it publishes stays inside.
// Checked   contents of every message; with one receiver a group their order, and that there is
//           none too few or too many; with several the count and the sum of all numbers.
#pragma once

#include <sched.h>

#include <memory>

#include "latency.h"

struct StreamForm {
  unsigned senders = 1;
  unsigned receivers = 1;  // of all groups together
  unsigned groups = 1;
  unsigned batch = 1;
  uint64_t burst = 0;
};

inline constexpr unsigned kEndsMax = 4;

struct Stream {
  struct alignas(128) End {
    std::atomic<uint64_t> count;
    std::atomic<uint64_t> sum;
    uint64_t start_ticks;
    uint64_t end_ticks;
    uint64_t busy_ticks;
  };
  alignas(128) std::atomic<unsigned> arrived;
  alignas(128) std::atomic<unsigned> stocked;
  alignas(128) std::atomic<unsigned> sent;
  std::atomic<unsigned> last_round;  // of bursts; 0: not yet known
  alignas(128) std::atomic<unsigned> senders_done;
  alignas(128) std::atomic<bool> is_over;
  End sender[kEndsMax];
  End receiver[kEndsMax];
};

// Whether every group has had all that was sent so far.
bool is_all_received(const Stream& stream, const StreamForm& form);
void wait_until_received(const Stream& stream, const StreamForm& form);
// Throws where counts and sums differ.
void check_sums(const Stream& stream, const StreamForm& form);
Values stream_values(const Stream& stream, const StreamForm& form);

template <typename Link>
void send_stream(Link& link, const StreamForm& form, unsigned index, double seconds,
                 Stream& stream) {
  typename Link::Sender sender(link);
  Stream::End& own = stream.sender[index];
  const uint64_t burst = form.burst != 0 ? form.burst : UINT64_MAX;
  const auto span = static_cast<uint64_t>(seconds * 1e9 / ns_per_tick());
  meet(stream.arrived, form.senders + form.receivers);
  uint64_t number = first_number(index);
  uint64_t sum = 0;
  own.start_ticks = ticks();
  const uint64_t end = own.start_ticks + span;
  for (unsigned round = 1;; ++round) {
    sender.stock(form.burst);
    if (index == 0 && ticks() >= end) stream.last_round = round;
    meet(stream.stocked, form.senders * round);
    const uint64_t start = ticks();
    const uint64_t first = number;
    for (unsigned calls = 1; number - first < burst; ++calls) {
      sender.send_many(number, form.batch);
      number += form.batch;
      if (form.burst == 0 && calls % 16 == 0 && ticks() >= end) break;
    }
    for (uint64_t sent = first; sent < number; ++sent) sum += sent;
    own.sum = sum;
    own.count = number - first_number(index);
    if (form.burst != 0) {
      meet(stream.sent, form.senders * round);
      wait_until_received(stream, form);
    }
    own.busy_ticks += ticks() - start;
    if (form.burst == 0 || stream.last_round == round) break;
  }
  if (++stream.senders_done == form.senders) {
    wait_until_received(stream, form);
    stream.is_over = true;
  }
  while (!stream.is_over) sched_yield();
  own.end_ticks = arrival_ticks();
  sender.end();
}

// What one receiver has got.
struct Tally {
  uint64_t count = 0;
  uint64_t sum = 0;
  bool has_ended = false;
  uint64_t next[kEndsMax] = {};

  void take(const Arrival& arrival, bool is_sole) {
    if (arrival.number == kEndNumber) {
      has_ended = true;
      return;
    }
    const auto sender = static_cast<unsigned>(arrival.number >> kSenderShift);
    if (sender >= kEndsMax) throw Failure("a message of nobody");
    const uint64_t place = arrival.number - first_number(sender);
    if (is_sole && place != next[sender]) {
      throw Failure("message " + std::to_string(place) + " in place of " +
                    std::to_string(next[sender]));
    }
    next[sender] = place + 1;
    sum += arrival.number;
    ++count;
  }
};

template <typename Link>
void receive_stream(Link& link, const StreamForm& form, unsigned index, Stream& stream) {
  typename Link::Receiver receiver(link, index % form.groups);
  Stream::End& own = stream.receiver[index];
  const bool is_sole = form.receivers == form.groups;
  Tally tally;
  meet(stream.arrived, form.senders + form.receivers);
  while (!tally.has_ended && !stream.is_over.load(std::memory_order_relaxed)) {
    receiver.receive_many([&](const Arrival& arrival) { tally.take(arrival, is_sole); });
    own.sum.store(tally.sum, std::memory_order_relaxed);
    // order[bench-received]: a sender that reads the count has the sum, too
    own.count.store(tally.count, std::memory_order_release);
  }
}

// Receivers of one sender share what processors it does not have. With two senders and two
// processors each of these has a sender and a receiver.
inline unsigned seat_of_sender(unsigned index) { return index; }
inline unsigned seat_of_receiver(const StreamForm& form, unsigned index, size_t cpus) {
  if (form.senders > 1) return form.senders + form.receivers - 1 - index;
  return 1 + index % static_cast<unsigned>(cpus - 1);
}

template <typename Link>
Values stream(const Setting& setting, const StreamForm& form, Link& link) {
  SharedMemory<Stream> shared;
  Team team(setting.cpus);
  for (unsigned i = 0; i < form.senders; ++i) {
    team.add(seat_of_sender(i), [&, i] { send_stream(link, form, i, setting.seconds, *shared); });
  }
  for (unsigned i = 0; i < form.receivers; ++i) {
    team.add(seat_of_receiver(form, i, setting.cpus.size()),
             [&, i] { receive_stream(link, form, i, *shared); });
  }
  team.finish(kPatienceSeconds + setting.seconds);
  check_sums(*shared, form);
  return stream_values(*shared, form);
}
