// Random SIGKILLs under load: producers and consumers of one region are killed at random moments
// and started again; in the end every message was received, whole, in the order of its producer,
// and nothing is leaked.
//
//   ring_soak [--kills N] [--producers N] [--consumers N] [--seed N] [--stop]
//
// --stop: some are stopped for longer than their lease instead, and go on afterwards.
#include <elasticpool/ring.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

namespace {

constexpr uint64_t kSequencesMax = uint64_t{1} << 27;  // of which memory takes what is used
constexpr uint32_t kSlots = 1024;

// What the processes tell the test, outside of the region.
struct Ledger {
  std::atomic<bool> is_over;
  std::atomic<uint32_t> failures;
  std::atomic<uint64_t> deliveries;
  // By sequence: producer's life << 32 | its message's number, and kFirst where it was received
  // with deliveries 1; 0: not received yet.
  std::atomic<uint64_t> received[kSequencesMax];
};
Ledger* ledger;
constexpr uint64_t kFirst = uint64_t{1} << 31;

struct Payload {
  uint32_t life;
  uint32_t number;
  uint64_t check;
};

uint64_t check_of(uint32_t life, uint32_t number, size_t at) {
  return (uint64_t{life} << 32 | number) * 0x9E3779B97F4A7C15 + at;
}

void fail(const char* text, uint64_t value) {
  fprintf(stderr, "ring_soak: %s (%" PRIu64 ")\n", text, value);
  ledger->failures.fetch_add(1);
}

void write_payload(void* data, size_t size, uint32_t life, uint32_t number) {
  auto* words = static_cast<uint64_t*>(data);
  words[0] = uint64_t{life} << 32 | number;
  for (size_t i = 1; i < size / sizeof(uint64_t); ++i) words[i] = check_of(life, number, i);
}

bool is_whole(const ep_ring_message& message) {
  const auto* words = static_cast<const uint64_t*>(message.data);
  const auto life = static_cast<uint32_t>(words[0] >> 32);
  const auto number = static_cast<uint32_t>(words[0]);
  for (size_t i = 1; i < message.size / sizeof(uint64_t); ++i) {
    if (words[i] != check_of(life, number, i)) return false;
  }
  return true;
}

[[noreturn]] void produce(ep_ring* ring, uint32_t life) {
  ep_ring_producer* producer = nullptr;
  int error = ep_ring_producer_open(ring, &producer);
  std::mt19937 random(life);
  for (uint32_t number = 1; error == EP_RING_OK && !ledger->is_over.load(); ++number) {
    const size_t sizes[] = {16, 64, 200, 1000, 5000, 20000};
    const size_t size = sizes[random() % 6] / 8 * 8;
    ep_ring_buffer buffer;
    error = ep_ring_reserve(producer, size, 1000, &buffer);
    if (error == EP_RING_TIMEOUT) {
      error = EP_RING_OK;
      --number;
      continue;
    }
    if (error != EP_RING_OK) break;
    write_payload(buffer.data, size, life, number);
    const ep_ring_label label = {random() % 3 == 0 ? random() % 16 : 0, 0};
    do {
      error = ep_ring_publish(producer, &buffer, &label, 100, nullptr);
    } while (error == EP_RING_TIMEOUT && !ledger->is_over.load());
  }
  if (error != EP_RING_OK && error != EP_RING_FENCED && error != EP_RING_TIMEOUT) {
    fail(ep_ring_strerror(error), life);
  }
  ep_ring_producer_close(producer);
  _exit(0);
}

void receive(const ep_ring_message& message) {
  if (!is_whole(message)) return fail("a damaged payload", message.sequence);
  if (message.sequence >= kSequencesMax) return fail("too many messages", message.sequence);
  const uint64_t mark = *static_cast<const uint64_t*>(message.data);
  const uint64_t first = message.deliveries == 1 ? kFirst : 0;
  const uint64_t before = ledger->received[message.sequence].fetch_or(mark | first);
  if (before != 0 && (before & ~kFirst) != mark) fail("another of that sequence", message.sequence);
  if ((before & first) != 0) fail("received twice", message.sequence);
  ledger->deliveries.fetch_add(1);
}

[[noreturn]] void consume(ep_ring* ring, uint32_t life) {
  ep_ring_consumer_options options = {};
  options.group = "soak";
  ep_ring_consumer* consumer = nullptr;
  int error = ep_ring_consumer_open(ring, &options, &consumer);
  std::mt19937 random(life);
  while (error == EP_RING_OK && !ledger->is_over.load()) {
    ep_ring_message messages[16];
    size_t count = 0;
    error = ep_ring_get_batch(consumer, 50, messages, 1 + random() % 16, &count);
    if (error == EP_RING_EMPTY) error = EP_RING_OK;
    for (size_t i = 0; i < count && error == EP_RING_OK; ++i) {
      receive(messages[i]);
      const bool is_held = random() % 16 == 0;
      if (is_held) error = ep_ring_hold(consumer, &messages[i]);
      if (error == EP_RING_OK) error = ep_ring_ack(consumer, &messages[i]);
      if (is_held && error == EP_RING_OK) {
        if (!is_whole(messages[i])) fail("damaged while it was held", messages[i].sequence);
        error = ep_ring_unhold(consumer, &messages[i]);
      }
    }
    if (error == EP_RING_GONE) error = EP_RING_OK;
  }
  if (error != EP_RING_OK && error != EP_RING_FENCED) fail(ep_ring_strerror(error), life);
  ep_ring_consumer_close(consumer, nullptr);
  _exit(0);
}

struct Worker {
  bool is_producer = false;
  pid_t process = 0;
};

uint32_t lives;

void start(ep_ring* ring, Worker* worker) {
  ++lives;
  worker->process = fork();
  if (worker->process != 0) return;
  alarm(300);
  ep_ring* own = nullptr;
  const int error = ep_ring_attach_fd(ep_ring_fd(ring), 0, &own);
  if (error != EP_RING_OK) {
    fail(ep_ring_strerror(error), lives);
    _exit(1);
  }
  if (worker->is_producer) produce(own, lives);
  consume(own, lives);
}

void drain(ep_ring* ring) {
  ep_ring_consumer_options options = {};
  options.group = "soak";
  ep_ring_consumer* consumer = nullptr;
  int error = ep_ring_consumer_open(ring, &options, &consumer);
  ep_ring_message message;
  while (error == EP_RING_OK && (error = ep_ring_get(consumer, 0, &message)) == EP_RING_OK) {
    receive(message);
    error = ep_ring_ack(consumer, &message);
  }
  if (error != EP_RING_EMPTY) fail(ep_ring_strerror(error), 0);
  ep_ring_consumer_close(consumer, nullptr);
}

// No sequence missing; each life's numbers 1, 2, 3 .. in the order of sequences.
void check_received(uint64_t tail) {
  std::vector<uint32_t> last(lives + 1);
  for (uint64_t sequence = 1; sequence < tail && sequence < kSequencesMax; ++sequence) {
    const uint64_t mark = ledger->received[sequence].load();
    if (mark == 0) {
      fail("never received", sequence);
      continue;
    }
    const auto life = static_cast<uint32_t>(mark >> 32);
    const auto number = static_cast<uint32_t>(mark & ~kFirst);
    if (life > lives || number != last[life] + 1) fail("not the producer's next", sequence);
    if (life <= lives) last[life] = number;
  }
}

void report(void*, const char* line) { fprintf(stderr, "ring_soak: %s\n", line); }

void check_empty(ep_ring* ring) {
  ep_ring_stat stat;
  ep_ring_read_stat(ring, &stat);
  if (stat.pool_used_bytes != 0) fail("blocks leaked", stat.pool_used_bytes);
  if (stat.pool_cached_bytes != 0) fail("cached by nobody", stat.pool_cached_bytes);
  if (stat.corruptions != 0) fail("corruptions", stat.corruptions);
  if (const unsigned faults = ep_ring_check(ring, report, nullptr); faults != 0) {
    fail("faults", faults);
  }
  ep_ring_producer* producer = nullptr;
  ep_ring_buffer all;
  int error = ep_ring_producer_open(ring, &producer);
  if (error == EP_RING_OK) error = ep_ring_reserve(producer, stat.pool_bytes, 0, &all);
  if (error != EP_RING_OK) fail("the whole pool cannot be had", static_cast<uint64_t>(error));
  ep_ring_producer_close(producer);
}

struct Options {
  uint32_t kills = 300;
  uint32_t producers = 3;
  uint32_t consumers = 4;
  uint32_t seed = 0;
  bool stops = false;
};

bool parse(int argc, char** argv, Options* options) {
  options->seed = std::random_device{}();
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--stop") == 0) {
      options->stops = true;
      continue;
    }
    if (i + 1 == argc) return false;
    const auto value = static_cast<uint32_t>(strtoul(argv[i + 1], nullptr, 10));
    if (strcmp(argv[i], "--kills") == 0) {
      options->kills = value;
    } else if (strcmp(argv[i], "--producers") == 0) {
      options->producers = value;
    } else if (strcmp(argv[i], "--consumers") == 0) {
      options->consumers = value;
    } else if (strcmp(argv[i], "--seed") == 0) {
      options->seed = value;
    } else {
      return false;
    }
    ++i;
  }
  return true;
}

