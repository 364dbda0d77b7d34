// What happens to processes under pressure, and to the limit that they meet: never a crash, never a
// hang, and no memory of the program's, no descriptor and no child is touched.
//
//   lifecycle fork              at 85 %, with a callback registered and two threads at work: twenty
//                               children use the heap, ask, are called, and end
//   lifecycle exec              at 85 % it becomes another program, which starts from nothing
//   lifecycle daemon            a daemon: no parent, no terminal, all descriptors closed and their
//                               numbers used again; none of the new ones is read, moved or closed
//   lifecycle chroot            the root is an empty folder: no /proc, no /sys
//   lifecycle endure SECONDS    two threads work and ask, while in_group.c changes the limit or
//                               takes the group away
//
// In a group of 192 MiB; the first four of them as root.
#include <stdatomic.h>
#include <sys/stat.h>

#include "pressure_test.h"

enum { kPressedMib = 163, kHalfMib = 80, kChildren = 20, kDescriptors = 60, kLowestBlocks = 512 };
enum { kEndureThreads = 2, kEndureMibMax = 24 };

static atomic_uint g_calls;
static bool was_called(void) { return atomic_load(&g_calls) > 0; }

static void count_call(const struct ep_pressure* pressure, uint64_t wanted_bytes, void* argument) {
  (void)wanted_bytes;
  (void)argument;
  expect_sane(pressure);
  use_heap(atomic_load(&g_calls), 100);
  atomic_fetch_add(&g_calls, 1);
}

static void press_and_be_called(void) {
  atomic_store(&g_calls, 0);
  EXPECT(ep_on_pressure(count_call, NULL) == 0);
  press_to_mib(kPressedMib);
  work_until(was_called);
}

// --- fork ---

static atomic_bool g_threads_end;

static void* work_beside(void* argument) {
  for (uint32_t round = 0; !atomic_load(&g_threads_end); ++round) {
    use_heap(round + (uint32_t)(uintptr_t)argument, 300);
    pressure_now();
  }
  return argument;
}

static void live_as_child(void) {
  use_heap((uint32_t)getpid(), 2000);
  const struct ep_pressure pressure = pressure_now();
  EXPECT(pressure.limit_bytes != 0);
  // What was registered is so in the child as well.
  EXPECT(ep_on_pressure(count_call, NULL) == EEXIST);
  EXPECT(ep_off_pressure(count_call, NULL) == 0);
  atomic_store(&g_calls, 0);
  EXPECT(ep_on_pressure(count_call, &g_calls) == 0);
  work_until(was_called);
  _exit(0);
}

static void forks(void) {
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, work_beside, (void*)i) == 0);
  }
  press_and_be_called();
  for (int i = 0; i < kChildren; ++i) {
    const pid_t child = fork();
    if (child == 0) live_as_child();
    expect_success(child);
  }
  atomic_store(&g_threads_end, true);
  for (int i = 0; i < 2; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
  atomic_store(&g_calls, 0);
  work_until(was_called);
}

// --- exec ---

static void exec_under_pressure(void) {
  press_and_be_called();
  exec_self((const char*[]){"after-exec", NULL});
}

static void after_exec(void) {
  expect_same_allocator();
  const struct ep_pressure pressure = pressure_now();
  EXPECT(pressure.callbacks == 0 && pressure.level < EP_PRESSURE_HIGH);
  press_and_be_called();
}

// --- daemon ---

// A file that shows when somebody else has read, written, moved or replaced it.
typedef struct {
  int fd;
  struct stat status;
} OwnFile;

static OwnFile own_file(int number) {
  OwnFile file = {memfd_create("own", 0), {0}};
  EXPECT(file.fd >= 0);
  EXPECT(dprintf(file.fd, "this is file %d", number) > 0);
  EXPECT(lseek(file.fd, number % 7, SEEK_SET) == number % 7);
  EXPECT(fstat(file.fd, &file.status) == 0);
  return file;
}

static bool is_untouched(const OwnFile* file, int number) {
  struct stat status;
  char expected[64], found[64] = "";
  snprintf(expected, sizeof expected, "this is file %d", number);
  return fstat(file->fd, &status) == 0 && status.st_ino == file->status.st_ino &&
         status.st_dev == file->status.st_dev && lseek(file->fd, 0, SEEK_CUR) == number % 7 &&
         pread(file->fd, found, sizeof found - 1, 0) >= 0 && strcmp(found, expected) == 0;
}

// Every number below 1024 but the pipe's, as daemons do.
static void close_all_but(int kept) {
  for (int fd = 0; fd < 1024; ++fd) {
    if (fd != kept) close(fd);
  }
}

// Files of our own under every number that the library may have had, the pipe's left out.
static void use_numbers_again(OwnFile* files, int kept) {
  for (int i = 0; i < kDescriptors; ++i) files[i] = own_file(i);
  for (int fd = 850; fd < 1024; ++fd) {
    if (fd != kept) EXPECT(dup2(files[fd % kDescriptors].fd, fd) == fd);
  }
}

