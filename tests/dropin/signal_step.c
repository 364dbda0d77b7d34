// A signal handler that allocates and frees, at each instruction of malloc and of free in turn.
// POSIX permits no such handler; programs have them, and where neither call leaves the fast path it
// gets a block of its own, and the interrupted code as well. So does the program whose handler does
// not come back: it may lose the block that was under way, and nothing else.
//
// A broken allocator counts a block as free before it is where the next malloc looks for it.
#include <setjmp.h>

#include "dropin.h"

#if defined(__x86_64__)

// Of a class some are free, so that nothing takes the slow path, where the locks are.
enum { kFree = 6, kLive = 3, kStepsMax = 500 };
enum { kLiveTag = 3, kOwnTag = 4, kHandlerTag = 5 };

static const size_t sizes[] = {16, 64, 200, 1000};
static size_t size;
static volatile unsigned steps;
static unsigned step_to_stop;
static bool comes_back;
static sigjmp_buf out_of_call;

// The trap flag: SIGTRAP after each instruction, but for those of the handler.
static inline void start_stepping(void) {
  __asm__ volatile(
      "lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

static inline void stop_stepping(void) {
  __asm__ volatile(
      "lea -128(%%rsp), %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

static void on_step(int number) {
  (void)number;
  if (++steps != step_to_stop) return;
  if (!comes_back) siglongjmp(out_of_call, 1);
  void* own = filled(size, kHandlerTag);
  check_and_free(own, size, kHandlerTag);
}

static void expect_all_distinct(void* const* live) {
  void* more[kFree];
  for (int i = 0; i < kFree; ++i) more[i] = filled(size, kOwnTag);
  for (int i = 0; i < kLive; ++i) EXPECT(holds(live[i], size, kLiveTag));
  for (int i = 0; i < kFree; ++i) {
    for (int j = 0; j < i; ++j) EXPECT(more[i] != more[j]);
  }
  for (int i = 0; i < kFree; ++i) check_and_free(more[i], size, kOwnTag);
}

// False: the call was over before that step.
static bool interrupt_at(unsigned step, bool is_free) {
  void* live[kLive];
  void* volatile block = is_free ? opaque(malloc(size)) : NULL;
  // Behind it: what lay in the magazine above what is free now is live.
  for (int i = 0; i < kLive; ++i) live[i] = filled(size, kLiveTag);
  steps = 0;
  step_to_stop = step;
  if (sigsetjmp(out_of_call, 1) == 0) {
    start_stepping();
    if (is_free) {
      free(block);
    } else {
      block = opaque(malloc(size));
    }
    stop_stepping();
    if (!is_free) {
      fill(block, size, kOwnTag);
      expect_all_distinct(live);
      check_and_free(block, size, kOwnTag);
    }
  }
  const bool was_interrupted = steps >= step;
  expect_all_distinct(live);
  for (int i = 0; i < kLive; ++i) check_and_free(live[i], size, kLiveTag);
  return was_interrupted;
}

int main(void) {
  EXPECT(signal(SIGTRAP, on_step) != SIG_ERR);
  for (size_t i = 0; i < 4 * sizeof sizes / sizeof sizes[0]; ++i) {
    size = sizes[i / 4];
    const bool is_free = i % 2 != 0;
    comes_back = i / 2 % 2 != 0;
    unsigned step = 1;
    while (interrupt_at(step, is_free)) {
      EXPECT(++step < kStepsMax);
    }
    EXPECT(step > 10);
  }
  return 0;
}

#else

int main(void) { SKIP("single steps are known of x86-64 alone"); }

#endif
