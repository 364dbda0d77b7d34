// launch: runs a program in a changed environment and reports what it used.
//
//   launch FD [NAME=VALUE...] -- PROGRAM [ARGUMENT...]
//
// Writes one line of key=value words to the descriptor FD when the program has ended. A program
// started from Python directly would carry Python's own peak in ru_maxrss, because the kernel keeps
// the peak across exec; a child of this small process carries next to nothing. If the starter dies,
// so does this process, and with it the program: no server is left behind.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int usage(void) {
  fputs("launch: usage: launch FD [NAME=VALUE...] -- PROGRAM [ARGUMENT...]\n", stderr);
  return 2;
}

static long long now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long long to_us(struct timeval time) {
  return (long long)time.tv_sec * 1000000 + time.tv_usec;
}

static void become(pid_t launcher, char** settings, char** program) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launcher) _exit(127);
  for (; *settings != program[-1]; ++settings) putenv(*settings);
  execvp(program[0], program);
  perror(program[0]);
  _exit(127);
}

int main(int argc, char** argv) {
  if (argc < 4) return usage();
  const int report_fd = atoi(argv[1]);
  int first = 2;
  while (first < argc && strcmp(argv[first], "--") != 0) ++first;
  if (++first >= argc || report_fd <= 0) return usage();

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const long long start_us = now_us();
  const pid_t launcher = getpid();
  const pid_t child = fork();
  if (child == 0) {
    close(report_fd);
    become(launcher, argv + 2, argv + first);
  }
  int status = 0;
  struct rusage used;
  if (child < 0 || wait4(child, &status, 0, &used) != child) {
    perror("launch");
    return 1;
  }
  dprintf(report_fd,
          "status=%d signal=%d wall_us=%lld cpu_us=%lld peak_rss_kib=%ld minor_faults=%ld\n",
          WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
          now_us() - start_us, to_us(used.ru_utime) + to_us(used.ru_stime), used.ru_maxrss,
          used.ru_minflt);
  return 0;
}
