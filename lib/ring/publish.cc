// Producers.
#include "ring/publish.h"

#include <bit>

#include "ring/deadline.h"
#include "ring/futex.h"
#include "ring/holders.h"
#include "ring/pause.h"
#include "ring/prefetch.h"
#include "ring/turn.h"

namespace elasticpool {
namespace {

// A publisher that waits for room looks this often, besides being woken when there is much.
constexpr uint64_t kRoomWaitNs = 10'000'000;
constexpr unsigned kRoomSpins = 64;  // some 5 us
constexpr uint64_t kPassBatch = 64;
// Who owes so much passes messages though another is at it, who may have been stopped.
constexpr uint64_t kPassOverdue = 1024;
// While there is no stream: a few, a power of two, and not the youngest.
constexpr uint64_t kPassFew = 4;
constexpr uint64_t kPassDistance = 64;
// Messages that come closer than this are a stream.
constexpr uint64_t kStreamNs = 300;
// Looks of a batch at the one before it, some 5 us: what a batch of a hundred messages takes.
constexpr unsigned kTurnSpins = 100;
// Messages between the one that is published and the one whose header line is asked for.
constexpr uint64_t kAhead = 8;

}  // namespace

Publisher::Publisher(Region& region, const Member& joined)
    : handle_(region, joined, true, false, 0), cursor_(region.header().tail.load_ordered()) {
  // A hint: not to be believed further than the slots go.
  const uint64_t head = region.header().head.load_ordered();
  if (cursor_ - head > region.geometry().slots) cursor_ = head;
}

ep_ring_error Publisher::reserve(uint64_t bytes, int timeout_ms, ep_ring_buffer* buffer) {
  ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  Deadline deadline(timeout_ms);
  BlockPlace place;
  uint32_t block = kNoBlock;
  bool was_empty = false;
  bool has_spun = false;
  uint64_t taken_out = 0;
  auto search = Pool::Search::kFree;
  for (;;) {
    error = handle_.pool.reserve(bytes, search, &block, &place);
    if (EP_LIKELY(error == EP_RING_OK)) break;
    if (error == EP_RING_CORRUPT) ++handle_.reserved;  // it may be lost in between
    if (error != EP_RING_NO_MEMORY) return error;
    // More than there is, or messages that somebody must pass first.
    if (granules_of(bytes) > handle_.region().geometry().granules_max) return EP_RING_NO_MEMORY;
    // Messages that nobody is there to see stay as long as there is room elsewhere.
    if (search == Pool::Search::kFree) {
      // What it took out may be of other sizes: then the search goes on elsewhere.
      const bool is_likely_here = !has_spun && spin_for_room(false, deadline);
      if (!is_likely_here) search = Pool::Search::kEverywhere;
      has_spun = true;
      continue;
    }
    // Others may publish and pass what is of other sizes for as long as we look.
    const uint64_t taken = handle_.reclaimer.pass(kPassBatch, true);
    taken_out += taken;
    if (handle_.attend() != EP_RING_OK) return EP_RING_FENCED;
    if (taken != 0 && may_go_on(taken_out, deadline)) continue;
    const uint64_t head = handle_.reclaimer.head();
    if (head >= cursor_ && head >= handle_.region().header().tail.load_ordered()) {
      // Another may have taken the messages out since we looked, and freed their blocks.
      if (was_empty) return EP_RING_NO_MEMORY;
      was_empty = true;
      continue;
    }
    was_empty = false;
    // Far behind what we have seen ourselves: a wrong hint.
    if (cursor_ > head && cursor_ - head > 2 * handle_.region().geometry().slots) {
      restore_ring_hints(handle_.region());
    }
    error = make_room(head);
    if (error == EP_RING_FULL) return error;
    if (error == EP_RING_OK && may_go_on(++taken_out, deadline)) continue;
    if (!wait_for_room(deadline)) return timeout_ms == 0 ? EP_RING_NO_MEMORY : EP_RING_TIMEOUT;
    search = Pool::Search::kFree;
    has_spun = false;
    if (handle_.attend() != EP_RING_OK) return EP_RING_FENCED;
  }
  *buffer = handle_.lend(bytes, block, place);
  return EP_RING_OK;
}

ep_ring_error Publisher::adopt(const ep_ring_buffer& buffer, Handle& from) {
  const ep_ring_error error = handle_.attend();
  if (error != EP_RING_OK) return error;
  if (&from.region() != &handle_.region()) return EP_RING_INVALID;
  if (from.attend() != EP_RING_OK) return EP_RING_FENCED;
  BlockPlace place;
  if (!from.is_reserved(buffer, &place)) return EP_RING_INVALID;
  const auto reserved = [&buffer](Tag tag) {
    return block_word(BlockState::kReserved, tag, buffer.generation);
  };
  if (!place.entry->word.change(reserved(from.member.tag), reserved(handle_.member.tag))) {
    return EP_RING_FENCED;
  }
  ++handle_.reserved;
  --from.reserved;
  return EP_RING_OK;
}

ep_ring_error Publisher::prepare(const ep_ring_buffer& buffer, const ep_ring_label* label,
                                 MessageHeader* header, BlockPlace* place) {
  if (!handle_.is_reserved(buffer, place)) return EP_RING_INVALID;
  *header = MessageHeader{};
  header->magic = kMessageMagic;
  header->tag = label != nullptr ? label->tag : 0;
  header->key = label != nullptr ? label->key : 0;
  header->offset = place->offset;
  header->size_bytes = buffer.size;
  header->block = buffer.block;
  header->producer = static_cast<uint16_t>(place_of(handle_.member.tag));
  header->references = group_count_;
  if ((handle_.region().config().flags & EP_RING_CHECK_PAYLOADS) != 0) {
    header->flags = kPayloadChecked;
    header->payload_checksum = crc32c(handle_.region().payload(place->offset), buffer.size);
  }
  return EP_RING_OK;
}

// The claim of sequence cursor_, with everything behind it that whoever finishes it needs.
bool Publisher::claim_slot(HeaderWords& header, const BlockPlace& place, uint32_t prefix) {
  Region& region = handle_.region();
  const uint64_t sequence = cursor_;
  seal_header(header, prefix, sequence);
  // None while it changes: who reads it looks at its sequence before and after.
  SharedLine& intent = handle_.member.record->intent;
  intent.words[0].store_relaxed(0);
  release_fence();
  store_header_body(intent, header);
  store_header_sequence(intent, sequence);
  place.entry->holders.store_relaxed(holder_word(sequence, 0));
  place.entry->word.store_release(
      block_word(BlockState::kAttached, handle_.member.tag, static_cast<uint32_t>(sequence)));
  const uint32_t lap = region.lap_of(sequence);
  return region.slot_word(region.slot_of(sequence))
      .change(empty_slot(lap), slot_word(SlotState::kClaimed, handle_.member.tag, lap));
}

// `line`: the slot's, looked up before the claim. Who is stopped behind the claim and looks it up
// when he comes back is shown the line that another message has got meanwhile.
void Publisher::write_line(const HeaderWords& header, SharedLine& line) {
  store_header_body(line, header);
  store_header_sequence(line, header.word[0]);
}

// Others have published while this one did something else, perhaps whole laps.
void Publisher::catch_up() {
  const uint64_t tail = handle_.region().header().tail.load_ordered();
  cursor_ = tail > cursor_ ? tail : cursor_ + 1;
}

ep_ring_error Publisher::publish_one(HeaderWords& header, const BlockPlace& place) {
  Region& region = handle_.region();
  const uint32_t prefix = header_checksum_prefix(header);
  const uint64_t slots = region.geometry().slots;
  // From the tail there is a place within a lap or there is none; more only where words or the hint
  // are not right.
  bool is_restored = false;
  for (uint64_t i = 0; i <= 4 * slots; ++i) {
    const uint64_t word = region.slot_word(region.slot_of(cursor_)).load_acquire();
    const int32_t ahead = laps_ahead(word, region.lap_of(cursor_));
    if (ahead > 0) {
      // Whole laps, of a batch whose publisher says so at its end, or was stopped in it.
      if (i >= 2 * slots && !is_restored) {
        is_restored = true;
        restore_ring_hints(region);
      }
      catch_up();
      continue;
    }
    if (ahead < 0) {
      // The head lags while somebody passes messages; further off than that the hint is wrong.
      if (is_restored || cursor_ - handle_.reclaimer.head() <= 2 * slots) {
        return unattach(place, EP_RING_FULL);
      }
      is_restored = true;
      restore_ring_hints(region);
      cursor_ = region.header().tail.load_ordered();
      continue;
    }
    SharedLine& line = region.line(region.slot_of(cursor_));
    prefetch_to_write(&region.line(region.slot_of(cursor_ + kAhead)));
    if (slot_state(word) == SlotState::kEmpty && claim_slot(header, place, prefix)) {
      write_line(header, line);
      ++cursor_;
      return EP_RING_OK;
    }
    ++cursor_;
  }
  region.header().corruptions.add(1);
  return unattach(place, EP_RING_CORRUPT);
}

// The block is the producer's again.
ep_ring_error Publisher::unattach(const BlockPlace& place, ep_ring_error error) {
  place.entry->word.store_release(
      block_word(BlockState::kReserved, handle_.member.tag, place.slab_generation));
  return error;
}

// In a stream many at once: that costs less each, and the consumers run behind in one go. Else a
// few, so that no message waits long for what others left; and not the youngest: a look at what a
// consumer is busy with costs it the line that it writes next.
// streamed: messages of a stream that were published just now; 0: there is none.
void Publisher::take_out_some(uint64_t streamed) {
  if (streamed != 0) {
    owed_ += streamed;
    if (owed_ < kPassBatch) return;
    if (handle_.reclaimer.pass_in_turn(owed_, owed_ >= kPassOverdue)) owed_ = 0;
  } else if ((cursor_ & (kPassFew - 1)) == 0 && cursor_ > kPassDistance) {
    handle_.reclaimer.pass(2 * kPassFew, false, cursor_ - kPassDistance);
  }
}

// The slots of a batch lie side by side: they are not claimed in turns with another batch.
void Publisher::take_turn(Turn& turn) const {
  for (unsigned i = 0; i < kTurnSpins; ++i) {
    if (turn.take()) return;
    pause_cpu();
  }
  turn.take_over();
}

// It never goes back: from one that lies laps behind every publisher looks through all that others
// have published since. Refused so often, it is raised by others.
void Publisher::store_tail() {
  SharedU64& tail = handle_.region().header().tail;
  for (unsigned i = 0; i < kMembersMax; ++i) {
    const uint64_t seen = tail.load_relaxed();
    if (seen >= cursor_ || tail.change(seen, cursor_)) return;
  }
}

// keys: of the one message; of several, not 0 where any of them has a key. Who those are for is not
// among the first to be woken: then everybody looks.
void Publisher::tell_consumers(uint64_t first, uint64_t count, uint64_t keys) {
  const uint64_t key = count == 1 ? keys : 0;
  const uint64_t most = key != keys ? kConsumersMax : count;
  // Sequences before sleepers are read; a consumer says that it sleeps before it
  // looks at sequences for the last time
  full_fence();
  Region& region = handle_.region();
  // A group that came after this look has no sleeper yet who has not seen these sequences.
  const uint64_t epoch = region.header().groups_epoch.load_ordered();
  if (EP_UNLIKELY(epoch != groups_epoch_)) look_at_groups(epoch);
  for (uint32_t left = groups_; left != 0; left &= left - 1) {
    const auto i = static_cast<uint32_t>(std::countr_zero(left));
    if (EP_UNLIKELY(region.group(i).sleepers.load_relaxed() != 0)) {
      wake_consumers(region, i, first, key, most);
    }
  }
}

void Publisher::look_at_groups(uint64_t epoch) {
  groups_epoch_ = epoch;
  groups_ = 0;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    const uint64_t word = handle_.region().group(i).state.load_ordered();
    if (group_state(word) != GroupState::kFree) groups_ |= uint32_t{1} << i;
  }
  group_count_ = static_cast<uint16_t>(std::popcount(groups_));
}

