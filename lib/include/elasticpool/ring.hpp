// The ring for C++20: <elasticpool/ring.h> with owners that give back what they hold.
//
// Header only; link -lelasticpool-ring. ring.h says what each operation means and costs; here
// stands only what an owner adds to it.
//
// Errors    a Result<T> holds a T or an Error, and an operation without a result is an Error, which
//           may be ok(). No exceptions: an empty ring, a full one and a lost lease are daily events
//           of a loop that must not cost a throw, and the header works with -fno-exceptions. To use
//           the value of a Result that has none ends the program.
// Owners    all can be moved and none copied; one that was moved from or closed holds nothing, and
//           may only be destroyed or assigned to.
// Lifetime  a Ring outlives its producers and consumers, a Producer its buffers, a Consumer its
//           messages, batches and references.
// Threads   a Ring may be used by all at once, anything else by one at a time.
// Dropped   what goes out of scope unfinished is lost to nobody: a Buffer is discarded, a Message
//           and what is left of a Batch goes back to the group, which delivers it again.
#ifndef EP_RING_HPP
#define EP_RING_HPP

#include <elasticpool/ring.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace elasticpool::ring {

class [[nodiscard]] Error {
 public:
  constexpr Error() = default;
  // Of a function of ring.h.
  constexpr Error(int code) : code_(static_cast<ep_ring_error>(code)) {}

  constexpr bool ok() const { return code_ == EP_RING_OK; }
  constexpr ep_ring_error code() const { return code_; }
  const char* text() const { return ep_ring_strerror(code_); }
  constexpr bool operator==(ep_ring_error code) const { return code_ == code; }

 private:
  ep_ring_error code_ = EP_RING_OK;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T&& value) : value_(std::move(value)) {}
  Result(Error error) : error_(error) {}

  explicit operator bool() const { return value_.has_value(); }
  // ok() where there is a value.
  Error error() const { return error_; }
  T& operator*() { return *checked(); }
  T* operator->() { return checked(); }

 private:
  T* checked() {
    if (!value_.has_value()) __builtin_trap();
    return &*value_;
  }
  std::optional<T> value_;
  Error error_;
};

// The bytes of a message, whoever owns it.
inline std::span<const std::byte> bytes(const ep_ring_message& message) {
  return {static_cast<const std::byte*>(message.data), message.size};
}
inline std::string_view text(const ep_ring_message& message) {
  return {static_cast<const char*>(message.data), message.size};
}
// Null where the message has not as many bytes as a T. Payloads are aligned to 64.
template <typename T>
const T* as(const ep_ring_message& message) {
  static_assert(alignof(T) <= 64 && std::is_trivially_copyable_v<T>);
  return message.size >= sizeof(T) ? static_cast<const T*>(message.data) : nullptr;
}

// Bytes in the region that are ours until they are published. The destructor discards them. What a
// consumer reserved is published by a producer that adopts it.
class Buffer {
 public:
  Buffer(ep_ring_producer* producer, const ep_ring_buffer& raw) : producer_(producer), raw_(raw) {}
  Buffer(ep_ring_consumer* consumer, const ep_ring_buffer& raw) : consumer_(consumer), raw_(raw) {}
  ~Buffer() { discard(); }
  Buffer(Buffer&& other) noexcept
      : producer_(std::exchange(other.producer_, nullptr)),
        consumer_(std::exchange(other.consumer_, nullptr)),
        raw_(other.raw_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(producer_, other.producer_);
    std::swap(consumer_, other.consumer_);
    std::swap(raw_, other.raw_);
    return *this;
  }

  std::span<std::byte> bytes() { return {static_cast<std::byte*>(raw_.data), raw_.size}; }
  // Before publishing. False: the block has not as many.
  bool resize(size_t size) {
    if (size > raw_.capacity) return false;
    raw_.size = size;
    return true;
  }
  // The message's sequence. Where it fails, the bytes are still ours: it may be tried again.
  Result<uint64_t> publish(const ep_ring_label& label = {}, int timeout_ms = EP_RING_FOREVER) {
    if (producer_ == nullptr) return Error(EP_RING_INVALID);
    uint64_t sequence = 0;
    const Error error = ep_ring_publish(producer_, &raw_, &label, timeout_ms, &sequence);
    if (!error.ok()) return error;
    producer_ = nullptr;
    return sequence;
  }
  void discard() {
    if (producer_ != nullptr) ep_ring_discard(std::exchange(producer_, nullptr), &raw_);
    if (consumer_ != nullptr) ep_ring_consumer_discard(std::exchange(consumer_, nullptr), &raw_);
  }

