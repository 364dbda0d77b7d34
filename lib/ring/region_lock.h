// A lock for what is rare: creating groups, writing durable records.
//
// Threads     any, of any process; not from within another such lock.
// Invariant   the word says who holds it, by tag: a holder that died, was fenced or whose lease is
//             over loses it to whoever waits. So what is done under it must stand being broken off
//             at any step, and must not rely on it for what would do harm (changes of ownership
//             expect what was there).
// Bound       nobody waits longer than a lease: the word may have been scribbled over.
// Cost        one change; while somebody holds it, a look a millisecond.
#pragma once

#include <ctime>

#include "ring/member.h"

namespace elasticpool {

class RegionLock {
 public:
  RegionLock(Member& member, SharedU32& word)
      : word_(word), mine_(static_cast<uint32_t>(member.tag)) {
    const uint64_t patience_end_ns = ring_now_ns() + member.lease_ns();
    while (member.is_live()) {
      const uint32_t holder = word_.load_ordered();
      const bool is_free =
          holder == 0 || !holds(*member.region, Tag{holder}) || ring_now_ns() > patience_end_ns;
      if (is_free && word_.change(holder, mine_)) {
        is_held_ = true;
        return;
      }
      member.renew(ring_now_ns());
      const timespec moment{0, 1'000'000};
      nanosleep(&moment, nullptr);
    }
  }
  ~RegionLock() {
    if (is_held_) word_.change(mine_, 0);
  }
  RegionLock(const RegionLock&) = delete;
  RegionLock& operator=(const RegionLock&) = delete;

  // False: this member is fenced.
  bool is_held() const { return is_held_; }

 private:
  static bool holds(const Region& region, Tag holder) {
    if (!is_at_work(region, holder)) return false;
    // Whoever would fence it may be waiting here, too.
    const MemberRecord& record = region.member(place_of(holder));
    const uint64_t lease_until_ns = record.lease_until_ns.load_relaxed();
    if (static_cast<int64_t>(ring_now_ns() - lease_until_ns) > 0) return false;
    return !is_member_gone(region, place_of(holder), record.state.load_acquire());
  }

  SharedU32& word_;
  const uint32_t mine_;
  bool is_held_ = false;
};

}  // namespace elasticpool
