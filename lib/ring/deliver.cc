// Consumers: finding, claiming and giving up messages.
#include "ring/deliver.h"

#include "ring/durable.h"
#include "ring/futex.h"
#include "ring/pause.h"
#include "ring/prefetch.h"

namespace elasticpool {
namespace {

// A message without a key that its member leaves lying this long is anybody's.
constexpr uint64_t kStealAfterNs = 20'000;
// Skipped messages that one look at an empty ring goes over.
constexpr uint64_t kSkippedPerLook = 64;
constexpr uint64_t kPassBatch = 64;
// Messages between the one that is taken and the one whose header is asked for.
constexpr uint64_t kAhead = 6;
// So many messages without an empty look between them.
constexpr uint64_t kStream = 16;
// A cache line of delivery words.
constexpr uint64_t kDeliveriesAhead = kLineBytes / sizeof(uint64_t);
// Acknowledged messages for which publishers are woken that wait for room.
constexpr uint64_t kWorthWaking = 1024;
// Empty looks without waiting between two passes; one after which it sleeps counts as half of them.
constexpr uint32_t kLooksPerPass = 4096;

// Sequences are claimed in order: from the first empty slot on they are all still to come. The
// hints tell where to look: the tail is late by what publishers have in their batches, the head by
// what one pass goes over. Where they are off by more than the ring, everything is looked at again.
uint64_t first_to_come(const Region& region) {
  const uint64_t slots = region.geometry().slots;
  const uint64_t head = region.header().head.load_ordered();
  const uint64_t tail = region.header().tail.load_ordered();
  const uint64_t from = head > tail ? head : tail;
  for (uint64_t sequence = from; sequence - from < slots; ++sequence) {
    const uint64_t word = region.slot_word(region.slot_of(sequence)).load_ordered();
    const int32_t ahead = laps_ahead(word, region.lap_of(sequence));
    if (ahead < 0 || (ahead == 0 && slot_state(word) == SlotState::kEmpty)) return sequence;
  }
  return UINT64_MAX;
}

}  // namespace

Deliverer::Deliverer(Region& region, const Member& joined, uint32_t group, uint64_t private_bytes)
    : handle_(region, joined, false, private_bytes != 0, private_bytes),
      group_index_(group),
      group_(region.group(group)),
      epoch_(group_.epoch.load_ordered() - 1),
      drops_(group_.policy.load_relaxed() == EP_RING_DROP_OLDEST),
      settled_(region, group_, *handle_.member.record),
      has_slabs_(private_bytes != 0) {
  verify_until_ = first_to_come(region);
}

void Deliverer::start_over(uint32_t epoch) {
  epoch_ = epoch;
  const uint64_t members = group_.members.load_ordered();
  membership_ = Membership(members);
  rank_ = membership_.rank_of(place_of(handle_.member.tag));
  const uint64_t head = handle_.region().header().head.load_ordered();
  const uint64_t start = group_.start_sequence.load_relaxed();
  // A start in the future waits until it comes; one far off is waited for at the tail.
  scan_ = settled_.look_again_from(head > start ? head : start, skipped_, members, epoch);
  skipped_ = scan_;
  again_ = scan_;
  blocked_ = Lanes{};
  blocked_again_ = Lanes{};
}

// The line does not hold this sequence. Mostly it is still to come.
Deliverer::Look Deliverer::look_without_line(uint64_t sequence, uint64_t line_sequence) {
  Region& region = handle_.region();
  if (line_sequence == 0 || line_sequence + region.geometry().slots == sequence) {
    return Look::kNothing;
  }
  const uint64_t word = region.slot_word(region.slot_of(sequence)).load_ordered();
  const int32_t ahead = laps_ahead(word, region.lap_of(sequence));
  if (ahead > 0) return Look::kLapped;
  if (ahead < 0 || slot_state(word) == SlotState::kEmpty) return Look::kNothing;
  // Its publisher, or who helps that, is about to write it.
  if (slot_state(word) == SlotState::kClaimed && !is_at_work(region, slot_tag(word))) {
    return Look::kNothing;
  }
  if (is_line_written(region, sequence, LineWriters::kOfThis)) return Look::kNothing;
  // Between our looks its line may have been exchanged, or the slot gone on.
  if (region.line(region.slot_of(sequence)).words[0].load_acquire() == sequence ||
      region.slot_word(region.slot_of(sequence)).load_ordered() != word) {
    return Look::kSkipped;
  }
  // Published, and not there: scribbled over.
  SharedU64& delivery = this->delivery(sequence);
  const uint64_t value = delivery.load_acquire();
  if (!is_unclaimed(value, region.lap_of(sequence))) return Look::kPassed;
  const uint64_t claimed = claimed_word(sequence, 1);
  if (!delivery.change(value, claimed)) return Look::kPassed;
  return give_up_corrupt(sequence, claimed);
}

Deliverer::Look Deliverer::give_up_corrupt(uint64_t sequence, uint64_t claimed) {
  delivery(sequence).change(claimed, delivery_word(DeliveryState::kDropped, kNobody,
                                                   handle_.region().lap_of(sequence), 0));
  handle_.region().header().corruptions.add(1);
  return Look::kCorrupt;
}

bool Deliverer::is_for_us(uint64_t sequence, uint64_t delivery, const MessageHeader& header,
                          bool may_steal, Lanes& blocked) const {
  const Region& region = handle_.region();
  const bool is_returned = is_of_lap(delivery, region.lap_of(sequence));
  if (header.key != 0 && blocked.has(Membership::lane_of(header.key))) return false;
  // What was handed to somebody waits for him as long as he is there.
  if (is_returned && is_at_work(region, delivery_tag(delivery))) {
    return delivery_tag(delivery) == handle_.member.tag;
  }
  if (header.key != 0) return membership_.rank_for(sequence, header.key) == rank_;
  if (is_returned) return true;
  if (membership_.count() <= 1 || membership_.rank_for(sequence, 0) == rank_) return true;
  return may_steal && looked_at_ns_ > header.timestamp_ns + kStealAfterNs;
}

// The group may have come while this message was on its way out. Who takes it out is refused from
// the group's creation on, so what is in its slot now stays until the group has passed it.
bool Deliverer::is_still_there(uint64_t sequence) const {
  const Region& region = handle_.region();
  const uint64_t word = region.slot_word(region.slot_of(sequence)).load_ordered();
  return slot_lap(word) == region.lap_of(sequence) && slot_state(word) != SlotState::kEmpty;
}

// The header is a copy that is not checked yet: what a group has not passed does not change, so it
// is as good behind the claim, and the processor does both at once.
Deliverer::Look Deliverer::claim(uint64_t sequence, uint64_t delivery, const HeaderWords& words,
                                 ep_ring_message* message) {
  Region& region = handle_.region();
  const uint32_t lap = region.lap_of(sequence);
  const uint32_t deliveries = next_delivery(delivery, lap);
  const uint64_t claimed = claimed_word(sequence, deliveries);
  if (!this->delivery(sequence).change(delivery, claimed)) return Look::kPassed;
  if (sequence < claimed_first_) claimed_first_ = sequence;
  if (sequence >= claimed_end_) claimed_end_ = sequence + 1;
  if (EP_UNLIKELY(sequence < verify_until_) && !is_still_there(sequence)) {
    this->delivery(sequence).change(claimed,
                                    delivery_word(DeliveryState::kDropped, kNobody, lap, 0));
    return Look::kPassed;
  }
  // All that may be read. Whether the block is what its header says is for who frees it.
  const auto header = unpack_header(words);
  const uint64_t pool_bytes = region.payload_bytes_max();
  const bool is_right = is_whole(words) && header.size_bytes <= pool_bytes &&
                        header.offset <= pool_bytes - header.size_bytes;
  if (EP_UNLIKELY(!is_right)) return give_up_corrupt(sequence, claimed);
  const unsigned char* data = region.payload(header.offset);
  prefetch_to_read(data);
  if (membership_.count() <= 1) prefetch_to_write(&this->delivery(sequence + kDeliveriesAhead));
  if ((header.flags & kPayloadChecked) != 0 &&
      crc32c(data, header.size_bytes) != header.payload_checksum) {
    return give_up_corrupt(sequence, claimed);
  }
  *message = {data,       header.size_bytes, sequence,   header.key,  header.timestamp_ns,
              header.tag, header.producer,   deliveries, header.block};
  ++delivered_;
  settled_.claimed(sequence);
  if (EP_UNLIKELY(drops_ || !kept_.is_empty())) take_into_work(*message);
  if (EP_UNLIKELY(deliveries > 1)) {
    ++redelivered_;
    handle_.member.record->redelivered.store_relaxed(redelivered_);
    group_.redeliveries.add(1);
    region.header().redeliveries.add(1);
  }
  return Look::kTaken;
}

// Told from the key alone, without a look at the whole header: most of what a member of many sees.
// The sequence was read before. A key that is scribbled over makes it somebody's all the same,
// who finds out; that of a message to come means that this one is gone, and needs no order.
bool Deliverer::is_for_another(uint64_t sequence, uint64_t delivery, const SharedLine& line,
                               Lanes& blocked) const {
  // Who something was returned to is a longer story.
  if (membership_.count() <= 1 || is_of_lap(delivery, handle_.region().lap_of(sequence))) {
    return false;
  }
  const uint64_t key = line.words[kHeaderKeyWord].load_relaxed();
  if (membership_.rank_for(sequence, key) == rank_) return false;
  if (key != 0) blocked.add(Membership::lane_of(key));
  return true;
}

Deliverer::Look Deliverer::look_at(uint64_t sequence, bool may_steal, Lanes& blocked,
                                   ep_ring_message* message) {
  Region& region = handle_.region();
  const SharedLine& line = region.line(region.slot_of(sequence));
  const uint64_t line_sequence = line.words[0].load_acquire();
  if (line_sequence != sequence) return look_without_line(sequence, line_sequence);
  const uint64_t word = delivery(sequence).load_acquire();
  const bool is_free = is_unclaimed(word, region.lap_of(sequence));
  // Claimed by another: its lane is blocked, also where we believe to be alone, since who joined a
  // moment ago may have it.
  if (!is_free && (delivery_state(word) != DeliveryState::kClaimed ||
                   delivery_tag(word) == handle_.member.tag)) {
    return Look::kPassed;
  }
  if (is_free && !may_steal && is_for_another(sequence, word, line, blocked)) return Look::kSkipped;
  const HeaderWords words = copy_header(line, sequence);
  const auto header = unpack_header(words);
  const uint32_t lane = Membership::lane_of(header.key);
  if (!is_free) {
    if (header.key != 0) blocked.add(lane);
    return header.key != 0 ? Look::kSkipped : Look::kPassed;
  }
  if (!is_for_us(sequence, word, header, may_steal, blocked)) {
    // What comes later in its lane must wait for it.
    if (header.key != 0) blocked.add(lane);
    return Look::kSkipped;
  }
  const Look look = claim(sequence, word, words, message);
  if (look == Look::kPassed && header.key != 0) {
    blocked.add(lane);
    return Look::kSkipped;
  }
  return look;
}

Deliverer::Look Deliverer::look_at_skipped(ep_ring_message* message) {
  if (skipped_ < scan_) looked_at_ns_ = ring_now_ns();
  for (uint64_t i = 0; i < kSkippedPerLook && skipped_ < scan_; ++i) {
    if (again_ >= scan_) {
      // The pass is over: what it saw of the lanes holds for what comes.
      blocked_ = blocked_again_;
      blocked_again_ = Lanes{};
      again_ = skipped_;
    }
    const Look look = look_at(again_, true, blocked_again_, message);
    if (look != Look::kSkipped && again_ == skipped_) ++skipped_;
    ++again_;
    if (again_ < skipped_) again_ = skipped_;
    if (look == Look::kTaken || look == Look::kCorrupt) return look;
  }
  if (skipped_ >= scan_) blocked_ = Lanes{};
  return Look::kNothing;
}

// Later messages have the slots of what is next for us: that was dropped, laps of it perhaps.
void Deliverer::catch_up() {
  const Region& region = handle_.region();
  const uint64_t head = region.header().head.load_ordered();
  // A hint: not to be believed where its slot says otherwise.
  const uint64_t word = region.slot_word(region.slot_of(head)).load_ordered();
  if (head <= scan_ || laps_ahead(word, region.lap_of(head)) != 0) return;
  scan_ = head;
  if (skipped_ < head) skipped_ = head;
  if (again_ < head) again_ = head;
  blocked_ = Lanes{};
}

ep_ring_error Deliverer::try_get(ep_ring_message* messages, size_t capacity, size_t* count) {
  const uint32_t epoch = group_.epoch.load_acquire();
  if (EP_UNLIKELY(epoch != epoch_)) {
    // From then on every look says so.
    if (handle_.member.record->leave_wanted.load_relaxed() == leave_mark(handle_.member.tag)) {
      return EP_RING_STOPPED;
    }
    start_over(epoch);
  }
  settled_.tell(scan_, skipped_, claimed_end_);
  // Once round the ring: more only where words are not right.
  uint64_t end = scan_ + handle_.region().geometry().slots;
  bool has_caught_up = false;
  while (*count < capacity && scan_ <= end) {
    if (EP_UNLIKELY(drops_)) {
      if (!kept_.make_room()) return *count != 0 ? EP_RING_OK : EP_RING_NO_MEMORY;
      // Before the claim: who drops what we claim counts it later.
      taken_away_ = static_cast<uint32_t>(group_.taken_away.load_ordered());
    }
    Look look = look_at(scan_, false, blocked_, messages + *count);
    if (EP_UNLIKELY(look == Look::kLapped) && !has_caught_up) {
      has_caught_up = true;
      catch_up();
      end = scan_ + handle_.region().geometry().slots;
      continue;
    }
    if (look != Look::kNothing) {
      if (look != Look::kSkipped && skipped_ == scan_) ++skipped_;
      ++scan_;
    } else if (skipped_ != scan_ && *count == 0) {
      look = look_at_skipped(messages + *count);
    }
    if (look == Look::kTaken) ++*count;
    // Where many were waiting others will be, too. A line that is still to be written is left to
    // who writes it.
    if (look != Look::kNothing) {
      ++streak_;
    } else if (streak_ != 0) {
      last_streak_ = streak_;
      streak_ = 0;
    }
    if (streak_ > kAhead) {
      prefetch_to_read(&handle_.region().line(handle_.region().slot_of(scan_ + kAhead)));
    }
    if (look == Look::kCorrupt) corrupt_is_told_ = false;
    if (look == Look::kCorrupt || !corrupt_is_told_) break;
    if (look == Look::kNothing) break;
  }
  if (*count != 0) return EP_RING_OK;
  if (corrupt_is_told_) return EP_RING_EMPTY;
  corrupt_is_told_ = true;
  return EP_RING_CORRUPT;
}

// False: there is something after all.
bool Deliverer::say_asleep() {
  group_.sleepers.set_bits(holder_bit(handle_.member.tag));
  // Says that it sleeps before it looks for the last time
  full_fence();
  const Region& region = handle_.region();
  const uint64_t slot = region.slot_of(scan_);
  // A later message in its slot: laps were dropped since we looked.
  const uint64_t word = region.slot_word(slot).load_ordered();
  return region.line(slot).words[0].load_acquire() != scan_ &&
         laps_ahead(word, region.lap_of(scan_)) <= 0 && group_.epoch.load_ordered() == epoch_;
}

void Deliverer::sleep(uint64_t ns) {
  SharedU32& wake = handle_.member.record->wake_count;
  const uint32_t seen = wake.load_ordered();
  // What others left lying is anybody's after a moment.
  if (skipped_ != scan_ && ns > kStealAfterNs) ns = kStealAfterNs;
  if (say_asleep()) futex_wait(wake, seen, ns);
  group_.sleepers.clear_bits(holder_bit(handle_.member.tag));
}

// Between two looks at an empty ring; false: the time is over.
// Who has nothing to do for long takes out what all have passed. Not at once: publishers do that as
// they go, and keep the blocks at hand.
bool Deliverer::poll(Deadline& deadline) {
  if (EP_UNLIKELY(loose_ != 0)) settle_loose();
  const uint64_t left = deadline.left_ns(kWatchIntervalNs);
  const uint32_t passes = empty_looks_ / kLooksPerPass;
  empty_looks_ += left != 0 ? kLooksPerPass / 2 : 1;
  if (empty_looks_ / kLooksPerPass != passes) handle_.reclaimer.pass(kPassBatch * 4, false);
  // What was acknowledged before they waited they have seen themselves.
  if (acknowledged_to_waiters_ != 0) {
    acknowledged_to_waiters_ = 0;
    handle_.reclaimer.wake_publishers();
  }
  if (left == 0) return false;
  sleep(left);
  return true;
}

ep_ring_error Deliverer::get(int timeout_ms, ep_ring_message* messages, size_t capacity,
                             size_t* count) {
  constexpr unsigned kSpins = 160;  // some 20 us: what waking somebody takes
  *count = 0;
  ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  Deadline deadline(timeout_ms);
  for (;;) {
    error = try_get(messages, capacity, count);
    for (unsigned i = 0; error == EP_RING_EMPTY && timeout_ms != 0 && i < kSpins; ++i) {
      // Who has caught up with a stream does not wait for an answer.
      pause_or_yield(last_streak_ >= kStream ? kLooksAlone + i : i, deadline);
      error = try_get(messages, capacity, count);
    }
    if (error != EP_RING_EMPTY) break;
    if (!poll(deadline)) {
      if (!has_events_ || say_asleep()) break;
      error = try_get(messages, capacity, count);
      break;
    }
    error = handle_.attend();
    if (error != EP_RING_OK) return error;
  }
  if (*count != 0) {
    empty_looks_ = 0;
    handle_.member.record->messages.store_relaxed(delivered_);
  }
  return error;
}

// Publishers wait: they take out themselves what was acknowledged, once it is enough to be worth a
// sleep and a wake. For less they look by themselves after a moment (kRoomWaitNs), or we wake them
// when we have nothing left.
void Deliverer::acknowledged_to_waiter() {
  const RegionHeader& header = handle_.region().header();
  const uint64_t held = header.tail.load_relaxed() - header.head.load_relaxed();
  ++acknowledged_to_waiters_;
  if (acknowledged_to_waiters_ < kWorthWaking && acknowledged_to_waiters_ < held / 8) return;
  acknowledged_to_waiters_ = 0;
  handle_.reclaimer.wake_publishers();
}

// What we had claimed is in that state from now on; false: it was not ours any more.
EP_ALWAYS_INLINE bool Deliverer::end_work(const ep_ring_message& message, DeliveryState state,
                                          Tag tag) {
  const uint32_t deliveries = message.deliveries & kDeliveriesMax;
  const uint32_t lap = handle_.region().lap_of(message.sequence);
  const uint64_t claimed = claimed_word(message.sequence, deliveries);
  const bool is_ours =
      delivery(message.sequence).change(claimed, delivery_word(state, tag, lap, deliveries));
  const bool was_kept = EP_UNLIKELY(!kept_.is_empty()) && give_up(message);
  if (EP_LIKELY(is_ours) || was_kept) settled_.given_up(message.sequence);
  return is_ours;
}

ep_ring_error Deliverer::ack(const ep_ring_message& message) {
  if (EP_UNLIKELY(!handle_.member.is_live())) return EP_RING_FENCED;
  if (!end_work(message, DeliveryState::kAcked, handle_.member.tag)) return EP_RING_GONE;
  handle_.member.record->acknowledged.store_relaxed(++acknowledged_);
  // After the change: a publisher says that it waits before it looks at our word for the last time.
  if (EP_UNLIKELY(handle_.region().header().space_waiters.load_ordered() != 0)) {
    acknowledged_to_waiter();
  }
  return EP_RING_OK;
}

ep_ring_error Deliverer::release(const ep_ring_message& message, Tag to) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  if (!end_work(message, DeliveryState::kReturned, to)) return EP_RING_GONE;
  count_return(group_);
  stir_group(handle_.region(), group_index_);
  return EP_RING_OK;
}

