// The heap of this process: what malloc and free are made of.
//
// Who may call  preload/, stats/, pools/. This folder alone knows all the tiers.
// Errors        nullptr when the system refuses memory, with everything as it was; errno is never
//               touched (the C interface sets it). Misuse ends the process through base/die.h.
//
// --- Concurrency, on one page --------------------------------------------------------------------
//
// Who owns what                                                guarded by              rank
//   a thread       its ThreadCache (magazines, runs)           nobody else writes to it
//   a CPU          its current slab of each class              CpuCache::lock          kCpu
//   a node's bin   the partial and full slabs of one class     NodeBin::lock           kNode
//   a node         free quarters of granules, in two zones     QuarterPool::lock       kQuarter
//                  its frames, in each of three zones          FrameHeap::lock         kBuddy
//   the process    extents                                     see large/extents.h     kLarge
//                  growth of a zone                            Zone::growth_lock       kZone
//                  records of our own                          MetaArena::lock         kMeta
//                  the list of thread caches, slabs' peak      Registry::lock          kThreads
//                  limits, listeners, what was last seen       see pressure/governor.h kPressure
//                  boot                                        g_boot_lock             kBoot
// Locks are taken in rising rank only; fork takes all but the last in that order (boot is over by
// then).
//
// What is read without a lock
//   the block maps  one byte a unit, written by whoever hands the block out or takes it back. The
//                   program orders the two: who frees a block has its address from who allocated
//                   it.
//   a zone's limit  only grows, before the first block of the new frame is handed out.
//   slab->home      a guess, checked again under the lock of the home that it names.
//   counters        the pool of magazine capacity (magazine/capacity_pool.h), how many share it,
//                   the helper's beats, frames' surplus: relaxed sums, which order nothing; a
//                   reader that is late sizes something a little differently.
//   CPU -> cache    given at a CPU's first use (percpu/cpu_cache.h); who reads an old one works on
//                   another CPU's slabs: slower, never wrong.
//   the extent map  see large/extents.h.
//   slab_bytes()    a sum that only says when to look again at how full slabs are.
//   held memory     sums, a limit, and a clock that says when to look at limits; relaxed.
//
// The helper thread (pressure/caretaker.h) owns nothing: it works through the tiers' functions,
// under their locks, like any thread. It is started and waited for where pthread_create and
// pthread_join return, or started behind a request that was not libc's own, with no lock of ours
// held; a few atomics of its own say whether it runs. What a look at the limits does runs on it, or
// on the thread whose request made the heap grow, behind that request; the program's listeners
// behind one that was not libc's own.
//
// Two threads that free the same block at the same instant (a bug of theirs) may both find the map
// cell set, and each may hand it out again; the slab's bitmap, or the frame's count of granules,
// sees it if both copies come home.
// -------------------------------------------------------------------------------------------------
#pragma once

#include <cstddef>
#include <cstdint>

namespace elasticpool {

// Alignment of each: kMinAlignBytes unless asked for more. Cost: the fast path 13 to 25
// instructions (heap/fast_path.h); a miss one lock; a new frame or extent one system call.
void* heap_allocate(size_t bytes);
void* heap_allocate_zeroed(size_t bytes);
// align_bytes: a power of two, up to 2^62 (nullptr when there is no room for it).
void* heap_allocate_aligned(size_t bytes, size_t align_bytes);
// block may be nullptr; bytes > 0. The old block stays whole on failure.
void* heap_reallocate(void* block, size_t bytes);
// block may be nullptr. A block of libc's own goes there.
void heap_free(void* block);

// The parts of the above behind the fast path.
void* heap_allocate_slow(size_t bytes);
void heap_free_slow(void* block);

// Bytes that the program may use of the block; 0 for nullptr.
size_t heap_usable_bytes(const void* block);
// What heap_usable_bytes would say of heap_allocate(bytes); 0 when that is refused anyway.
size_t heap_good_bytes(size_t bytes, size_t align_bytes);

// Gives free memory back until at most keep_bytes a tier stay resident; the bytes returned, at
// most: a page that was never touched counts too.
size_t heap_trim(size_t keep_bytes);

// The program has made a thread: it may have a helper thread from now on (pressure/caretaker.h).
// The caller holds no lock of ours.
void heap_note_thread();
// After a request of the program's own: the helper starts where the heap has grown to want one, and
// the program's listeners are asked (pressure/edge_work.h). `caller`: where the request came from;
// libc's own is none.
void heap_work_at_edge(const void* caller);
// The program has waited for one. When it was the last, the helper is gone when this returns.
void heap_note_join();

// Before main, with the environment as the loader has it; malloc may have been called before.
void heap_start(char** environment);

}  // namespace elasticpool
