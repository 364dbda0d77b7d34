// Making and finding the files behind regions.
#include "ring/region_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace elasticpool {
namespace {

// Who removes a region holds its lock for some system calls only.
constexpr int kRemovalWaitsMax = 100;
constexpr timespec kRemovalWait{0, 1'000'000};

// Of the open file, so that threads and children share it. Its byte means nothing.
struct flock lock_of(short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  return lock;
}

bool is_taken_by_others() { return errno == EAGAIN || errno == EACCES; }

// The kernel's pool of pages of that size must hold all of it. -1: it does not.
int make_huge_memfd(uint64_t bytes, uint64_t page_bytes, unsigned page_flag) {
  const int fd = memfd_create("elasticpool-ring",
                              MFD_CLOEXEC | MFD_ALLOW_SEALING | unsigned{MFD_HUGETLB} | page_flag);
  if (fd < 0) return -1;
  const auto whole = static_cast<off_t>((bytes + page_bytes - 1) / page_bytes * page_bytes);
  if (ftruncate(fd, whole) == 0 && fallocate(fd, 0, 0, whole) == 0) return fd;
  close(fd);
  return -1;
}

ep_ring_error make_memfd(uint64_t bytes, uint32_t flags, RegionFile* file) {
  file->has_name = true;
  file->fd = -1;
  if ((flags & EP_RING_HUGE_1G) != 0) {
    file->fd = make_huge_memfd(bytes, uint64_t{1} << 30, MFD_HUGE_1GB);
  }
  if (file->fd < 0 && (flags & EP_RING_HUGE_2M) != 0) {
    file->fd = make_huge_memfd(bytes, uint64_t{2} << 20, MFD_HUGE_2MB);
  }
  file->is_huge = file->fd >= 0;
  if (file->is_huge) return EP_RING_OK;
  file->fd = memfd_create("elasticpool-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  return file->fd < 0 ? EP_RING_SYSTEM : EP_RING_OK;
}

}  // namespace

uint64_t page_bytes_of(int fd) {
  struct statfs file_system {};
  if (fstatfs(fd, &file_system) != 0 || file_system.f_type != HUGETLBFS_MAGIC) return 4096;
  return static_cast<uint64_t>(file_system.f_bsize);
}

namespace {

// In the folder of `path`, without a name where the file system knows that.
ep_ring_error make_named(const char* path, uint32_t mode, RegionFile* file) {
  char folder[kPathBytes];
  const char* slash = strrchr(path, '/');
  const size_t length = slash == path ? 1 : static_cast<size_t>(slash - path);
  memcpy(folder, path, length);
  folder[length] = '\0';
  file->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file->fd < 0 && errno != EACCES && errno != ENOENT && errno != ENOTDIR) {
    file->fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    file->has_name = file->fd >= 0;
  }
  if (file->fd < 0) return error_of_errno();
  // The mode as it was asked for, whatever the umask is.
  return fchmod(file->fd, static_cast<mode_t>(mode)) == 0 ? EP_RING_OK : EP_RING_SYSTEM;
}

}  // namespace

ep_ring_error error_of_errno() {
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
      return EP_RING_MISSING;
    case EACCES:
    case EPERM:
    case EROFS:
      return EP_RING_DENIED;
    case EEXIST:
      return EP_RING_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return EP_RING_NO_SPACE;
    default:
      return EP_RING_SYSTEM;
  }
}

ep_ring_error region_path(const char* name, char (&path)[kPathBytes]) {
  if (name == nullptr || name[0] == '\0') return EP_RING_INVALID;
  const bool is_path = strchr(name, '/') != nullptr;
  if (!is_path && name[0] == '.') return EP_RING_INVALID;
  const int length = is_path ? snprintf(path, kPathBytes, "%s", name)
                             : snprintf(path, kPathBytes, "/dev/shm/%s.ring", name);
  return length > 0 && static_cast<size_t>(length) < kPathBytes ? EP_RING_OK : EP_RING_INVALID;
}

ep_ring_error make_region_file(const char* name, uint32_t mode, uint64_t bytes, uint32_t flags,
                               RegionFile* file) {
  ep_ring_error error = EP_RING_OK;
  if (name == nullptr) {
    error = make_memfd(bytes, flags, file);
  } else {
    char path[kPathBytes];
    error = region_path(name, path);
    // A name that is taken is told before anything is made.
    if (error == EP_RING_OK && access(path, F_OK) == 0) error = EP_RING_EXISTS;
    if (error == EP_RING_OK) error = make_named(path, mode, file);
  }
  if (error != EP_RING_OK || file->is_huge) return error;
  return ftruncate(file->fd, static_cast<off_t>(bytes)) == 0 ? EP_RING_OK : error_of_errno();
}

ep_ring_error link_region_file(const char* name, const RegionFile& file) {
  if (file.has_name) return EP_RING_OK;
  char path[kPathBytes];
  const ep_ring_error error = region_path(name, path);
  if (error != EP_RING_OK) return error;
  char self[64];
  snprintf(self, sizeof(self), "/proc/self/fd/%d", file.fd);
  if (linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0) return EP_RING_OK;
  return error_of_errno();
}

ep_ring_error mark_attached(int fd) {
  for (int i = 0; i < kRemovalWaitsMax; ++i) {
    struct flock lock = lock_of(F_RDLCK);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || !is_taken_by_others()) return EP_RING_OK;
    nanosleep(&kRemovalWait, nullptr);
  }
  return EP_RING_BUSY;
}

bool is_attached_elsewhere(int fd) {
  struct flock lock = lock_of(F_WRLCK);
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

ep_ring_error claim_alone(int fd) {
  struct flock lock = lock_of(F_WRLCK);
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || !is_taken_by_others()) return EP_RING_OK;
  return EP_RING_BUSY;
}

bool is_file_of(const char* path, int fd) {
  struct stat named {};
  struct stat opened {};
  return stat(path, &named) == 0 && fstat(fd, &opened) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

}  // namespace elasticpool
