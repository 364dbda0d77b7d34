// malloc before main, in constructors, in atexit handlers and destructors: each stage of a
// program's life allocates, and finds whole, resizes and frees what earlier stages left.
//
// Stages marked "early" run before the preloaded library's own constructor, those marked "late"
// after its destructor may have run: an allocator that is set up in the one and torn down in the
// other dies there.
#include "dropin.h"
#include "early_library.h"

enum { kStages = 7, kBlocksPerStage = 64 };

static struct {
  void* blocks[kBlocksPerStage];
  unsigned tag;
} stages[kStages];
static int stages_done;

static size_t size_of(size_t i) { return i * i * i + 1; }  // 1 byte to 256 KiB

// The first half of a stage's blocks lives to the end, the other half is resized and freed next.
static void pass_stage(void) {
  EXPECT(stages_done < kStages);
  const unsigned tag = (unsigned)stages_done + 1;
  stages[stages_done].tag = tag;
  for (size_t i = 0; i < kBlocksPerStage; ++i) {
    stages[stages_done].blocks[i] = filled(size_of(i), tag);
  }
  if (stages_done > 0) {
    for (size_t i = kBlocksPerStage / 2; i < kBlocksPerStage; ++i) {
      void* old = opaque(realloc(stages[stages_done - 1].blocks[i], size_of(i) * 2));
      check_and_free(old, size_of(i), tag - 1);
    }
  }
  for (int s = 0; s < stages_done; ++s) {
    for (size_t i = 0; i < kBlocksPerStage / 2; ++i) {
      EXPECT(holds(stages[s].blocks[i], size_of(i), stages[s].tag));
    }
  }
  ++stages_done;
}

static void preinit(int argc, char** argv, char** env) {  // early
  (void)argc, (void)argv, (void)env;
  pass_stage();
}
__attribute__((section(".preinit_array"),
               used)) static void (*const preinit_entry)(int, char**, char**) = preinit;

__attribute__((constructor(101))) static void construct_first(void) {
  EXPECT(early_library_is_whole());
  pass_stage();
}

__attribute__((constructor)) static void construct(void) { pass_stage(); }

static void at_exit_first(void) { pass_stage(); }

static void at_exit_last(void) { pass_stage(); }

__attribute__((destructor(101))) static void destroy(void) {  // late, the early library's is later
  pass_stage();
  EXPECT(stages_done == kStages);
  for (int s = 0; s < kStages; ++s) {
    for (size_t i = 0; i < kBlocksPerStage / 2; ++i) free(stages[s].blocks[i]);
  }
  EXPECT(early_library_is_whole());
}

int main(void) {
  EXPECT(stages_done == 3);
  EXPECT(atexit(at_exit_last) == 0 && atexit(at_exit_first) == 0);
  pass_stage();
  return 0;
}
