// The helper thread of a process that has threads of its own: gives idle memory back.
//
// Who may call  heap/. Any thread.
// Starts        when the program has threads and a heap of MEMPOOL_HELPER_HEAP: where it makes a
//               thread, or where its heap has grown (caretaker_want(), caretaker_start()). Never in
//               a process that has no threads: a second one would break unshare(), sandboxes and
//               programs that fork.
// Ends          when the program is back to one thread: before pthread_join returns to it, or,
//               where threads end without one, within a second. The program's next thread brings it
//               back (unless very many come and go). The child of a fork has none until it makes a
//               thread.
// While it runs the tiers keep what they free, whatever their own bound (`hold`), and it alone
//               gives back: what was free all the time for a window (low_water.h), and of slabs
//               that did not change for a while the pages on which only free blocks lie.
// Locks         none of its own; the tiers' functions take theirs.
//               What goes back goes in bites of 16 MiB, with a pause in which others get the tier.
// Cost          one round a second, and none once nothing has changed for a minute, until something
//               does (caretaker_wake_if_asleep()) or memory is short (kernel_hints.h); a round
//               takes each tier's lock for a number. While it runs, a join reads the list of
//               threads; the last one waits for it, some 10 ms for each trigger of kernel_hints.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/annotations.h"

namespace elasticpool {

struct WatchedTier {
  size_t (*free_bytes)();         // free and resident now
  size_t (*least_free_bytes)();   // the least of that since the last call
  uint64_t (*regretted_bytes)();  // given back and taken again, so far
  size_t (*release)(size_t keep_bytes);
};

struct CaretakerHooks {
  const WatchedTier* tiers;
  size_t tier_count;
  // Pages of slabs that did not change since the call before; marks those that did. The bytes.
  size_t (*purge_settled)();
  // The tiers keep what they free (true), or what their own bound says. Takes no lock.
  void (*hold)(bool);
  size_t (*bound_bytes)();
  // Threads that use the heap: what is known of how many there are.
  size_t (*threads)();
  // Free blocks in slabs: changes with each batch that comes or goes.
  uint64_t (*slab_room_bytes)();
  // The heap that a process must have.
  size_t (*heap_bytes_min)();
  // The helper's first act: it is no thread that uses the heap.
  void (*enter)();
  // Time has passed: once a round.
  void (*beat)();
};
inline constexpr size_t kWatchedTiersMax = 4;

// Once, at boot.
void set_caretaker_hooks(const CaretakerHooks& hooks);

// The program has made a thread just now.
void caretaker_note_thread();
// The heap has grown: asks for work at the edge (edge_work.h) where the helper is missing.
void caretaker_want();
// Starts it where it is missing. Where the program itself could make a thread: not while libc holds
// locks of its own around a call of malloc.
void caretaker_start();
// The same at the edge of a request; unless the program has no threads any more.
void caretaker_start_wanted();

// Something has changed: memory was taken or given back by batches. A load and a branch.
struct CaretakerCall {
  static constexpr uint32_t kBusy = 0;  // it rests for a round at most
  static constexpr uint32_t kAsleep = 1;
  static constexpr uint32_t kStop = 2;
};
extern std::atomic<uint32_t> g_caretaker_call;
void caretaker_wake();
EP_ALWAYS_INLINE void caretaker_wake_if_asleep() {
  if (EP_UNLIKELY(g_caretaker_call.load(std::memory_order_relaxed) == CaretakerCall::kAsleep)) {
    caretaker_wake();
  }
}

// A thread of the program has ended; the helper is waited for (unless it is asleep on descriptors
// that the program has closed) when at most `threads_left` use the
// heap. 1: for whoever has joined it. 0: for the thread that ends, before it does: libc calls
// exit() on the last thread of a process, and that must not be the helper with its small stack.
void caretaker_note_end(size_t threads_left);
// In the child of a fork, after its locks were released.
void caretaker_after_fork_in_child();

}  // namespace elasticpool
