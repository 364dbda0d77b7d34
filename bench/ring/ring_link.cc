// Opening and closing of the ring's ends; what is timed is in the header.
#include "ring_link.h"

#include <algorithm>

namespace {

// Large messages fill the pool before they fill the slots.
constexpr size_t kPoolBytes = size_t{256} << 20;

std::string group_name(unsigned group) { return "group" + std::to_string(group); }

// Every block that can be under way at once has had its memory from the kernel, which of messages
// of 1 MiB is a third of a measurement otherwise: 256 MiB of zeros.
void warm_up(ep_ring* ring, const RingForm& form) {
  ep_ring_producer* producer = nullptr;
  check_ring(ep_ring_producer_open(ring, &producer), "ep_ring_producer_open");
  std::vector<ep_ring_buffer> buffers(
      std::min<size_t>(form.slots, kPoolBytes / form.message.bytes));
  int error = EP_RING_OK;
  size_t count = 0;
  while (count < buffers.size() && error == EP_RING_OK) {
    error = ep_ring_reserve(producer, form.message.bytes, 0, &buffers[count]);
    if (error == EP_RING_OK) ++count;
  }
  while (count != 0) check_ring(ep_ring_discard(producer, &buffers[--count]), "ep_ring_discard");
  ep_ring_producer_close(producer);
  // What slabs and rounding take of the pool is no error.
  if (error != EP_RING_NO_MEMORY) check_ring(error, "ep_ring_reserve");
}

}  // namespace

void check_ring(int error, const char* what) {
  if (error != EP_RING_OK) throw Failure(std::string(what) + ": " + ep_ring_strerror(error));
}

RingLink::RingLink(const RingForm& form) : form_(form) {
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = kPoolBytes;
  options.slots = form.slots;
  if (form.checks_payloads) options.flags |= EP_RING_CHECK_PAYLOADS;
  check_ring(ep_ring_create(nullptr, &options, &ring_), "ep_ring_create");
  for (unsigned group = 0; group < form.groups; ++group) {
    check_ring(ep_ring_group_create(ring_, group_name(group).c_str(), nullptr),
               "ep_ring_group_create");
  }
  warm_up(ring_, form);
}

RingLink::Sender::Sender(RingLink& link)
    : form_(link.form_), ring_(link.ring_), buffers_(form_.batch), labels_(form_.batch) {
  check_ring(ep_ring_producer_open(ring_.get(), &producer_), "ep_ring_producer_open");
}

void RingLink::Sender::stock(uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) reserve(&stock_.emplace_back());
}

RingLink::Receiver::Receiver(RingLink& link, unsigned group)
    : form_(link.form_), ring_(link.ring_), messages_(form_.batch) {
  const std::string name = group_name(group);
  ep_ring_consumer_options options{};
  options.group = name.c_str();
  check_ring(ep_ring_consumer_open(ring_.get(), &options, &consumer_), "ep_ring_consumer_open");
}
