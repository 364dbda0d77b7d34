// The 20 operators new and delete: each makes or frees a block; out of memory the new_handler is
// called until it helps, goes, or throws; what then happens is what the standard says of the
// throwing and the nothrow form.
#include <sys/resource.h>

#include <new>

#include "check.h"

namespace {

using Align = std::align_val_t;

constexpr Align kAlign{64};

void* use(void* block, size_t size, size_t alignment) {
  CHECK_WITH(block != nullptr && is_aligned(block, alignment), "%zu to %zu: %p", size, alignment,
             block);
  CHECK_WITH(malloc_usable_size(block) >= size, "size %zu", size);
  fill(block, size, size);
  CHECK(is_filled(block, size, size));
  return block;
}

void every_operator(size_t size) {
  ::operator delete(use(::operator new(size), size, 16));
  ::operator delete(use(::operator new(size), size, 16), size);
  ::operator delete(use(::operator new(size, std::nothrow), size, 16), std::nothrow);
  ::operator delete[](use(::operator new[](size), size, 16));
  ::operator delete[](use(::operator new[](size), size, 16), size);
  ::operator delete[](use(::operator new[](size, std::nothrow), size, 16), std::nothrow);
}

void every_aligned_operator(size_t size, size_t alignment) {
  const Align align{alignment};
  ::operator delete(use(::operator new(size, align), size, alignment), align);
  ::operator delete(use(::operator new(size, align), size, alignment), size, align);
  ::operator delete(use(::operator new(size, align, std::nothrow), size, alignment), align,
                    std::nothrow);
  ::operator delete[](use(::operator new[](size, align), size, alignment), align);
  ::operator delete[](use(::operator new[](size, align), size, alignment), size, align);
  ::operator delete[](use(::operator new[](size, align, std::nothrow), size, alignment), align,
                      std::nothrow);
}

void* null() { return opaque_pointer(nullptr); }

void delete_takes_null() {
  ::operator delete(null());
  ::operator delete(null(), 8);
  ::operator delete(null(), std::nothrow);
  ::operator delete(null(), kAlign);
  ::operator delete(null(), 8, kAlign);
  ::operator delete(null(), kAlign, std::nothrow);
  ::operator delete[](null());
  ::operator delete[](null(), 8);
  ::operator delete[](null(), std::nothrow);
  ::operator delete[](null(), kAlign);
  ::operator delete[](null(), 8, kAlign);
  ::operator delete[](null(), kAlign, std::nothrow);
}

// The eight forms of new, by number, so that each meets every handler.
constexpr int kForms = 8;
constexpr bool is_nothrow(int form) { return form % 2 != 0; }

void* allocate(int form, size_t size) {
  switch (form) {
    case 0:
      return ::operator new(size);
    case 1:
      return ::operator new(size, std::nothrow);
    case 2:
      return ::operator new[](size);
    case 3:
      return ::operator new[](size, std::nothrow);
    case 4:
      return ::operator new(size, kAlign);
    case 5:
      return ::operator new(size, kAlign, std::nothrow);
    case 6:
      return ::operator new[](size, kAlign);
    default:
      return ::operator new[](size, kAlign, std::nothrow);
  }
}

enum class Outcome { kBlock, kNull, kBadAlloc, kOther };

struct Other {};

Outcome outcome_of(int form, size_t size) {
  try {
    void* block = allocate(form, size);
    free(opaque_pointer(block));  // every form's block is an ordinary one
    return block == nullptr ? Outcome::kNull : Outcome::kBlock;
  } catch (const std::bad_alloc&) {
    return Outcome::kBadAlloc;
  } catch (const Other&) {
    return Outcome::kOther;
  }
}

int handler_calls;

void give_up_at_third_call() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}
void throw_bad_alloc() {
  ++handler_calls;
  throw std::bad_alloc();
}
void throw_other() {
  ++handler_calls;
  throw Other();
}

void expect(int form, size_t size, std::new_handler handler, int calls, Outcome outcome) {
  handler_calls = 0;
  std::set_new_handler(handler);
  const Outcome seen = outcome_of(form, size);
  std::set_new_handler(nullptr);
  CHECK_WITH(seen == outcome, "form %d size %#zx: outcome %d, not %d", form, size,
             static_cast<int>(seen), static_cast<int>(outcome));
  CHECK_WITH(handler_calls == calls, "form %d size %#zx: %d calls of the handler, not %d", form,
             size, handler_calls, calls);
}

void out_of_memory() {
  for (size_t i = 0; i < kTooLargeCount; ++i) {
    const size_t size = opaque(kTooLarge[i]);
    for (int form = 0; form < kForms; ++form) {
      const bool nothrow = is_nothrow(form);
      const Outcome refused = nothrow ? Outcome::kNull : Outcome::kBadAlloc;
      expect(form, size, nullptr, 0, refused);
      expect(form, size, give_up_at_third_call, 3, refused);
      expect(form, size, throw_bad_alloc, 1, refused);
      expect(form, size, throw_other, 1, nothrow ? Outcome::kNull : Outcome::kOther);
    }
  }
}

// A handler that helps: memory really runs out, the handler frees a reserve, and the request goes
// through.
constexpr size_t kRequestBytes = 200 * MIB;
void* reserve;

void free_reserve() {
  ++handler_calls;
  std::set_new_handler(nullptr);  // were one call not enough, that would be the outcome
  free(reserve);
}

size_t address_space_bytes() {
  char text[64] = "";
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0 && read(file, text, sizeof(text) - 1) > 0);
  close(file);
  return strtoul(text, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void handler_that_helps() {
  for (int form = 0; form < kForms; ++form) {
    reserve = malloc(2 * kRequestBytes);
    CHECK(reserve != nullptr);
    rlimit unlimited;
    CHECK(getrlimit(RLIMIT_AS, &unlimited) == 0);
    const rlimit tight = {address_space_bytes() + kRequestBytes / 2, unlimited.rlim_max};
    CHECK(setrlimit(RLIMIT_AS, &tight) == 0);
    // What the allocator has kept of earlier rounds it may hand out first.
    void* eaten[16];
    size_t count = 0;
    while (count < COUNT_OF(eaten) && (eaten[count] = malloc(kRequestBytes)) != nullptr) ++count;
    expect(form, kRequestBytes, free_reserve, 1, Outcome::kBlock);
    CHECK(setrlimit(RLIMIT_AS, &unlimited) == 0);
    while (count > 0) free(eaten[--count]);
  }
}

}  // namespace

int main() {
  every_operator(0);
  for (size_t i = 0; i < kTierSizeCount; ++i) {
    every_operator(kTierSizes[i]);
    for (size_t alignment = 1; alignment <= MIB; alignment *= 2) {
      if (kTierSizes[i] <= 5 * MIB) every_aligned_operator(kTierSizes[i], alignment);
    }
  }
  delete_takes_null();
  out_of_memory();
  handler_that_helps();
  return 0;
}
