// What a user would take instead: pipe, unix sockets, POSIX message queue, and the message_queue of
// Boost.Interprocess. All of them copy, in and out. Those of bytes take a batch in one call.
//
// Waiting  blocking, or (spins) without blocking and again and again.
// Limits   what the machine does not allow at that size throws Unable.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "team.h"

enum class PeerKind { kPipe, kUnixStream, kUnixSeqpacket, kPosixMq, kBoost };

struct PeerForm {
  PeerKind kind;
  MessageForm message;
  bool spins = false;
  unsigned batch = 1;
};

// A queue with the kernel's or the peer's own calls.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual void put(const void* data, size_t bytes) = 0;
  // One message, or of a stream what is there; at least one byte.
  virtual size_t take(void* data, size_t capacity) = 0;
};
std::unique_ptr<Queue> make_queue(const PeerForm& form);

class PeerLink {
 public:
  explicit PeerLink(const PeerForm& form) : form_(form), queue_(make_queue(form)) {}

  class Sender {
   public:
    explicit Sender(PeerLink& link)
        : form_(link.form_),
          queue_(*link.queue_),
          buffer_(form_.batch * form_.message.bytes / sizeof(uint64_t)) {}
    void send(uint64_t number) {
      write_message(buffer_.data(), form_.message, number);
      queue_.put(buffer_.data(), form_.message.bytes);
    }
    void prepare() {}
    void stock(uint64_t) {}
    void send_many(uint64_t number, unsigned count) {
      const size_t words = form_.message.bytes / sizeof(uint64_t);
      for (unsigned i = 0; i < count; ++i) {
        write_message(buffer_.data() + i * words, form_.message, number + i);
      }
      queue_.put(buffer_.data(), count * form_.message.bytes);
    }
    void end() { send(kEndNumber); }

   private:
    const PeerForm form_;
    Queue& queue_;
    std::vector<uint64_t> buffer_;
  };

  class Receiver {
   public:
    explicit Receiver(PeerLink& link, unsigned = 0)
        : form_(link.form_),
          queue_(*link.queue_),
          buffer_(form_.batch * form_.message.bytes / sizeof(uint64_t)) {}
    Arrival receive() {
      take_whole();
      filled_ = 0;
      return read_message(buffer_.data(), form_.message.bytes, form_.message);
    }
    void finish() {}
    template <typename Take>
    void receive_many(const Take& take) {
      take_whole();
      const size_t bytes = form_.message.bytes;
      size_t at = 0;
      for (; at + bytes <= filled_; at += bytes) {
        take(read_message(bytes_of_buffer() + at, bytes, form_.message));
      }
      std::copy(bytes_of_buffer() + at, bytes_of_buffer() + filled_, bytes_of_buffer());
      filled_ -= at;
    }

   private:
    char* bytes_of_buffer() { return reinterpret_cast<char*>(buffer_.data()); }
    // At least one whole message.
    void take_whole() {
      const size_t capacity = buffer_.size() * sizeof(uint64_t);
      while (filled_ < form_.message.bytes) {
        filled_ += queue_.take(bytes_of_buffer() + filled_, capacity - filled_);
      }
    }

    const PeerForm form_;
    Queue& queue_;
    std::vector<uint64_t> buffer_;
    size_t filled_ = 0;
  };

 private:
  const PeerForm form_;
  std::unique_ptr<Queue> queue_;
};
