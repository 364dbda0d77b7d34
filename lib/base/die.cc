// The texts of die.h. One buffer on the stack, no allocation.
#include "base/die.h"

#include <cstdlib>

#include "base/text_writer.h"

namespace elasticpool {
namespace {

constinit FatalSink g_fatal_sink = nullptr;

[[noreturn]] void die(const char* what, const void* address, const char* detail) {
  char line[512];
  TextWriter out(line, sizeof line);
  out.text("elasticpool: ").text(what);
  if (detail == nullptr) {
    out.hex(reinterpret_cast<uintptr_t>(address));
  } else {
    out.text(detail);
  }
  out.text("\n");
  if (g_fatal_sink != nullptr) g_fatal_sink(line, out.size());
  abort();
}

}  // namespace

void set_fatal_sink(FatalSink sink) { g_fatal_sink = sink; }

void die_double_free(const void* block) { die("double free of ", block, nullptr); }

void die_interior_free(const void* address) { die("free of interior pointer ", address, nullptr); }

void die_dead_realloc(const void* address) {
  die("realloc of a pointer that is not live ", address, nullptr);
}

void die_dead_size(const void* address) {
  die("malloc_usable_size of a pointer that is not live ", address, nullptr);
}

void die_foreign_free(const void* address) { die("free of foreign pointer ", address, nullptr); }

void die_no_bad_alloc() {
  die("out of memory in operator new, ", nullptr, "and no C++ library to throw bad_alloc with");
}

void die_foreign_realloc(const void* address) {
  die("realloc of foreign pointer ", address, nullptr);
}

void die_foreign_size(const void* address) {
  die("malloc_usable_size of foreign pointer ", address, nullptr);
}

void die_broken_invariant(const char* what) { die("broken invariant: ", nullptr, what); }

}  // namespace elasticpool