// Also from under a consumer's hands: its bytes stay with it until it gives the message up. It
// clears the bit itself, since another who drops the same may rely on it; and not before we are
// done (Deliverer::is_settled). False: its word is of a later message, or cannot be right.
bool Publisher::drop(uint32_t group_index, uint64_t sequence) {
  Region& region = handle_.region();
  GroupRecord& group = region.group(group_index);
  SharedU64& delivery = region.delivery(group_index, region.slot_of(sequence));
  const uint32_t lap = region.lap_of(sequence);
  const uint64_t word = delivery.load_ordered();
  // While we looked it went, and the next one is there.
  if (is_ahead_of(word, lap)) return false;
  const bool is_here = is_of_lap(word, lap);
  if (is_here && delivery_state(word) == DeliveryState::kClaimed &&
      place_of(delivery_tag(word)) < kConsumersMax) {
    drop_in_work(group_index, sequence, word);
    return true;
  }
  // Acknowledged, and needed by a checkpoint.
  const bool is_acked = is_here && delivery_state(word) == DeliveryState::kAcked;
  if (delivery.change(word, delivery_word(DeliveryState::kDropped, kNobody, lap, 0)) && !is_acked) {
    group.dropped.add(1);
  }
  return true;
}

void Publisher::drop_in_work(uint32_t group_index, uint64_t sequence, uint64_t word) {
  Region& region = handle_.region();
  GroupRecord& group = region.group(group_index);
  SharedU64& delivery = region.delivery(group_index, region.slot_of(sequence));
  const Tag consumer = delivery_tag(word);
  MemberRecord& record = *handle_.member.record;
  record.sweeping.store_ordered(place_of(consumer) + 1);
  record.dropping.store_ordered(sequence);
  group.taken_away.add_ordered(1);
  // Who gives it up looks at these behind his change of the word.
  KeptBlock kept;
  if (delivery.load_ordered() == word) kept = keep_for(region, handle_.pool, sequence, consumer);
  const uint32_t lap = region.lap_of(sequence);
  if (delivery.change(word, delivery_word(DeliveryState::kDropped, kNobody, lap, 0))) {
    group.dropped.add(1);
  }
  // Nobody clears the bit of who has left meanwhile.
  if (kept.block != kNoBlock && !is_open(region, consumer) &&
      end_hold(kept.place, sequence, consumer)) {
    handle_.reclaimer.free_if_unheld(kept.block, kept.place);
  }
  record.dropping.store_ordered(0);
  record.sweeping.store_ordered(0);
}

