// The ring as a link: an anonymous region, which every process maps for itself.
//
// Checked  every message is delivered once, and to a sole consumer of a group without gaps.
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
        if (count > 1) write_message(buffers_[i].data, form_.message, number + i);
      }
      if (count == 1) return publish_one(number);
      size_t published = 0;
      check_ring(ep_ring_publish_batch(producer_, buffers_.data(), count, nullptr, EP_RING_FOREVER,
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
      write_message(buffers_[0].data, form_.message, number);
      check_ring(ep_ring_publish(producer_, &buffers_[0], nullptr, EP_RING_FOREVER, nullptr),
                 "ep_ring_publish");
    }

    const RingForm form_;
    Attached ring_;
    ep_ring_producer* producer_ = nullptr;
    std::vector<ep_ring_buffer> buffers_;
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
      return read_message(message.data, message.size, form_.message);
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
  };

 private:
  const RingForm form_;
  ep_ring* ring_ = nullptr;
};
