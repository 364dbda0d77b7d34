// A process that writes what it likes into the region, files that are no rings, a full file system:
// the others get errors; nobody crashes, and nobody hangs.
//
//   ring_hostile flips [N] [SEED]   N random bytes are written over a live region
//   ring_hostile malformed          200 files that are not quite rings
//   ring_hostile full               a file system of two megabytes (needs the right to mount)
#include <elasticpool/ring.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "ring/layout.h"

namespace {

constexpr int kSkip = 77;
constexpr size_t kConfigBytes = sizeof(elasticpool::RegionConfig);
// Against a hang; a bound for nothing else.
constexpr unsigned kHangSeconds = 300;

[[noreturn]] void fail(const char* text, const char* more) {
  fprintf(stderr, "ring_hostile: %s: %s\n", text, more);
  _exit(1);
}

// Everything that a handle can do, with whatever comes back.
// An answer in a block of the consumer's own.
void answer(ep_ring_producer* producer, ep_ring_consumer* consumer, size_t size) {
  ep_ring_buffer buffer;
  if (ep_ring_consumer_reserve(consumer, size, &buffer) != EP_RING_OK) return;
  memset(buffer.data, 2, size);
  if (producer == nullptr || ep_ring_adopt(producer, consumer, &buffer) != EP_RING_OK) {
    ep_ring_consumer_discard(consumer, &buffer);
  } else if (ep_ring_publish(producer, &buffer, nullptr, 0, nullptr) != EP_RING_OK) {
    ep_ring_discard(producer, &buffer);
  }
}

void use(ep_ring* ring, unsigned rounds, unsigned seed) {
  std::mt19937 random(seed);
  ep_ring_producer* producer = nullptr;
  ep_ring_consumer* consumer = nullptr;
  ep_ring_consumer_options options = {};
  options.group = "victims";
  options.name = seed % 2 == 0 ? "one" : nullptr;
  options.private_bytes = seed % 3 == 0 ? size_t{128} << 10 : 0;
  options.group_options.policy = static_cast<ep_ring_policy>(seed / 2 % 3);
  ep_ring_producer_open(ring, &producer);
  ep_ring_consumer_open(ring, &options, &consumer);
  for (unsigned i = 0; i < rounds; ++i) {
    const size_t size = 8 + random() % 20'000;
    ep_ring_buffer buffer;
    if (producer != nullptr && ep_ring_reserve(producer, size, 0, &buffer) == EP_RING_OK) {
      memset(buffer.data, 1, size);
      const ep_ring_label label = {random() % 4, 0};
      if (ep_ring_publish(producer, &buffer, &label, 0, nullptr) != EP_RING_OK) {
        ep_ring_discard(producer, &buffer);
      }
    }
    ep_ring_message messages[4];
    size_t count = 0;
    if (consumer != nullptr) ep_ring_get_batch(consumer, 0, messages, 4, &count);
    if (consumer != nullptr && random() % 4 == 0) answer(producer, consumer, 8 + random() % 4000);
    for (size_t m = 0; m < count; ++m) {
      // Every byte of it must be there to be read.
      unsigned sum = 0;
      for (size_t b = 0; b < messages[m].size; ++b) {
        sum += static_cast<const unsigned char*>(messages[m].data)[b];
      }
      if (sum == 1 && messages[m].size > (size_t{1} << 30)) fail("a size", "too large");
      if (random() % 8 == 0) ep_ring_hold(consumer, &messages[m]);
      if (random() % 8 == 0) ep_ring_release(consumer, &messages[m]);
      ep_ring_ack(consumer, &messages[m]);
      ep_ring_unhold(consumer, &messages[m]);
      if (random() % 16 == 0) ep_ring_checkpoint(consumer, messages[m].sequence);
    }
  }
  ep_ring_stat stat;
  ep_ring_read_stat(ring, &stat);
  ep_ring_check(ring, nullptr, nullptr);
  ep_ring_group_stat group;
  for (uint32_t i = 0; ep_ring_read_group(ring, i, &group); ++i) {
  }
  ep_ring_member_stat member;
  for (uint32_t i = 0; ep_ring_read_member(ring, i, &member); ++i) {
  }
  ep_ring_watch(ring);
  ep_ring_cleanup_before(ring, stat.tail_sequence);
  ep_ring_consumer_close(consumer, "one");
  ep_ring_producer_close(producer);
  if (seed % 5 == 0) ep_ring_group_remove(ring, "victims");
}

// A process of its own for a use of the ring; false: it died.
bool survives(ep_ring* ring, unsigned rounds, unsigned seed, unsigned processes) {
  std::vector<pid_t> children;
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(kHangSeconds);
      ep_ring* own = nullptr;
      if (ep_ring_attach_fd(ep_ring_fd(ring), 0, &own) == EP_RING_OK) {
        use(own, rounds, seed + i);
        ep_ring_detach(own);
      }
      _exit(0);
    }
    children.push_back(child);
  }
  bool all = true;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    if (status == 0) continue;
    fprintf(stderr, "ring_hostile: a process ended with %s %d\n",
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    all = false;
  }
  return all;
}

