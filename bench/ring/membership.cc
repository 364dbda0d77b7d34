// Consumers that come, leave and die.
#include "membership.h"

#include <unistd.h>

#include <random>

#include "ring_link.h"

namespace {

constexpr char kGroup[] = "group0";
constexpr MessageForm kForm{};
constexpr unsigned kWaiting = 8;

struct Death {
  std::atomic<bool> is_held;
  std::atomic<bool> is_ready;
  std::atomic<uint64_t> sequence;
  std::atomic<uint64_t> again_ns;
};

// A region with a producer in this process.
class Region {
 public:
  explicit Region(size_t pool_bytes) {
    ep_ring_options options;
    ep_ring_options_init(&options);
    if (pool_bytes != 0) options.pool_bytes = pool_bytes;
    check_ring(ep_ring_create(nullptr, &options, &ring_), "ep_ring_create");
    check_ring(ep_ring_group_create(ring_, kGroup, nullptr), "ep_ring_group_create");
    check_ring(ep_ring_producer_open(ring_, &producer_), "ep_ring_producer_open");
  }
  ~Region() {
    ep_ring_producer_close(producer_);
    ep_ring_detach(ring_);
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  void publish(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      ep_ring_buffer buffer;
      check_ring(ep_ring_reserve(producer_, kForm.bytes, 0, &buffer), "ep_ring_reserve");
      write_message(buffer.data, kForm, i);
      check_ring(ep_ring_publish(producer_, &buffer, nullptr, 0, nullptr), "ep_ring_publish");
    }
  }
  void reserve(size_t bytes, size_t block_bytes) {
    for (size_t done = 0; done < bytes; done += block_bytes) {
      ep_ring_buffer buffer;
      check_ring(ep_ring_reserve(producer_, block_bytes, 0, &buffer), "ep_ring_reserve");
    }
  }
  ep_ring* get() const { return ring_; }

 private:
  ep_ring* ring_ = nullptr;
  ep_ring_producer* producer_ = nullptr;
};

ep_ring_consumer* open_consumer(ep_ring* ring) {
  ep_ring_consumer_options options{};
  options.group = kGroup;
  ep_ring_consumer* consumer = nullptr;
  check_ring(ep_ring_consumer_open(ring, &options, &consumer), "ep_ring_consumer_open");
  return consumer;
}

void hold_and_wait(const Region& region, Death& death) {
  const Attached ring(region.get());
  ep_ring_consumer* consumer = open_consumer(ring.get());
  ep_ring_message message;
  check_ring(ep_ring_get(consumer, EP_RING_FOREVER, &message), "ep_ring_get");
  death.sequence = message.sequence;
  death.is_held = true;
  for (;;) pause();
}

// Takes what the other left; then waits for what it held.
void take_over(const Region& region, Death& death) {
  const Attached ring(region.get());
  while (!death.is_held) usleep(100);
  ep_ring_consumer* consumer = open_consumer(ring.get());
  ep_ring_message message;
  for (unsigned count = 0;; ++count) {
    if (count == kWaiting - 1) death.is_ready = true;
    check_ring(ep_ring_get(consumer, EP_RING_FOREVER, &message), "ep_ring_get");
    const uint64_t now = monotonic_ns();
    read_message(message.data, message.size, kForm);
    check_ring(ep_ring_ack(consumer, &message), "ep_ring_ack");
    if (message.sequence != death.sequence) continue;
    if (count != kWaiting - 1) throw Failure("a message came while another held it");
    if (message.deliveries != 2) throw Failure("a redelivered message does not say so");
    death.again_ns = now;
    break;
  }
  ep_ring_consumer_close(consumer, nullptr);
}

double recovery_ns(const Setting& setting, useconds_t moment_us) {
  Region region(0);
  region.publish(kWaiting);
  SharedMemory<Death> death;
  Team team(setting.cpus);
  const pid_t holder = team.add(0, [&] { hold_and_wait(region, *death); });
  team.add(1, [&] { take_over(region, *death); });
  const uint64_t end = monotonic_ns() + static_cast<uint64_t>(kPatienceSeconds * 1e9);
  while (!death->is_ready) {
    throw_if_interrupted();
    if (monotonic_ns() > end) throw Failure("nobody takes what waits");
    usleep(1000);
  }
  usleep(moment_us);
  const uint64_t killed_ns = monotonic_ns();
  team.kill_member(holder);
  team.finish(kPatienceSeconds);
  return static_cast<double>(death->again_ns - killed_ns);
}

}  // namespace

Values recovery(const Setting& setting, unsigned kills) {
  // At any moment of the interval at which the living look for the dead. Seeded: rounds are alike.
  std::mt19937 random(1);
  std::uniform_int_distribution<useconds_t> moment_us(0, 100'000);
  std::vector<double> all;
  for (unsigned i = 0; i < kills; ++i) all.push_back(recovery_ns(setting, moment_us(random)));
  Values values;
  add_percentiles(std::move(all), "", &values);
  return values;
}

Values join_and_leave(const Setting& setting, size_t pool_bytes, unsigned times) {
  constexpr size_t kBlockBytes = 4096;
  constexpr unsigned kMessages = 1000;
  Region region(pool_bytes);
  region.publish(kMessages);
  region.reserve(pool_bytes / 4, kBlockBytes);
  SharedMemory<double> join(times);
  SharedMemory<double> leave(times);
  Team team(setting.cpus);
  team.add(0, [&] {
    const Attached ring(region.get());
    ep_ring_consumer* other = open_consumer(ring.get());
    for (unsigned i = 0; i < times; ++i) {
      const uint64_t start = monotonic_ns();
      ep_ring_consumer* consumer = open_consumer(ring.get());
      const uint64_t middle = monotonic_ns();
      ep_ring_consumer_close(consumer, nullptr);
      join[i] = static_cast<double>(middle - start);
      leave[i] = static_cast<double>(monotonic_ns() - middle);
    }
    ep_ring_consumer_close(other, nullptr);
  });
  team.finish(kPatienceSeconds);
  Values values;
  add_percentiles({&join[0], &join[0] + times}, "join_", &values);
  add_percentiles({&leave[0], &leave[0] + times}, "leave_", &values);
  return values;
}
