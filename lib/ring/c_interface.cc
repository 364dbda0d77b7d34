// The functions of <elasticpool/ring.h>: arguments are checked here, and nothing else is done.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "include/elasticpool/ring.h"
#include "ring/deliver.h"
#include "ring/event_thread.h"
#include "ring/inspect.h"
#include "ring/join_group.h"
#include "ring/publish.h"
#include "ring/region.h"
#include "ring/region_file.h"
#include "ring/visit.h"

#define EP_EXPORT extern "C" __attribute__((visibility("default")))

using elasticpool::Deliverer;
using elasticpool::EventThread;
using elasticpool::kConsumersMax;
using elasticpool::kMembersMax;
using elasticpool::kNameBytes;
using elasticpool::Member;
using elasticpool::MemberName;
using elasticpool::name_text;
using elasticpool::Pool;
using elasticpool::Publisher;
using elasticpool::Region;
using elasticpool::with_place;

// A ring is its region; the types of the header are names for ours.
struct ep_ring {};
struct ep_ring_producer {
  ep_ring_producer(Region& region, const Member& member) : publisher(region, member) {}
  Publisher publisher;
};
struct ep_ring_consumer {
  ep_ring_consumer(Region& region, const Member& member, uint32_t group, uint64_t private_bytes)
      : deliverer(region, member, group, private_bytes) {}
  Deliverer deliverer;
  EventThread events;
};

namespace {

Region* region_of(ep_ring* ring) { return reinterpret_cast<Region*>(ring); }
const Region* region_of(const ep_ring* ring) { return reinterpret_cast<const Region*>(ring); }
ep_ring* ring_of(Region* region) { return reinterpret_cast<ep_ring*>(region); }

bool is_name(const char* name) {
  return name != nullptr && name[0] != '\0' && strnlen(name, kNameBytes) < kNameBytes;
}

bool are_possible(const ep_ring_group_options& options) {
  return options.start <= EP_RING_SEQUENCE && options.policy <= EP_RING_FAIL;
}

template <typename T, typename... Arguments>
T* make(Arguments&&... arguments) {
  void* place = aligned_alloc(alignof(T) < 64 ? 64 : alignof(T), (sizeof(T) + 63) / 64 * 64);
  return place == nullptr ? nullptr : new (place) T(static_cast<Arguments&&>(arguments)...);
}

int finish_attach(ep_ring_error error, Region* region, ep_ring** ring) {
  if (error != EP_RING_OK) return error;
  elasticpool::watch_now(*region);
  *ring = ring_of(region);
  return EP_RING_OK;
}

}  // namespace

EP_EXPORT const char* ep_ring_strerror(int error) noexcept {
  static constexpr const char* kTexts[] = {
      "success",
      "no message is waiting",
      "the ring is full: a group lags behind by all of it",
      "the ring was still full when the time was over",
      "the pool has no block of that size left",
      "no space is left on the file system",
      "an argument cannot be right",
      "the file is no ring",
      "the ring was made by another version of the library",
      "the file is shorter than its ring",
      "the ring holds what cannot be right",
      "a ring or consumer of that name exists",
      "there is no ring or group of that name",
      "permission denied",
      "no place is left for a further producer, consumer or group, or it is used",
      "the lease ran out and others took over: close the handle",
      "the message is not with this consumer any more",
      "the consumer is asked to leave",
      "the ring is not finished: its creator is at work, or died",
      "a system call failed",
  };
  static_assert(sizeof(kTexts) / sizeof(kTexts[0]) == EP_RING_SYSTEM + 1);
  return error >= 0 && error <= EP_RING_SYSTEM ? kTexts[error] : "unknown error";
}

// ---- Regions.

EP_EXPORT void ep_ring_options_init(struct ep_ring_options* options) noexcept {
  *options = {};
  options->pool_bytes = size_t{64} << 20;
  options->slots = 16384;
  options->mode = 0600;
  options->lease_ms = 10000;
}

