// The peers' own calls.
#include "peer_links.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cerrno>
#include <cstring>

namespace {

std::string unique_name() { return "elasticpool-bench-" + std::to_string(getpid()); }

[[noreturn]] void fail(const char* what) {
  // Too large for the kernel's limits: no fault of ours.
  const bool is_limit = errno == EMSGSIZE || errno == EMFILE || errno == EINVAL ||
                        errno == ENOSYS || errno == EPERM || errno == EACCES || errno == ENOMEM;
  const std::string text = std::string(what) + ": " + strerror(errno);
  if (is_limit) throw Unable(text);
  throw Failure(text);
}

// False: interrupted, or not now (where it spins).
bool is_done(ssize_t result, const char* what) {
  if (result >= 0) return true;
  if (errno != EAGAIN && errno != EINTR) fail(what);
  pause_cpu();
  return false;
}

class DescriptorQueue final : public Queue {
 public:
  explicit DescriptorQueue(const PeerForm& form)
      : is_packet_(form.kind == PeerKind::kUnixSeqpacket) {
    if (form.kind == PeerKind::kPipe) {
      if (pipe2(ends_, O_CLOEXEC) != 0) fail("pipe2");
    } else {
      const int type = is_packet_ ? SOCK_SEQPACKET : SOCK_STREAM;
      if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends_) != 0) fail("socketpair");
    }
    if (is_packet_) make_room(form.message.bytes);
    if (!form.spins) return;
    for (const int end : ends_) fcntl(end, F_SETFL, O_NONBLOCK);
  }
  ~DescriptorQueue() override {
    for (const int end : ends_) close(end);
  }
  void put(const void* data, size_t bytes) override {
    size_t done = 0;
    while (done < bytes) {
      const ssize_t result = write(ends_[1], static_cast<const char*>(data) + done, bytes - done);
      if (is_done(result, "write")) done += static_cast<size_t>(result);
    }
  }
  size_t take(void* data, size_t capacity) override {
    for (;;) {
      const ssize_t result = read(ends_[0], data, capacity);
      if (!is_done(result, "read")) continue;
      if (result == 0) throw Failure("the other end is closed");
      return static_cast<size_t>(result);
    }
  }

 private:
  // A packet must fit into the socket's buffer with what the kernel adds.
  void make_room(size_t bytes) {
    const int wanted = static_cast<int>(bytes * 2);
    int now = 0;
    socklen_t length = sizeof now;
    getsockopt(ends_[1], SOL_SOCKET, SO_SNDBUF, &now, &length);
    if (now >= wanted) return;
    if (setsockopt(ends_[1], SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0) {
      setsockopt(ends_[1], SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
    }
  }

  const bool is_packet_;
  int ends_[2] = {-1, -1};
};

class MqQueue final : public Queue {
 public:
  explicit MqQueue(const PeerForm& form) {
    const std::string name = std::string("/").append(unique_name());
    mq_attr attributes{};
    attributes.mq_maxmsg = 10;
    attributes.mq_msgsize = static_cast<long>(form.message.bytes);
    const int flags = O_CREAT | O_EXCL | O_RDWR | (form.spins ? O_NONBLOCK : 0);
    queue_ = mq_open(name.c_str(), flags, 0600, &attributes);
    if (queue_ < 0) fail("mq_open");
    mq_unlink(name.c_str());
  }
  ~MqQueue() override { mq_close(queue_); }
  void put(const void* data, size_t bytes) override {
    while (!is_done(mq_send(queue_, static_cast<const char*>(data), bytes, 0), "mq_send")) {
    }
  }
  size_t take(void* data, size_t capacity) override {
    for (;;) {
      const ssize_t result = mq_receive(queue_, static_cast<char*>(data), capacity, nullptr);
      if (is_done(result, "mq_receive")) return static_cast<size_t>(result);
    }
  }

 private:
  mqd_t queue_;
};

class BoostQueue final : public Queue {
 public:
  explicit BoostQueue(const PeerForm& form)
      : spins_(form.spins),
        queue_(boost::interprocess::create_only, unique_name().c_str(), depth_of(form),
               form.message.bytes) {
    boost::interprocess::message_queue::remove(unique_name().c_str());
  }
  void put(const void* data, size_t bytes) override {
    if (!spins_) return queue_.send(data, bytes, 0);
    while (!queue_.try_send(data, bytes, 0)) pause_cpu();
  }
  size_t take(void* data, size_t capacity) override {
    boost::interprocess::message_queue::size_type bytes = 0;
    unsigned priority = 0;
    if (!spins_) {
      queue_.receive(data, capacity, bytes, priority);
    } else {
      while (!queue_.try_receive(data, capacity, bytes, priority)) pause_cpu();
    }
    return bytes;
  }

 private:
  static size_t depth_of(const PeerForm& form) {
    constexpr size_t kBytes = size_t{8} << 20;
    return std::clamp<size_t>(kBytes / form.message.bytes, 8, 1024);
  }
  const bool spins_;
  boost::interprocess::message_queue queue_;
};

}  // namespace

std::unique_ptr<Queue> make_queue(const PeerForm& form) {
  switch (form.kind) {
    case PeerKind::kPosixMq:
      return std::make_unique<MqQueue>(form);
    case PeerKind::kBoost:
      return std::make_unique<BoostQueue>(form);
    case PeerKind::kPipe:
    case PeerKind::kUnixStream:
    case PeerKind::kUnixSeqpacket:
      break;
  }
  return std::make_unique<DescriptorQueue>(form);
}
