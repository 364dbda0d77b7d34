// posix_spawn() with file actions, popen() and system() among allocating threads: each child runs
// on the same allocator and returns what it should; the parent's blocks stay whole.
//
// glibc spawns with clone(CLONE_VM): a broken allocator's state is changed under its feet.
#include <spawn.h>
#include <stdatomic.h>

#include "dropin.h"

enum { kRounds = 150, kLeafStatus = 7 };

extern char** environ;
static atomic_bool done;

static void* allocate_until_done(void* arg) {
  for (uint32_t seed = (uint32_t)(uintptr_t)arg; !atomic_load(&done); ++seed) use_heap(seed, 500);
  return NULL;
}

static void spawn_leaf(void) {
  static char leaf[] = "leaf";
  char* const argv[] = {(char*)(uintptr_t)self_path(), leaf, NULL};
  posix_spawn_file_actions_t actions;
  EXPECT(posix_spawn_file_actions_init(&actions) == 0);
  EXPECT(posix_spawn_file_actions_addopen(&actions, 10, "/dev/null", O_WRONLY, 0) == 0);
  pid_t pid;
  EXPECT(posix_spawn(&pid, argv[0], &actions, NULL, argv, environ) == 0);
  EXPECT(posix_spawn_file_actions_destroy(&actions) == 0);
  int status;
  EXPECT(waitpid(pid, &status, 0) == pid && exited_with(status, kLeafStatus));
}

static void read_from_shell(void) {
  char word[16] = "";
  FILE* pipe = popen("echo spawned", "r");
  EXPECT(pipe != NULL && fscanf(pipe, "%15s", word) == 1 && pclose(pipe) == 0);
  EXPECT(strcmp(word, "spawned") == 0);
  EXPECT(exited_with(system("exit 7"), 7));
}

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "leaf") == 0) {
    expect_same_allocator();
    use_heap(1, 100);
    return fcntl(10, F_GETFD) >= 0 ? kLeafStatus : 1;
  }
  setenv("DROPIN_ALLOCATOR", allocator_path(), 1);
  void* block = filled(1000, 1);
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, allocate_until_done, (void*)1) == 0);
  for (int i = 0; i < kRounds; ++i) {
    spawn_leaf();
    if (i % 10 == 0) read_from_shell();
    EXPECT(holds(block, 1000, 1));
  }
  atomic_store(&done, true);
  EXPECT(pthread_join(thread, NULL) == 0);
  free(block);
  return 0;
}