EP_EXPORT int ep_ring_create(const char* name, const struct ep_ring_options* options,
                             ep_ring** ring) noexcept {
  ep_ring_options defaults;
  ep_ring_options_init(&defaults);
  Region* region = nullptr;
  const ep_ring_error error =
      Region::create(name, options != nullptr ? *options : defaults, &region);
  if (error == EP_RING_OK) *ring = ring_of(region);
  return error;
}

EP_EXPORT int ep_ring_attach(const char* name, uint32_t flags, ep_ring** ring) noexcept {
  Region* region = nullptr;
  const ep_ring_error error = Region::attach(name, flags, &region);
  return finish_attach(error, region, ring);
}

EP_EXPORT int ep_ring_attach_fd(int fd, uint32_t flags, ep_ring** ring) noexcept {
  Region* region = nullptr;
  const ep_ring_error error = Region::attach_fd(fd, flags, &region);
  return finish_attach(error, region, ring);
}

EP_EXPORT int ep_ring_fd(const ep_ring* ring) noexcept { return region_of(ring)->fd(); }

EP_EXPORT void ep_ring_detach(ep_ring* ring) noexcept {
  if (ring != nullptr) Region::close(region_of(ring));
}

EP_EXPORT int ep_ring_remove(const char* name) noexcept { return Region::remove(name); }

EP_EXPORT int ep_ring_remove_stale(const char* name) noexcept {
  ep_ring* ring = nullptr;
  int error = ep_ring_attach(name, EP_RING_READ_ONLY_PAYLOADS, &ring);
  if (error != EP_RING_OK) return error;
  // A process may have closed the descriptor and be at work all the same.
  error = elasticpool::has_live_members(*region_of(ring)) ? EP_RING_BUSY
                                                          : region_of(ring)->remove_alone(name);
  const int saved_errno = errno;
  ep_ring_detach(ring);
  errno = saved_errno;
  return error;
}

EP_EXPORT bool ep_ring_is_used(ep_ring* ring) noexcept {
  return elasticpool::is_attached_elsewhere(ep_ring_fd(ring)) ||
         elasticpool::has_live_members(*region_of(ring));
}

EP_EXPORT unsigned ep_ring_watch(ep_ring* ring) noexcept {
  return elasticpool::watch_now(*region_of(ring));
}

// ---- Producers.

EP_EXPORT int ep_ring_producer_open(ep_ring* ring, ep_ring_producer** producer) noexcept {
  Region& region = *region_of(ring);
  if (!region.may_write_payloads()) return EP_RING_DENIED;
  Member member;
  const ep_ring_error error =
      elasticpool::join(region, kConsumersMax, kMembersMax, MemberName{}, &member);
  if (error != EP_RING_OK) return error;
  *producer = make<ep_ring_producer>(region, member);
  if (*producer != nullptr) return EP_RING_OK;
  Publisher(region, member).close();
  return EP_RING_NO_MEMORY;
}

EP_EXPORT void ep_ring_producer_close(ep_ring_producer* producer) noexcept {
  if (producer == nullptr) return;
  producer->publisher.close();
  free(producer);
}

EP_EXPORT int ep_ring_reserve(ep_ring_producer* producer, size_t size, int timeout_ms,
                              struct ep_ring_buffer* buffer) noexcept {
  return producer->publisher.reserve(size, timeout_ms, buffer);
}

EP_EXPORT int ep_ring_discard(ep_ring_producer* producer, struct ep_ring_buffer* buffer) noexcept {
  return producer->publisher.discard(*buffer);
}

EP_EXPORT int ep_ring_publish(ep_ring_producer* producer, struct ep_ring_buffer* buffer,
                              const struct ep_ring_label* label, int timeout_ms,
                              uint64_t* sequence) noexcept {
  size_t published = 0;
  uint64_t last = 0;
  const int error = producer->publisher.publish(buffer, 1, label, timeout_ms, &published, &last);
  if (sequence != nullptr && error == EP_RING_OK) *sequence = last;
  return error;
}

