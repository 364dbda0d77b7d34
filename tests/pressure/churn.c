// A live heap of at most 140 MiB is replaced all the time, 400 MiB a second on four threads.
//
//   churn SECONDS
//
// In a group of 256 MiB, with no option set: what is free on the way may not pile up. Of the bytes
// a quarter is in blocks of 16 bytes to 1 KiB, a quarter up to 64 KiB, half up to 4 MiB. Every
// fourth small block is freed by another thread than made it. Contents are checked at each free.
// Prints how fast it was in fact.
#include <stdatomic.h>

#include "pressure_test.h"

enum { kThreads = 4, kLiveMaxMib = 140, kMibPerSecond = 400, kSlots = 65536, kHandOverSlots = 64 };

#define SHARE_BYTES ((size_t)kLiveMaxMib * kMiB / kThreads)

typedef struct {
  void* data;
  uint32_t size;
  uint32_t tag;
} Block;

// A circle of blocks, the oldest first.
typedef struct {
  Block blocks[kSlots];
  size_t first, count, bytes;
} Heap;

// Blocks that wait for another thread to free them. What is in it counts for the share of the one
// that made it: it makes no more of them while they lie there.
static struct {
  pthread_mutex_t lock;
  Block blocks[kHandOverSlots];
  unsigned count;
} g_hand_over = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t g_end_ns;
static atomic_ullong g_made_bytes;

static size_t size_in_turn(uint32_t* state) {
  // By count, so that bytes come out as said: the means are 0.5, 32 and 2048 KiB.
  const uint32_t kind = below(state, 1 + 32 + 2048);
  if (kind == 0) return between(state, 64 * kKiB, 4 * kMiB);
  return kind <= 32 ? between(state, kKiB, 64 * kKiB) : between(state, 16, kKiB);
}

static void end_block(const Block* block) { check_and_free(block->data, block->size, block->tag); }

static Block take_oldest(Heap* heap) {
  const Block block = heap->blocks[heap->first];
  heap->first = (heap->first + 1) % kSlots;
  --heap->count;
  heap->bytes -= block.size;
  return block;
}

// Puts this block there for another thread, and takes one away for it that may be another's.
static void exchange(Block* block, uint32_t* state) {
  EXPECT(pthread_mutex_lock(&g_hand_over.lock) == 0);
  if (g_hand_over.count < kHandOverSlots) {
    g_hand_over.blocks[g_hand_over.count++] = *block;
    block->data = NULL;
  } else {
    const unsigned at = below(state, kHandOverSlots);
    const Block other = g_hand_over.blocks[at];
    g_hand_over.blocks[at] = *block;
    *block = other;
  }
  EXPECT(pthread_mutex_unlock(&g_hand_over.lock) == 0);
}

static void make_room(Heap* heap, size_t size, uint32_t* state) {
  while (heap->count == kSlots || heap->bytes + size > SHARE_BYTES) {
    Block block = take_oldest(heap);
    // Small ones, so that those which lie in between are no share worth counting.
    if (block.size <= kKiB && below(state, 4) == 0) exchange(&block, state);
    if (block.data != NULL) end_block(&block);
  }
}

static void* churn(void* argument) {
  Heap* heap = (Heap*)own_memory(sizeof *heap);
  uint32_t state = seed_of_run() ^ (uint32_t)(uintptr_t)argument * 40503u;
  if (state == 0) state = 1;
  const uint64_t start_ns = now_ns();
  uint64_t made = 0;
  for (uint64_t now = start_ns; now < g_end_ns; now = now_ns()) {
    for (const uint64_t step = made + kMiB; made < step;) {
      const size_t size = size_in_turn(&state);
      make_room(heap, size, &state);
      const uint32_t tag = next_random(&state);
      heap->blocks[(heap->first + heap->count) % kSlots] =
          (Block){filled(size, tag), (uint32_t)size, tag};
      ++heap->count;
      heap->bytes += size;
      made += size;
    }
    sleep_until_ns(start_ns + made * 1000 / (kMibPerSecond / kThreads) * 1000000 / kMiB);
  }
  atomic_fetch_add(&g_made_bytes, made);
  while (heap->count > 0) {
    const Block block = take_oldest(heap);
    end_block(&block);
  }
  EXPECT(munmap(heap, sizeof *heap) == 0);
  return NULL;
}

int main(int argc, char** argv) {
  const double seconds = argc == 2 ? strtod(argv[1], NULL) : 0;
  EXPECT(seconds > 0);
  g_end_ns = now_ns() + (uint64_t)(seconds * 1e9);
  run_threads(kThreads, churn);
  for (unsigned i = 0; i < g_hand_over.count; ++i) end_block(&g_hand_over.blocks[i]);
  printf("mib_per_s=%.0f\n", (double)atomic_load(&g_made_bytes) / kMiB / seconds);
  return 0;
}