// Over the tables mostly, where the words are; sometimes whole values that look like words.
[[noreturn]] void scribble(int fd, unsigned flips, unsigned seed) {
  struct stat status {};
  fstat(fd, &status);
  const auto bytes = static_cast<size_t>(status.st_size);
  auto* base =
      static_cast<unsigned char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
  // Only what is there: a hole would be filled.
  std::vector<std::pair<off_t, off_t>> extents;
  for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
    const off_t end = lseek(fd, at, SEEK_HOLE);
    extents.emplace_back(at, end);
    at = end;
  }
  std::mt19937_64 random(seed);
  for (unsigned i = 0; i < flips; ++i) {
    const auto& [from, to] = extents[random() % extents.size()];
    const auto offset = static_cast<size_t>(from) + random() % static_cast<size_t>(to - from);
    if (random() % 4 == 0) {
      auto* word = reinterpret_cast<uint64_t*>(base + offset / 8 * 8);
      const uint64_t other = *reinterpret_cast<uint64_t*>(
          base + (static_cast<size_t>(from) + random() % static_cast<size_t>(to - from)) / 8 * 8);
      *word = random() % 2 == 0 ? other : random() << (random() % 64);
    } else {
      base[offset] = static_cast<unsigned char>(random());
    }
    if (i % 64 == 0) usleep(1);
  }
  _exit(0);
}

int run_flips(unsigned flips, unsigned seed) {
  printf("seed %u\n", seed);
  fflush(stdout);
  constexpr unsigned kPerRegion = 1000;
  for (unsigned done = 0; done < flips; done += kPerRegion) {
    ep_ring_options options;
    ep_ring_options_init(&options);
    options.pool_bytes = size_t{1} << 20;
    options.slots = 256;
    options.lease_ms = 200;
    if (done / kPerRegion % 2 == 0) options.flags = EP_RING_CHECK_PAYLOADS;
    ep_ring* ring = nullptr;
    if (ep_ring_create(nullptr, &options, &ring) != EP_RING_OK) fail("create", strerror(errno));
    if (!survives(ring, 200, seed + done, 2)) return 1;
    const pid_t scribbler = fork();
    if (scribbler == 0) scribble(ep_ring_fd(ring), kPerRegion, seed + done);
    bool is_over = false;
    for (unsigned round = 0; !is_over; ++round) {
      if (!survives(ring, 500, seed + done + 10 * round, 3)) return 1;
      is_over = waitpid(scribbler, nullptr, WNOHANG) == scribbler;
    }
    if (!survives(ring, 500, seed + done + 7, 3)) return 1;
    ep_ring_detach(ring);
  }
  return 0;
}

void write_file(const std::string& path, const std::vector<char>& bytes) {
  const int fd = open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0600);
  if (fd < 0 || write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    fail(path.c_str(), strerror(errno));
  }
  close(fd);
}

std::vector<char> read_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  struct stat status {};
  fstat(fd, &status);
  std::vector<char> bytes(static_cast<size_t>(status.st_size));
  if (read(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    fail(path.c_str(), strerror(errno));
  }
  close(fd);
  return bytes;
}

void expect(const std::string& path, const std::vector<char>& bytes, int wanted) {
  write_file(path, bytes);
  ep_ring* ring = nullptr;
  const int error = ep_ring_attach(path.c_str(), 0, &ring);
  if (error != wanted) fail(ep_ring_strerror(error), ep_ring_strerror(wanted));
  if (error == EP_RING_OK) ep_ring_detach(ring);
}

