// What is promised of the functions of ep_on_pressure(), one sentence a mode.
//
//   callbacks errors       the codes; 16 pairs and no more; a size of 0; less than the whole struct
//   callbacks reenter      a callback allocates, frees, asks, registers and unregisters; it is
//                          never called within itself
//   callbacks libc         where libc makes the request (strdup), it is called behind the program's
//                          own next one
//   callbacks off-self     it may unregister itself, and is not called any more
//   callbacks order        they come in the order in which they were registered
//   callbacks wanted       what is wanted is enough: when it is freed the level HIGH is left
//   callbacks off-thread   another thread unregisters it while it runs: when that returns it is
//                          over
//   callbacks threads      four threads press: never two at the same time
//   callbacks rate         at most four a second while nothing else changes, ten when it does
//
// For MEMPOOL_LIMIT=128M: a limit of the option's, so that no group is needed. wanted, with
// MEMPOOL_FORECAST=last: whoever is alarmed asks for more than that.
#include <stdatomic.h>

#include "pressure_test.h"

// Shares of the limit: over HIGH (80 %) and CRITICAL (90 %), below WARNING (70 %).
enum { kLimitMib = 128, kPressedMib = 119, kHighMib = 108, kRelaxedMib = 40, kPairsMax = 16 };
enum { kQuietSeconds = 5, kBusySeconds = 5, kThreads = 4, kToggles = 200 };
// Longer than two calls are apart, where nothing else changes.
enum { kLongMs = 300 };

static atomic_uint g_calls;
static atomic_int g_inside;
static bool was_called(void) { return atomic_load(&g_calls) > 0; }

// Counts, and sees to it that no two are inside.
static void enter(const struct ep_pressure* pressure) {
  EXPECT(atomic_fetch_add(&g_inside, 1) == 0);
  EXPECT(pressure != NULL);
  expect_sane(pressure);
  atomic_fetch_add(&g_calls, 1);
}

static void leave(void) { EXPECT(atomic_fetch_sub(&g_inside, 1) == 1); }

static void count_call(const struct ep_pressure* pressure, uint64_t wanted_bytes, void* argument) {
  (void)wanted_bytes;
  (void)argument;
  enter(pressure);
  leave();
}

// --- errors ---

static void errors(void) {
  struct ep_pressure pressure;
  EXPECT(ep_pressure_get(NULL, sizeof pressure) == EINVAL);
  EXPECT(ep_pressure_get(&pressure, 0) == EINVAL);
  memset(&pressure, 0x5a, sizeof pressure);
  EXPECT(ep_pressure_get(&pressure, offsetof(struct ep_pressure, used_bytes)) == 0);
  EXPECT(pressure.limit_bytes == (uint64_t)kLimitMib * kMiB);
  EXPECT(pressure.source == EP_SOURCE_OPTION);
  EXPECT(holds(&pressure.used_bytes, sizeof pressure - offsetof(struct ep_pressure, used_bytes),
               0x5a));
  // A later version's struct: what this library does not know of stays or is 0, and nothing breaks.
  char larger[sizeof pressure + 64];
  EXPECT(ep_pressure_get((struct ep_pressure*)(void*)larger, sizeof larger) == 0);

  char arguments[kPairsMax + 1];
  EXPECT(ep_on_pressure(NULL, arguments) == EINVAL);
  EXPECT(ep_off_pressure(count_call, arguments) == ENOENT);
  for (int i = 0; i < kPairsMax; ++i) EXPECT(ep_on_pressure(count_call, &arguments[i]) == 0);
  for (int i = 0; i < kPairsMax; ++i) EXPECT(ep_on_pressure(count_call, &arguments[i]) == EEXIST);
  EXPECT(ep_on_pressure(count_call, &arguments[kPairsMax]) == ENOSPC);
  EXPECT(ep_off_pressure(count_call, &arguments[3]) == 0);
  EXPECT(ep_off_pressure(count_call, &arguments[3]) == ENOENT);
  EXPECT(ep_on_pressure(count_call, &arguments[kPairsMax]) == 0);
  for (int i = 0; i <= kPairsMax; ++i) {
    EXPECT(ep_off_pressure(count_call, &arguments[i]) == (i == 3 ? ENOENT : 0));
  }
  EXPECT(ep_off_pressure(NULL, arguments) == ENOENT || ep_off_pressure(NULL, arguments) == EINVAL);
}

// --- reenter ---

static void come_and_go(const struct ep_pressure* pressure, uint64_t wanted_bytes, void* argument) {
  enter(pressure);
  (void)wanted_bytes;
  // The heap grows by it, which must not lead to another call: for longer than two calls are apart.
  for (int i = 0; i < kLongMs / 10; ++i) {
    use_heap(atomic_load(&g_calls), 50);
    check_and_free(filled(2 * kMiB, 1), 2 * kMiB, 1);
    pressure_now();
    usleep(10000);
  }
  int other = 0;
  EXPECT(ep_on_pressure(count_call, &other) == 0);
  EXPECT(ep_off_pressure(count_call, &other) == 0);
  EXPECT(ep_on_pressure(come_and_go, argument) == EEXIST);
  leave();
}

