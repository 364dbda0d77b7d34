// The ring as a link: an anonymous region, which every process maps for itself.
//
// Checked  every message is delivered once, and to a sole consumer of a group without gaps.
// Headers  with Touch::kNothing a message is its header line alone: its tag holds the low half of
//          the number, or of the time where that is measured, and nobody touches the payload.
#pragma once

#include <memory>
#include <vector>

#include "elasticpool/ring.h"
#include "team.h"

enum class RingWait {
  kPoll,   // ep_ring_get with timeout 0, again and again
  kBlock,  // without timeout: it polls for a moment by itself, and sleeps
};

struct RingForm {
  MessageForm message;
  uint32_t slots = 16384;
  bool checks_payloads = false;
  RingWait wait = RingWait::kPoll;
  // Reserving and acknowledging count, too: they are not done while the message is under way.
  bool is_in_line = false;
  unsigned batch = 1;
  unsigned groups = 1;
  bool is_shared = false;  // groups have several consumers
};

void check_ring(int error, const char* what);

// Maps the region again, as another process does.
class Attached {
 public:
  explicit Attached(const ep_ring* ring) {
    check_ring(ep_ring_attach_fd(ep_ring_fd(ring), 0, &ring_), "ep_ring_attach_fd");
  }
  ~Attached() { ep_ring_detach(ring_); }
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;
  ep_ring* get() const { return ring_; }

 private:
  ep_ring* ring_ = nullptr;
};

class RingLink {
 public:
  explicit RingLink(const RingForm& form);
  ~RingLink() { ep_ring_detach(ring_); }
  RingLink(const RingLink&) = delete;
  RingLink& operator=(const RingLink&) = delete;

  class Sender {
   public:
    explicit Sender(RingLink& link);
    ~Sender() { ep_ring_producer_close(producer_); }
    void send(uint64_t number) {
      if (!has_buffer_) reserve(&buffers_[0]);
      has_buffer_ = false;
      publish_one(number);
    }
    void prepare() {
      if (form_.is_in_line) return;
      reserve(&buffers_[0]);
      has_buffer_ = true;
    }
    void stock(uint64_t count);
    void send_many(uint64_t number, unsigned count) {
      for (unsigned i = 0; i < count; ++i) {
        take_buffer(&buffers_[i]);
        if (count > 1) write(i, number + i);
      }
      if (count == 1) return publish_one(number);
      size_t published = 0;
      check_ring(ep_ring_publish_batch(producer_, buffers_.data(), count, labels(), EP_RING_FOREVER,
                                       &published),
                 "ep_ring_publish_batch");
    }
    void end() {}

   private:
    void reserve(ep_ring_buffer* buffer) {
      check_ring(ep_ring_reserve(producer_, form_.message.bytes, EP_RING_FOREVER, buffer),
                 "ep_ring_reserve");
    }
    void take_buffer(ep_ring_buffer* buffer) {
      if (stock_.empty()) return reserve(buffer);
      *buffer = stock_.back();
      stock_.pop_back();
    }
    void publish_one(uint64_t number) {
      write(0, number);
      check_ring(ep_ring_publish(producer_, &buffers_[0], labels(), EP_RING_FOREVER, nullptr),
                 "ep_ring_publish");
    }
    void write(unsigned index, uint64_t number) {
      if (form_.message.touch != Touch::kNothing) {
        return write_message(buffers_[index].data, form_.message, number);
      }
      labels_[index].tag = static_cast<uint32_t>(form_.message.is_stamped ? ticks() : number);
    }
    const ep_ring_label* labels() const {
      return form_.message.touch == Touch::kNothing ? labels_.data() : nullptr;
    }

    const RingForm form_;
    Attached ring_;
    ep_ring_producer* producer_ = nullptr;
    std::vector<ep_ring_buffer> buffers_;
    std::vector<ep_ring_label> labels_;
    std::vector<ep_ring_buffer> stock_;
    bool has_buffer_ = false;
  };

  class Receiver {
   public:
    explicit Receiver(RingLink& link, unsigned group = 0);
    ~Receiver() { ep_ring_consumer_close(consumer_, nullptr); }
    Arrival receive() {
      const int timeout_ms = form_.wait == RingWait::kPoll ? 0 : EP_RING_FOREVER;
      int error = EP_RING_EMPTY;
      while (error == EP_RING_EMPTY) error = ep_ring_get(consumer_, timeout_ms, &messages_[0]);
      check_ring(error, "ep_ring_get");
      if (form_.is_in_line) acknowledge(1);
      return opened(messages_[0]);
    }
    void finish() {
      if (!form_.is_in_line) acknowledge(1);
    }
    template <typename Take>
    void receive_many(const Take& take) {
      size_t count = 1;
      const int error = form_.batch == 1 ? ep_ring_get(consumer_, kMomentMs, &messages_[0])
                                         : ep_ring_get_batch(consumer_, kMomentMs, messages_.data(),
                                                             messages_.size(), &count);
      if (error == EP_RING_EMPTY) return;
      check_ring(error, "ep_ring_get");
      for (size_t i = 0; i < count; ++i) take(opened(messages_[i]));
      acknowledge(count);
    }

   private:
    static constexpr int kMomentMs = 20;
    Arrival opened(const ep_ring_message& message) {
      if (message.deliveries != 1) throw Failure("a message was delivered again");
      if (!form_.is_shared && sequence_ != 0 && message.sequence != sequence_ + 1) {
        throw Failure("a gap behind sequence " + std::to_string(sequence_));
      }
      sequence_ = message.sequence;
      if (form_.message.touch == Touch::kNothing) return opened_header(message);
      return read_message(message.data, message.size, form_.message);
    }
    // Of a sole sender.
    Arrival opened_header(const ep_ring_message& message) {
      if (first_sequence_ == 0) first_sequence_ = message.sequence;
      const uint64_t place = message.sequence - first_sequence_;
      if (form_.message.is_stamped) {
        const uint64_t now = ticks();
        return {place + 1, now - static_cast<uint32_t>(now - message.tag)};
      }
      if (place == 0) first_number_ = message.tag;
      const uint64_t number = first_number_ + place;
      if (message.tag != static_cast<uint32_t>(number)) {
        throw Failure("wrong tag in message " + std::to_string(number));
      }
      return {number, 0};
    }
    void acknowledge(size_t count) {
      check_ring(count == 1 ? ep_ring_ack(consumer_, &messages_[0])
                            : ep_ring_ack_batch(consumer_, messages_.data(), count),
                 "ep_ring_ack");
    }

    const RingForm form_;
    Attached ring_;
    ep_ring_consumer* consumer_ = nullptr;
    std::vector<ep_ring_message> messages_;
    uint64_t sequence_ = 0;
    uint64_t first_sequence_ = 0;
    uint64_t first_number_ = 0;
  };

 private:
  const RingForm form_;
  ep_ring* ring_ = nullptr;
};
