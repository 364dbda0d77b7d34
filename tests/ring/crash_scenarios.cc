// The scenarios of crash.cc: small, and together through every change of shared memory there is.
#include "crash_scenarios.h"

#include <cstring>

namespace {

// Takes note of what no death and no fence explains.
bool is_fine(Journal* journal, int error, int also = EP_RING_OK) {
  if (error == EP_RING_OK) return true;
  journal->last_error = error;
  if (error != EP_RING_FENCED && error != also) {
    journal->errors_other = journal->errors_other + 1;
    journal->unexpected = error;
  }
  return false;
}

void publish(ep_ring_producer* producer, Journal* journal, size_t size, uint32_t number,
             uint64_t key) {
  ep_ring_buffer buffer;
  if (!is_fine(journal, ep_ring_reserve(producer, size, 0, &buffer), EP_RING_NO_MEMORY)) return;
  fill(buffer.data, size, number);
  const ep_ring_label label = {key, number};
  uint64_t sequence = 0;
  if (is_fine(journal, ep_ring_publish(producer, &buffer, &label, 0, &sequence), EP_RING_FULL)) {
    journal->published[number] = 1;
  }
}

void run_producer(ep_ring* ring, Journal* journal) {
  ep_ring_producer* producer = nullptr;
  if (!is_fine(journal, ep_ring_producer_open(ring, &producer))) return;
  publish(producer, journal, 64, 1, 0);
  publish(producer, journal, 100'000, 2, 7);
  ep_ring_buffer kept;
  if (is_fine(journal, ep_ring_reserve(producer, 500, 0, &kept))) {
    is_fine(journal, ep_ring_discard(producer, &kept));
  }
  ep_ring_buffer batch[3];
  ep_ring_label labels[3] = {{0, 3}, {9, 4}, {0, 5}};
  size_t count = 0;
  for (; count < 3; ++count) {
    if (!is_fine(journal, ep_ring_reserve(producer, 64, 0, &batch[count]))) break;
    fill(batch[count].data, 64, static_cast<uint32_t>(3 + count));
  }
  size_t published = 0;
  is_fine(journal, ep_ring_publish_batch(producer, batch, count, labels, 0, &published));
  for (size_t i = 0; i < published; ++i) journal->published[3 + i] = 1;
  // One stays reserved.
  is_fine(journal, ep_ring_reserve(producer, 20'000, 0, &kept));
  ep_ring_producer_close(producer);
}

// What this process saw when it took a message, by sequence.
uint32_t taken[4096];

bool take(ep_ring_consumer* consumer, Journal* journal, ep_ring_message* message) {
  if (!is_fine(journal, ep_ring_get(consumer, 0, message), EP_RING_EMPTY)) return false;
  taken[message->sequence] = *static_cast<const uint32_t*>(message->data);
  return true;
}

void acknowledge(ep_ring_consumer* consumer, Journal* journal, const ep_ring_message* message) {
  // Also what others got meanwhile, because this process was stopped, is still there to be read.
  uint32_t number = 0;
  if (!is_filled(message->data, message->size, &number) || number != taken[message->sequence]) {
    journal->errors_other = journal->errors_other + 1;
    journal->unexpected = EP_RING_CORRUPT;
  }
  // Noted before: a death may come between the two, and then it may have gone already.
  journal->acknowledged[message->sequence] = 1;
  is_fine(journal, ep_ring_ack(consumer, message), EP_RING_GONE);
}

constexpr uint32_t kBatch = 16;

void publish_batch(ep_ring_producer* producer, Journal* journal, uint32_t first_number) {
  ep_ring_buffer batch[kBatch];
  ep_ring_label labels[kBatch];
  uint32_t count = 0;
  for (; count < kBatch; ++count) {
    const uint32_t number = first_number + count;
    if (!is_fine(journal, ep_ring_reserve(producer, 64, 0, &batch[count]), EP_RING_NO_MEMORY)) {
      break;
    }
    fill(batch[count].data, 64, number);
    labels[count] = {number % 3, number};
  }
  size_t published = 0;
  is_fine(journal, ep_ring_publish_batch(producer, batch, count, labels, 0, &published),
          EP_RING_FULL);
  for (size_t i = 0; i < published; ++i) journal->published[first_number + i] = 1;
}

void serve_batch(ep_ring_consumer* consumer, Journal* journal) {
  ep_ring_message messages[kBatch];
  size_t count = 0;
  is_fine(journal, ep_ring_get_batch(consumer, 0, messages, kBatch, &count), EP_RING_EMPTY);
  for (size_t i = 0; i < count; ++i) {
    taken[messages[i].sequence] = *static_cast<const uint32_t*>(messages[i].data);
  }
  for (size_t i = 0; i < count; ++i) acknowledge(consumer, journal, &messages[i]);
}

// Three times round the ring, against a group that the process serves itself.
void run_full(ep_ring* ring, Journal* journal) {
  ep_ring_producer* producer = nullptr;
  if (!is_fine(journal, ep_ring_producer_open(ring, &producer))) return;
  ep_ring_consumer_options options = {};
  options.group = "work";
  ep_ring_consumer* consumer = nullptr;
  if (is_fine(journal, ep_ring_consumer_open(ring, &options, &consumer))) {
    for (uint32_t number = 1; number <= 120; ++number) {
      publish(producer, journal, number % 40 == 0 ? 9000 : 64, number, number % 3);
      if (number % 5 == 0) serve_batch(consumer, journal);
    }
    // Enough of a stream that messages are taken out in turn.
    for (uint32_t batch = 0; batch < 5; ++batch) {
      publish_batch(producer, journal, 121 + batch * kBatch);
      serve_batch(consumer, journal);
    }
    ep_ring_consumer_close(consumer, nullptr);
  }
  ep_ring_producer_close(producer);
}

void run_consumer(ep_ring* ring, Journal* journal) {
  ep_ring_consumer_options options = {};
  options.group = "work";
  ep_ring_consumer* consumer = nullptr;
  if (!is_fine(journal, ep_ring_consumer_open(ring, &options, &consumer))) return;
  ep_ring_message first;
  ep_ring_message second;
  ep_ring_message third;
  if (take(consumer, journal, &first) && take(consumer, journal, &second) &&
      take(consumer, journal, &third)) {
    acknowledge(consumer, journal, &first);
    const bool is_held = is_fine(journal, ep_ring_hold(consumer, &second), EP_RING_GONE);
    acknowledge(consumer, journal, &second);
    is_fine(journal, ep_ring_release(consumer, &third), EP_RING_GONE);
    if (take(consumer, journal, &third)) acknowledge(consumer, journal, &third);
    if (is_held) is_fine(journal, ep_ring_unhold(consumer, &second), EP_RING_GONE);
    // This one is held, and one is busy, when it leaves.
    if (take(consumer, journal, &first))
      is_fine(journal, ep_ring_hold(consumer, &first), EP_RING_GONE);
  }
  ep_ring_consumer_close(consumer, nullptr);
}

void run_checkpoint(ep_ring* ring, Journal* journal) {
  ep_ring_consumer_options options = {};
  options.group = "work";
  options.name = "worker";
  ep_ring_consumer* consumer = nullptr;
  if (!is_fine(journal, ep_ring_consumer_open(ring, &options, &consumer))) return;
  // From now on what it acknowledges is kept until a checkpoint covers it.
  is_fine(journal, ep_ring_checkpoint(consumer, 0));
  uint64_t last = 0;
  for (int i = 0; i < 6; ++i) {
    ep_ring_message message;
    if (!take(consumer, journal, &message)) continue;
    is_fine(journal, ep_ring_ack(consumer, &message), EP_RING_GONE);
    last = message.sequence;
    if (i != 2) continue;
    // What was acknowledged up to here may be gone from now on, not before.
    for (uint64_t sequence = 1; sequence <= last; ++sequence) journal->acknowledged[sequence] = 1;
    is_fine(journal, ep_ring_checkpoint(consumer, last));
  }
  uint64_t resume = 0;
  is_fine(journal, ep_ring_recover(consumer, &resume));
  ep_ring_message message = {};
  if (take(consumer, journal, &message)) {
    is_fine(journal, ep_ring_ack(consumer, &message), EP_RING_GONE);
  }
  // It leaves for good: what it has acknowledged counts as done.
  for (uint64_t sequence = 1; sequence <= message.sequence; ++sequence) {
    journal->acknowledged[sequence] = 1;
  }
  ep_ring_consumer_close(consumer, nullptr);
}

void run_groups(ep_ring* ring, Journal* journal) {
  is_fine(journal, ep_ring_group_create(ring, "other", nullptr), EP_RING_EXISTS);
  ep_ring_group_options newest = {EP_RING_NEWEST, 0, EP_RING_DROP_OLDEST};
  is_fine(journal, ep_ring_group_create(ring, "third", &newest), EP_RING_EXISTS);
  is_fine(journal, ep_ring_group_remove(ring, "third"), EP_RING_MISSING);
  is_fine(journal, ep_ring_group_remove(ring, "other"), EP_RING_MISSING);
}

// Slabs of all sizes come, the pool is exhausted, they are dissolved, and it grows.
void run_pool(ep_ring* ring, Journal* journal) {
  ep_ring_producer* producer = nullptr;
  if (!is_fine(journal, ep_ring_producer_open(ring, &producer))) return;
  ep_ring_buffer small[12];
  size_t count = 0;
  const size_t sizes[12] = {1, 64, 200, 400, 600, 1000, 2000, 3000, 4096, 5000, 8192, 30'000};
  for (; count < 12; ++count) {
    if (!is_fine(journal, ep_ring_reserve(producer, sizes[count], 0, &small[count]),
                 EP_RING_NO_MEMORY)) {
      break;
    }
  }
  for (size_t i = 0; i < count; ++i) is_fine(journal, ep_ring_discard(producer, &small[i]));
  ep_ring_buffer large;
  if (is_fine(journal, ep_ring_reserve(producer, 700'000, 0, &large), EP_RING_NO_MEMORY)) {
    ep_ring_buffer more;
    is_fine(journal, ep_ring_reserve(producer, 400'000, 0, &more), EP_RING_NO_MEMORY);
    is_fine(journal, ep_ring_discard(producer, &large));
  }
  ep_ring_producer_close(producer);
}

// An answer in a block of the consumer's own, which a producer takes over.
void publish_own(ep_ring_producer* producer, ep_ring_consumer* consumer, Journal* journal,
                 uint32_t number) {
  ep_ring_buffer buffer;
  if (!is_fine(journal, ep_ring_consumer_reserve(consumer, 64, &buffer))) return;
  fill(buffer.data, 64, number);
  if (!is_fine(journal, ep_ring_adopt(producer, consumer, &buffer))) return;
  const ep_ring_label label = {0, number};
  if (is_fine(journal, ep_ring_publish(producer, &buffer, &label, 0, nullptr))) {
    journal->published[number] = 1;
  }
}

// What a consumer with slabs of its own leaves behind.
void run_leave(ep_ring* ring, Journal* journal) {
  ep_ring_consumer_options options = {};
  options.group = "late";
  options.name = "leaver";
  options.private_bytes = size_t{256} << 10;
  ep_ring_consumer* consumer = nullptr;
  if (!is_fine(journal, ep_ring_consumer_open(ring, &options, &consumer))) return;
  ep_ring_message message;
  if (take(consumer, journal, &message))
    is_fine(journal, ep_ring_hold(consumer, &message), EP_RING_GONE);
  ep_ring_producer* producer = nullptr;
  if (is_fine(journal, ep_ring_producer_open(ring, &producer))) {
    publish_own(producer, consumer, journal, 1);
    ep_ring_buffer adopted;
    if (is_fine(journal, ep_ring_consumer_reserve(consumer, 64, &adopted))) {
      is_fine(journal, ep_ring_adopt(producer, consumer, &adopted));
    }
    ep_ring_producer_close(producer);
  }
  ep_ring_buffer buffer;
  if (is_fine(journal, ep_ring_consumer_reserve(consumer, 64, &buffer))) {
    is_fine(journal, ep_ring_consumer_discard(consumer, &buffer));
  }
  // One stays reserved.
  is_fine(journal, ep_ring_consumer_reserve(consumer, 700, &buffer));
  ep_ring_consumer_close(consumer, "nobody");
  is_fine(journal, ep_ring_group_remove(ring, "late"), EP_RING_MISSING);
  for (uint64_t sequence = 0; sequence < 3; ++sequence) journal->acknowledged[sequence] = 1;
  is_fine(journal, ep_ring_cleanup_before(ring, 3));
}

constexpr size_t kMiB = size_t{1} << 20;
const Scenario kScenarios[] = {
    {"producer", 64, kMiB, 0, 3, true, run_producer},
    {"full", 64, kMiB, 0, 2, false, run_full},
    {"consumer", 64, kMiB, 0, 6, true, run_consumer},
    {"checkpoint", 64, kMiB, 0, 8, true, run_checkpoint},
    {"groups", 64, kMiB, 0, 4, true, run_groups},
    {"pool", 64, kMiB, 2 * kMiB, 2, true, run_pool},
    {"leave", 64, kMiB, 0, 5, true, run_leave},
};

}  // namespace

const Scenario* find_scenario(const char* name) {
  for (const Scenario& scenario : kScenarios) {
    if (strcmp(scenario.name, name) == 0) return &scenario;
  }
  return nullptr;
}

void fill(void* data, size_t size, uint32_t number) {
  auto* words = static_cast<uint32_t*>(data);
  for (size_t i = 0; i < size / sizeof(uint32_t); ++i) {
    words[i] = number * 2654435761U + static_cast<uint32_t>(i);
  }
  if (size >= sizeof(uint32_t)) words[0] = number;
}

bool is_filled(const void* data, size_t size, uint32_t* number) {
  const auto* words = static_cast<const uint32_t*>(data);
  *number = words[0];
  for (size_t i = 1; i < size / sizeof(uint32_t); ++i) {
    if (words[i] != *number * 2654435761U + static_cast<uint32_t>(i)) return false;
  }
  return true;
}