// OK: something changed, try again. FULL: a group's policy says so. TIMEOUT: wait.
ep_ring_error Publisher::make_room(uint64_t held) {
  Region& region = handle_.region();
  if (handle_.reclaimer.pass(kPassBatch, true) != 0) return EP_RING_OK;
  // Another took it out at the same time: what groups say of its slot is about the next message.
  const auto is_gone = [&region, held] {
    const uint64_t word = region.slot_word(region.slot_of(held)).load_ordered();
    return laps_ahead(word, region.lap_of(held)) > 0;
  };
  if (is_gone()) return EP_RING_OK;
  // Nothing is dropped as long as another group keeps the message anyway.
  uint32_t to_drop = 0;
  bool is_blocked = false;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    if (handle_.reclaimer.has_passed(i, held)) continue;
    const GroupRecord& group = region.group(i);
    const uint32_t policy = group.policy.load_relaxed();
    // One that is still being made has neither a policy nor words yet.
    const bool is_made = group_state(group.state.load_ordered()) == GroupState::kActive;
    if (is_made && policy == EP_RING_FAIL) return EP_RING_FULL;
    if (is_made && policy == EP_RING_DROP_OLDEST) {
      to_drop |= uint32_t{1} << i;
    } else {
      is_blocked = true;
    }
  }
  if (!is_blocked && to_drop == 0) {
    // Passed since, or the head says wrongly that it was taken out.
    if (handle_.reclaimer.pass(kPassBatch, true) != 0 || is_gone()) return EP_RING_OK;
    restore_ring_hints(region);
  }
  if (is_blocked || to_drop == 0) return EP_RING_TIMEOUT;
  bool is_changed = false;
  for (uint32_t i = 0; i < kGroupsMax; ++i) {
    if ((to_drop >> i & 1) != 0 && drop(i, held)) is_changed = true;
  }
  return is_changed || is_gone() ? EP_RING_OK : EP_RING_TIMEOUT;
}

