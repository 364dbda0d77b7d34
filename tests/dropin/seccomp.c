// A sandbox that does not know some system calls.
//
//   fail ENOSYS|EPERM CALL...  they fail with that error
//   kill CALL...               they kill the process
//   kill-alone CALL...         the same, in a process of one thread (libc itself calls madvise when
//                              a thread ends)
//
// The filter is in force when the allocator boots. A broken allocator dies, or takes memory for
// zeroed after madvise() has failed to zero it.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "dropin.h"

enum { kBlocksMax = 300, kBytesMax = 32 * kMiB };

static long number_of(const char* name) {
  static const struct {
    const char* name;
    long number;
  } calls[] = {{"rseq", SYS_rseq},
               {"membarrier", SYS_membarrier},
               {"madvise", SYS_madvise},
               {"getcpu", SYS_getcpu},
               {"sched_getaffinity", SYS_sched_getaffinity},
               {"mbind", SYS_mbind}};
  for (size_t i = 0; i < sizeof calls / sizeof calls[0]; ++i) {
    if (strcmp(calls[i].name, name) == 0) return calls[i].number;
  }
  FAIL("unknown system call");
  return -1;
}

// Looks at the number alone: a test needs no defence against other architectures' numbers.
static void install_filter(char** names, uint32_t action) {
  struct sock_filter filter[32] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
  unsigned short length = 1;
  for (; *names != NULL; ++names) {
    const uint32_t number = (uint32_t)number_of(*names);
    filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
  }
  filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const struct sock_fprog program = {length, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    SKIP("not allowed to install a seccomp filter");
  }
}

static void expect_filtered(char** names, int error) {
  for (; *names != NULL; ++names) {
    if (error != 0) {
      EXPECT(syscall(number_of(*names), 0, 0, 0, 0, 0, 0) == -1 && errno == error);
      continue;
    }
    const pid_t pid = fork();
    if (pid == 0) _exit(syscall(number_of(*names), 0, 0, 0, 0, 0, 0) == 0);
    int status;
    EXPECT(waitpid(pid, &status, 0) == pid && killed_by(status, SIGSYS));
  }
}

static void* allocate(void* arg) {
  use_heap((uint32_t)(uintptr_t)arg, 3000);
  return NULL;
}

// Freed memory that has gone back to the system, or should have, is zero when calloc gives it
// again.
static void expect_zeroed(size_t size) {
  void* blocks[kBlocksMax];
  const size_t fit = kBytesMax / size;
  const size_t count = fit < kBlocksMax ? fit : kBlocksMax;
  for (size_t i = 0; i < count; ++i) blocks[i] = filled(size, 0xff);
  for (size_t i = 0; i < count; ++i) free(blocks[i]);
  malloc_trim(0);
  for (size_t i = 0; i < count; ++i) {
    blocks[i] = opaque(calloc(1, size));
    EXPECT(blocks[i] != NULL && holds(blocks[i], size, 0));
  }
  for (size_t i = 0; i < count; ++i) free(blocks[i]);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 3);
  const bool inside = strcmp(argv[1], "inside") == 0;
  char** mode = argv + (inside ? 2 : 1);
  const bool alone = strcmp(mode[0], "kill-alone") == 0;
  const bool kill = alone || strcmp(mode[0], "kill") == 0;
  const int error = kill ? 0 : strcmp(mode[1], "ENOSYS") == 0 ? ENOSYS : EPERM;
  char** names = mode + (kill ? 1 : 2);
  if (!inside) {
    const char* args[16] = {"inside"};
    EXPECT(argc < 15);
    for (int i = 1; i < argc; ++i) args[i] = argv[i];
    if (kill) setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);  // or libc itself is killed
    self_path();
    install_filter(names, kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (uint32_t)error);
    exec_self(args);
  }
  expect_same_allocator();
  if (alone) {
    allocate((void*)1);
  } else {
    run_threads(4, allocate);
  }
  const size_t sizes[] = {40, 1000, 5000, 30000, 100000, 1200000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) expect_zeroed(sizes[i]);
  expect_filtered(names, error);
  return 0;
}
