// What the ends of a stream know of each other.
#include "throughput.h"

namespace {

uint64_t sent_count(const Stream& stream) {
  uint64_t count = 0;
  for (const Stream::End& end : stream.sender) count += end.count;
  return count;
}

uint64_t received_count(const Stream& stream, const StreamForm& form, unsigned group) {
  uint64_t count = 0;
  for (unsigned i = group; i < form.receivers; i += form.groups) {
    // order[bench-received]: before the sum
    count += stream.receiver[i].count.load(std::memory_order_acquire);
  }
  return count;
}

}  // namespace

bool is_all_received(const Stream& stream, const StreamForm& form) {
  for (unsigned group = 0; group < form.groups; ++group) {
    const uint64_t received = received_count(stream, form, group);
    const uint64_t sent = sent_count(stream);
    // Another sender says what it sent when it is through.
    if (received > sent && form.senders == 1) throw Failure("more was received than sent");
    if (received != sent) return false;
  }
  return true;
}

void wait_until_received(const Stream& stream, const StreamForm& form) {
  // Not all the time: the line that is asked for is what the receivers write. And they may need
  // this processor.
  constexpr unsigned kPauses = 16;
  while (!is_all_received(stream, form)) {
    for (unsigned i = 0; i < kPauses; ++i) pause_cpu();
    sched_yield();
  }
}

void check_sums(const Stream& stream, const StreamForm& form) {
  uint64_t sent = 0;
  for (const Stream::End& end : stream.sender) sent += end.sum;
  for (unsigned group = 0; group < form.groups; ++group) {
    uint64_t received = 0;
    for (unsigned i = group; i < form.receivers; i += form.groups)
      received += stream.receiver[i].sum;
    if (received != sent || received_count(stream, form, group) != sent_count(stream)) {
      throw Failure("other messages were received than sent");
    }
  }
}

Values stream_values(const Stream& stream, const StreamForm& form) {
  uint64_t start = UINT64_MAX;
  uint64_t end = 0;
  for (unsigned i = 0; i < form.senders; ++i) {
    start = std::min(start, stream.sender[i].start_ticks);
    end = std::max(end, stream.sender[i].end_ticks);
  }
  const uint64_t span = form.burst != 0 ? stream.sender[0].busy_ticks : end - start;
  const double us = static_cast<double>(span) * ns_per_tick() / 1000;
  Values values;
  values["millions_per_second"] = static_cast<double>(sent_count(stream)) / us;
  // The least and the most that one receiver of a group got.
  uint64_t least = UINT64_MAX;
  uint64_t most = 0;
  for (unsigned i = 0; i < form.receivers; ++i) {
    least = std::min<uint64_t>(least, stream.receiver[i].count);
    most = std::max<uint64_t>(most, stream.receiver[i].count);
  }
  if (form.receivers > form.groups) {
    values["least_percent"] = 100 * static_cast<double>(least) / static_cast<double>(least + most);
  }
  return values;
}
