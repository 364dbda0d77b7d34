// What joining, leaving and the managing of both cost a group under load.
//
//   ring_scale [ROUNDS [POOL_MIB]]
//
// Prints medians and maxima. The cost of managing is told from windows of two kinds in turn: two
// consumers and a third one that works and pauses; the same, but that it leaves when it pauses, and
// joins when it works. (That it is there half of the time costs something, too: a third process on
// two processors; so windows without it are no measure, and are told besides.) What each join and
// each leave makes the members do, to look at everything again, is also measured alone, at a
// thousand a second, beside windows in which somebody wakes as often and does nothing.
#include <elasticpool/ring.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

constexpr uint64_t kMsNs = 1'000'000;
constexpr uint64_t kStayNs = 10 * kMsNs;
constexpr uint64_t kWindowNs = 400 * kMsNs;
constexpr size_t kBatch = 32;

enum Third : uint32_t { kAway, kPauses, kComesAndGoes };

struct Control {
  std::atomic<uint32_t> stop;
  std::atomic<uint32_t> third;
  std::atomic<uint64_t> joins;
  alignas(64) std::atomic<uint64_t> messages[3];
};

ep_ring* ring = nullptr;
Control* control = nullptr;

uint64_t read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}
uint64_t now_ns() { return read_clock(CLOCK_MONOTONIC); }
uint64_t cpu_ns(pid_t process) {
  clockid_t clock;
  return clock_getcpuclockid(process, &clock) == 0 ? read_clock(clock) : 0;
}
void sleep_ns(uint64_t ns) {
  const timespec time{static_cast<time_t>(ns / 1'000'000'000),
                      static_cast<long>(ns % 1'000'000'000)};
  nanosleep(&time, nullptr);
}

void need(int error, const char* what) {
  if (error == EP_RING_OK) return;
  fprintf(stderr, "ring_scale: %s: %s\n", what, ep_ring_strerror(error));
  exit(1);
}

template <typename Function>
pid_t in_child(Function function) {
  fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);
  function();
  _exit(0);
}

ep_ring_consumer* join() {
  ep_ring_consumer_options options{};
  options.group = "g";
  ep_ring_consumer* consumer = nullptr;
  need(ep_ring_consumer_open(ring, &options, &consumer), "join");
  return consumer;
}

bool take_batch(ep_ring_consumer* consumer, int timeout_ms, uint32_t number) {
  ep_ring_message messages[kBatch];
  size_t count = 0;
  const int error = ep_ring_get_batch(consumer, timeout_ms, messages, kBatch, &count);
  if (error == EP_RING_STOPPED) return false;
  if (error != EP_RING_EMPTY) need(error, "get");
  if (count != 0) need(ep_ring_ack_batch(consumer, messages, count), "acknowledge");
  control->messages[number].fetch_add(count, std::memory_order_relaxed);
  return true;
}

void consume() {
  ep_ring_consumer* consumer = join();
  while (control->stop == 0 && take_batch(consumer, 100, 0)) {
  }
  ep_ring_consumer_close(consumer, nullptr);
}

void be_the_third() {
  ep_ring_consumer* consumer = nullptr;
  while (control->stop == 0) {
    if (control->third == kAway) {
      sleep_ns(kMsNs);
    } else {
      if (consumer == nullptr) {
        consumer = join();
        control->joins.fetch_add(1);
      }
      const uint64_t end = now_ns() + kStayNs;
      while (control->stop == 0 && control->third != kAway && now_ns() < end) {
        take_batch(consumer, 1, 2);
      }
    }
    if (consumer != nullptr && control->third != kPauses) {
      ep_ring_consumer_close(consumer, nullptr);
      consumer = nullptr;
    }
    if (control->third != kAway) sleep_ns(kStayNs);
  }
  if (consumer != nullptr) ep_ring_consumer_close(consumer, nullptr);
}

void produce() {
  ep_ring_producer* producer = nullptr;
  need(ep_ring_producer_open(ring, &producer), "producer");
  while (control->stop == 0) {
    ep_ring_buffer buffers[kBatch];
    for (ep_ring_buffer& buffer : buffers) {
      need(ep_ring_reserve(producer, 64, EP_RING_FOREVER, &buffer), "reserve");
    }
    for (size_t done = 0; done < kBatch && control->stop == 0;) {
      size_t published = 0;
      const int error =
          ep_ring_publish_batch(producer, buffers + done, kBatch - done, nullptr, 100, &published);
      if (error != EP_RING_TIMEOUT) need(error, "publish");
      done += published;
    }
  }
  ep_ring_producer_close(producer);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}
double most(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}
void print_times(const char* what, const std::vector<double>& ms) {
  printf("%-58s %9.3f ms   most %9.3f ms\n", what, median(ms), most(ms));
}

double ms_since(uint64_t start_ns) { return static_cast<double>(now_ns() - start_ns) / 1e6; }

// Of a handle, in a pool of which every block of 64 bytes is in use.
void measure_handles(int rounds, size_t pool_mib) {
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = pool_mib << 20;
  need(ep_ring_create(nullptr, &options, &ring), "create");
  ep_ring_producer* producer = nullptr;
  need(ep_ring_producer_open(ring, &producer), "producer");
  ep_ring_buffer buffer;
  uint64_t blocks = 0;
  while (ep_ring_reserve(producer, 64, 0, &buffer) == EP_RING_OK) ++blocks;
  printf("a pool of %zu MiB, %llu blocks of 64 bytes in use\n", pool_mib,
         static_cast<unsigned long long>(blocks));
  need(ep_ring_group_create(ring, "g", nullptr), "group");
  std::vector<double> attached, joined, left;
  for (int i = 0; i < rounds; ++i) {
    uint64_t start = now_ns();
    ep_ring* again = nullptr;
    need(ep_ring_attach_fd(ep_ring_fd(ring), 0, &again), "attach");
    attached.push_back(ms_since(start));
    ep_ring_detach(again);
    start = now_ns();
    ep_ring_consumer* consumer = join();
    joined.push_back(ms_since(start));
    start = now_ns();
    ep_ring_consumer_close(consumer, nullptr);
    left.push_back(ms_since(start));
  }
  print_times("  ep_ring_attach_fd", attached);
  print_times("  ep_ring_consumer_open", joined);
  print_times("  ep_ring_consumer_close", left);
  ep_ring_producer_close(producer);
  ep_ring_detach(ring);
}

int start_consumer(void*, const char*) {
  return in_child([] { consume(); });
}

// Of a process, under load: from the order until it takes part, and until it is gone.
void measure_processes(int rounds) {
  ep_ring_starter starter{};
  starter.start = start_consumer;
  ep_ring_scaler* scaler = nullptr;
  need(ep_ring_scaler_open(ring, "g", &starter, &scaler), "scaler");
  std::vector<double> up, down;
  for (int i = 0; i < rounds; ++i) {
    uint64_t start = now_ns();
    need(ep_ring_scale_up(scaler, 1), "scale up");
    // The processes are unnamed consumers of this group: told by their numbers.
    need(ep_ring_scaler_settle(scaler, 60000), "settle");
    up.push_back(ms_since(start));
    sleep_ns(20 * kMsNs);
    start = now_ns();
    need(ep_ring_scale_down(scaler, 0), "scale down");
    need(ep_ring_scaler_settle(scaler, 60000), "settle");
    down.push_back(ms_since(start));
  }
  printf("processes, under load of a producer and two consumers\n");
  print_times("  scale_up(1) until it has joined, fork included", up);
  print_times("  scale_down until its process is gone", down);
  ep_ring_scaler_close(scaler);
}

struct Window {
  double messages_per_s;
  double cpu_ns_per_message;
  double messages;
  uint64_t stirs;
};

// Who looks at everything again, and at what pace.
enum Stir { kNever, kNobody, kEachMs };

Window measure_window(Third third, const std::vector<pid_t>& processes, Stir stir = kNever) {
  control->third = third;
  sleep_ns(3 * kStayNs);
  const auto messages = [] { return control->messages[0] + control->messages[2]; };
  const auto cpu = [&processes] {
    uint64_t sum = 0;
    for (const pid_t process : processes) sum += cpu_ns(process);
    return sum;
  };
  const uint64_t messages_before = messages();
  const uint64_t cpu_before = cpu();
  const uint64_t start = now_ns();
  uint64_t stirs = 0;
  while (stir != kNever && now_ns() - start < kWindowNs) {
    if (stir == kEachMs) need(ep_ring_rebalance(ring, "g"), "rebalance");
    ++stirs;
    sleep_ns(kMsNs);
  }
  if (stir == kNever) sleep_ns(kWindowNs);
  const auto count = static_cast<double>(messages() - messages_before);
  const auto ns = static_cast<double>(now_ns() - start);
  return {count / ns * 1e9, static_cast<double>(cpu() - cpu_before) / count, count, stirs};
}

void measure_managing(int rounds, const std::vector<pid_t>& processes) {
  std::vector<double> away_rate, quiet_rate, loss, cost;
  Window before = measure_window(kPauses, processes);
  uint64_t joins = 0;
  uint64_t coming_ns = 0;
  for (int i = 0; i < rounds; ++i) {
    const uint64_t start = now_ns();
    const uint64_t joins_before = control->joins;
    const Window coming = measure_window(kComesAndGoes, processes);
    joins += control->joins - joins_before;
    coming_ns += now_ns() - start;
    const Window after = measure_window(kPauses, processes);
    const double rate = (before.messages_per_s + after.messages_per_s) / 2;
    const double cpu = (before.cpu_ns_per_message + after.cpu_ns_per_message) / 2;
    quiet_rate.push_back(rate);
    loss.push_back((1 - coming.messages_per_s / rate) * 100);
    cost.push_back((coming.cpu_ns_per_message / cpu - 1) * 100);
    away_rate.push_back(measure_window(kAway, processes).messages_per_s);
    before = measure_window(kPauses, processes);
  }
  std::sort(loss.begin(), loss.end());
  std::sort(cost.begin(), cost.end());
  const size_t quarter = loss.size() / 4;
  printf(
      "managing: %.0f joins and leaves a second; %.2f million messages a second where the third\n"
      "  one pauses, %.2f where it is not there\n",
      static_cast<double>(joins) * 1e9 / static_cast<double>(coming_ns), median(quiet_rate) / 1e6,
      median(away_rate) / 1e6);
  printf("  throughput lost            median %5.1f %%   middle half %5.1f .. %5.1f %%\n",
         median(loss), loss[quarter], loss[loss.size() - 1 - quarter]);
  printf("  CPU time more per message  median %5.1f %%   middle half %5.1f .. %5.1f %%\n",
         median(cost), cost[quarter], cost[cost.size() - 1 - quarter]);
}

void measure_stirs(int rounds, const std::vector<pid_t>& processes) {
  std::vector<double> cost_us, loss;
  Window before = measure_window(kAway, processes, kNobody);
  for (int i = 0; i < rounds; ++i) {
    const Window stirred = measure_window(kAway, processes, kEachMs);
    const Window after = measure_window(kAway, processes, kNobody);
    const double cpu = (before.cpu_ns_per_message + after.cpu_ns_per_message) / 2;
    cost_us.push_back((stirred.cpu_ns_per_message - cpu) * stirred.messages / 1000 /
                      static_cast<double>(stirred.stirs));
    loss.push_back(
        (1 - stirred.messages_per_s * 2 / (before.messages_per_s + after.messages_per_s)) * 100);
    before = after;
  }
  std::sort(cost_us.begin(), cost_us.end());
  const size_t quarter = cost_us.size() / 4;
  printf("looking at everything again, two consumers: at some 900 a second %.1f %% of throughput\n",
         median(loss));
  printf("  CPU time for each          median %5.1f us  middle half %5.1f .. %5.1f us\n",
         median(cost_us), cost_us[quarter], cost_us[cost_us.size() - 1 - quarter]);
  printf("  that is for ten joins and ten leaves a second, on two CPUs, %.2f %%\n",
         median(cost_us) * 20 / 2e6 * 100);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, atoi(argv[1])) : 40;
  const size_t pool_mib = argc > 2 ? static_cast<size_t>(std::max(1, atoi(argv[2]))) : 1024;
  measure_handles(rounds, pool_mib);

  void* memory =
      mmap(nullptr, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  control = static_cast<Control*>(memory);
  need(ep_ring_create(nullptr, nullptr, &ring), "create");
  need(ep_ring_group_create(ring, "g", nullptr), "group");
  std::vector<pid_t> processes;
  processes.push_back(in_child(produce));
  processes.push_back(in_child(consume));
  processes.push_back(in_child(consume));
  processes.push_back(in_child(be_the_third));
  sleep_ns(100 * kMsNs);
  measure_processes(rounds);
  measure_managing(rounds, processes);
  measure_stirs(rounds, processes);
  control->stop = 1;
  for (const pid_t process : processes) waitpid(process, nullptr, 0);
  ep_ring_detach(ring);
  return 0;
}
