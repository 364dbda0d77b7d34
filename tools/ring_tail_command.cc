// elasticpool ring tail: messages as they come, looked at and not taken.
//
// A message may be freed and its bytes written anew while they are looked at: so it is asked for
// again behind the look, and its bytes are shown only where it is still there.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "commands.h"
#include "ring_view.h"

namespace elasticpool {
namespace {

constexpr uint64_t kLastShown = 10;
constexpr size_t kBytesShown = 24;
constexpr useconds_t kPollUs = 20'000;
// A message that is being published at this moment is waited for, also by who does not follow.
constexpr int kUnfinishedPolls = 10;
// Then the head of the ring is looked up, which costs more than one message.
constexpr int kGoneInARow = 1000;

int64_t now_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Of a CLOCK_MONOTONIC of this run of the machine; else it says nothing.
std::string time_text(uint64_t timestamp_ns) {
  const int64_t age_ns = now_ns(CLOCK_MONOTONIC) - static_cast<int64_t>(timestamp_ns);
  if (age_ns < 0) return "-";
  const int64_t at_ns = now_ns(CLOCK_REALTIME) - age_ns;
  const time_t seconds = at_ns / 1'000'000'000;
  struct tm parts {};
  char text[48];
  if (localtime_r(&seconds, &parts) == nullptr) return "-";
  const size_t length = strftime(text, sizeof text, "%F %T", &parts);
  const auto rest_us = static_cast<unsigned>(at_ns / 1000 % 1'000'000);
  snprintf(text + length, sizeof text - length, ".%06u", rest_us);
  return text;
}

// As text where all of it can be printed, else in hex.
std::string bytes_text(const unsigned char* bytes, size_t count, bool has_more) {
  std::string text;
  const bool is_text =
      std::all_of(bytes, bytes + count, [](unsigned char c) { return c >= ' ' && c < '\x7f'; });
  if (is_text) {
    text = '"' + std::string(reinterpret_cast<const char*>(bytes), count) + '"';
  } else {
    char digits[3];
    for (size_t i = 0; i < count; ++i) {
      snprintf(digits, sizeof digits, "%02x", bytes[i]);
      text += digits;
    }
  }
  return has_more ? text + "..." : text;
}

class Tail {
 public:
  Tail(const RingView& view, const RingRequest& request) : ring_(view.get()), request_(request) {
    ep_ring_stat stat;
    ep_ring_read_stat(ring_, &stat);
    end_ = stat.head_sequence + messages_held(stat);
    const bool is_long = end_ - stat.head_sequence > kLastShown;
    const uint64_t last = is_long ? end_ - kLastShown : stat.head_sequence;
    next_ =
        request.from == RingRequest::kFromLast ? last : std::max(request.from, stat.head_sequence);
  }

  int run() {
    out_.text("  sequence producer       size                  key        tag  time");
    out_.pad_to(92).text("data\n");
    while (!is_over() && step()) {
    }
    out_.flush();
    return 0;
  }

 private:
  bool is_over() const {
    return (request_.count != 0 && shown_ == request_.count) ||
           (request_.no_follow && next_ >= end_);
  }
  // False: there is no more to come, or nobody to read it.
  bool step() {
    ep_ring_message message;
    switch (ep_ring_peek(ring_, next_, &message)) {
      case EP_RING_OK:
        show(message);
        break;
      case EP_RING_EMPTY:
        return wait();
      case EP_RING_GONE:
        skip();
        return true;
      default:
        out_.decimal_at(10, next_).text(" is damaged\n");
        ++shown_;
        break;
    }
    ++next_;
    polls_ = 0;
    gone_ = 0;
    return true;
  }
  bool wait() {
    if (request_.no_follow && ++polls_ > kUnfinishedPolls) return false;
    out_.flush();
    if (fflush(stdout) != 0) return false;
    usleep(kPollUs);
    return true;
  }
  void skip() {
    ++next_;
    if (++gone_ < kGoneInARow) return;
    gone_ = 0;
    ep_ring_stat stat;
    ep_ring_read_stat(ring_, &stat);
    next_ = std::max(next_, stat.head_sequence);
  }
  void show(const ep_ring_message& message);

  ep_ring* ring_;
  const RingRequest& request_;
  uint64_t next_ = 0;
  uint64_t end_ = 0;
  uint64_t shown_ = 0;
  int polls_ = 0;
  int gone_ = 0;
  char buffer_[4096];
  TextWriter out_{buffer_, sizeof buffer_, to_stdout};
};

void Tail::show(const ep_ring_message& message) {
  unsigned char bytes[kBytesShown];
  const size_t count = std::min(message.size, kBytesShown);
  memcpy(bytes, message.data, count);
  ep_ring_message again;
  const bool is_there = ep_ring_peek(ring_, message.sequence, &again) == EP_RING_OK;
  out_.decimal_at(10, message.sequence).decimal_at(19, message.producer);
  out_.decimal_at(30, message.size).decimal_at(51, message.key).decimal_at(62, message.tag);
  out_.text("  ").text(time_text(message.timestamp_ns).c_str()).pad_to(92);
  out_.text(is_there ? bytes_text(bytes, count, message.size > count).c_str() : "(gone)");
  out_.text("\n");
  ++shown_;
}

}  // namespace

int ring_tail_command(const RingRequest& request) {
  const RingView view(request.name);
  return Tail(view, request).run();
}

}  // namespace elasticpool
