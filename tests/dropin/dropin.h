// What the programs of this suite share: checks, child processes, memory figures, a workload.
//
// Each program shows one sentence of "it cannot be killed by its host", and exits 0 where it holds.
// A failed check writes its place and ends the process at once, without a FILE and without malloc,
// since the allocator is what may be broken.
#ifndef ELASTICPOOL_TESTS_DROPIN_H_
#define ELASTICPOOL_TESTS_DROPIN_H_

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT(condition)                                               \
  do {                                                                  \
    if (!(condition)) fail_and_exit(__FILE__, __LINE__, 1, #condition); \
  } while (0)

#define FAIL(text) fail_and_exit(__FILE__, __LINE__, 1, text)

// Exit status 77 is how a test runner is told "not possible here".
#define SKIP(reason) fail_and_exit(__FILE__, __LINE__, 77, reason)

enum { kKiB = 1024, kMiB = 1024 * 1024, kHangSeconds = 60 };

static inline void fail_and_exit(const char* file, int line, int status, const char* text) {
  const int error = errno;
  char message[512];
  const int length = snprintf(message, sizeof message, "%s:%d: %s: %s (errno %d)\n", file, line,
                              status == 77 ? "skipped" : "failed", text, error);
  const size_t wanted = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
  if (write(STDERR_FILENO, message, wanted) < 0) _exit(status);
  _exit(status);
}

// Hides from the compiler where a pointer comes from, so that it neither drops a malloc that nobody
// reads nor warns of the misuse that a test is about.
static inline void* opaque(void* pointer) {
  __asm__ volatile("" : "+r"(pointer) : : "memory");
  return pointer;
}

// --- Contents: every byte of a block is its tag. ---

static inline void fill(void* block, size_t size, unsigned tag) {
  memset(block, (int)(tag & 0xff), size);
}

static inline bool holds(const void* block, size_t size, unsigned tag) {
  const unsigned char* bytes = (const unsigned char*)block;
  return size == 0 || (bytes[0] == (tag & 0xff) && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static inline void* filled(size_t size, unsigned tag) {
  void* block = opaque(malloc(size));
  EXPECT(block != NULL);
  fill(block, size, tag);
  return block;
}

static inline void check_and_free(void* block, size_t size, unsigned tag) {
  EXPECT(holds(block, size, tag));
  free(block);
}

// --- The workload: blocks of every tier, small ones far more often. ---

static inline uint32_t next_random(uint32_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static inline size_t random_size(uint32_t* state) {
  const uint32_t kind = next_random(state) % 256;
  const unsigned bits = kind == 0 ? 21 : kind < 8 ? 16 : kind < 64 ? 12 : 8;
  return 1 + (next_random(state) & ((1u << bits) - 1));
}

static inline void* random_allocation(uint32_t* state, size_t size) {
  void* block = NULL;
  switch (next_random(state) % 4) {
    case 0:
      block = opaque(calloc(1, size));
      EXPECT(block != NULL && holds(block, size, 0));
      return block;
    case 1:
      EXPECT(posix_memalign(&block, (size_t)16 << next_random(state) % 9, size) == 0);
      return block;
    default:
      return opaque(malloc(size));
  }
}

// Allocates, checks, resizes and frees, `steps` times; leaves nothing behind. Needs 1 KiB of stack.
static inline void use_heap(uint32_t seed, int steps) {
  enum { kSlots = 40 };
  struct {
    void* block;
    uint32_t size;
    uint32_t tag;
  } slots[kSlots] = {{NULL, 0, 0}};
  uint32_t state = seed * 2654435761u | 1;
  for (int step = 0; step < steps + kSlots; ++step) {
    const unsigned i = step < steps ? next_random(&state) % kSlots : (unsigned)(step - steps);
    if (slots[i].block != NULL) EXPECT(holds(slots[i].block, slots[i].size, slots[i].tag));
    if (step >= steps || (slots[i].block != NULL && next_random(&state) % 4 != 0)) {
      free(slots[i].block);
      slots[i].block = NULL;
      continue;
    }
    const uint32_t size = (uint32_t)random_size(&state);
    if (slots[i].block == NULL) {
      slots[i].block = random_allocation(&state, size);
    } else {
      slots[i].block = opaque(realloc(slots[i].block, size));
      const uint32_t kept = size < slots[i].size ? size : slots[i].size;
      EXPECT(slots[i].block != NULL && holds(slots[i].block, kept, slots[i].tag));
    }
    EXPECT(slots[i].block != NULL);
    slots[i].size = size;
    slots[i].tag = next_random(&state);
    fill(slots[i].block, size, slots[i].tag);
  }
}

static inline void run_threads(int count, void* (*body)(void*)) {
  pthread_t threads[64];
  EXPECT(count <= 64);
  for (intptr_t i = 0; i < count; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, body, (void*)i) == 0);
  }
  for (int i = 0; i < count; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
}

// --- Figures of this process, read without malloc. ---

static inline long number_after(const char* file, const char* name) {
  char text[4096];
  const int fd = open(file, O_RDONLY | O_CLOEXEC);
  EXPECT(fd >= 0);
  const ssize_t length = read(fd, text, sizeof text - 1);
  EXPECT(length > 0 && close(fd) == 0);
  text[length] = '\0';
  const char* found = strstr(text, name);
  EXPECT(found != NULL);
  return strtol(found + strlen(name), NULL, 10);
}

// VmRSS is a sum of per-CPU counters and may be off by megabytes; the roll-up walks the pages.
static inline long resident_kib(void) { return number_after("/proc/self/smaps_rollup", "\nRss:"); }
static inline long mapped_kib(void) { return number_after("/proc/self/status", "VmSize:"); }

// Whether the kernel has begun to end the thread; gone altogether counts.
static inline bool is_ending(int task_folder, const char* thread_id) {
  char path[64];
  char text[1024];
  snprintf(path, sizeof path, "%s/stat", thread_id);
  const int fd = openat(task_folder, path, O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) close(fd);
  if (length <= 0) return true;
  text[length] = '\0';
  const char* behind_name = strrchr(text, ')');
  unsigned flags = 0;
  EXPECT(behind_name != NULL);
  EXPECT(sscanf(behind_name, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1);
  return (flags & 4) != 0;  // PF_EXITING
}

// The first `capacity` threads of this process, by number; how many there are. One that has been
// joined stands in the kernel's list for a moment longer: what is ending does not count.
static inline long list_threads(int* threads, long capacity) {
  const int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  EXPECT(folder >= 0);
  long count = 0;
  char entries[4096] __attribute__((aligned(8)));
  for (;;) {
    const ssize_t bytes = getdents64(folder, entries, sizeof entries);
    EXPECT(bytes >= 0);
    if (bytes == 0) break;
    for (ssize_t at = 0; at < bytes;) {
      const struct dirent64* entry = (const struct dirent64*)(entries + at);
      at += entry->d_reclen;
      if (entry->d_name[0] == '.' || is_ending(folder, entry->d_name)) continue;
      if (count < capacity) threads[count] = (int)strtol(entry->d_name, NULL, 10);
      ++count;
    }
  }
  close(folder);
  return count;
}

static inline long count_threads(void) { return list_threads(NULL, 0); }

// --- Child processes: this program again, since stderr belongs to a process from its exec on. ---

typedef struct {
  int status;      // as waitpid() gives it
  char out[8192];  // what it wrote to stdout
  char err[8192];  // and to stderr
} Child;

static inline const char* self_path(void) {
  static char path[PATH_MAX];
  if (path[0] == '\0') EXPECT(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
  return path;
}

static inline const char* allocator_path(void) {
  Dl_info info;
  EXPECT(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
  return info.dli_fname;
}

// Becomes this program again; the new one can ask whether it runs on the same allocator.
static inline void exec_self(const char* const* args) {
  const char* argv[16] = {self_path()};
  for (int i = 0; args[i] != NULL; ++i) argv[i + 1] = args[i];
  setenv("DROPIN_ALLOCATOR", allocator_path(), 1);
  execv(argv[0], (char* const*)(uintptr_t)argv);
  FAIL("execv() returned");
}

static inline void expect_same_allocator(void) {
  const char* wanted = getenv("DROPIN_ALLOCATOR");
  EXPECT(wanted != NULL && strcmp(wanted, allocator_path()) == 0);
}

static inline void read_all(int fd, char* text, size_t capacity) {
  const ssize_t length = pread(fd, text, capacity - 1, 0);
  EXPECT(length >= 0 && close(fd) == 0);
  text[length] = '\0';
}

// Runs this program with `args`, and with `env` ("NAME=value", may be NULL) added to the present
// environment. A child that hangs is ended by SIGALRM.
static inline Child run_self(const char* const* args, const char* const* env) {
  Child child;
  const int out = memfd_create("stdout", MFD_CLOEXEC);
  const int err = memfd_create("stderr", MFD_CLOEXEC);
  EXPECT(out >= 0 && err >= 0);
  const pid_t pid = fork();
  EXPECT(pid >= 0);
  if (pid == 0) {
    EXPECT(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
    for (int i = 0; env != NULL && env[i] != NULL; ++i) putenv((char*)(uintptr_t)env[i]);
    alarm(kHangSeconds);
    exec_self(args);
  }
  EXPECT(waitpid(pid, &child.status, 0) == pid);
  read_all(out, child.out, sizeof child.out);
  read_all(err, child.err, sizeof child.err);
  return child;
}

static inline bool exited_with(int status, int code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static inline void expect_success(pid_t child) {
  EXPECT(child > 0);
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child);
  EXPECT(exited_with(status, 0));
}

static inline bool killed_by(int status, int signal_number) {
  return WIFSIGNALED(status) && WTERMSIG(status) == signal_number;
}

// --- Misuse: the child writes to stdout the lines of which one must come on stderr, then errs. ---

static inline void expect_line(const char* before_address, const void* address) {
  dprintf(STDOUT_FILENO, "elasticpool: %s%p\n", before_address, address);
}

static inline bool aborted_with_expected_line(const Child* child) {
  const char* end = strchr(child->err, '\n');
  const bool one_line = end != NULL && end[1] == '\0';
  const bool good = killed_by(child->status, SIGABRT) && one_line && strstr(child->out, child->err);
  if (!good) {
    fprintf(stderr, "status 0x%x\nexpected one of:\n%sgot:\n%s\n", (unsigned)child->status,
            child->out, child->err);
  }
  return good;
}

#endif  // ELASTICPOOL_TESTS_DROPIN_H_