// Room was made so often, and others had it. Once round the ring is no waiting.
bool Publisher::may_go_on(uint64_t rooms, Deadline& deadline) const {
  return rooms <= handle_.region().geometry().slots || deadline.left_ns(1) != 0;
}

// A consumer that runs is about to acknowledge something. False: it did not.
bool Publisher::spin_for_room(bool even_unseen, Deadline& deadline) {
  const uint64_t held = handle_.reclaimer.head();
  for (unsigned i = 0; i < kRoomSpins; ++i) {
    // What another takes out makes room as well.
    if (handle_.reclaimer.pass(kPassBatch, even_unseen) != 0) return true;
    if (handle_.reclaimer.head() != held) return true;
    pause_or_yield(i, deadline);
  }
  return false;
}

// False: the time is over.
bool Publisher::wait_for_room(Deadline& deadline) {
  if (deadline.left_ns(1) == 0) return false;
  if (spin_for_room(true, deadline)) return true;
  RegionHeader& header = handle_.region().header();
  const uint32_t seen = header.space_count.load_ordered();
  header.space_waiters.store_ordered(1);
  if (handle_.reclaimer.pass(kPassBatch, true) != 0) return true;
  const uint64_t left = deadline.left_ns(kRoomWaitNs);
  if (left != 0) futex_wait(header.space_count, seen, left);
  return true;
}

