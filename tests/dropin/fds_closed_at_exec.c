// A process started with fds 0 to 2 closed; its data files get these numbers. It runs, with
// statistics switched on as without, and not one foreign byte is in the files at exit.
//
// A broken allocator writes its report to fd 2 whatever that is by now.
#include "dropin.h"

static const char kContent[] = "the program's own data\n";

static int write_data_in_low_fds(const char* path) {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) return 10;
  }
  for (int fd = 0; fd <= 2; ++fd) {
    if (open(path, O_WRONLY | O_APPEND) != fd) return 11;
  }
  use_heap(1, 10000);
  return write(2, kContent, sizeof kContent - 1) == sizeof kContent - 1 ? 0 : 12;
}

int main(int argc, char** argv) {
  if (argc > 1) return write_data_in_low_fds(argv[1]);
  const char* const statistics[] = {"0", "1", "json"};
  for (int i = 0; i < 3; ++i) {
    char path[] = "/tmp/dropin-XXXXXX";
    const int data = mkostemp(path, O_CLOEXEC);
    EXPECT(data >= 0 && setenv("MEMPOOL_STATS", statistics[i], 1) == 0);
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
      for (int fd = 0; fd <= 2; ++fd) close(fd);
      exec_self((const char* const[]){path, NULL});
    }
    int status;
    char text[4096];
    EXPECT(waitpid(pid, &status, 0) == pid && unlink(path) == 0);
    read_all(data, text, sizeof text);
    EXPECT(exited_with(status, 0));
    EXPECT(strcmp(text, kContent) == 0);
  }
  return 0;
}
