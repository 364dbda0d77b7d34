// See libc_text.h.
#include "os/libc_text.h"

#include <link.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace elasticpool {
namespace {

struct Range {
  uintptr_t start = 0;
  uintptr_t end = 0;
};

// libc, the loader, and us.
constexpr size_t kRanges = 3;
constinit Range g_ranges[kRanges];
constinit bool g_is_known = false;
constinit bool g_can_tell = false;

uintptr_t address_in(size_t index) {
  switch (index) {
    case 0:
      return reinterpret_cast<uintptr_t>(&sysconf);
    case 1:
      return getauxval(AT_BASE);
    default:
      return reinterpret_cast<uintptr_t>(&libc_text_boot);
  }
}

Range range_of(const dl_phdr_info& info) {
  Range range = {UINTPTR_MAX, 0};
  for (size_t i = 0; i < info.dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info.dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const uintptr_t start = info.dlpi_addr + header.p_vaddr;
    if (start < range.start) range.start = start;
    if (start + header.p_memsz > range.end) range.end = start + header.p_memsz;
  }
  return range;
}

bool holds(const Range& range, uintptr_t address) {
  return address >= range.start && address < range.end;
}

// The program comes first.
int visit(dl_phdr_info* info, size_t /*bytes*/, void* is_first) {
  const Range range = range_of(*info);
  const bool is_program = std::exchange(*static_cast<bool*>(is_first), false);
  for (size_t i = 0; i < kRanges; ++i) {
    if (!holds(range, address_in(i))) continue;
    g_ranges[i] = range;
    if (is_program) g_can_tell = false;
  }
  return 0;
}

}  // namespace

void libc_text_boot() {
  bool is_first = true;
  g_can_tell = true;
  dl_iterate_phdr(visit, &is_first);
  for (const Range& range : g_ranges) g_can_tell = g_can_tell && range.end != 0;
  g_is_known = true;
}

bool is_libc_text(const void* code) {
  if (!g_is_known) return true;
  for (const Range& range : g_ranges) {
    if (range.end == 0 || holds(range, reinterpret_cast<uintptr_t>(code))) return true;
  }
  return false;
}

bool can_tell_libc_text() { return g_can_tell; }

}  // namespace elasticpool