 private:
  friend class Producer;
  ep_ring_producer* producer_ = nullptr;
  ep_ring_consumer* consumer_ = nullptr;
  ep_ring_buffer raw_;
};

class Producer {
 public:
  explicit Producer(ep_ring_producer* raw) : raw_(raw) {}
  ~Producer() { ep_ring_producer_close(raw_); }
  Producer(Producer&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Producer& operator=(Producer&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  Result<Buffer> reserve(size_t size, int timeout_ms = EP_RING_FOREVER) {
    ep_ring_buffer buffer;
    const Error error = ep_ring_reserve(raw_, size, timeout_ms, &buffer);
    if (!error.ok()) return error;
    return Buffer(raw_, buffer);
  }
  // A consumer's buffer becomes ours. Where it fails, it is still the consumer's.
  Error adopt(Buffer& buffer) {
    if (buffer.consumer_ == nullptr) return EP_RING_INVALID;
    const Error error = ep_ring_adopt(raw_, buffer.consumer_, &buffer.raw_);
    if (!error.ok()) return error;
    buffer.consumer_ = nullptr;
    buffer.producer_ = raw_;
    return EP_RING_OK;
  }
  // In order; how many were published, from the front, is the size by which `buffers` shrinks.
  // labels: none, or one for each.
  Error publish(std::span<Buffer>& buffers, std::span<const ep_ring_label> labels = {},
                int timeout_ms = EP_RING_FOREVER);
  ep_ring_producer* get() const { return raw_; }

 private:
  ep_ring_producer* raw_;
};

inline Error Producer::publish(std::span<Buffer>& buffers, std::span<const ep_ring_label> labels,
                               int timeout_ms) {
  if (!labels.empty() && labels.size() != buffers.size()) return EP_RING_INVALID;
  while (!buffers.empty()) {
    std::array<ep_ring_buffer, 32> raw;
    size_t count = 0;
    for (; count < raw.size() && count < buffers.size(); ++count) {
      if (buffers[count].producer_ != raw_) return EP_RING_INVALID;
      raw[count] = buffers[count].raw_;
    }
    size_t published = 0;
    const Error error = ep_ring_publish_batch(
        raw_, raw.data(), count, labels.empty() ? nullptr : labels.data(), timeout_ms, &published);
    for (size_t i = 0; i < published; ++i) buffers[i].producer_ = nullptr;
    buffers = buffers.subspan(published);
    if (!labels.empty()) labels = labels.subspan(published);
    if (!error.ok()) return error;
  }
  return EP_RING_OK;
}

// Keeps a message's bytes beyond its acknowledgement.
class Reference {
 public:
  Reference(ep_ring_consumer* consumer, const ep_ring_message& raw)
      : consumer_(consumer), raw_(raw) {}
  // Of a lost lease others take care.
  ~Reference() { static_cast<void>(drop()); }
  Reference(Reference&& other) noexcept
      : consumer_(std::exchange(other.consumer_, nullptr)), raw_(other.raw_) {}
  Reference& operator=(Reference&& other) noexcept {
    std::swap(consumer_, other.consumer_);
    std::swap(raw_, other.raw_);
    return *this;
  }

  const ep_ring_message* operator->() const { return &raw_; }
  const ep_ring_message& operator*() const { return raw_; }
  std::span<const std::byte> bytes() const { return ring::bytes(raw_); }
  Error drop() {
    return consumer_ != nullptr ? ep_ring_unhold(std::exchange(consumer_, nullptr), &raw_)
                                : int{EP_RING_OK};
  }

 private:
  ep_ring_consumer* consumer_;
  ep_ring_message raw_;
};

// A view of one message: the producer's own bytes. The destructor releases what was not
// acknowledged.
class Message {
 public:
  Message(ep_ring_consumer* consumer, const ep_ring_message& raw)
      : consumer_(consumer), raw_(raw) {}
  ~Message() { static_cast<void>(release()); }
  Message(Message&& other) noexcept
      : consumer_(std::exchange(other.consumer_, nullptr)), raw_(other.raw_) {}
  Message& operator=(Message&& other) noexcept {
    std::swap(consumer_, other.consumer_);
    std::swap(raw_, other.raw_);
    return *this;
  }

  // sequence, key, tag, producer, deliveries, timestamp_ns.
  const ep_ring_message* operator->() const { return &raw_; }
  const ep_ring_message& operator*() const { return raw_; }
  std::span<const std::byte> bytes() const { return ring::bytes(raw_); }
  std::string_view text() const { return ring::text(raw_); }
  template <typename T>
  const T* as() const {
    return ring::as<T>(raw_);
  }

  // Either ends the view.
  Error ack() { return finish(ep_ring_ack); }
  Error release() { return finish(ep_ring_release); }
  // To be taken before it is acknowledged.
  Result<Reference> hold() {
    const Error error = consumer_ != nullptr ? ep_ring_hold(consumer_, &raw_) : int{EP_RING_GONE};
    if (!error.ok()) return error;
    return Reference(consumer_, raw_);
  }

 private:
  Error finish(int (*how)(ep_ring_consumer*, const ep_ring_message*) noexcept) {
    return consumer_ != nullptr ? how(std::exchange(consumer_, nullptr), &raw_) : int{EP_RING_GONE};
  }
  ep_ring_consumer* consumer_;
  ep_ring_message raw_;
};

// Up to `capacity` messages, acknowledged from the front.
template <size_t capacity>
class Batch {
 public:
  explicit Batch(ep_ring_consumer* consumer) : consumer_(consumer) {}
  ~Batch() { release(); }
  Batch(Batch&& other) noexcept { take(other); }
  Batch& operator=(Batch&& other) noexcept {
    if (this == &other) return *this;
    release();
    take(other);
    return *this;
  }

  // What is not acknowledged yet.
  std::span<const ep_ring_message> messages() const { return {raw_.data() + first_, count_}; }
  const ep_ring_message* begin() const { return raw_.data() + first_; }
  const ep_ring_message* end() const { return begin() + count_; }
  size_t size() const { return count_; }

  Error ack() { return ack(count_); }
  // The first `count` of them.
  Error ack(size_t count) {
    if (count > count_) return EP_RING_INVALID;
    const Error error = ep_ring_ack_batch(consumer_, begin(), count);
    first_ += count;
    count_ -= count;
    return error;
  }
  // The rest goes back to the group.
  void release() {
    for (; count_ > 0; --count_, ++first_) ep_ring_release(consumer_, begin());
  }

 private:
  friend class Consumer;
  void take(Batch& other) {
    consumer_ = other.consumer_;
    first_ = 0;
    count_ = std::exchange(other.count_, 0);
    for (size_t i = 0; i < count_; ++i) raw_[i] = other.raw_[other.first_ + i];
  }

  ep_ring_consumer* consumer_;
  std::array<ep_ring_message, capacity> raw_;
  size_t first_ = 0;
  size_t count_ = 0;
};

// The destructor leaves the group: what was not acknowledged goes to anybody in it.
class Consumer {
 public:
  explicit Consumer(ep_ring_consumer* raw) : raw_(raw) {}
  ~Consumer() { close(); }
  Consumer(Consumer&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Consumer& operator=(Consumer&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  Result<Message> get(int timeout_ms = EP_RING_FOREVER) {
    ep_ring_message message;
    const Error error = ep_ring_get(raw_, timeout_ms, &message);
    if (!error.ok()) return error;
    return Message(raw_, message);
  }
  template <size_t capacity = 32>
  Result<Batch<capacity>> get_batch(int timeout_ms = EP_RING_FOREVER) {
    Batch<capacity> batch(raw_);
    const Error error =
        ep_ring_get_batch(raw_, timeout_ms, batch.raw_.data(), capacity, &batch.count_);
    if (!error.ok()) return error;
    return batch;
  }
  // From slabs of its own, where its options ask for such; Producer::adopt() publishes it. Does not
  // wait.
  Result<Buffer> reserve(size_t size) {
    ep_ring_buffer buffer;
    const Error error = ep_ring_consumer_reserve(raw_, size, &buffer);
    if (!error.ok()) return error;
    return Buffer(raw_, buffer);
  }
  // Owned by the consumer; -1 with errno where there is none.
  int event_fd() { return ep_ring_consumer_eventfd(raw_); }
  Error renew() { return ep_ring_renew(raw_); }
  Error checkpoint(uint64_t sequence) { return ep_ring_checkpoint(raw_, sequence); }
  // The first sequence that may come.
  Result<uint64_t> recover() {
    uint64_t sequence = 0;
    const Error error = ep_ring_recover(raw_, &sequence);
    if (!error.ok()) return error;
    return sequence;
  }
  // transfer_to: a name within the group, or null.
  void close(const char* transfer_to = nullptr) {
    ep_ring_consumer_close(std::exchange(raw_, nullptr), transfer_to);
  }
  ep_ring_consumer* get() const { return raw_; }

 private:
  ep_ring_consumer* raw_;
};

// ep_ring_options with its defaults.
struct Options : ep_ring_options {
  Options() { ep_ring_options_init(this); }
};

// The destructor detaches; the region stays, and its name until remove().
class Ring {
 public:
  explicit Ring(ep_ring* raw) : raw_(raw) {}
  ~Ring() { ep_ring_detach(raw_); }
  Ring(Ring&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Ring& operator=(Ring&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  // name: null for an anonymous one.
  static Result<Ring> create(const char* name, const ep_ring_options& options = Options()) {
    ep_ring* raw = nullptr;
    const Error error = ep_ring_create(name, &options, &raw);
    return owned(error, raw);
  }
  static Result<Ring> attach(const char* name, uint32_t flags = 0) {
    ep_ring* raw = nullptr;
    const Error error = ep_ring_attach(name, flags, &raw);
    return owned(error, raw);
  }
  static Result<Ring> attach(int fd, uint32_t flags = 0) {
    ep_ring* raw = nullptr;
    const Error error = ep_ring_attach_fd(fd, flags, &raw);
    return owned(error, raw);
  }
  static Error remove(const char* name) { return ep_ring_remove(name); }
  static Error remove_stale(const char* name) { return ep_ring_remove_stale(name); }

  Result<Producer> open_producer() {
    ep_ring_producer* producer = nullptr;
    const Error error = ep_ring_producer_open(raw_, &producer);
    if (!error.ok()) return error;
    return Producer(producer);
  }
  Result<Consumer> open_consumer(const ep_ring_consumer_options& options) {
    ep_ring_consumer* consumer = nullptr;
    const Error error = ep_ring_consumer_open(raw_, &options, &consumer);
    if (!error.ok()) return error;
    return Consumer(consumer);
  }
  // name: of the consumer within its group; null: none, and no checkpoints.
  Result<Consumer> open_consumer(const char* group, const char* name = nullptr) {
    ep_ring_consumer_options options{};
    options.group = group;
    options.name = name;
    return open_consumer(options);
  }
  Error create_group(const char* name, const ep_ring_group_options& options = {}) {
    return ep_ring_group_create(raw_, name, &options);
  }
  Error remove_group(const char* name) { return ep_ring_group_remove(raw_, name); }
  Error cleanup_before(uint64_t sequence) { return ep_ring_cleanup_before(raw_, sequence); }
  unsigned watch() { return ep_ring_watch(raw_); }
  bool is_used() { return ep_ring_is_used(raw_); }

  int fd() const { return ep_ring_fd(raw_); }
  ep_ring_stat stat() {
    ep_ring_stat stat;
    ep_ring_read_stat(raw_, &stat);
    return stat;
  }
  // Each group and each member there is, to a function of one ep_ring_group_stat or _member_stat.
  template <typename Look>
  void for_each_group(Look&& look) {
    ep_ring_group_stat stat;
    for (uint32_t i = 0; ep_ring_read_group(raw_, i, &stat); ++i) look(std::as_const(stat));
  }
  template <typename Look>
  void for_each_member(Look&& look) {
    ep_ring_member_stat stat;
    for (uint32_t i = 0; ep_ring_read_member(raw_, i, &stat); ++i) look(std::as_const(stat));
  }
  ep_ring* get() const { return raw_; }

 private:
  static Result<Ring> owned(Error error, ep_ring* raw) {
    if (!error.ok()) return error;
    return Ring(raw);
  }
  ep_ring* raw_;
};

}  // namespace elasticpool::ring

#endif
