// The allocator dlopen()ed (RTLD_LOCAL) by a program that runs on libc's: malloc and free through
// dlsym(), in threads too; dlclose() while a thread that used it still lives; and all of it again.
//
// A broken allocator wants too much static TLS to be loaded late, leaves a thread exit handler
// pointing into unmapped code, or takes libc's blocks for its own.
#include "dropin.h"

enum { kThreads = 8, kBlocks = 400, kRounds = 3 };

static void* (*their_malloc)(size_t);
static void* (*their_realloc)(void*, size_t);
static void (*their_free)(void*);
static pthread_barrier_t used, closed;

static void use_their_heap(void) {
  void* blocks[kBlocks];
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks[i] = their_malloc(i * i + 1);
    EXPECT(blocks[i] != NULL);
    fill(blocks[i], i * i + 1, (unsigned)i);
  }
  for (size_t i = 0; i < kBlocks; ++i) {
    blocks[i] = their_realloc(blocks[i], i * i + 1000);
    EXPECT(blocks[i] != NULL && holds(blocks[i], i * i + 1, (unsigned)i));
    their_free(blocks[i]);
  }
  use_heap(1, 100);  // libc's own
}

static void* use_and_exit(void* arg) {
  use_their_heap();
  return arg;
}

static void* use_and_outlive(void* arg) {
  use_their_heap();
  pthread_barrier_wait(&used);
  pthread_barrier_wait(&closed);
  return arg;
}

static void load_use_and_close(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror());
  EXPECT(library != NULL);
  their_malloc = (void* (*)(size_t))dlsym(library, "malloc");
  their_realloc = (void* (*)(void*, size_t))dlsym(library, "realloc");
  their_free = (void (*)(void*))dlsym(library, "free");
  EXPECT(their_malloc != NULL && their_realloc != NULL && their_free != NULL);
  EXPECT((void*)their_malloc != dlsym(RTLD_DEFAULT, "malloc"));  // or nothing is tested

  pthread_t survivor;
  EXPECT(pthread_create(&survivor, NULL, use_and_outlive, NULL) == 0);
  run_threads(kThreads, use_and_exit);
  use_their_heap();
  their_free(filled(1000, 1));  // libc's own, to which it belongs
  pthread_barrier_wait(&used);
  EXPECT(dlclose(library) == 0);
  pthread_barrier_wait(&closed);
  EXPECT(pthread_join(survivor, NULL) == 0);
}

int main(int argc, char** argv) {
  EXPECT(argc == 2);
  EXPECT(pthread_barrier_init(&used, NULL, 2) == 0 && pthread_barrier_init(&closed, NULL, 2) == 0);
  for (int round = 0; round < kRounds; ++round) load_use_and_close(argv[1]);
  use_heap(2, 1000);
  return 0;
}
