// See meta_arena.h. Free records are kept in one stack a power of two; they are ours, so the links
// lie in them.
#include "os/meta_arena.h"

#include <cstring>

#include "base/bits.h"
#include "base/lock.h"
#include "base/units.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

constexpr size_t kChunkBytes = 64 * kKiB;
constexpr size_t kRecordBytesMax = 1 * kMiB;
constexpr size_t kSizes = 21;  // 2^0 .. 2^20
static_assert((size_t{1} << (kSizes - 1)) == kRecordBytesMax);

struct FreeRecord {
  FreeRecord* next;
};

struct MetaArena {
  Lock lock{LockRank::kMeta};
  char* next EP_GUARDED_BY(lock) = nullptr;
  char* end EP_GUARDED_BY(lock) = nullptr;
  size_t mapped_bytes EP_GUARDED_BY(lock) = 0;
  FreeRecord* free[kSizes] EP_GUARDED_BY(lock) = {};
};

constinit MetaArena g_arena;

// Powers of two, so that a record that was given back fits the next request of its size.
size_t carved_bytes(size_t bytes) {
  const size_t size = size_t{1} << ceil_log2(bytes);
  return size < kCacheLineBytes ? kCacheLineBytes : size;
}

}  // namespace

void* meta_allocate(size_t bytes) {
  if (bytes == 0 || bytes > kRecordBytesMax) return nullptr;
  const size_t size = carved_bytes(bytes);
  LockGuard guard(g_arena.lock);
  FreeRecord*& stack = g_arena.free[floor_log2(size)];
  if (stack != nullptr) {
    FreeRecord* record = stack;
    stack = record->next;
    memset(record, 0, size);
    return record;
  }
  if (static_cast<size_t>(g_arena.end - g_arena.next) < size) {
    // What is left of the old chunk is less than one record: it is let go.
    const size_t chunk_bytes = size > kChunkBytes ? size : kChunkBytes;
    void* chunk = vm().map_anywhere(chunk_bytes);
    if (chunk == nullptr) return nullptr;
    g_arena.next = static_cast<char*>(chunk);
    g_arena.end = g_arena.next + chunk_bytes;
    g_arena.mapped_bytes += chunk_bytes;
  }
  void* record = g_arena.next;
  g_arena.next += size;
  return record;
}

void meta_give_back(void* record, size_t bytes) {
  if (record == nullptr) return;
  LockGuard guard(g_arena.lock);
  auto* free_record = static_cast<FreeRecord*>(record);
  FreeRecord*& stack = g_arena.free[floor_log2(carved_bytes(bytes))];
  free_record->next = stack;
  stack = free_record;
}

void* meta_map(size_t bytes) {
  void* record = vm().map_anywhere(round_up(bytes, page_bytes()));
  if (record == nullptr) return nullptr;
  LockGuard guard(g_arena.lock);
  g_arena.mapped_bytes += round_up(bytes, page_bytes());
  return record;
}

size_t meta_mapped_bytes() {
  LockGuard guard(g_arena.lock);
  return g_arena.mapped_bytes;
}

void meta_lock_for_fork() EP_NO_THREAD_SAFETY_ANALYSIS { g_arena.lock.lock_for_fork(); }

void meta_unlock_after_fork(bool in_child) EP_NO_THREAD_SAFETY_ANALYSIS {
  g_arena.lock.unlock_after_fork(in_child);
}

}  // namespace elasticpool