// ---- Blocks of its own.

ep_ring_error Deliverer::reserve(uint64_t bytes, ep_ring_buffer* buffer) {
  ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  BlockPlace place;
  uint32_t block = kNoBlock;
  error = handle_.pool.reserve(bytes, Pool::Search::kFree, &block, &place);
  if (error == EP_RING_NO_MEMORY) {
    // All that has passed, before the whole pool is looked through.
    handle_.reclaimer.pass(handle_.region().geometry().slots, false);
    error = handle_.pool.reserve(bytes, Pool::Search::kEverywhere, &block, &place);
  }
  if (error == EP_RING_CORRUPT) ++handle_.reserved;  // it may be lost in between
  if (error != EP_RING_OK) return error;
  *buffer = handle_.lend(bytes, block, place);
  return EP_RING_OK;
}

// ---- Checkpoints.

void Deliverer::return_messages(uint64_t after, bool acknowledged_too, Tag to) {
  Region& region = handle_.region();
  // By what we know ourselves: head and tail are hints.
  const uint64_t slots = region.geometry().slots;
  uint64_t sequence = claimed_end_ > slots ? claimed_end_ - slots : 0;
  if (sequence < claimed_first_) sequence = claimed_first_;
  if (sequence <= after) sequence = after + 1;
  bool any = false;
  for (; sequence < claimed_end_; ++sequence) {
    SharedU64& word = delivery(sequence);
    const uint64_t value = word.load_ordered();
    if (!is_of_lap(value, region.lap_of(sequence)) || delivery_tag(value) != handle_.member.tag) {
      continue;
    }
    const DeliveryState state = delivery_state(value);
    if (state != DeliveryState::kClaimed && (state != DeliveryState::kAcked || !acknowledged_too)) {
      continue;
    }
    const uint64_t returned =
        delivery_word(DeliveryState::kReturned, to, region.lap_of(sequence), delivery_count(value));
    if (!word.change(value, returned)) continue;
    if (state == DeliveryState::kClaimed) {
      settled_.given_up(sequence);
      KeptMessage* kept = kept_.find(sequence);
      if (kept != nullptr) kept->is_in_work = false;
    }
    any = true;
  }
  if (any) count_return(group_);
}

