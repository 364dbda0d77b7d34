// Calls each measured function in pairs of make and free, always the same size, so that every call
// takes the fast path. icount.py counts the calls made from the functions named counted_*.
//
// usage: icount PAIRS
#include <cstdlib>
#include <new>

// Out of line and with something left to do after the call, so that it is one call and no jump.
#define CALL [[gnu::noinline, gnu::used]]

namespace {

void* seen(void* block) {
  asm volatile("" : "+r"(block) : : "memory");
  return block;
}

void stay_a_call() { asm volatile("" : : : "memory"); }

}  // namespace

extern "C" {

CALL void* counted_malloc_64() { return seen(malloc(64)); }
CALL void* counted_malloc_320() { return seen(malloc(320)); }
CALL void* counted_malloc_2000() { return seen(malloc(2000)); }
CALL void* counted_calloc_64() { return seen(calloc(1, 64)); }
CALL void* counted_realloc_64(void* block) { return seen(realloc(block, 64)); }
CALL void* counted_new_64() { return seen(::operator new(64)); }
CALL void counted_free_64(void* block) {
  free(block);
  stay_a_call();
}
CALL void counted_free_320(void* block) {
  free(block);
  stay_a_call();
}
CALL void counted_free_2000(void* block) {
  free(block);
  stay_a_call();
}
CALL void counted_sized_delete_64(void* block) {
  ::operator delete(block, 64);
  stay_a_call();
}

}  // extern "C"

int main(int argc, char** argv) {
  const long pairs = argc > 1 ? atol(argv[1]) : 1000;
  // What the first calls set up, and it differs from run to run, is not counted.
  for (int i = 0; i < 100; ++i) {
    free(seen(calloc(1, 64)));
    free(seen(malloc(320)));
    free(seen(malloc(2000)));
  }
  for (long i = 0; i < pairs; ++i) counted_free_64(counted_malloc_64());
  for (long i = 0; i < pairs; ++i) counted_free_320(counted_malloc_320());
  for (long i = 0; i < pairs; ++i) counted_free_2000(counted_malloc_2000());
  for (long i = 0; i < pairs; ++i) counted_sized_delete_64(counted_new_64());
  for (long i = 0; i < pairs; ++i) free(counted_calloc_64());
  void* block = malloc(64);
  for (long i = 0; i < pairs; ++i) block = counted_realloc_64(block);
  free(block);
  return 0;
}
