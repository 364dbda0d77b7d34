// How frames come and go. See frame_heap.h.
#include "buddy/frame_heap.h"

#include "base/held_memory.h"
#include "buddy/frame_pages.h"
#include "os/numa.h"
#include "os/vm.h"
#include "tune/options.h"

namespace elasticpool {

constinit std::atomic<bool> g_may_be_huge{true};

namespace {

constexpr size_t kFramesPerGigantic = kGiB / kFrameBytes;

// Mapped, placed, and every byte of it zero.
void start_frame(FrameHeap& heap, Frame* frame, NodeId node, FramePages pages)
    EP_REQUIRES(heap.lock) {
  frame->free = kAllFree;
  frame->dirty = 0;
  frame->node = node;
  frame->mapped = true;
  frame->pages = pages;
  ++heap.stats.frames;
  heap.stats.huge_frames += pages == FramePages::kHuge;
  heap.stats.hugetlb_frames += is_hugetlb(pages);
  heap.insert(frame);
}

// All of it is free and unmapped. What was dirty is what went back; the bytes of that.
size_t end_frame(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock) {
  release_map(zone, frame_number(zone, frame));
  heap.remove(frame);
  --heap.stats.frames;
  heap.stats.huge_frames -= frame->pages == FramePages::kHuge;
  if (is_hugetlb(frame->pages)) {
    --heap.stats.hugetlb_frames;
    heap.hugetlb.note_returned();
  }
  const auto dirty_granules = static_cast<unsigned>(std::popcount(frame->dirty));
  heap.stats.free_dirty_granules -= dirty_granules;
  frame->returned |= frame->dirty;
  frame->dirty = 0;
  frame->free = 0;
  frame->mapped = false;
  heap.absent.push_front(frame);
  discharge(dirty_granules * kGranuleBytes);
  return dirty_granules * kGranuleBytes;
}

// Mapped with such pages, not started: one whose memory had gone back, or a new one.
Frame* map_frame(Zone& zone, FrameHeap& heap, PageSize pages) EP_REQUIRES(heap.lock) {
  while (Frame* frame = heap.absent.pop_front()) {
    const MapStatus status = map_pages_at(frame_start(zone, frame), kFrameBytes, pages);
    if (status == MapStatus::kMapped) return frame;
    if (status == MapStatus::kNoMemory) {
      heap.absent.push_front(frame);
      return nullptr;
    }
    // Somebody else has mapped something there meanwhile: the addresses are lost to us.
  }
  size_t number = 0;
  if (grow_zone(zone, 1, pages, &number) != GrowStatus::kGrown) return nullptr;
  return frame_at(zone, number);
}

// Puts the pages of a mapped range of the pool where they belong. False: there are none after all,
// and the range is unmapped, or if not even that can be done, lost.
bool populate_hugetlb(Zone& zone, FrameHeap& heap, size_t first, size_t frames, NodeId node)
    EP_REQUIRES(heap.lock) {
  const uintptr_t start = zone.frame_address(first);
  numa_place(start, frames * kFrameBytes, node);
  if (vm().populate(start, frames * kFrameBytes)) return true;
  if (!vm().unmap(start, frames * kFrameBytes)) return false;
  for (size_t i = frames; i-- > 0;) heap.absent.push_front(frame_at(zone, first + i));
  return false;
}

// All frames of a new 1 GiB page; false: none.
bool add_gigantic_page(Zone& zone, FrameHeap& heap, NodeId node) EP_REQUIRES(heap.lock) {
  size_t first = 0;
  if (grow_zone(zone, kFramesPerGigantic, PageSize::k1GiB, &first) != GrowStatus::kGrown) {
    return false;
  }
  if (!populate_hugetlb(zone, heap, first, kFramesPerGigantic, node)) return false;
  // The lowest is used first.
  for (size_t i = kFramesPerGigantic; i-- > 0;) {
    start_frame(heap, frame_at(zone, first + i), node, FramePages::kGigantic);
  }
  return true;
}

Frame* add_hugetlb_frame(Zone& zone, FrameHeap& heap, NodeId node) EP_REQUIRES(heap.lock) {
  Frame* frame = map_frame(zone, heap, PageSize::k2MiB);
  if (frame == nullptr) return nullptr;
  if (!populate_hugetlb(zone, heap, frame_number(zone, frame), 1, node)) return nullptr;
  start_frame(heap, frame, node, FramePages::kHugetlb);
  return frame;
}

// From the kernel's pool; nullptr: it has none for us, or had none lately.
Frame* try_hugetlb(Zone& zone, FrameHeap& heap, NodeId node) EP_REQUIRES(heap.lock) {
  const HugetlbPolicy policy = options().hugetlb;
  if (policy == HugetlbPolicy::kOff) return nullptr;
  // One try in 1 GiB of growth: where another page may begin.
  const bool is_large = heap.stats.used_granules >= FrameHeap::kGiganticGranules;
  if (policy == HugetlbPolicy::k1G && is_large && heap.absent.empty() &&
      add_gigantic_page(zone, heap, node)) {
    return heap.fullest_with(kOrders - 1);
  }
  if (!heap.hugetlb.should_try()) return nullptr;
  Frame* frame = add_hugetlb_frame(zone, heap, node);
  if (frame == nullptr) {
    heap.hugetlb.note_refused();
  } else {
    heap.hugetlb.note_granted();
  }
  return frame;
}

FramePages choose_pages(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock) {
  // Small pages first, so that there is something to compare with.
  const bool dense = g_may_be_huge.load(std::memory_order_relaxed) &&
                     heap.stats.used_granules >= FrameHeap::kDenseGranules &&
                     heap.payoff.knows_small() && heap.payoff.should_try();
  return advise_new_frame(frame_start(zone, frame), dense);
}

bool may_release(const Frame& frame) {
  if (is_hugetlb(frame.pages)) {
    return frame.pages == FramePages::kHugetlb && frame.free == kAllFree;
  }
  return (frame.dirty & frame.free) != 0 || frame.free == kAllFree;
}

// Sends the dirty free granules of a frame back; the whole frame where nothing of it is used.
size_t release_frame(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock) {
  const uintptr_t start = frame_start(zone, frame);
  FrameBits going = frame->dirty & frame->free;
  size_t returned_bytes = 0;
  if (frame->free == kAllFree && vm().unmap(start, kFrameBytes)) {
    returned_bytes = end_frame(zone, heap, frame);
  } else if (going != 0) {
    tear_frame(zone, heap, frame);
    while (going != 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(going));
      const auto count = static_cast<unsigned>(std::countr_one(going >> first));
      const FrameBits bits = run_bits(first, count);
      going &= ~bits;
      const uintptr_t from = start + first * kGranuleBytes;
      if (!return_pages(from, count * kGranuleBytes, frame->pages)) continue;
      numa_place(from, count * kGranuleBytes, frame->node);
      frame->dirty &= ~bits;
      frame->returned |= bits;
      heap.stats.free_dirty_granules -= count;
      discharge(count * kGranuleBytes);
      returned_bytes += count * kGranuleBytes;
    }
  }
  heap.stats.returned_bytes += returned_bytes;
  return returned_bytes;
}

// Whether it is the first of a 1 GiB page of which nothing is used.
bool begins_empty_gigantic_page(const Zone& zone, const Frame* frame) {
  const size_t first = frame_number(zone, frame);
  if (frame->pages != FramePages::kGigantic || zone.frame_address(first) % kGiB != 0) return false;
  for (size_t i = 0; i < kFramesPerGigantic; ++i) {
    if (frame_at(zone, first + i)->free != kAllFree) return false;
  }
  return true;
}

}  // namespace

