// The governor over a heap that notes what it is asked for: what its tests share.
//
// One global   the governor of a process is started once: each test runs in a child of its own, in
//              which nobody has looked yet.
// Usage        a limit of the user's, in bytes of held memory (base/held_memory.h), so that the
//              test says how full it is. The limits of the machine are read as well: it needs 100
//              MiB of room for that of the test to be the nearest. A group, which counts no memory
//              before it is touched, and others are files that the test writes (files()).
// The clock    a second look within a second is no further sample for the forecast; a child that
//              was held up for longer counts for nothing, and another one runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "base/held_memory.h"
#include "base/units.h"
#include "os/clock.h"
#include "os/memory_files.h"
#include "os/output.h"
#include "pressure/alerts.h"
#include "pressure/governor.h"

namespace elasticpool::test {

inline constexpr uint64_t kLimit = 100 * kMiB;

using Calls = std::vector<std::string>;

inline std::string text_of(uint64_t bytes) {
  return bytes % kMiB == 0 ? std::to_string(bytes / kMiB) : std::to_string(bytes) + "B";
}

// A heap of which so much is free.
struct FakeHeap {
  uint64_t free_bytes = 0;
  uint64_t slab_room_bytes = 0;   // free blocks
  uint64_t slab_pages_bytes = 0;  // of those, what release_slabs() can give back
  uint64_t own_bytes = 0;         // becomes free by release_own()
  std::function<void()> on_tell = [] {};
  std::function<void()> on_free = [] {};
  Calls calls;
};
inline FakeHeap g_heap;

inline size_t release_free(size_t wanted_bytes) {
  errno = 5;
  const uint64_t gone_bytes = std::min<uint64_t>(wanted_bytes, g_heap.free_bytes);
  g_heap.calls.push_back("free " + text_of(wanted_bytes));
  g_heap.on_free();
  g_heap.free_bytes -= gone_bytes;
  discharge(gone_bytes);
  return gone_bytes;
}

inline size_t release_slabs() {
  g_heap.calls.emplace_back("slabs");
  const uint64_t gone_bytes = g_heap.slab_pages_bytes;
  g_heap.slab_pages_bytes = 0;
  discharge(gone_bytes);
  return gone_bytes;
}

inline void release_own() {
  g_heap.calls.emplace_back("own");
  g_heap.free_bytes += g_heap.own_bytes;
  g_heap.own_bytes = 0;
}

inline void tell(PressureListeners::Function /*function*/, void* argument,
                 const PressureState& state, uint64_t wanted_bytes) {
  g_heap.calls.push_back(std::string("tell ") + static_cast<const char*>(argument) + " " +
                         text_of(wanted_bytes) + " at " + name_of(state.level));
  g_heap.on_tell();
}

inline constexpr GovernorHooks kHooks = {
    release_free,
    release_slabs,
    [] { return g_heap.slab_room_bytes; },
    release_own,
    [](bool on) { g_heap.calls.emplace_back(on ? "thrift" : "no thrift"); },
    tell,
    [] { g_heap.calls.emplace_back("grown"); }};

inline void listener() { ADD_FAILURE() << "that is the hook's to call"; }
inline char g_name[] = "L";

inline GovernorSettings limited(uint64_t limit_bytes = kLimit) {
  GovernorSettings settings;
  settings.limit_bytes = limit_bytes;
  return settings;
}

inline PressureState state() {
  PressureState now;
  governor_state(&now, UINT64_MAX);
  return now;
}

inline void hold(uint64_t mib) {
  correct_held(static_cast<int64_t>(mib * kMiB) - static_cast<int64_t>(held_bytes()));
}

// What a look asks for when so much is held, without growth by the clock.
inline Calls look_at(uint64_t mib) {
  hold(mib);
  g_heap.calls.clear();
  governor_look();
  return g_heap.calls;
}

class GovernorTest : public MemoryFilesTest {
 protected:
  // However long it takes.
  static void run_slowly(const std::function<void()>& body) {
    const int status = in_child([&] {
      alarm(120);  // in place of waiting for good
      body();
    });
    EXPECT_EQ(status, 0);
  }
  static void run(const std::function<void()>& body) {
    constexpr int kHeldUp = 42;
    int status = 0;
    do {
      status = in_child([&] {
        alarm(120);
        const uint64_t start_ms = monotonic_ms();
        body();
        if (monotonic_ms() - start_ms >= 900) _exit(kHeldUp);
      });
    } while (WIFEXITED(status) && WEXITSTATUS(status) == kHeldUp);
    EXPECT_EQ(status, 0);
  }
  static std::string contents(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // Where write_stderr() writes to from here on.
  std::string redirect_stderr() const {
    const int file = ::open(path("stderr").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    EXPECT_EQ(dup2(file, STDERR_FILENO), STDERR_FILENO);
    output_boot();
    return path("stderr");
  }
};

}  // namespace elasticpool::test