EP_EXPORT int ep_ring_publish_batch(ep_ring_producer* producer, struct ep_ring_buffer* buffers,
                                    size_t count, const struct ep_ring_label* labels,
                                    int timeout_ms, size_t* published) noexcept {
  uint64_t last = 0;
  return producer->publisher.publish(buffers, count, labels, timeout_ms, published, &last);
}

// ---- Groups.

EP_EXPORT int ep_ring_group_create(ep_ring* ring, const char* name,
                                   const struct ep_ring_group_options* options) noexcept {
  const ep_ring_group_options chosen = options != nullptr ? *options : ep_ring_group_options{};
  if (!is_name(name) || !are_possible(chosen)) return EP_RING_INVALID;
  return with_place(*region_of(ring), [name, &chosen](Member& member, Pool&) {
    uint32_t index = 0;
    return elasticpool::create_group(member, name_text(name), chosen, &index);
  });
}

EP_EXPORT int ep_ring_group_remove(ep_ring* ring, const char* name) noexcept {
  if (!is_name(name)) return EP_RING_INVALID;
  return elasticpool::remove_group(*region_of(ring), name_text(name));
}

// ---- Consumers.

namespace {

elasticpool::Tag find_consumer(const Region& region, uint32_t group, const char* name) {
  if (!is_name(name)) return elasticpool::kNobody;
  for (uint32_t place = 0; place < kConsumersMax; ++place) {
    const elasticpool::MemberRecord& record = region.member(place);
    const uint64_t word = record.state.load_acquire();
    if (elasticpool::member_state(word) == elasticpool::MemberState::kLive &&
        record.group.load_relaxed() == group && record.name.get() == name_text(name)) {
      return elasticpool::tag_at(place, word);
    }
  }
  return elasticpool::kNobody;
}

}  // namespace

EP_EXPORT int ep_ring_consumer_open(ep_ring* ring, const struct ep_ring_consumer_options* options,
                                    ep_ring_consumer** consumer) noexcept {
  Region& region = *region_of(ring);
  if (!is_name(options->group) || (options->name != nullptr && !is_name(options->name)) ||
      !are_possible(options->group_options)) {
    return EP_RING_INVALID;
  }
  Member member;
  uint32_t group = 0;
  const ep_ring_error error = elasticpool::join_group(region, *options, &member, &group);
  if (error != EP_RING_OK) return error;
  *consumer = make<ep_ring_consumer>(region, member, group, options->private_bytes);
  if (*consumer != nullptr) return EP_RING_OK;
  Deliverer(region, member, group, 0).close(elasticpool::kNobody);
  return EP_RING_NO_MEMORY;
}

EP_EXPORT void ep_ring_consumer_close(ep_ring_consumer* consumer,
                                      const char* transfer_to) noexcept {
  if (consumer == nullptr) return;
  consumer->events.stop();
  Deliverer& deliverer = consumer->deliverer;
  deliverer.close(find_consumer(deliverer.handle().region(), deliverer.group(), transfer_to));
  consumer->~ep_ring_consumer();
  free(consumer);
}

EP_EXPORT int ep_ring_get(ep_ring_consumer* consumer, int timeout_ms,
                          struct ep_ring_message* message) noexcept {
  size_t count = 0;
  return consumer->deliverer.get(timeout_ms, message, 1, &count);
}

EP_EXPORT int ep_ring_get_batch(ep_ring_consumer* consumer, int timeout_ms,
                                struct ep_ring_message* messages, size_t capacity,
                                size_t* count) noexcept {
  *count = 0;
  if (capacity == 0) return EP_RING_INVALID;
  return consumer->deliverer.get(timeout_ms, messages, capacity, count);
}

EP_EXPORT int ep_ring_ack(ep_ring_consumer* consumer,
                          const struct ep_ring_message* message) noexcept {
  return consumer->deliverer.ack(*message);
}