void tear_frame(const Zone& zone, FrameHeap& heap, Frame* frame) {
  heap.stats.huge_frames -= frame->pages == FramePages::kHuge;
  frame->pages = advise_torn_frame(frame_start(zone, frame), frame->pages);
}

Frame* add_frame(Zone& zone, FrameHeap& heap, NodeId node) {
  if (Frame* frame = try_hugetlb(zone, heap, node)) return frame;
  Frame* frame = map_frame(zone, heap, PageSize::kBase);
  if (frame == nullptr) return nullptr;
  numa_place(frame_start(zone, frame), kFrameBytes, node);
  start_frame(heap, frame, node, choose_pages(zone, heap, frame));
  return frame;
}

// Emptiest frames first: what lies free in full ones is wanted again soonest.
size_t release_until(const Zone& zone, FrameHeap& heap, size_t keep_bytes) {
  size_t returned_bytes = 0;
  for (unsigned used = 0; used < FrameHeap::kUsedLevels; ++used) {
    for (unsigned order = kOrders; order-- > 0;) {
      Frame* following = nullptr;
      for (Frame* frame = heap.by_order[order][used].front(); frame != nullptr; frame = following) {
        if (heap.releasable_bytes() <= keep_bytes) return returned_bytes;
        following = FrameHeap::FrameList::next(frame);
        if (may_release(*frame)) {
          returned_bytes += release_frame(zone, heap, frame);
        }
      }
    }
  }
  return returned_bytes;
}

size_t release_gigantic_pages(const Zone& zone, FrameHeap& heap) {
  size_t returned_bytes = 0;
  Frame* following = nullptr;
  for (Frame* frame = heap.by_order[kOrders - 1][0].front(); frame != nullptr; frame = following) {
    following = FrameHeap::FrameList::next(frame);
    if (!begins_empty_gigantic_page(zone, frame)) continue;
    if (!vm().unmap(frame_start(zone, frame), kGiB)) continue;
    const size_t first = frame_number(zone, frame);
    for (size_t i = kFramesPerGigantic; i-- > 0;) {
      returned_bytes += end_frame(zone, heap, frame_at(zone, first + i));
    }
    // The one that followed may have been of that page.
    following = heap.by_order[kOrders - 1][0].front();
  }
  heap.stats.returned_bytes += returned_bytes;
  return returned_bytes;
}

}  // namespace elasticpool
