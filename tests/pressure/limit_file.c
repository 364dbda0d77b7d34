// Whatever stands in the file with the limit: never a crash, never a hang, and a number that is one
// is believed.
//
//   limit_file        a process works and asks while the file under its limit changes: numbers
//                     below what is used, 0, "max", -1, no number, nothing, more than 64 bits
//
// In a group of 256 MiB, as root: a file of our own is mounted over the group's, for us alone, as
// the kernel would refuse to write some of that.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

#include "group.h"
#include "pressure_test.h"

enum { kTextMs = 300, kPatienceMs = 90000, kHeapMib = 100, kLastMib = 192 };

static const char* const kTexts[] = {
    "268435456\n",
    "10485760\n",
    "0\n",
    "max\n",
    "9223372036854771712\n",
    "1\n",
    "4096\n",
    "-1\n",
    "not a number",
    "99999999999999999999999999\n",
    "",
    "\n",
    " 12",
    "0x10\n",
    "18446744073709551615\n",
    "max",
    "268435456",
};

// What the child says in the end: that it has seen the last text.
static int wait_for_last_limit(void) {
  press_to_mib(kHeapMib);
  const uint64_t end_ns = now_ns() + (uint64_t)kPatienceMs * 1000000u;
  uint64_t last = 1;
  for (uint32_t round = 0; now_ns() < end_ns; ++round) {
    use_heap(round, 500);
    check_and_free(filled(3 * kMiB, round), 3 * kMiB, round);
    const struct ep_pressure pressure = pressure_now();
    if (pressure.limit_bytes != last) {
      last = pressure.limit_bytes;
      printf("limit=%llu level=%d\n", (unsigned long long)last, (int)pressure.level);
      fflush(stdout);
    }
    if (pressure.limit_bytes == (uint64_t)kLastMib * kMiB) {
      press_to_mib(0);
      return 0;
    }
    usleep(20000);
  }
  FAIL("the last limit was not seen");
  return 1;
}

static void show(int fd, const char* text) {
  EXPECT(ftruncate(fd, 0) == 0);
  EXPECT(pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text));
}

static int mount_own_file(void) {
  char folder[PATH_MAX], file[PATH_MAX + 64];
  size_t mount_length = 0;
  const char* name = "memory.limit_in_bytes";
  bool found = group_own_folder(1, folder, &mount_length) && strlen(folder) > mount_length;
  if (!found) {
    name = "memory.max";
    found = group_own_folder(2, folder, &mount_length) && strlen(folder) > mount_length;
  }
  if (!found) SKIP("no memory group of our own");
  if (unshare(CLONE_NEWNS) != 0) SKIP("unshare() is for root");
  EXPECT(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
  char own[] = "/tmp/elasticpool-test-XXXXXX";
  const int fd = mkstemp(own);
  EXPECT(fd >= 0);
  show(fd, kTexts[0]);
  snprintf(file, sizeof file, "%s/%s", folder, name);
  EXPECT(mount(own, file, NULL, MS_BIND, NULL) == 0);
  EXPECT(unlink(own) == 0);
  return fd;
}

int main(int argc, char** argv) {
  need_pressure_functions();
  if (argc == 2 && strcmp(argv[1], "child") == 0) return wait_for_last_limit();
  const int fd = mount_own_file();
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) exec_self((const char*[]){"child", NULL});
  for (size_t i = 0; i < sizeof kTexts / sizeof *kTexts; ++i) {
    usleep(kTextMs * 1000);
    show(fd, kTexts[i]);
  }
  usleep(kTextMs * 1000);
  char text[32];
  snprintf(text, sizeof text, "%lu\n", (unsigned long)kLastMib * kMiB);
  show(fd, text);
  expect_success(child);
  return 0;
}