static bool were_some_calls(void) { return atomic_load(&g_calls) >= 5; }

static void reenter(void) {
  press_to_mib(kPressedMib);
  EXPECT(ep_on_pressure(come_and_go, &g_calls) == 0);
  work_until(were_some_calls);
  EXPECT(pressure_now().callbacks >= 5);
  EXPECT(ep_off_pressure(come_and_go, &g_calls) == 0);
}

// --- libc ---

static _Thread_local bool g_in_libc;
static atomic_uint g_calls_in_libc;

static void see_who_asks(const struct ep_pressure* pressure, uint64_t wanted_bytes,
                         void* argument) {
  enter(pressure);
  (void)wanted_bytes;
  (void)argument;
  if (g_in_libc) atomic_fetch_add(&g_calls_in_libc, 1);
  leave();
}

// Each string makes the heap grow; the block behind it does not, is the program's own, and comes
// from no magazine.
static void libc(void) {
  enum { kStringBytes = 500 * kKiB, kStrings = 160, kOwnBytes = 100 * kKiB };
  static char* strings[kStrings];
  char* text = (char*)filled(kStringBytes, 'x');
  text[kStringBytes - 1] = '\0';
  EXPECT(ep_on_pressure(see_who_asks, &g_calls) == 0);
  press_to_mib(kRelaxedMib);
  unsigned made = 0;
  for (; made < kStrings && atomic_load(&g_calls) < 2; ++made) {
    g_in_libc = true;
    strings[made] = strdup(text);
    g_in_libc = false;
    EXPECT(strings[made] != NULL);
    check_and_free(filled(kOwnBytes, made), kOwnBytes, made);
  }
  EXPECT(atomic_load(&g_calls_in_libc) == 0);
  EXPECT(atomic_load(&g_calls) >= 1);
  EXPECT(ep_off_pressure(see_who_asks, &g_calls) == 0);
  while (made > 0) free(strings[--made]);
  free(text);
}

// --- off-self ---

static void once(const struct ep_pressure* pressure, uint64_t wanted_bytes, void* argument) {
  enter(pressure);
  (void)wanted_bytes;
  EXPECT(ep_off_pressure(once, argument) == 0);
  EXPECT(ep_off_pressure(once, argument) == ENOENT);
  leave();
}

static void off_self(void) {
  EXPECT(ep_on_pressure(once, &g_calls) == 0);
  press_to_mib(kPressedMib);
  work_until(was_called);
  work_for_ms(1500);
  EXPECT(atomic_load(&g_calls) == 1);
  EXPECT(ep_off_pressure(once, &g_calls) == ENOENT);
}

// --- order ---

static int g_last = 2;

static void one_of_three(const struct ep_pressure* pressure, uint64_t wanted_bytes,
                         void* argument) {
  enter(pressure);
  (void)wanted_bytes;
  const int number = *(int*)argument;
  EXPECT(number == (g_last + 1) % 3);
  g_last = number;
  leave();
}

static bool were_three_rounds(void) { return atomic_load(&g_calls) >= 9; }

static void order(void) {
  int numbers[] = {0, 1, 2};
  for (int i = 0; i < 3; ++i) EXPECT(ep_on_pressure(one_of_three, &numbers[i]) == 0);
  press_to_mib(kPressedMib);
  work_until(were_three_rounds);
  for (int i = 0; i < 3; ++i) EXPECT(ep_off_pressure(one_of_three, &numbers[i]) == 0);
  EXPECT(g_last == 2);
}

// --- wanted ---

// Extents of their own, so that all that is freed can go, and smaller than HIGH is above where it
// is left (two per cent of the limit).
enum { kGranuleBytes = 64 * kKiB, kOwnBlockBytes = kMiB + kGranuleBytes };

static struct {
  void* blocks[2 * kLimitMib];
  unsigned count;
} g_own;

static void free_newest(void) {
  --g_own.count;
  check_and_free(g_own.blocks[g_own.count], kOwnBlockBytes, g_own.count);
}

// Not a block more; of what is free the library keeps a granule.
static void free_what_is_wanted(const struct ep_pressure* pressure, uint64_t wanted_bytes,
                                void* argument) {
  enter(pressure);
  (void)argument;
  EXPECT(pressure->level < EP_PRESSURE_HIGH || wanted_bytes > 0);
  EXPECT(wanted_bytes <= pressure->used_bytes);
  const uint64_t least_bytes = wanted_bytes + kGranuleBytes;
  for (uint64_t freed = 0; freed < least_bytes && g_own.count > 0; freed += kOwnBlockBytes) {
    free_newest();
  }
  leave();
}

static void grow(void) {
  void* block = filled(kOwnBlockBytes, g_own.count);
  // Where the callback came within, it has taken away what was the newest.
  fill(block, kOwnBlockBytes, g_own.count);
  g_own.blocks[g_own.count++] = block;
}

// A state is as old as a second at most.
static struct ep_pressure look_anew(void) {
  usleep(1100000);
  return pressure_now();
}

