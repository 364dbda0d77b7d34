// A program has a cache of 800 MiB, and then needs 1 GiB for itself.
//
//   listening_cache RATE        MB a second; 0: as fast as it can
//   listening_cache RATE deaf   nobody listens: whoever survives needs no listener
//   listening_cache RATE where-it-can
//                               nobody listens on an allocator that tells nobody
//
// In a group of 1.4 GiB both do not fit. The cache listens to ep_on_pressure() and drops its oldest
// entries, for as many bytes as the library says are wanted. Meanwhile the program goes on reading
// the cache, under the lock that the callback tries to take. Every block is written in full; what
// an entry or a block holds is checked when it goes.
//
// Prints pause_max_us, the longest call of malloc (callbacks and giving back included where they
// happen on this thread), and touch_max_us, the longest first write to a block, for each MiB of it.
#include <stdatomic.h>

#include "pressure_test.h"

#define CACHE_BYTES ((size_t)800 * kMiB)
#define NEEDED_BYTES ((size_t)1024 * kMiB)

enum { kEntrySmallMin = 64, kEntrySmallMax = 2048, kEntryLargeMin = 4 * kKiB };
enum { kEntryLargeMax = 32 * kKiB, kEntriesMax = 2 * 1024 * 1024, kLookupsPerBlock = 100 };
enum { kBlockMin = 64 * kKiB, kBlockMax = kMiB, kBlocksMax = NEEDED_BYTES / kBlockMin };

typedef struct {
  void* data;
  uint32_t size;
} Entry;

// Entries from the oldest that is left to the newest, by the order in which they came.
static Entry* g_entries;
static size_t g_oldest, g_newest;
static size_t g_cache_bytes;
static pthread_mutex_t g_cache_lock = PTHREAD_MUTEX_INITIALIZER;

static atomic_uint g_calls, g_calls_that_found_it_locked;
static atomic_size_t g_dropped_bytes;

static void fill_cache(uint32_t* state) {
  g_entries = (Entry*)own_memory(kEntriesMax * sizeof *g_entries);
  while (g_cache_bytes < CACHE_BYTES) {
    EXPECT(g_newest < kEntriesMax);
    const bool large = below(state, 8) == 0;
    const size_t size = large ? between(state, kEntryLargeMin, kEntryLargeMax)
                              : between(state, kEntrySmallMin, kEntrySmallMax);
    g_entries[g_newest] = (Entry){filled(size, (unsigned)g_newest), (uint32_t)size};
    g_cache_bytes += size;
    ++g_newest;
  }
}

static size_t drop_oldest(void) {
  const Entry entry = g_entries[g_oldest];
  check_and_free(entry.data, entry.size, (unsigned)g_oldest);
  ++g_oldest;
  g_cache_bytes -= entry.size;
  return entry.size;
}

static void drop_when_asked(const struct ep_pressure* pressure, uint64_t wanted_bytes,
                            void* argument) {
  EXPECT(argument == g_entries && pressure != NULL);
  atomic_fetch_add(&g_calls, 1);
  // The thread that it is called on may have it.
  if (pthread_mutex_trylock(&g_cache_lock) != 0) {
    atomic_fetch_add(&g_calls_that_found_it_locked, 1);
    return;
  }
  uint64_t dropped_bytes = 0;
  while (dropped_bytes < wanted_bytes && g_oldest < g_newest) dropped_bytes += drop_oldest();
  EXPECT(pthread_mutex_unlock(&g_cache_lock) == 0);
  atomic_fetch_add(&g_dropped_bytes, dropped_bytes);
}

static void read_cache(uint32_t* state) {
  EXPECT(pthread_mutex_lock(&g_cache_lock) == 0);
  for (int i = 0; i < kLookupsPerBlock && g_oldest < g_newest; ++i) {
    const size_t at = g_oldest + below(state, (uint32_t)(g_newest - g_oldest));
    EXPECT(holds(g_entries[at].data, g_entries[at].size, (unsigned)at));
  }
  EXPECT(pthread_mutex_unlock(&g_cache_lock) == 0);
}

static uint64_t max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void need_memory(uint32_t* state, uint64_t bytes_per_s) {
  static struct {
    void* data;
    size_t size;
  } blocks[kBlocksMax];
  const uint64_t start_ns = now_ns();
  uint64_t pause_ns = 0, touch_ns = 0;
  size_t made = 0;
  unsigned count = 0;
  for (; made < NEEDED_BYTES; made += blocks[count++].size) {
    const size_t size = between(state, kBlockMin, kBlockMax);
    const uint64_t before_ns = now_ns();
    blocks[count].data = opaque(malloc(size));
    const uint64_t after_ns = now_ns();
    EXPECT(blocks[count].data != NULL);
    blocks[count].size = size;
    fill(blocks[count].data, size, count);
    touch_ns = max_u64(touch_ns, (now_ns() - after_ns) * kMiB / max_u64(size, kMiB));
    pause_ns = max_u64(pause_ns, after_ns - before_ns);
    read_cache(state);
    if (bytes_per_s != 0) sleep_until_ns(start_ns + (made + size) * 1000 / (bytes_per_s / 1000000));
  }
  const uint64_t took_ns = now_ns() - start_ns;
  printf("pause_max_us=%llu touch_max_us=%llu mb_per_s=%llu ", (unsigned long long)pause_ns / 1000,
         (unsigned long long)touch_ns / 1000, (unsigned long long)(made * 1000 / took_ns));
  for (unsigned i = 0; i < count; ++i) check_and_free(blocks[i].data, blocks[i].size, i);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  const char* listens = argc >= 3 ? argv[2] : "";
  const bool may_be_deaf = strcmp(listens, "where-it-can") == 0;
  const bool is_deaf = strcmp(listens, "deaf") == 0 || (may_be_deaf && (ep_on_pressure == NULL));
  if (!is_deaf) need_pressure_functions();
  uint32_t state = seed_of_run();
  fill_cache(&state);
  if (!is_deaf) EXPECT(ep_on_pressure(drop_when_asked, g_entries) == 0);
  need_memory(&state, strtoull(argv[1], NULL, 10) * 1000000);
  if (!is_deaf) EXPECT(ep_off_pressure(drop_when_asked, g_entries) == 0);
  printf("calls=%u locked=%u dropped_mib=%zu cache_left_mib=%zu\n", atomic_load(&g_calls),
         atomic_load(&g_calls_that_found_it_locked), atomic_load(&g_dropped_bytes) / kMiB,
         g_cache_bytes / kMiB);
  while (g_oldest < g_newest) drop_oldest();
  return 0;
}
