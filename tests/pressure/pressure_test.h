// What the programs of this suite share: the library's functions where it has them, time, seeds,
// and figures.
//
// A program shows one sentence of what is said about memory pressure, and exits 0 where it holds.
// Most run in a group of in_group.c, or with MEMPOOL_LIMIT; that says their meson.build.
#ifndef ELASTICPOOL_TESTS_PRESSURE_PRESSURE_TEST_H_
#define ELASTICPOOL_TESTS_PRESSURE_PRESSURE_TEST_H_

#include <time.h>

#include "../../lib/include/elasticpool/pressure.h"
#include "../dropin/dropin.h"

#if defined(EP_TEST_LINKED)
static inline void need_pressure_functions(void) {}
#else
// Weak: the programs are not linked to the library, and other allocators are measured as well.
#pragma weak ep_pressure_get
#pragma weak ep_on_pressure
#pragma weak ep_off_pressure

static inline void need_pressure_functions(void) {
  if (ep_pressure_get == NULL) SKIP("this allocator has no ep_pressure_get()");
}
#endif

static inline uint64_t now_ns(void) {
  struct timespec now;
  EXPECT(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void sleep_until_ns(uint64_t when_ns) {
  const struct timespec when = {(time_t)(when_ns / 1000000000u), (long)(when_ns % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR) {
  }
}

static inline bool is_share(float number) { return number >= 0 && number <= 1; }  // not NaN either

// Whatever the sources say, every figure keeps to its range.
static inline void expect_sane(const struct ep_pressure* pressure) {
  EXPECT(pressure->level >= EP_PRESSURE_NONE && pressure->level <= EP_PRESSURE_EMERGENCY);
  EXPECT(pressure->trend >= EP_TREND_DECREASING && pressure->trend <= EP_TREND_CRITICAL);
  EXPECT(pressure->source >= EP_SOURCE_NONE && pressure->source <= EP_SOURCE_OPTION);
  EXPECT(is_share(pressure->crossing));
  for (unsigned i = 0; i < 3; ++i) {
    const struct ep_forecast* forecast = &pressure->forecasts[i];
    EXPECT(forecast->horizon_s == 30u << i && is_share(forecast->confidence));
    EXPECT(forecast->low_bytes <= forecast->used_bytes);
    EXPECT(forecast->used_bytes <= forecast->high_bytes);
  }
  // Less is passed first.
  for (unsigned i = 1; i < 4; ++i) EXPECT(pressure->seconds_to[i - 1] <= pressure->seconds_to[i]);
}

static inline struct ep_pressure pressure_now(void) {
  struct ep_pressure pressure;
  memset(&pressure, 0x5a, sizeof pressure);
  EXPECT(ep_pressure_get(&pressure, sizeof pressure) == 0);
  expect_sane(&pressure);
  return pressure;
}

// --- A heap that grows to where it is pressed, and lets go. ---

enum { kPressBlockBytes = 64 * kKiB, kPressBlocksMax = 16384 };

static struct {
  void* blocks[kPressBlocksMax];
  unsigned count;
} g_pressed;

static inline void press_to_mib(unsigned mib) {
  const unsigned wanted = mib * (kMiB / kPressBlockBytes);
  EXPECT(wanted <= kPressBlocksMax);
  while (g_pressed.count < wanted) {
    g_pressed.blocks[g_pressed.count] = filled(kPressBlockBytes, g_pressed.count);
    ++g_pressed.count;
  }
  while (g_pressed.count > wanted) {
    --g_pressed.count;
    check_and_free(g_pressed.blocks[g_pressed.count], kPressBlockBytes, g_pressed.count);
  }
}

// The heap stays in use, as what drives the library where it has no thread; the test's time limit
// is the bound of the wait.
static inline void work_until(bool (*is_done)(void)) {
  for (uint32_t round = 0; !is_done(); ++round) {
    use_heap(round, 200);
    // Up and down by a block, which every tier but the magazines sees.
    check_and_free(filled(3 * kMiB, round), 3 * kMiB, round);
    usleep(1000);
  }
}

static inline void work_for_ms(unsigned ms) {
  const uint64_t end_ns = now_ns() + (uint64_t)ms * 1000000u;
  for (uint32_t round = 0; now_ns() < end_ns; ++round) {
    use_heap(round, 200);
    check_and_free(filled(3 * kMiB, round), 3 * kMiB, round);
    usleep(1000);
  }
}

// Another one for each of in_group's runs, the same for the same run.
static inline uint32_t seed_of_run(void) {
  const char* run = getenv("EP_TEST_RUN");
  const unsigned long number = run == NULL ? 0 : strtoul(run, NULL, 10);
  return (uint32_t)(number + 1) * 2654435761u | 1;
}

static inline uint32_t below(uint32_t* state, uint32_t bound) {
  return (uint32_t)((uint64_t)next_random(state) * bound >> 32);
}

static inline size_t between(uint32_t* state, size_t low, size_t high) {
  return low + below(state, (uint32_t)(high - low + 1));
}

// Memory for the program's own lists: it must be there whatever the allocator does.
static inline void* own_memory(size_t bytes) {
  void* memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  EXPECT(memory != MAP_FAILED);
  return memory;
}

#endif  // ELASTICPOOL_TESTS_PRESSURE_PRESSURE_TEST_H_
