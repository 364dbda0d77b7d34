// A power cut under a file region: of what was written since the last checkpoint any sectors may
// have reached the disk, and any may not. Whoever attaches next finds all that the checkpoint
// promised.
//
//   ring_power_cut [CUTS] [SEED]
#include <elasticpool/ring.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "ring/layout.h"

namespace {

constexpr size_t kSectorBytes = 512;
std::string where;

[[noreturn]] void fail(const char* text, unsigned long value) {
  fprintf(stderr, "%s: %s (%lu)\n", where.c_str(), text, value);
  exit(1);
}

void must(int error, const char* text) {
  if (error == EP_RING_OK) return;
  fprintf(stderr, "%s: %s: %s\n", where.c_str(), text, ep_ring_strerror(error));
  exit(1);
}

using Image = std::vector<char>;

unsigned draw(std::mt19937& random, unsigned below) {
  return static_cast<unsigned>(random() % below);
}

Image read_image(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  struct stat status {};
  fstat(fd, &status);
  Image image(static_cast<size_t>(status.st_size));
  if (pread(fd, image.data(), image.size(), 0) != static_cast<ssize_t>(image.size())) {
    fail("read", static_cast<unsigned long>(errno));
  }
  close(fd);
  return image;
}

// The machine starts again: another run of it, and on its disk this.
void write_torn(const std::string& path, const Image& durable, const Image& last,
                std::mt19937& random) {
  Image torn = durable;
  // Little or much of it had been written.
  const unsigned share = draw(random, 101);
  for (size_t at = 0; at < torn.size(); at += kSectorBytes) {
    if (draw(random, 100) < share) memcpy(&torn[at], &last[at], kSectorBytes);
  }
  const uint32_t other_boot = 12345;
  memcpy(&torn[offsetof(elasticpool::RegionHeader, boot)], &other_boot, sizeof(other_boot));
  unlink(path.c_str());
  const int fd = open(path.c_str(), O_CREAT | O_RDWR, 0600);
  if (pwrite(fd, torn.data(), torn.size(), 0) != static_cast<ssize_t>(torn.size())) {
    fail("write", static_cast<unsigned long>(errno));
  }
  close(fd);
}

size_t size_of(uint64_t sequence) { return 8 + sequence * 7919 % 12'000 / 8 * 8; }

void publish(ep_ring_producer* producer, uint64_t expected) {
  ep_ring_buffer buffer;
  must(ep_ring_reserve(producer, size_of(expected), 0, &buffer), "reserve");
  auto* words = static_cast<uint64_t*>(buffer.data);
  for (size_t i = 0; i < buffer.size / 8; ++i) words[i] = expected * 0x9E3779B97F4A7C15 + i;
  uint64_t sequence = 0;
  must(ep_ring_publish(producer, &buffer, nullptr, 0, &sequence), "publish");
  if (sequence != expected) fail("another sequence", sequence);
}

void check(const ep_ring_message& message) {
  if (message.size != size_of(message.sequence)) fail("size", message.sequence);
  const auto* words = static_cast<const uint64_t*>(message.data);
  for (size_t i = 0; i < message.size / 8; ++i) {
    if (words[i] != message.sequence * 0x9E3779B97F4A7C15 + i) fail("payload", message.sequence);
  }
}

struct Progress {
  uint64_t next = 1;  // to be published
  uint64_t acknowledged = 0;
  uint64_t checkpoint = 0;  // the last that returned
  uint64_t tail = 1;        // when it did
};

// Some messages, some acknowledgements; never more in the ring than it holds.
void work(ep_ring_producer* producer, ep_ring_consumer* consumer, unsigned steps,
          Progress* progress, std::mt19937& random) {
  for (unsigned i = 0; i < steps; ++i) {
    if (draw(random, 2) == 0 && progress->next - progress->checkpoint < 60) {
      publish(producer, progress->next++);
      continue;
    }
    ep_ring_message message;
    const int error = ep_ring_get(consumer, 0, &message);
    if (error == EP_RING_EMPTY) continue;
    must(error, "get");
    check(message);
    must(ep_ring_ack(consumer, &message), "acknowledge");
    progress->acknowledged = message.sequence;
  }
}

ep_ring_consumer* join(ep_ring* ring) {
  ep_ring_consumer_options options = {};
  options.group = "durable";
  options.name = "worker";
  ep_ring_consumer* consumer = nullptr;
  must(ep_ring_consumer_open(ring, &options, &consumer), "open a consumer");
  return consumer;
}

void check_after(const std::string& path, const Progress& before) {
  ep_ring* ring = nullptr;
  must(ep_ring_attach(path.c_str(), 0, &ring), "attach after the cut");
  ep_ring_consumer* consumer = join(ring);
  ep_ring_message message;
  uint64_t expected = before.checkpoint + 1;
  int error = EP_RING_OK;
  while ((error = ep_ring_get(consumer, 0, &message)) == EP_RING_OK) {
    if (message.sequence != expected) fail("not the next sequence", message.sequence);
    check(message);
    must(ep_ring_ack(consumer, &message), "acknowledge");
    ++expected;
  }
  if (error != EP_RING_EMPTY) must(error, "get after the cut");
  if (expected < before.tail) fail("lost, though it was durable", expected);
  if (expected > before.next) fail("from nowhere", expected);
  // And it goes on.
  must(ep_ring_checkpoint(consumer, expected - 1), "checkpoint after the cut");
  ep_ring_producer* producer = nullptr;
  must(ep_ring_producer_open(ring, &producer), "open a producer");
  for (int i = 0; i < 50; ++i) publish(producer, expected++);
  ep_ring_producer_close(producer);
  while (ep_ring_get(consumer, 0, &message) == EP_RING_OK) {
    check(message);
    must(ep_ring_ack(consumer, &message), "acknowledge");
  }
  ep_ring_consumer_close(consumer, nullptr);
  ep_ring_stat stat;
  ep_ring_read_stat(ring, &stat);
  if (stat.pool_used_bytes != 0) fail("blocks leaked", stat.pool_used_bytes);
  const auto report = [](void*, const char* line) {
    fprintf(stderr, "%s: %s\n", where.c_str(), line);
  };
  if (const unsigned faults = ep_ring_check(ring, report, nullptr); faults != 0) {
    fail("faults", faults);
  }
  must(ep_ring_producer_open(ring, &producer), "open a producer");
  ep_ring_buffer all;
  must(ep_ring_reserve(producer, stat.pool_bytes, 0, &all), "reserve the whole pool");
  ep_ring_producer_close(producer);
  ep_ring_detach(ring);
}

void run_cut(const std::string& path, unsigned seed) {
  where = "ring_power_cut seed " + std::to_string(seed);
  std::mt19937 random(seed);
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = size_t{2} << 20;
  options.slots = 64;
  ep_ring* ring = nullptr;
  unlink(path.c_str());
  must(ep_ring_create(path.c_str(), &options, &ring), "create");
  ep_ring_consumer* consumer = join(ring);
  ep_ring_producer* producer = nullptr;
  must(ep_ring_producer_open(ring, &producer), "open a producer");
  Progress progress;
  must(ep_ring_checkpoint(consumer, 0), "the first checkpoint");
  Image durable = read_image(path);
  const unsigned checkpoints = draw(random, 6);
  for (unsigned i = 0; i < checkpoints; ++i) {
    work(producer, consumer, draw(random, 120), &progress, random);
    const uint64_t tail = progress.next;
    must(ep_ring_checkpoint(consumer, progress.acknowledged), "checkpoint");
    progress.checkpoint = progress.acknowledged;
    progress.tail = tail;
    durable = read_image(path);
  }
  work(producer, consumer, draw(random, 120), &progress, random);
  const Image last = read_image(path);
  ep_ring_producer_close(producer);
  ep_ring_consumer_close(consumer, nullptr);
  ep_ring_detach(ring);
  write_torn(path, durable, last, random);
  check_after(path, progress);
}

// A record that cannot be whole: refused, not guessed.
void run_refusal(const std::string& path) {
  where = "ring_power_cut refusal";
  ep_ring* ring = nullptr;
  unlink(path.c_str());
  must(ep_ring_create(path.c_str(), nullptr, &ring), "create");
  ep_ring_detach(ring);
  Image image = read_image(path);
  const uint32_t other_boot = 12345;
  memcpy(&image[offsetof(elasticpool::RegionHeader, boot)], &other_boot, sizeof(other_boot));
  memset(&image[elasticpool::kHeaderBytes], 1, 2 * elasticpool::kDurableRecordBytes);
  const int fd = open(path.c_str(), O_RDWR);
  if (pwrite(fd, image.data(), image.size(), 0) != static_cast<ssize_t>(image.size())) {
    fail("write", static_cast<unsigned long>(errno));
  }
  close(fd);
  const int error = ep_ring_attach(path.c_str(), 0, &ring);
  if (error != EP_RING_CORRUPT) fail("not refused", static_cast<unsigned long>(error));
}

}  // namespace

int main(int argc, char** argv) {
  const auto cuts = argc > 1 ? static_cast<unsigned>(strtoul(argv[1], nullptr, 10)) : 60;
  const auto seed =
      argc > 2 ? static_cast<unsigned>(strtoul(argv[2], nullptr, 10)) : std::random_device{}();
  char folder[] = "/tmp/ring_power_cut.XXXXXX";
  if (mkdtemp(folder) == nullptr) return 1;
  const std::string path = std::string(folder) + "/ring";
  for (unsigned i = 0; i < cuts; ++i) run_cut(path, seed + i);
  run_refusal(path);
  unlink(path.c_str());
  rmdir(folder);
  printf("%u cuts from seed %u on\n", cuts, seed);
  return 0;
}
