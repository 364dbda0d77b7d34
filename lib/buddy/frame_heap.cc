// How frames come and go. See frame_heap.h.
#include "buddy/frame_heap.h"

#include "buddy/frame_pages.h"
#include "os/numa.h"
#include "os/vm.h"

namespace elasticpool {
namespace {

void choose_pages(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock) {
  // Small pages first, so that there is something to compare with.
  const bool dense = heap.stats.used_granules >= FrameHeap::kDenseGranules &&
                     heap.payoff.knows_small() && heap.payoff.should_try();
  frame->pages = advise_new_frame(frame_start(zone, frame), dense);
  heap.stats.huge_frames += frame->pages == FramePages::kHuge;
}

void start_frame(const Zone& zone, FrameHeap& heap, Frame* frame, NodeId node)
    EP_REQUIRES(heap.lock) {
  numa_place(frame_start(zone, frame), kFrameBytes, node);
  frame->free = kAllFree;
  frame->dirty = 0;
  frame->node = node;
  frame->mapped = true;
  choose_pages(zone, heap, frame);
  ++heap.stats.frames;
  heap.insert(frame);
}

// Sends the dirty free granules of a frame back; the whole frame where nothing of it is used.
size_t release_frame(const Zone& zone, FrameHeap& heap, Frame* frame) EP_REQUIRES(heap.lock) {
  const uintptr_t start = frame_start(zone, frame);
  FrameBits going = frame->dirty & frame->free;
  size_t returned_bytes = 0;
  if (frame->free == kAllFree && vm().unmap(start, kFrameBytes)) {
    release_map(zone, frame_number(zone, frame));
    heap.remove(frame);
    heap.stats.huge_frames -= frame->pages == FramePages::kHuge;
    frame->mapped = false;
    frame->free = 0;
    heap.absent.push_front(frame);
    --heap.stats.frames;
    returned_bytes = static_cast<size_t>(std::popcount(going)) * kGranuleBytes;
    heap.stats.free_dirty_granules -= static_cast<unsigned>(std::popcount(going));
    frame->returned |= going;
    frame->dirty = 0;
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
      returned_bytes += count * kGranuleBytes;
    }
  }
  heap.stats.returned_bytes += returned_bytes;
  return returned_bytes;
}

}  // namespace

void tear_frame(const Zone& zone, FrameHeap& heap, Frame* frame) {
  heap.stats.huge_frames -= frame->pages == FramePages::kHuge;
  frame->pages = advise_torn_frame(frame_start(zone, frame), frame->pages);
}

Frame* add_frame(Zone& zone, FrameHeap& heap, NodeId node) {
  while (Frame* frame = heap.absent.pop_front()) {
    const uintptr_t address = frame_start(zone, frame);
    const MapStatus status = vm().map_at(address, kFrameBytes);
    if (status == MapStatus::kMapped) {
      start_frame(zone, heap, frame, node);
      return frame;
    }
    if (status == MapStatus::kNoMemory) {
      heap.absent.push_front(frame);
      return nullptr;
    }
    // Somebody else has mapped something there meanwhile: the addresses are lost to us.
  }
  size_t number = 0;
  if (grow_zone(zone, 1, PageSize::kBase, &number) != GrowStatus::kGrown) return nullptr;
  Frame* frame = frame_at(zone, number);
  start_frame(zone, heap, frame, node);
  return frame;
}

// Emptiest frames first: what lies free in full ones is wanted again soonest.
size_t release_until(const Zone& zone, FrameHeap& heap, size_t keep_bytes) {
  size_t returned_bytes = 0;
  for (unsigned used = 0; used < FrameHeap::kUsedLevels; ++used) {
    for (unsigned order = kOrders; order-- > 0;) {
      Frame* following = nullptr;
      for (Frame* frame = heap.by_order[order][used].front(); frame != nullptr; frame = following) {
        if (heap.free_dirty_bytes() <= keep_bytes) return returned_bytes;
        following = FrameHeap::FrameList::next(frame);
        if ((frame->dirty & frame->free) != 0 || frame->free == kAllFree) {
          returned_bytes += release_frame(zone, heap, frame);
        }
      }
    }
  }
  return returned_bytes;
}

}  // namespace elasticpool
