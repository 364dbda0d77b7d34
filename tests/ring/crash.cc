// A process is killed, or stopped, before its first change of shared memory, its second, and so on
// to its last; each time the others go on, and in the end nothing is lost, doubled or leaked.
//
//   ring_crash SCENARIO kill       killed; the test recovers
//   ring_crash SCENARIO recoverer  killed, and whoever recovers is killed too, at a random step
//   ring_crash SCENARIO sweeper    killed, and whoever recovers is stopped at a random step, taken
//                                  for hung, and comes back in the end
//   ring_crash SCENARIO stop       stopped, taken for hung, the ring used by others for some laps;
//                                  then it comes back and goes on where it was
//   ring_crash SCENARIO WAY STEP [STEP2]   that one case
#include <elasticpool/ring.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "crash_scenarios.h"
#include "ring/region.h"
#include "ring/step.h"

namespace {

Journal* journal;
uint32_t fall_at;
int fall_by;
char where[256];

void count_step() {
  journal->steps = journal->steps + 1;
  if (journal->steps == fall_at) raise(fall_by);
}

[[noreturn]] void fail(const char* text, unsigned long value) {
  fprintf(stderr, "%s: %s (%lu)\n", where, text, value);
  _exit(1);
}

void must(int error, const char* text) {
  if (error == EP_RING_OK) return;
  fprintf(stderr, "%s: %s: %s\n", where, text, ep_ring_strerror(error));
  _exit(1);
}

elasticpool::Region& region_of(ep_ring* ring) {
  return *reinterpret_cast<elasticpool::Region*>(ring);
}

// What the test itself publishes carries numbers from here on.
constexpr uint32_t kOwnNumbers = 1000;
constexpr uint64_t kSequences = 4096;

struct Seen {
  uint8_t times[kSequences] = {};
  bool numbers[kOwnNumbers] = {};
};

void publish_own(ep_ring* ring, uint32_t count) {
  ep_ring_producer* producer = nullptr;
  must(ep_ring_producer_open(ring, &producer), "open a producer");
  for (uint32_t i = 0; i < count; ++i) {
    ep_ring_buffer buffer;
    const size_t size = i % 7 == 6 ? 6000 : 64;
    must(ep_ring_reserve(producer, size, 0, &buffer), "reserve");
    fill(buffer.data, size, kOwnNumbers + i);
    must(ep_ring_publish(producer, &buffer, nullptr, 0, nullptr), "publish");
  }
  ep_ring_producer_close(producer);
}

void drain(ep_ring* ring, const char* group, Seen* seen) {
  ep_ring_consumer_options options = {};
  options.group = group;
  ep_ring_consumer* consumer = nullptr;
  must(ep_ring_consumer_open(ring, &options, &consumer), "open a consumer");
  ep_ring_message message;
  int error = EP_RING_OK;
  while ((error = ep_ring_get(consumer, 0, &message)) == EP_RING_OK) {
    uint32_t number = 0;
    if (!is_filled(message.data, message.size, &number)) fail("damaged", message.sequence);
    if (message.sequence >= kSequences) fail("a sequence from nowhere", message.sequence);
    if (++seen->times[message.sequence] > 1) fail("delivered twice", message.sequence);
    if (number < kOwnNumbers) seen->numbers[number] = true;
    must(ep_ring_ack(consumer, &message), "acknowledge");
  }
  if (error != EP_RING_EMPTY) must(error, "get");
  ep_ring_consumer_close(consumer, nullptr);
}

void report(void*, const char* line) { fprintf(stderr, "%s: %s\n", where, line); }

// Nothing is in use, and all of it can be had in one piece.
void check_empty(ep_ring* ring) {
  if (const unsigned faults = ep_ring_check(ring, report, nullptr); faults != 0) {
    fail("faults", faults);
  }
  ep_ring_stat stat;
  ep_ring_read_stat(ring, &stat);
  if (stat.pool_used_bytes != 0) fail("blocks leaked", stat.pool_used_bytes);
  if (stat.pool_cached_bytes != 0) fail("cached by nobody", stat.pool_cached_bytes);
  if (stat.head_sequence != stat.tail_sequence) fail("slots leaked", stat.head_sequence);
  if (stat.producers + stat.consumers != 0) fail("places leaked", stat.producers);
  if (stat.corruptions != 0) fail("corruptions", stat.corruptions);
  ep_ring_producer* producer = nullptr;
  must(ep_ring_producer_open(ring, &producer), "open the last producer");
  ep_ring_buffer all;
  must(ep_ring_reserve(producer, stat.pool_bytes, 0, &all), "reserve the whole pool");
  ep_ring_producer_close(producer);
}

void check_seen(const Scenario& scenario, const Seen& work, const Seen& audit) {
  uint64_t last = 0;
  for (uint64_t sequence = 1; sequence < kSequences; ++sequence) {
    const bool is_known = work.times[sequence] != 0 || audit.times[sequence] != 0 ||
                          journal->acknowledged[sequence] != 0;
    if (!is_known) continue;
    if (sequence != last + 1) fail("lost between the last and this", sequence);
    last = sequence;
    if (work.times[sequence] == 0 && journal->acknowledged[sequence] == 0) {
      fail("lost to the group", sequence);
    }
    if (scenario.has_audit && audit.times[sequence] == 0 && journal->acknowledged[sequence] == 0) {
      fail("lost to the other group", sequence);
    }
  }
  for (uint32_t number = 0; scenario.has_audit && number < 256; ++number) {
    if (journal->published[number] != 0 && !audit.numbers[number]) fail("not published", number);
  }
}

// One process that does the scenario and falls at its `step`-th change.
pid_t start(const Scenario& scenario, ep_ring* ring, uint32_t step, int signal) {
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(60);
  fall_at = step;
  fall_by = signal;
  elasticpool::ring_step_hook = count_step;
  ep_ring* own = nullptr;
  if (ep_ring_attach_fd(ep_ring_fd(ring), 0, &own) != EP_RING_OK) _exit(2);
  scenario.run(own, journal);
  _exit(journal->errors_other != 0 ? 3 : 0);
}

pid_t recover_and_fall(ep_ring* ring, uint32_t step, int signal) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    journal->steps = 0;
    fall_at = step;
    fall_by = signal;
    elasticpool::ring_step_hook = count_step;
    ep_ring_watch(ring);
    _exit(0);
  }
  return child;
}

