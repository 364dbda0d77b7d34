// The plug-in of late_cxx.c.
#include <new>

#include "check.h"

namespace {

int handler_calls;

void handler() {
  ++handler_calls;
  std::set_new_handler(nullptr);
}

bool throws_bad_alloc(size_t size) {
  try {
    ::operator delete(::operator new(size));
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

}  // namespace

// What is wrong, or nullptr.
extern "C" __attribute__((visibility("default"))) const char* plugin_main() {
  const size_t too_large = opaque(PTRDIFF_MAX);
  ::operator delete(::operator new(100));
  if (!throws_bad_alloc(too_large)) return "operator new returned";
  std::set_new_handler(handler);
  if (!throws_bad_alloc(too_large)) return "operator new returned after the handler";
  if (handler_calls != 1) return "the handler was not called once";
  std::set_new_handler(handler);
  if (::operator new(too_large, std::nothrow) != nullptr) return "nothrow new returned a block";
  if (handler_calls != 2) return "the handler was not called by nothrow new";
  return nullptr;
}
