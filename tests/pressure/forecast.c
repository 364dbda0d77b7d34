// What is coming is said in time, and only that.
//
//   forecast ramp RUNS ENOUGH         a heap grows by 10 MiB a second to 90 % of the limit: in
//                                     ENOUGH of so many runs an alarm comes at least 5 s before
//   forecast sawtooth RUNS ALARMS     a heap goes up to some 60 % of the limit and down again, as
//                                     under a garbage collector: that many alarms at most in all
//
// In a group of 256 MiB. A run is a process of its own, which asks ep_pressure_get() each 100 ms as
// a program would that shows the figures. When 90 % are reached the program finds for itself, by
// what is resident. A tooth takes 2 to 6 s: one of minutes could not be told from a ramp when it is
// the first. Prints the figures of each run.
#include "pressure_test.h"

enum { kAskMs = 100, kRampMibPerS = 10, kBaseMib = 40, kFlatSeconds = 5, kLeadMsMin = 5000 };
enum { kToothSeconds = 40, kBlocksMax = 1024 * 1024, kSizeMin = 64, kSizeMax = 8 * kKiB };
enum { kCrossingPercent = 90, kNever = -1 };

static struct {
  void* data;
  size_t size;
} g_blocks[kBlocksMax];
static size_t g_count, g_bytes;

// The newest go first: a program that gives back what it took for one task.
static void have_bytes(size_t wanted_bytes, uint32_t* state) {
  while (g_bytes < wanted_bytes) {
    EXPECT(g_count < kBlocksMax);
    const size_t size = between(state, kSizeMin, kSizeMax);
    g_blocks[g_count].data = filled(size, (unsigned)g_count);
    g_blocks[g_count].size = size;
    g_bytes += size;
    ++g_count;
  }
  while (g_bytes > wanted_bytes && g_count > 0) {
    --g_count;
    check_and_free(g_blocks[g_count].data, g_blocks[g_count].size, (unsigned)g_count);
    g_bytes -= g_blocks[g_count].size;
  }
}

static size_t resident_bytes(void) {
  char text[128];
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  EXPECT(fd >= 0);
  const ssize_t length = read(fd, text, sizeof text - 1);
  EXPECT(length > 0 && close(fd) == 0);
  text[length] = '\0';
  unsigned long pages = 0;
  EXPECT(sscanf(text, "%*u %lu", &pages) == 1);
  return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t limit_bytes(void) {
  const struct ep_pressure pressure = pressure_now();
  EXPECT(pressure.source != EP_SOURCE_NONE);
  EXPECT(pressure.limit_bytes >= 128 * kMiB && pressure.limit_bytes <= (uint64_t)4096 * kMiB);
  return (size_t)pressure.limit_bytes;
}

static void stay_flat(uint64_t* now, uint32_t* state) {
  for (int i = 0; i < kFlatSeconds * 1000 / kAskMs; ++i) {
    have_bytes((size_t)(kBaseMib - (int)below(state, 4)) * kMiB, state);
    pressure_now();
    sleep_until_ns(*now += kAskMs * 1000000u);
  }
}

static long ms_before(uint64_t then_ns, uint64_t now) {
  return then_ns == 0 ? kNever : (long)((now - then_ns) / 1000000);
}

static int one_ramp(uint32_t seed) {
  uint32_t state = seed;
  const size_t end_bytes = limit_bytes() / 100 * kCrossingPercent;
  uint64_t now = now_ns();
  stay_flat(&now, &state);
  const uint32_t alarms = pressure_now().alarms;
  uint64_t alarm_ns = 0, seconds_to_ns = 0, level_ns = 0;
  for (size_t wanted = g_bytes; resident_bytes() < end_bytes;) {
    wanted += (size_t)kRampMibPerS * kMiB * kAskMs / 1000 * between(&state, 80, 120) / 100;
    have_bytes(wanted, &state);
    const struct ep_pressure pressure = pressure_now();
    if (alarm_ns == 0 && pressure.alarms != alarms) alarm_ns = now_ns();
    if (seconds_to_ns == 0 && pressure.seconds_to[2] != EP_NEVER) seconds_to_ns = now_ns();
    if (level_ns == 0 && pressure.level >= EP_PRESSURE_CRITICAL) level_ns = now_ns();
    sleep_until_ns(now += kAskMs * 1000000u);
  }
  const uint64_t end = now_ns();
  printf("lead_ms=%ld seconds_to_lead_ms=%ld level_lead_ms=%ld early_alarms=%u\n",
         ms_before(alarm_ns, end), ms_before(seconds_to_ns, end), ms_before(level_ns, end), alarms);
  have_bytes(0, &state);
  return 0;
}

static int one_sawtooth(uint32_t seed) {
  uint32_t state = seed;
  const size_t limit = limit_bytes();
  const size_t low = limit / 100 * between(&state, 25, 40);
  const size_t high = limit / 100 * between(&state, 55, 63);
  const size_t steps = between(&state, 2000, 6000) / kAskMs;
  uint64_t now = now_ns();
  for (size_t i = 0; i < kToothSeconds * 1000 / kAskMs; ++i) {
    have_bytes(low + (high - low) * (i % steps) / (steps - 1), &state);
    pressure_now();
    sleep_until_ns(now += kAskMs * 1000000u);
  }
  printf("alarms=%u tooth_ms=%zu low_mib=%zu high_mib=%zu\n", pressure_now().alarms, steps * kAskMs,
         low / kMiB, high / kMiB);
  have_bytes(0, &state);
  return 0;
}

// -> what the process of this run says after `word`
static long run_one(const char* what, const char* word, long number) {
  char seed[32];
  snprintf(seed, sizeof seed, "%u", (unsigned)(seed_of_run() + (uint32_t)number * 977u));
  const Child child = run_self((const char*[]){what, seed, NULL}, NULL);
  printf("%s%s", child.out, child.err);
  fflush(stdout);
  EXPECT(exited_with(child.status, 0) || exited_with(child.status, 77));
  if (exited_with(child.status, 77)) exit(77);
  const char* found = strstr(child.out, word);
  EXPECT(found != NULL);
  return strtol(found + strlen(word), NULL, 10);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 3);
  need_pressure_functions();
  const long number = strtol(argv[2], NULL, 10);
  if (strcmp(argv[1], "one-ramp") == 0) return one_ramp((uint32_t)number | 1);
  if (strcmp(argv[1], "one-sawtooth") == 0) return one_sawtooth((uint32_t)number | 1);
  EXPECT(argc == 4 && number >= 1);
  const long bound = strtol(argv[3], NULL, 10);
  const bool is_ramp = strcmp(argv[1], "ramp") == 0;
  EXPECT(is_ramp || strcmp(argv[1], "sawtooth") == 0);
  long in_time = 0, alarms = 0;
  for (long i = 0; i < number; ++i) {
    if (is_ramp) {
      in_time += run_one("one-ramp", "lead_ms=", i) >= kLeadMsMin;
    } else {
      alarms += run_one("one-sawtooth", "alarms=", i);
    }
  }
  if (is_ramp) {
    printf("in_time=%ld runs=%ld\n", in_time, number);
    return in_time >= bound ? 0 : 1;
  }
  printf("all_alarms=%ld runs=%ld\n", alarms, number);
  return alarms <= bound ? 0 : 1;
}