// Its leases are over.
void expire(ep_ring* ring, pid_t process) {
  for (uint32_t place = 0; place < elasticpool::kMembersMax; ++place) {
    elasticpool::MemberRecord& member = region_of(ring).member(place);
    if (elasticpool::member_process(member.state.load_relaxed()) ==
        static_cast<uint32_t>(process)) {
      member.lease_until_ns.store_relaxed(1);
    }
  }
}

// A group that comes while somebody else is stopped in the middle of creating one: what its
// consumer has taken stays with it when the other goes on.
struct FreshGroup {
  ep_ring_consumer* consumer = nullptr;
  ep_ring_message taken[16];
  size_t count = 0;
};

void open_fresh(ep_ring* ring, FreshGroup* fresh) {
  ep_ring_consumer_options options = {};
  options.group = "fresh";
  must(ep_ring_consumer_open(ring, &options, &fresh->consumer), "open a fresh group");
  must(ep_ring_get_batch(fresh->consumer, 0, fresh->taken, 16, &fresh->count), "get of it");
}

void close_fresh(ep_ring* ring, FreshGroup* fresh) {
  must(ep_ring_ack_batch(fresh->consumer, fresh->taken, fresh->count), "what a fresh group took");
  ep_ring_consumer_close(fresh->consumer, nullptr);
  must(ep_ring_group_remove(ring, "fresh"), "remove the fresh group");
}

void go_on_without(ep_ring* ring, const Scenario& scenario, pid_t stopped, Seen* work,
                   Seen* audit) {
  expire(ring, stopped);
  ep_ring_watch(ring);
  for (int lap = 0; lap < 3; ++lap) {
    drain(ring, "work", work);
    if (scenario.has_audit) drain(ring, "audit", audit);
    for (const char* group : {"other", "third", "late"}) ep_ring_group_remove(ring, group);
    // More than half of the ring is taken when the stopped one comes back.
    publish_own(ring, 50);
  }
}

