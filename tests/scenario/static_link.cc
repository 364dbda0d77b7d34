// A program that links the static library has its malloc and its operators, with nothing preloaded.
#include <pthread.h>

#include <new>
#include <string>
#include <vector>

#include "extensions.h"

namespace {

void* grow_a_vector(void*) {
  std::vector<std::string> words;
  for (int i = 0; i < 10000; ++i) words.emplace_back(100, 'w');
  return nullptr;
}

// Both halves of the interface come from one allocator, and it is the one that ep_version belongs
// to: glibc's usable sizes are 8 more than a multiple of 16, which ours never are.
void expect_ours(void* block, size_t size) {
  CHECK_WITH(block != nullptr && malloc_usable_size(block) % 16 == 0, "size %zu: usable %zu", size,
             malloc_usable_size(block));
  CHECK_WITH(malloc_usable_size(block) == nallocx(size, 0), "size %zu", size);
}

}  // namespace

int main() {
  CHECK(ep_version != nullptr && ep_version()[0] != 0);
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    const size_t size = kTierSizes[i];
    void* block = malloc(size);
    expect_ours(block, size);
    free(block);
    block = ::operator new(size);
    expect_ours(block, size);
    free(block);
    block = calloc(size, 1);
    expect_ours(block, size);
    ::operator delete(block, size);
  }
  char* text = strdup("a block that the C library makes");  // and so is one of ours too
  expect_ours(text, strlen(text) + 1);
  free(text);

  pthread_t thread;
  CHECK(pthread_create(&thread, nullptr, grow_a_vector, nullptr) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
  bool caught = false;
  try {
    ::operator delete(::operator new(opaque(PTRDIFF_MAX)));
  } catch (const std::bad_alloc&) {
    caught = true;
  }
  CHECK(caught);
  return 0;
}