static void live_as_daemon(int pipe_end) {
  static OwnFile files[kDescriptors];
  EXPECT(setsid() > 0);
  close_all_but(pipe_end);
  use_numbers_again(files, pipe_end);
  press_to_mib(kHalfMib);
  pressure_now();
  press_and_be_called();
  work_for_ms(2500);
  bool good = true;
  for (int i = 0; i < kDescriptors; ++i) good = good && is_untouched(&files[i], i);
  for (int fd = 850; fd < 1024; ++fd) {
    OwnFile again = files[fd % kDescriptors];
    again.fd = fd;
    good = good && (fd == pipe_end || is_untouched(&again, fd % kDescriptors));
  }
  const char* answer = good ? "good" : "a file was touched";
  EXPECT(write(pipe_end, answer, strlen(answer)) > 0);
  _exit(0);
}

static void daemonise(void) {
  int ends[2];
  pressure_now();
  EXPECT(pipe(ends) == 0);
  const pid_t between = fork();
  if (between == 0) {
    if (fork() == 0) live_as_daemon(ends[1]);
    _exit(0);
  }
  expect_success(between);
  EXPECT(close(ends[1]) == 0);
  char answer[64] = "";
  EXPECT(read(ends[0], answer, sizeof answer - 1) >= 0);
  if (strcmp(answer, "good") != 0) fprintf(stderr, "the daemon says: '%s'\n", answer);
  EXPECT(strcmp(answer, "good") == 0);
}

// --- chroot ---

static void change_root(void) {
  char folder[] = "/tmp/elasticpool-test-XXXXXX";
  EXPECT(mkdtemp(folder) != NULL);
  EXPECT(chdir(folder) == 0 && rmdir(folder) == 0);
  if (chroot(".") != 0) SKIP("chroot() is for root");
  EXPECT(access("/proc", F_OK) != 0);
  // What the library knows of its group by then it may go on knowing.
  pressure_now();
  EXPECT(ep_on_pressure(count_call, NULL) == 0);
  press_to_mib(kPressedMib);
  work_for_ms(3000);
  const struct ep_pressure pressure = pressure_now();
  printf("source=%d limit_mib=%llu calls=%u\n", (int)pressure.source,
         (unsigned long long)(pressure.limit_bytes / kMiB), atomic_load(&g_calls));
}

// --- endure ---

static uint64_t g_end_ns;

// Up to a part of what fits, and down again; contents are checked throughout.
static void* endure_on_thread(void* argument) {
  uint32_t state = seed_of_run() + (uint32_t)(uintptr_t)argument;
  while (now_ns() < g_end_ns) {
    void* blocks[kLowestBlocks];
    size_t sizes[kLowestBlocks], bytes = 0;
    unsigned count = 0;
    for (; count < kLowestBlocks && bytes < (size_t)kEndureMibMax * kMiB; ++count) {
      sizes[count] = between(&state, 16, 256 * kKiB);
      blocks[count] = opaque(malloc(sizes[count]));
      if (blocks[count] == NULL) break;
      fill(blocks[count], sizes[count], count);
      bytes += sizes[count];
    }
    for (unsigned i = 0; i < count; ++i) check_and_free(blocks[i], sizes[i], i);
    usleep(1000);
  }
  return argument;
}

static void endure(double seconds) {
  g_end_ns = now_ns() + (uint64_t)(seconds * 1e9);
  EXPECT(ep_on_pressure(count_call, NULL) == 0);
  pthread_t threads[kEndureThreads];
  for (uintptr_t i = 0; i < kEndureThreads; ++i) {
    EXPECT(pthread_create(&threads[i], NULL, endure_on_thread, (void*)i) == 0);
  }
  uint64_t last_limit = 1;
  while (now_ns() < g_end_ns) {
    const struct ep_pressure pressure = pressure_now();
    if (pressure.limit_bytes != last_limit) {
      last_limit = pressure.limit_bytes;
      printf("limit=%llu source=%d used_mib=%llu\n", (unsigned long long)last_limit,
             (int)pressure.source, (unsigned long long)(pressure.used_bytes / kMiB));
      fflush(stdout);
    }
    usleep(50000);
  }
  for (int i = 0; i < kEndureThreads; ++i) EXPECT(pthread_join(threads[i], NULL) == 0);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  need_pressure_functions();
  const char* mode = argv[1];
  if (strcmp(mode, "fork") == 0) {
    forks();
  } else if (strcmp(mode, "exec") == 0) {
    exec_under_pressure();
  } else if (strcmp(mode, "after-exec") == 0) {
    after_exec();
  } else if (strcmp(mode, "daemon") == 0) {
    daemonise();
  } else if (strcmp(mode, "chroot") == 0) {
    change_root();
  } else {
    EXPECT(strcmp(mode, "endure") == 0 && argc == 3);
    endure(strtod(argv[2], NULL));
  }
  press_to_mib(0);
  return 0;
}