// Nobody else is here, so that nothing changes but by the looks: where the first one finds the
// level HIGH it asks, and the second one finds it left.
static void expect_left(void) {
  look_anew();
  EXPECT(look_anew().level < EP_PRESSURE_HIGH);
}

static void wanted(void) {
  while (g_own.count * (uint64_t)kOwnBlockBytes < (uint64_t)kHighMib * kMiB) grow();
  EXPECT(pressure_now().level == EP_PRESSURE_HIGH);
  EXPECT(ep_on_pressure(free_what_is_wanted, NULL) == 0);
  expect_left();
  EXPECT(atomic_load(&g_calls) == 1 || pressure_now().alarms > 0);
  for (unsigned i = 0; i < 2 * kLimitMib; ++i) {
    grow();
    EXPECT(g_own.count <= kLimitMib);
    // 100 MiB a second: with ten calls a second a faster one could outrun them.
    usleep(10000);
  }
  expect_left();
  EXPECT(ep_off_pressure(free_what_is_wanted, NULL) == 0);
  while (g_own.count > 0) free_newest();
}

// --- off-thread ---

// Is there only while it is registered.
typedef struct {
  unsigned char bytes[4096];
} Argument;

static atomic_bool g_is_over;

static void use_argument(const struct ep_pressure* pressure, uint64_t wanted_bytes,
                         void* argument) {
  enter(pressure);
  (void)wanted_bytes;
  for (int i = 0; i < 20; ++i) {
    EXPECT(holds(argument, sizeof(Argument), 0xa5));
    usleep(1000);
  }
  leave();
}

static void* toggle(void* nothing) {
  for (int i = 0; i < kToggles || !was_called(); ++i) {
    void* argument = own_memory(sizeof(Argument));
    memset(argument, 0xa5, sizeof(Argument));
    EXPECT(ep_on_pressure(use_argument, argument) == 0);
    usleep(5000 + 100 * (unsigned)(i % 50));
    EXPECT(ep_off_pressure(use_argument, argument) == 0);
    // Whoever is still in it reads what must not be read any more, nor anything else in its place.
    EXPECT(mprotect(argument, sizeof(Argument), PROT_NONE) == 0);
  }
  atomic_store(&g_is_over, true);
  return nothing;
}

static bool is_over(void) { return atomic_load(&g_is_over); }

static void off_thread(void) {
  press_to_mib(kPressedMib);
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, toggle, NULL) == 0);
  work_until(is_over);
  EXPECT(pthread_join(thread, NULL) == 0);
}

// --- threads ---

// A second one would have its turn meanwhile.
static void slow_call(const struct ep_pressure* pressure, uint64_t wanted_bytes, void* argument) {
  enter(pressure);
  (void)wanted_bytes;
  (void)argument;
  usleep(kLongMs * 1000);
  leave();
}

static void* work_until_some_calls(void* argument) {
  work_until(were_some_calls);
  return argument;
}

static void threads(void) {
  press_to_mib(kHighMib);
  EXPECT(ep_on_pressure(slow_call, NULL) == 0);
  run_threads(kThreads, work_until_some_calls);
  EXPECT(ep_off_pressure(slow_call, NULL) == 0);
}

// --- rate ---

static void expect_rate(unsigned per_second, unsigned calls, uint64_t since_ns) {
  const uint64_t ms = (now_ns() - since_ns) / 1000000;
  // One more at either end.
  const bool good = calls <= per_second * ms / 1000 + 2;
  if (!good) fprintf(stderr, "%u calls in %llu ms\n", calls, (unsigned long long)ms);
  EXPECT(good);
}

static void rate(void) {
  EXPECT(ep_on_pressure(count_call, NULL) == 0);
  press_to_mib(kPressedMib);
  work_until(was_called);
  atomic_store(&g_calls, 0);
  uint64_t start_ns = now_ns();
  for (int i = 0; i < kQuietSeconds * 100; ++i) {
    free(filled(100, 1));
    usleep(10000);
  }
  expect_rate(4, atomic_load(&g_calls), start_ns);
  atomic_store(&g_calls, 0);
  start_ns = now_ns();
  while (now_ns() - start_ns < (uint64_t)kBusySeconds * 1000000000u) {
    press_to_mib(kRelaxedMib);
    press_to_mib(kPressedMib);
  }
  expect_rate(10, atomic_load(&g_calls), start_ns);
  EXPECT(was_called());
  EXPECT(ep_off_pressure(count_call, NULL) == 0);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } kModes[] = {{"errors", errors},         {"reenter", reenter}, {"libc", libc},
                {"off-self", off_self},     {"order", order},     {"wanted", wanted},
                {"off-thread", off_thread}, {"threads", threads}, {"rate", rate}};
  EXPECT(argc == 2);
  need_pressure_functions();
  for (size_t i = 0; i < sizeof kModes / sizeof *kModes; ++i) {
    if (strcmp(argv[1], kModes[i].name) != 0) continue;
    kModes[i].run();
    press_to_mib(0);
    return 0;
  }
  FAIL("there is no such mode");
}
