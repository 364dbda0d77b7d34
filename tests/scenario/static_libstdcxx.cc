// A program that has us and the C++ library inside itself: what late_cxx_plugin.cc expects of
// operator new without memory holds there too, although no libstdc++.so is loaded.
#include <dlfcn.h>
#include <malloc.h>

#include <new>
#include <vector>

#include "check.h"

extern "C" const char* plugin_main();

int main() {
  CHECK(dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD) == nullptr);
  void* block = ::operator new(20);
  CHECK(malloc_usable_size(block) == 32);  // glibc: 24
  ::operator delete(block);
  // Any container brings the function in that throws bad_alloc; without it there is one line and
  // abort().
  std::vector<int> numbers;
  for (int i = 0; i < 100; ++i) numbers.push_back(i);
  CHECK(numbers.size() == 100);
  const char* wrong = plugin_main();
  CHECK_WITH(wrong == nullptr, "%s", wrong);
  return 0;
}