ep_ring_error Publisher::publish(const ep_ring_buffer* buffers, size_t count,
                                 const ep_ring_label* labels, int timeout_ms, size_t* published,
                                 uint64_t* last_sequence) {
  *published = 0;
  prefetch_to_write(&handle_.region().line(handle_.region().slot_of(cursor_)));
  const uint64_t timestamp_ns = ring_now_ns();
  ep_ring_error error = handle_.attend(timestamp_ns);
  if (error != EP_RING_OK) return error;
  Deadline deadline(timeout_ms);
  const uint64_t first = cursor_;
  uint64_t keys = 0;
  const bool is_stream = count > 1 || timestamp_ns - published_at_ns_ < kStreamNs;
  published_at_ns_ = timestamp_ns;
  uint64_t rooms = 0;
  Turn turn(handle_.region().header().tail_turn, handle_.member.tag);
  if (count > 1) take_turn(turn);
  while (*published < count) {
    MessageHeader header;
    BlockPlace place;
    error = prepare(buffers[*published], labels != nullptr ? labels + *published : nullptr, &header,
                    &place);
    if (error != EP_RING_OK) break;
    header.timestamp_ns = timestamp_ns;
    HeaderWords words = pack_header(header);
    error = publish_one(words, place);
    if (EP_LIKELY(error == EP_RING_OK)) {
      ++*published;
      keys |= header.key;
      *last_sequence = words.word[0];
      continue;
    }
    if (error != EP_RING_FULL) break;
    // What is out there must be seen before we wait for room.
    turn.give();
    store_tail();
    tell_consumers(first, *published, keys);
    error = handle_.attend();
    if (error != EP_RING_OK) break;
    error = make_room(cursor_ - handle_.region().geometry().slots);
    if (error == EP_RING_OK && may_go_on(++rooms, deadline)) continue;
    if (error != EP_RING_OK && error != EP_RING_TIMEOUT) break;
    error = timeout_ms == 0 ? EP_RING_FULL : EP_RING_TIMEOUT;
    if (!wait_for_room(deadline)) break;
    if (handle_.attend() != EP_RING_OK) error = EP_RING_FENCED;
    if (error == EP_RING_FENCED) break;
  }
  turn.give();
  if (*published == 0) return error;
  store_tail();
  tell_consumers(first, *published, keys);
  published_ += *published;
  handle_.reserved -= *published;
  handle_.member.record->messages.store_relaxed(published_);
  take_out_some(is_stream ? *published : 0);
  return *published == count ? EP_RING_OK : error;
}

}  // namespace elasticpool
