// See slab.h.
#include "slab/slab.h"

#include <atomic>
#include <cstring>

#include "base/check.h"
#include "base/held_memory.h"
#include "os/meta_arena.h"
#include "os/numa.h"
#include "os/vm.h"
#include "slab/quarters.h"

namespace elasticpool {
namespace {

// On a line of its own: it is read at each refill of a magazine.
alignas(kCacheLineBytes) constinit std::atomic<uint64_t> g_slab_bytes{0};

// The record of a slab of the class whose blocks nobody has; nullptr when the system refuses.
Slab* allocate_slab(ClassId id, NodeId node) {
  Zone& zone = zone_of(id);
  if (is_quarter(id)) return quarter_take(zone, node);
  bool zeroed = false;
  void* run = buddy_allocate(zone, node, size_class(id).slab_bytes / kGranuleBytes, &zeroed);
  if (run == nullptr) return nullptr;
  if (has_quarters(zone.kind)) quarters_leave_whole(zone, run);
  Slab* slab = slab_of(zone, run);
  slab->link = {};
  slab->start = address_of(run);
  slab->node = node;
  slab->purged_pages = 0;
  return slab;
}

void free_slab(Slab* slab) {
  Zone& zone = zone_of(slab->class_id);
  if (is_quarter(slab->class_id)) return quarter_put(zone, slab);
  buddy_free(zone, reinterpret_cast<void*>(slab->start));
}

void fill_bits(Slab* slab) {
  const uint32_t words = slab->words();
  for (uint32_t i = 0; i < words; ++i) slab->free_bits[i] = ~uint64_t{0};
  if (slab->blocks % 64 != 0) {
    slab->free_bits[words - 1] = (uint64_t{1} << (slab->blocks % 64)) - 1;
  }
}

// Where a cell has several steps, it says from now on at which of them a block starts, and of which
// class. What an earlier slab has left there goes.
void stamp_cells(const Slab* slab) {
  if (zone_kind_of(slab->class_id) != ZoneKind::kSmall) return;
  const SizeClass& c = size_class(slab->class_id);
  const BlockCode code = code_of(slab->class_id);
  const uintptr_t block_steps = c.block_bytes >> kSmallShape.step_shift;
  // In locals: a store to a cell might change anything, as far as the compiler knows.
  uintptr_t step = step_of_address<kSmallShape>(slab->start);
  const uintptr_t end_step = step + slab->blocks * block_steps;
  memset(&cell_at<kSmallShape>(step), 0, c.slab_bytes >> kSmallShape.unit_shift);
  for (; step != end_step; step += block_steps) {
    cell_at<kSmallShape>(step) = stamp_for<kSmallShape>(code, step);
  }
}

}  // namespace

Slab* slab_create(ClassId id, NodeId node) {
  const SizeClass& c = size_class(id);
  uint64_t* outer_bits = nullptr;
  if (outer_bits_bytes(id) != 0) {
    outer_bits = static_cast<uint64_t*>(meta_allocate(outer_bits_bytes(id)));
    if (outer_bits == nullptr) return nullptr;
  }
  Slab* slab = allocate_slab(id, node);
  if (slab == nullptr) {
    meta_give_back(outer_bits, outer_bits_bytes(id));
    return nullptr;
  }
  slab->free_bits = outer_bits != nullptr ? outer_bits : slab->own_bits;
  slab->home.store(nullptr, std::memory_order_relaxed);
  slab->free_count = c.blocks_per_slab;
  slab->blocks = static_cast<uint16_t>(c.blocks_per_slab);
  slab->hint = 0;
  slab->class_id = id;
  slab->pages = SlabPages::kChanged;
  fill_bits(slab);
  stamp_cells(slab);
  g_slab_bytes.fetch_add(c.slab_bytes, std::memory_order_relaxed);
  return slab;
}

void slab_destroy(Slab* slab) {
  EP_CHECK(slab->free_count == slab->blocks);
  if (slab->purged_pages != 0) count_purged_pages(slab);
  if (slab->free_bits != slab->own_bits) {
    meta_give_back(slab->free_bits, outer_bits_bytes(slab->class_id));
  }
  g_slab_bytes.fetch_sub(size_class(slab->class_id).slab_bytes, std::memory_order_relaxed);
  free_slab(slab);
}

uint64_t slab_bytes() { return g_slab_bytes.load(std::memory_order_relaxed); }

size_t slab_take(Slab* slab, void** blocks, size_t wanted) {
  const size_t block_bytes = block_bytes_of(slab->class_id);
  const uint32_t words = slab->words();
  size_t taken = 0;
  uint32_t word = slab->hint;
  for (; word < words && taken < wanted; ++word) {
    uint64_t bits = slab->free_bits[word];
    const uintptr_t start = slab->start + size_t{word} * 64 * block_bytes;
    for (; bits != 0 && taken < wanted; bits &= bits - 1) {
      const auto bit = static_cast<size_t>(std::countr_zero(bits));
      blocks[taken++] = reinterpret_cast<void*>(start + bit * block_bytes);
    }
    slab->free_bits[word] = bits;
    if (bits != 0) break;
  }
  slab->hint = static_cast<uint8_t>(word);
  // Who takes from it will touch what was given back of it.
  if (EP_UNLIKELY(slab->purged_pages != 0)) tick_growth(count_purged_pages(slab));
  slab->pages = SlabPages::kChanged;
  slab->free_count -= static_cast<uint32_t>(taken);
  return taken;
}

size_t slab_purge(Slab* slab) {
  if (slab->pages == SlabPages::kPurged) return 0;
  slab->pages = SlabPages::kPurged;
  const SizeClass& c = size_class(slab->class_id);
  const Zone& zone = zone_of(slab->class_id);
  const size_t page = page_bytes();
  size_t returned_bytes = 0;
  uint32_t run_start = 0;
  for (uint32_t i = 0; i <= slab->blocks; ++i) {
    if (i < slab->blocks && (slab->free_bits[i / 64] >> (i % 64) & 1) != 0) continue;
    // Block i is out, or the end: [run_start, i) is free.
    const uintptr_t from = round_up(slab->start + size_t{run_start} * c.block_bytes, page);
    const uintptr_t to = free_pages_end(c, slab->start, i, page);
    run_start = i + 1;
    if (from >= to || !buddy_return_pages(zone, from, to - from)) continue;
    returned_bytes += to - from;
  }
  // Those of an earlier time are among them.
  count_purged_pages(slab);
  discharge(returned_bytes);
  slab->purged_pages = static_cast<uint16_t>(returned_bytes / page);
  return returned_bytes;
}

size_t count_purged_pages(Slab* slab) {
  const size_t bytes = slab->purged_pages * page_bytes();
  slab->purged_pages = 0;
  correct_held(static_cast<int64_t>(bytes));
  return bytes;
}

}  // namespace elasticpool
