// A second free() of a block is one line that names it, then SIGABRT, at the second free() itself,
// for every size.
//
//   now      nothing in between
//   later    after other blocks of the same size were freed
//   remote   by another thread, while the first one lives
//   dead     by another thread, after the first one has died
//   busy     after 10 000 operations in other classes
//
// A broken allocator goes on, and hands the block out twice.
#include "dropin.h"

static const size_t sizes[] = {16, 64, 1000, 4000, 30000, 100000, 700000, 5000000};

static pthread_barrier_t freed_once, freed_twice;
static size_t thread_block_size;

static void* allocate_and_free(void* arg) {
  void* block = filled(thread_block_size, 1);
  free(block);
  if (arg != NULL) {  // "remote": wait alive
    *(void* volatile*)arg = block;
    pthread_barrier_wait(&freed_once);
    pthread_barrier_wait(&freed_twice);
  }
  return block;
}

static void* block_freed_in_thread(bool stays_alive, size_t size) {
  pthread_t thread;
  void* block = NULL;
  thread_block_size = size;
  EXPECT(pthread_barrier_init(&freed_once, NULL, 2) == 0);
  EXPECT(pthread_barrier_init(&freed_twice, NULL, 2) == 0);
  EXPECT(pthread_create(&thread, NULL, allocate_and_free, stays_alive ? &block : NULL) == 0);
  if (stays_alive) {
    pthread_barrier_wait(&freed_once);
  } else {
    EXPECT(pthread_join(thread, &block) == 0);
  }
  return block;
}

// Nothing of it stays alive, so that no live block can start where the freed one did.
static void use_other_classes(size_t size) {
  for (size_t i = 0; i < 5000; ++i) {
    const size_t other = (i % 2 == 0 ? size * 3 : size / 3) + i % 16 * 16;
    free(filled(other < 200000 ? other : 200, 1));
  }
}

static void* block_freed_among_others(bool free_others, size_t size) {
  void* others[20];
  void* block = filled(size, 1);
  for (int i = 0; i < 20; ++i) others[i] = filled(size, 1);
  free(opaque(block));
  for (int i = 0; free_others && i < 20; ++i) free(others[i]);
  return block;
}

static _Noreturn void misuse(const char* how, size_t size) {
  const bool remote = strcmp(how, "remote") == 0;
  void* const block = remote || strcmp(how, "dead") == 0
                          ? block_freed_in_thread(remote, size)
                          : block_freed_among_others(strcmp(how, "later") == 0, size);
  if (strcmp(how, "busy") == 0) {
    use_other_classes(size);
    expect_line("free of interior pointer ", block);  // where its page serves another class by now
  }
  expect_line("double free of ", block);
  free(opaque(block));
  _exit(0);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  if (argc == 3) misuse(argv[1], strtoul(argv[2], NULL, 10));
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    char size[32];
    snprintf(size, sizeof size, "%zu", sizes[i]);
    const Child child = run_self((const char* const[]){argv[1], size, NULL}, NULL);
    const bool good = aborted_with_expected_line(&child);
    if (!good) fprintf(stderr, "size %s\n", size);
    EXPECT(good);
  }
  return 0;
}