void torment(ep_ring* ring, const Options& options, std::vector<Worker>& workers) {
  std::mt19937 random(options.seed);
  for (uint32_t i = 0; i < options.kills && ledger->failures.load() == 0; ++i) {
    usleep(static_cast<useconds_t>(500 + random() % 5000));
    Worker& worker = workers[random() % workers.size()];
    if (options.stops && random() % 8 == 0) {
      kill(worker.process, SIGSTOP);
      usleep(200'000);
      kill(worker.process, SIGCONT);
      usleep(10'000);
    }
    kill(worker.process, SIGKILL);
    waitpid(worker.process, nullptr, 0);
    start(ring, &worker);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, &options)) {
    fprintf(stderr,
            "usage: ring_soak [--kills N] [--producers N] [--consumers N] [--seed N] "
            "[--stop]\n");
    return 2;
  }
  printf("seed %u\n", options.seed);
  fflush(stdout);
  ledger = static_cast<Ledger*>(mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  ep_ring_options ring_options;
  ep_ring_options_init(&ring_options);
  ring_options.pool_bytes = size_t{4} << 20;
  ring_options.slots = kSlots;
  ring_options.lease_ms = options.stops ? 150 : 10'000;
  ep_ring* ring = nullptr;
  if (ep_ring_create(nullptr, &ring_options, &ring) != EP_RING_OK) return 1;
  ep_ring_group_create(ring, "soak", nullptr);
  std::vector<Worker> workers(options.producers + options.consumers);
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].is_producer = i < options.producers;
    start(ring, &workers[i]);
  }
  torment(ring, options, workers);
  ledger->is_over.store(true);
  for (const Worker& worker : workers) {
    int status = 0;
    waitpid(worker.process, &status, 0);
    if (status != 0) fail("a worker failed", static_cast<uint64_t>(status));
  }
  ep_ring_watch(ring);
  drain(ring);
  ep_ring_stat stat;
  ep_ring_read_stat(ring, &stat);
  check_received(stat.tail_sequence);
  check_empty(ring);
  printf("%u kills, %" PRIu64 " messages, %" PRIu64 " deliveries, %" PRIu64
         " redeliveries, %" PRIu64 " deaths\n",
         options.kills, stat.tail_sequence - 1, ledger->deliveries.load(), stat.redeliveries,
         stat.deaths);
  return ledger->failures.load() == 0 ? 0 : 1;
}
