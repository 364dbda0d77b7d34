// free() of a pointer into none of the allocator's memory, which may truly be libc's.
//
//   libc         a block of libc's own malloc goes to libc's free, silently
//   realloc      and moves with its contents when it is resized
//   counted      and each free is counted in the statistics
//   libc-abort   unless MEMPOOL_FOREIGN=abort, which makes it misuse
//   stack        a pointer that is libc's no more than ours still aborts
//   stack-abort  with our line under MEMPOOL_FOREIGN=abort
//   realloc-abort, size-abort   so do realloc() and malloc_usable_size(), each under its own name
//
// A broken allocator takes the pointer for its own.
#include <malloc.h>

#include "dropin.h"

enum { kFrees = 3 };

static void* block_of_libc(size_t size) {
  void* libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  EXPECT(libc != NULL);
  void* (*const malloc_of_libc)(size_t) = (void* (*)(size_t))dlsym(libc, "malloc");
  EXPECT(malloc_of_libc != NULL);
  void* block = malloc_of_libc(size);
  EXPECT(block != NULL);
  fill(block, size, 1);
  return block;
}

static void misuse(const char* how) {
  _Alignas(16) char local[64] = {0};
  void* pointer = strncmp(how, "stack", 5) == 0 ? local : block_of_libc(100);
  if (strcmp(how, "realloc-abort") == 0) {
    expect_line("realloc of foreign pointer ", pointer);
    _exit(opaque(realloc(opaque(pointer), 200)) == NULL);
  }
  if (strcmp(how, "size-abort") == 0) {
    expect_line("malloc_usable_size of foreign pointer ", pointer);
    _exit(malloc_usable_size(opaque(pointer)) == 0);
  }
  expect_line("free of foreign pointer ", pointer);
  free(opaque(pointer));
}

static void free_blocks_of_libc(void) {
  const size_t sizes[kFrees] = {100, 50000, 5000000};
  for (int i = 0; i < kFrees; ++i) check_and_free(block_of_libc(sizes[i]), sizes[i], 1);
  use_heap(1, 1000);
}

static void resize_blocks_of_libc(void) {
  const size_t sizes[] = {100, 50000, 5000000};
  for (int i = 0; i < 3; ++i) {
    void* grown = opaque(realloc(block_of_libc(sizes[i]), sizes[i] * 2));
    EXPECT(grown != NULL);
    check_and_free(grown, sizes[i], 1);
    void* shrunk = opaque(realloc(block_of_libc(sizes[i]), sizes[i] / 2));
    EXPECT(shrunk != NULL);
    check_and_free(shrunk, sizes[i] / 2, 1);
  }
}

static long counted_frees(const char* json) {
  const char* key = strstr(json, "\"foreign_frees\":");
  return key == NULL ? -1 : strtol(strchr(key, ':') + 1, NULL, 10);
}

int main(int argc, char** argv) {
  EXPECT(argc >= 2);
  const char* how = argv[1];
  const bool stack = strncmp(how, "stack", 5) == 0;
  const bool aborts = strstr(how, "-abort") != NULL;
  if (argc == 3) {
    if (stack || aborts) {
      misuse(how);
    } else if (strcmp(how, "realloc") == 0) {
      resize_blocks_of_libc();
    } else {
      free_blocks_of_libc();
    }
    return 0;
  }
  const char* const option = aborts ? "MEMPOOL_FOREIGN=abort" : "MEMPOOL_FOREIGN=libc";
  const char* const json = strcmp(how, "counted") == 0 ? "MEMPOOL_STATS=json" : NULL;
  const char* const env[] = {option, json, NULL};
  const Child child = run_self((const char* const[]){how, "inside", NULL}, env);
  if (aborts) {
    EXPECT(aborted_with_expected_line(&child));
  } else if (stack) {
    EXPECT(killed_by(child.status, SIGABRT) && strstr(child.err, "invalid pointer") != NULL);
  } else {
    EXPECT(exited_with(child.status, 0));
    EXPECT(json == NULL ? child.err[0] == '\0' : counted_frees(child.err) == kFrees);
  }
  return 0;
}
