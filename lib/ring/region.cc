// Creating, opening, checking and mapping regions.
#include "ring/region.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include "ring/durable.h"
#include "ring/process_life.h"
#include "ring/region_file.h"

namespace elasticpool {
namespace {

constexpr uint32_t kKnownFlags = EP_RING_HUGE_2M | EP_RING_HUGE_1G | EP_RING_CHECK_PAYLOADS;
constexpr uint32_t kLeaseMsMin = 100;

uint32_t config_checksum(const RegionConfig& config) {
  return crc32c(&config, offsetof(RegionConfig, checksum));
}

bool are_possible(const ep_ring_options& options) {
  const uint64_t largest =
      options.pool_bytes > options.pool_bytes_max ? options.pool_bytes : options.pool_bytes_max;
  return options.pool_bytes != 0 && largest <= kGranulesMax * kRingGranuleBytes &&
         options.slots <= kSlotsMax && (options.flags & ~kKnownFlags) == 0 &&
         options.lease_ms >= kLeaseMsMin && (options.mode & ~07777U) == 0;
}

RegionConfig make_config(const char* name, const ep_ring_options& options) {
  RegionConfig config{};
  config.magic = kRegionMagic;
  config.version = kRegionVersion;
  config.layout = layout_number();
  config.pool_bytes_max =
      options.pool_bytes > options.pool_bytes_max ? options.pool_bytes : options.pool_bytes_max;
  config.growth_bytes =
      options.growth_bytes != 0 ? options.growth_bytes : config.pool_bytes_max / 8;
  const uint32_t slots = options.slots < kSlotsMin ? kSlotsMin : options.slots;
  config.slots = uint32_t{1} << ceil_log2(slots);
  config.flags = options.flags;
  config.lease_ms = options.lease_ms;
  config.is_durable = name != nullptr && strchr(name, '/') != nullptr ? 1 : 0;
  // After a power cut a payload must prove that it is whole.
  if (config.is_durable != 0) config.flags |= EP_RING_CHECK_PAYLOADS;
  config.checksum = config_checksum(config);
  return config;
}

}  // namespace

uint64_t Region::sequence_of(uint64_t slot, uint32_t lap, uint64_t near) const {
  const uint32_t lap_near = lap_of(near);
  const auto distance = static_cast<int32_t>(lap - lap_near);
  const uint64_t lap_wide =
      (near >> slots_log2_) + static_cast<uint64_t>(static_cast<int64_t>(distance));
  return lap_wide << slots_log2_ | slot;
}

void Region::set_geometry() {
  geometry_ = make_geometry(config_.slots, config_.pool_bytes_max);
  slots_log2_ = floor_log2(config_.slots);
  delivery_stride_ =
      round_up(config_.slots * sizeof(SharedU64), kRingGranuleBytes) / sizeof(SharedU64);
}

ep_ring_error Region::map(bool write_payloads) {
  const uint64_t page_bytes = page_bytes_of(fd_);
  // Tables and payloads share such a page.
  if (!write_payloads && page_bytes > kPayloadAlignBytes) return EP_RING_INVALID;
  mapped_bytes_ = round_up(geometry_.end, page_bytes);
  void* base = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (base == MAP_FAILED) return EP_RING_SYSTEM;
  base_ = static_cast<unsigned char*>(base);
  payloads_ = base_ + geometry_.payloads;
  tables_ = {at<RegionHeader>(0),
             at<MemberRecord>(geometry_.members),
             at<GroupRecord>(geometry_.groups),
             at<SharedU32>(geometry_.line_map),
             at<SharedU64>(geometry_.slot_words),
             at<SharedLine>(geometry_.lines),
             at<SharedU64>(geometry_.deliveries),
             at<BlockEntry>(geometry_.granule_entries),
             at<SharedU32>(geometry_.granule_info),
             at<BlockEntry>(geometry_.block_entries)};
  const uint64_t bytes = mapped_bytes_ - geometry_.payloads;
  if (!write_payloads && mprotect(payloads_, bytes, PROT_READ) != 0) return EP_RING_SYSTEM;
  may_write_payloads_ = write_payloads;
  // Where there is none, small pages do.
  if ((config_.flags & (EP_RING_HUGE_2M | EP_RING_HUGE_1G)) != 0) {
    madvise(payloads_, bytes, MADV_HUGEPAGE);
  }
  return EP_RING_OK;
}

ep_ring_error Region::back(uint64_t offset, uint64_t bytes) const {
  if (is_backed_whole_) return EP_RING_OK;
  while (fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    if (errno == EINTR) continue;
    // A file system that cannot reserve: the first touch takes what it needs.
    return errno == EOPNOTSUPP ? EP_RING_OK : error_of_errno();
  }
  return EP_RING_OK;
}

ep_ring_error Region::sync(uint64_t offset, uint64_t bytes) const {
  const uint64_t start = round_down(offset, kRingGranuleBytes);
  return msync(base_ + start, offset + bytes - start, MS_SYNC) == 0 ? EP_RING_OK : EP_RING_SYSTEM;
}

ep_ring_error Region::sync() const { return sync(0, geometry_.end); }

// All zero is an empty ring, but for what is written here.
ep_ring_error Region::lay_out(const char* name, const ep_ring_options& options) {
  ep_ring_error error = back(0, geometry_.fixed_end);
  if (error != EP_RING_OK) return error;
  error = map(true);
  if (error != EP_RING_OK) return error;
  RegionHeader& header = this->header();
  const uint64_t granules = divide_up(options.pool_bytes, kRingGranuleBytes);
  header.granules.store_relaxed(round_up(granules, kGranulesPerWord));
  header.head.store_relaxed(kFirstSequence);
  header.tail.store_relaxed(kFirstSequence);
  slot_word(0).store_relaxed(empty_slot(1));
  for (uint64_t frame = 0; frame < header.granules.load_relaxed() / kGranulesPerWord; ++frame) {
    free_hint(frame).store_relaxed(UINT32_MAX);
  }
  memcpy(&header.config, &config_, sizeof(config_));
  if (name == nullptr) fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  header.boot.store_relaxed(boot_number());
  header.is_ready.store_release(1);
  return EP_RING_OK;
}

ep_ring_error Region::make(const char* name, const ep_ring_options& options) {
  config_ = make_config(name, options);
  set_geometry();
  RegionFile file;
  ep_ring_error error = make_region_file(name, options.mode, geometry_.end, options.flags, &file);
  fd_ = file.fd;
  is_backed_whole_ = file.is_huge;
  if (error == EP_RING_OK) error = mark_attached(fd_);
  if (error == EP_RING_OK) error = lay_out(name, options);
  if (error == EP_RING_OK && config_.is_durable != 0) error = write_first_record(*this);
  if (error == EP_RING_OK) error = link_region_file(name, file);
  if (error != EP_RING_OK && file.has_name && name != nullptr) {
    char path[kPathBytes];
    if (region_path(name, path) == EP_RING_OK) unlink(path);
  }
  return error;
}

ep_ring_error Region::create(const char* name, const ep_ring_options& options, Region** region) {
  if (!are_possible(options)) return EP_RING_INVALID;
  void* place = malloc(sizeof(Region));
  if (place == nullptr) return EP_RING_NO_MEMORY;
  auto* made = new (place) Region;
  const ep_ring_error error = made->make(name, options);
  if (error != EP_RING_OK) {
    const int saved_errno = errno;
    close(made);
    errno = saved_errno;
    return error;
  }
  made->name_ = name != nullptr ? strdup(name) : nullptr;
  *region = made;
  return EP_RING_OK;
}

ep_ring_error Region::read_config() {
  struct stat status {};
  if (fstat(fd_, &status) != 0) return EP_RING_SYSTEM;
  if (!S_ISREG(status.st_mode)) return EP_RING_FOREIGN;
  const ssize_t got = pread(fd_, &config_, sizeof(config_), 0);
  if (got < 0) return EP_RING_SYSTEM;
  if (static_cast<size_t>(got) < sizeof(config_.magic)) return EP_RING_FOREIGN;
  // Made but not laid out yet: only where a file system knows no unnamed files.
  if (config_.magic == 0 && status.st_size > 0) return EP_RING_UNFINISHED;
  if (config_.magic != kRegionMagic) return EP_RING_FOREIGN;
  if (static_cast<size_t>(got) < sizeof(config_)) return EP_RING_TRUNCATED;
  if (config_.version != kRegionVersion) return EP_RING_VERSION;
  if (config_.checksum != config_checksum(config_)) return EP_RING_CORRUPT;
  if (config_.layout != layout_number()) return EP_RING_VERSION;
  if (!is_power_of_two(config_.slots) || config_.slots < kSlotsMin || config_.slots > kSlotsMax ||
      config_.pool_bytes_max == 0 || config_.pool_bytes_max > kGranulesMax * kRingGranuleBytes) {
    return EP_RING_CORRUPT;
  }
  set_geometry();
  return static_cast<uint64_t>(status.st_size) < geometry_.end ? EP_RING_TRUNCATED : EP_RING_OK;
}

ep_ring_error Region::open_fd(uint32_t flags) {
  if ((flags & ~uint32_t{EP_RING_READ_ONLY_PAYLOADS}) != 0) return EP_RING_INVALID;
  ep_ring_error error = read_config();
  if (error == EP_RING_OK) error = mark_attached(fd_);
  if (error != EP_RING_OK) return error;
  error = map((flags & EP_RING_READ_ONLY_PAYLOADS) == 0);
  if (error != EP_RING_OK) return error;
  if (header().is_ready.load_acquire() != 1) return EP_RING_UNFINISHED;
  if (config_.is_durable != 0) error = bring_in_order();
  return error;
}

// The first who attaches in a run of the machine finds what the last one left on the disk.
ep_ring_error Region::bring_in_order() {
  if (flock(fd_, LOCK_EX) != 0) return EP_RING_SYSTEM;
  ep_ring_error error = EP_RING_OK;
  const uint32_t boot = boot_number();
  if (boot != 0 && header().boot.load_acquire() != boot) {
    error = recover_after_power_cut(*this);
    if (error == EP_RING_OK) header().boot.store_release(boot);
  }
  flock(fd_, LOCK_UN);
  return error;
}

ep_ring_error Region::attach_fd(int fd, uint32_t flags, Region** region) {
  void* place = malloc(sizeof(Region));
  if (place == nullptr) return EP_RING_NO_MEMORY;
  auto* opened = new (place) Region;
  opened->fd_ = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  const ep_ring_error error = opened->fd_ < 0 ? EP_RING_SYSTEM : opened->open_fd(flags);
  if (error != EP_RING_OK) {
    const int saved_errno = errno;
    close(opened);
    errno = saved_errno;
    return error;
  }
  *region = opened;
  return EP_RING_OK;
}

ep_ring_error Region::attach(const char* name, uint32_t flags, Region** region) {
  char path[kPathBytes];
  ep_ring_error error = region_path(name, path);
  if (error != EP_RING_OK) return error;
  // Not blocking: the name may be that of a pipe.
  const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno == EISDIR ? EP_RING_FOREIGN : error_of_errno();
  error = attach_fd(fd, flags, region);
  if (error == EP_RING_OK) (*region)->name_ = strdup(name);
  const int saved_errno = errno;
  // Removed before it was marked.
  if (error == EP_RING_OK && !is_file_of(path, fd)) {
    close(*region);
    error = EP_RING_MISSING;
  }
  ::close(fd);
  errno = saved_errno;
  return error;
}

ep_ring_error Region::remove(const char* name) {
  char path[kPathBytes];
  const ep_ring_error error = region_path(name, path);
  if (error != EP_RING_OK) return error;
  uint64_t magic = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return errno == EISDIR ? EP_RING_FOREIGN : error_of_errno();
  const ssize_t got = pread(fd, &magic, sizeof(magic), 0);
  ::close(fd);
  if (got != sizeof(magic) || magic != kRegionMagic) return EP_RING_FOREIGN;
  return unlink(path) == 0 ? EP_RING_OK : error_of_errno();
}

ep_ring_error Region::remove_alone(const char* name) const {
  char path[kPathBytes];
  ep_ring_error error = region_path(name, path);
  if (error == EP_RING_OK) error = claim_alone(fd_);
  if (error != EP_RING_OK) return error;
  if (!is_file_of(path, fd_)) return EP_RING_MISSING;
  return unlink(path) == 0 ? EP_RING_OK : error_of_errno();
}

void Region::close(Region* region) {
  if (region->base_ != nullptr) munmap(region->base_, region->mapped_bytes_);
  if (region->fd_ >= 0) ::close(region->fd_);
  free(region->name_);
  region->~Region();
  free(region);
}

}  // namespace elasticpool