// True: the scenario was over before that step.
bool run_case(const Scenario& scenario, const char* way, uint32_t step, uint32_t second_step) {
  snprintf(where, sizeof(where), "ring_crash %s %s %u %u", scenario.name, way, step, second_step);
  memset(journal, 0, sizeof(*journal));
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = scenario.pool_bytes;
  options.pool_bytes_max = scenario.pool_bytes_max;
  options.slots = scenario.slots;
  ep_ring* ring = nullptr;
  must(ep_ring_create(nullptr, &options, &ring), "create");
  must(ep_ring_group_create(ring, "work", nullptr), "create a group");
  if (scenario.has_audit) must(ep_ring_group_create(ring, "audit", nullptr), "create a group");
  if (strcmp(scenario.name, "leave") == 0) {
    must(ep_ring_group_create(ring, "late", nullptr), "create a group");
  }
  publish_own(ring, scenario.before);
  const bool is_stop = strcmp(way, "stop") == 0;
  const pid_t child = start(scenario, ring, step, is_stop ? SIGSTOP : SIGKILL);
  int status = 0;
  waitpid(child, &status, is_stop ? WUNTRACED : 0);
  const bool is_over = WIFEXITED(status);
  Seen work;
  Seen audit;
  if (is_stop && WIFSTOPPED(status)) {
    go_on_without(ring, scenario, child, &work, &audit);
    FreshGroup fresh;
    open_fresh(ring, &fresh);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    close_fresh(ring, &fresh);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    fprintf(stderr, "%s: unexpected: %s\n", where, ep_ring_strerror(journal->unexpected));
    fail("the process failed", static_cast<unsigned long>(WEXITSTATUS(status)));
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
    fail("the process died by signal", static_cast<unsigned long>(WTERMSIG(status)));
  }
  if (second_step != 0) {
    const bool is_sweeper = strcmp(way, "sweeper") == 0;
    const pid_t second = recover_and_fall(ring, second_step, is_sweeper ? SIGSTOP : SIGKILL);
    waitpid(second, &status, WUNTRACED);
    if (WIFSTOPPED(status)) {
      go_on_without(ring, scenario, second, &work, &audit);
      kill(second, SIGCONT);
      waitpid(second, &status, 0);
    }
  }
  ep_ring_watch(ring);
  drain(ring, "work", &work);
  if (scenario.has_audit) drain(ring, "audit", &audit);
  for (const char* group : {"other", "third", "late"}) ep_ring_group_remove(ring, group);
  // What only those groups still kept goes with the next look.
  drain(ring, "work", &work);
  check_seen(scenario, work, audit);
  check_empty(ring);
  ep_ring_detach(ring);
  return is_over;
}

int usage() {
  fprintf(stderr, "usage: ring_crash SCENARIO kill|recoverer|sweeper|stop [STEP [STEP2]]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  const Scenario* scenario = argc > 2 ? find_scenario(argv[1]) : nullptr;
  if (scenario == nullptr) return usage();
  const char* way = argv[2];
  journal = static_cast<Journal*>(
      mmap(nullptr, sizeof(Journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (argc > 3) {
    const auto step = static_cast<uint32_t>(strtoul(argv[3], nullptr, 10));
    const auto second = argc > 4 ? static_cast<uint32_t>(strtoul(argv[4], nullptr, 10)) : 0;
    run_case(*scenario, way, step, second);
    return 0;
  }
  const bool has_second = strcmp(way, "recoverer") == 0 || strcmp(way, "sweeper") == 0;
  const unsigned seed = std::random_device{}();
  if (has_second) printf("seed %u\n", seed);
  std::mt19937 random(seed);
  uint32_t steps = 1;
  for (;; ++steps) {
    const uint32_t second = has_second ? 1 + static_cast<uint32_t>(random() % 150) : 0;
    if (run_case(*scenario, way, steps, second)) break;
  }
  printf("%u steps\n", steps - 1);
  return 0;
}