int run_malformed() {
  char folder[] = "/tmp/ring_hostile.XXXXXX";
  if (mkdtemp(folder) == nullptr) fail("mkdtemp", strerror(errno));
  const std::string path = std::string(folder) + "/ring";
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.pool_bytes = size_t{1} << 17;
  options.slots = 64;
  ep_ring* ring = nullptr;
  if (ep_ring_create(path.c_str(), &options, &ring) != EP_RING_OK) fail("create", path.c_str());
  use(ring, 20, 3);
  ep_ring_detach(ring);
  const std::vector<char> good = read_file(path);
  expect(path, good, EP_RING_OK);
  std::mt19937 random(1);
  unsigned files = 0;
  const auto with = [&good](size_t at, char value) {
    std::vector<char> bytes = good;
    bytes[at] = value;
    return bytes;
  };
  for (const size_t length : {size_t{0}, size_t{1}, size_t{7}}) {
    expect(path, {good.begin(), good.begin() + static_cast<long>(length)}, EP_RING_FOREIGN);
    ++files;
  }
  for (; files < 40; ++files) {
    const size_t length = 8 + random() % (good.size() - 8);
    expect(path, {good.begin(), good.begin() + static_cast<long>(length)}, EP_RING_TRUNCATED);
  }
  for (size_t at = 0; at < 8; ++at, ++files) expect(path, with(at, 'x'), EP_RING_FOREIGN);
  for (const uint32_t version :
       {elasticpool::kRegionVersion - 1, elasticpool::kRegionVersion + 1}) {
    expect(path, with(8, static_cast<char>(version)), EP_RING_VERSION);
    ++files;
  }
  // Every byte of the configuration, and after them whatever lies in the tables.
  for (size_t at = 12; at < kConfigBytes; ++at, ++files) {
    expect(path, with(at, static_cast<char>(good[at] + 1)), EP_RING_CORRUPT);
  }
  for (; files < 200; ++files) {
    std::vector<char> bytes = good;
    for (unsigned i = 0; i < 200; ++i) {
      bytes[kConfigBytes + random() % (bytes.size() - kConfigBytes)] = static_cast<char>(random());
    }
    write_file(path, bytes);
    const pid_t child = fork();
    if (child == 0) {
      alarm(kHangSeconds);
      ep_ring* own = nullptr;
      if (ep_ring_attach(path.c_str(), 0, &own) == EP_RING_OK) use(own, 50, files);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (status != 0) fail("a malformed file killed who attached", path.c_str());
  }
  unlink(path.c_str());
  rmdir(folder);
  printf("%u files\n", files);
  return 0;
}

int run_full() {
  char folder[] = "/tmp/ring_hostile.XXXXXX";
  if (mkdtemp(folder) == nullptr) fail("mkdtemp", strerror(errno));
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", folder, "tmpfs", 0, "size=2m") != 0) {
    rmdir(folder);
    printf("no right to mount: skipped\n");
    return kSkip;
  }
  const std::string path = std::string(folder) + "/ring";
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.slots = 1 << 20;
  ep_ring* ring = nullptr;
  // Tables larger than the file system.
  if (const int error = ep_ring_create(path.c_str(), &options, &ring); error != EP_RING_NO_SPACE) {
    fail("tables that do not fit", ep_ring_strerror(error));
  }
  if (access(path.c_str(), F_OK) == 0) fail("left behind", path.c_str());
  options.slots = 64;
  if (const int error = ep_ring_create(path.c_str(), &options, &ring); error != EP_RING_OK) {
    fail("a small ring", ep_ring_strerror(error));
  }
  ep_ring_producer* producer = nullptr;
  ep_ring_producer_open(ring, &producer);
  // 64 MiB are promised and two are there: an error, and the ring goes on.
  std::vector<ep_ring_buffer> buffers;
  int error = EP_RING_OK;
  while (error == EP_RING_OK) {
    ep_ring_buffer buffer;
    error = ep_ring_reserve(producer, 3000 + buffers.size() % 2 * 60'000, 0, &buffer);
    if (error != EP_RING_OK) break;
    memset(buffer.data, 1, buffer.size);
    buffers.push_back(buffer);
  }
  if (error != EP_RING_NO_SPACE) fail("a full file system", ep_ring_strerror(error));
  if (buffers.size() < 8) fail("reserved", "hardly anything");
  for (ep_ring_buffer& buffer : buffers) {
    if (ep_ring_publish(producer, &buffer, nullptr, 0, nullptr) != EP_RING_OK &&
        ep_ring_discard(producer, &buffer) != EP_RING_OK) {
      fail("a buffer", "neither published nor discarded");
    }
  }
  use(ring, 100, 5);
  ep_ring_producer_close(producer);
  ep_ring_detach(ring);
  umount(folder);
  rmdir(folder);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "flips") {
    const auto flips = argc > 2 ? static_cast<unsigned>(strtoul(argv[2], nullptr, 10)) : 50'000;
    const auto seed =
        argc > 3 ? static_cast<unsigned>(strtoul(argv[3], nullptr, 10)) : std::random_device{}();
    return run_flips(flips, seed);
  }
  if (mode == "malformed") return run_malformed();
  if (mode == "full") return run_full();
  fprintf(stderr, "usage: ring_hostile flips [N] [SEED] | malformed | full\n");
  return 2;
}
