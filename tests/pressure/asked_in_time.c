// Whoever asks for a block that does not fit has the program's listeners called before it gets it:
// once it is touched it is too late. By each function that allocates, preloaded and linked.
//
// With MEMPOOL_LIMIT=512M. Linked (EP_TEST_LINKED) the library cannot tell the program's requests
// from libc's, and asks all the same.
#include <malloc.h>

#include "pressure_test.h"

enum { kHeldMib = 280, kFullMib = 160, kSmallBytes = 100 * kKiB, kRestMs = 300 };

static unsigned g_calls;
static uint64_t g_wanted_bytes;

static void on_pressure(const struct ep_pressure* now, uint64_t wanted_bytes, void* argument) {
  EXPECT(argument == &g_calls && now != NULL);
  g_wanted_bytes = wanted_bytes;
  ++g_calls;
}

static void* by_malloc(size_t bytes) { return malloc(bytes); }
static void* by_calloc(size_t bytes) { return calloc(bytes / 16, 16); }
static void* by_realloc(size_t bytes) { return realloc(opaque(malloc(kSmallBytes)), bytes); }
static void* by_aligned_alloc(size_t bytes) { return aligned_alloc(4096, bytes); }
static void* by_posix_memalign(size_t bytes) {
  void* block = NULL;
  return posix_memalign(&block, 64, bytes) == 0 ? block : NULL;
}

int main(void) {
  static const struct {
    const char* name;
    void* (*allocate)(size_t);
  } kWays[] = {{"malloc", by_malloc},
               {"calloc", by_calloc},
               {"realloc", by_realloc},
               {"aligned_alloc", by_aligned_alloc},
               {"posix_memalign", by_posix_memalign}};
  need_pressure_functions();
  EXPECT(ep_on_pressure(on_pressure, &g_calls) == 0);
  press_to_mib(kHeldMib);
  for (size_t i = 0; i < sizeof kWays / sizeof *kWays; ++i) {
    malloc_trim(0);
    while (pressure_now().level != EP_PRESSURE_NONE) usleep(kRestMs * 1000);
    usleep(kRestMs * 1000);  // longer than two calls are apart
    g_calls = 0;
    void* block = opaque(kWays[i].allocate((size_t)kFullMib * kMiB));
    printf("%s: %u calls, %llu bytes wanted\n", kWays[i].name, g_calls,
           (unsigned long long)g_wanted_bytes);
    fflush(stdout);
    EXPECT(block != NULL && g_calls == 1);
    EXPECT(g_wanted_bytes > 0);
    free(block);
  }
  EXPECT(ep_off_pressure(on_pressure, &g_calls) == 0);
  press_to_mib(0);
  return 0;
}