ep_ring_error Deliverer::checkpoint(uint64_t sequence) {
  ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  MemberRecord& record = *handle_.member.record;
  if (record.name.get() == NameText{} || sequence == kNoCheckpoint) return EP_RING_INVALID;
  const uint64_t last = record.checkpoint.load_relaxed();
  if (last != kNoCheckpoint && sequence < last) return EP_RING_INVALID;
  if (handle_.region().config().is_durable != 0) {
    error = write_durable_record(handle_.member, record, sequence);
    if (error != EP_RING_OK) return error;
  }
  record.checkpoint.store_release(sequence);
  handle_.reclaimer.pass(kPassBatch * 4, false);
  return EP_RING_OK;
}

ep_ring_error Deliverer::recover(uint64_t* sequence) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  const uint64_t checkpoint = handle_.member.record->checkpoint.load_relaxed();
  const uint64_t after = checkpoint == kNoCheckpoint ? 0 : checkpoint;
  return_messages(after, checkpoint != kNoCheckpoint, handle_.member.tag);
  give_up_behind(after);
  stir_group(handle_.region(), group_index_);
  *sequence = after + 1;
  return EP_RING_OK;
}

ep_ring_error Deliverer::renew() {
  handle_.member.renew_at_ns = 0;
  return handle_.attend();
}

void Deliverer::close(Tag to) {
  handle_.member.record->checkpoint.store_release(kNoCheckpoint);
  if (handle_.member.is_live()) return_messages(0, false, to);
  const bool has_none =
      !has_slabs_ && handle_.reserved == 0 && handle_.member.is_live() && let_all_go();
  handle_.leave(has_none ? Leftovers::kNone : Leftovers::kSome);
}

}  // namespace elasticpool