EP_EXPORT int ep_ring_ack_batch(ep_ring_consumer* consumer, const struct ep_ring_message* messages,
                                size_t count) noexcept {
  int result = EP_RING_OK;
  for (size_t i = 0; i < count; ++i) {
    const int error = consumer->deliverer.ack(messages[i]);
    if (error != EP_RING_OK) result = error;
  }
  return result;
}

EP_EXPORT int ep_ring_release(ep_ring_consumer* consumer,
                              const struct ep_ring_message* message) noexcept {
  return consumer->deliverer.release(*message, elasticpool::kNobody);
}

EP_EXPORT int ep_ring_hold(ep_ring_consumer* consumer,
                           const struct ep_ring_message* message) noexcept {
  return consumer->deliverer.hold(*message);
}

EP_EXPORT int ep_ring_unhold(ep_ring_consumer* consumer,
                             const struct ep_ring_message* message) noexcept {
  return consumer->deliverer.unhold(*message);
}

EP_EXPORT int ep_ring_consumer_reserve(ep_ring_consumer* consumer, size_t size,
                                       struct ep_ring_buffer* buffer) noexcept {
  const Region& region = consumer->deliverer.handle().region();
  if (!region.may_write_payloads()) return EP_RING_DENIED;
  return consumer->deliverer.reserve(size, buffer);
}

EP_EXPORT int ep_ring_consumer_discard(ep_ring_consumer* consumer,
                                       struct ep_ring_buffer* buffer) noexcept {
  return consumer->deliverer.discard(*buffer);
}

EP_EXPORT int ep_ring_adopt(ep_ring_producer* producer, ep_ring_consumer* from,
                            const struct ep_ring_buffer* buffer) noexcept {
  return producer->publisher.adopt(*buffer, from->deliverer.handle());
}

EP_EXPORT int ep_ring_consumer_eventfd(ep_ring_consumer* consumer) noexcept {
  return consumer->events.start(consumer->deliverer);
}

EP_EXPORT int ep_ring_renew(ep_ring_consumer* consumer) noexcept {
  return consumer->deliverer.renew();
}

// ---- Checkpoints.

EP_EXPORT int ep_ring_checkpoint(ep_ring_consumer* consumer, uint64_t sequence) noexcept {
  return consumer->deliverer.checkpoint(sequence);
}

EP_EXPORT int ep_ring_recover(ep_ring_consumer* consumer, uint64_t* sequence) noexcept {
  return consumer->deliverer.recover(sequence);
}

EP_EXPORT int ep_ring_cleanup_before(ep_ring* ring, uint64_t sequence) noexcept {
  return with_place(*region_of(ring), [sequence](Member& member, Pool& pool) {
    elasticpool::Reclaimer(member, pool, false).cleanup_before(sequence);
    return EP_RING_OK;
  });
}

// ---- Looking in.

EP_EXPORT void ep_ring_read_stat(ep_ring* ring, struct ep_ring_stat* stat) noexcept {
  elasticpool::read_stat(*region_of(ring), stat);
}

EP_EXPORT bool ep_ring_read_group(ep_ring* ring, uint32_t index,
                                  struct ep_ring_group_stat* stat) noexcept {
  return elasticpool::read_group(*region_of(ring), index, stat);
}

EP_EXPORT bool ep_ring_read_member(ep_ring* ring, uint32_t index,
                                   struct ep_ring_member_stat* stat) noexcept {
  return elasticpool::read_member(*region_of(ring), index, stat);
}

EP_EXPORT int ep_ring_peek(ep_ring* ring, uint64_t sequence,
                           struct ep_ring_message* message) noexcept {
  return elasticpool::peek(*region_of(ring), sequence, message);
}

EP_EXPORT unsigned ep_ring_check(ep_ring* ring, void (*report)(void* context, const char* line),
                                 void* context) noexcept {
  return elasticpool::check_region(*region_of(ring), report, context);
}
