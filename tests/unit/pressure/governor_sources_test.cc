// How each source of a limit counts what the heap was granted: pressure/governor.h.
//
// Stand-ins    a group, the machine and the figures of the process are files of the test's own
//              (os/memory_files.h), so that it says what was touched apart from what is held. The
//              limits of the process are its own: those are counted in units so large that they
//              bound nothing.
#include <sys/resource.h>
#include <unistd.h>

#include "pressure/governed_heap.h"
#include "pressure/governor.h"

namespace elasticpool {
namespace {

using test::Calls;
using test::g_heap;
using test::in_mib;
using test::kHooks;
using test::state;
using test::text_of;

// Of each limit there are 100.
constexpr uint64_t kHugeUnitBytes = uint64_t{1} << 43;
uint64_t unit_bytes(MemorySource source) {
  const bool is_process = source == MemorySource::kRlimitAs || source == MemorySource::kRlimitData;
  return is_process ? kHugeUnitBytes : kMiB;
}

class GovernorSourcesTest : public test::GovernorTest {
 protected:
  // So many units are used, all of them by the heap.
  void start(MemorySource source, uint64_t used) {
    source_ = source;
    for (const char* other : {"cgroup", "mount", "meminfo", "statm"}) remove(other);
    set_used(used);
    grow(used);
    if (source == MemorySource::kRlimitAs) limit_process(RLIMIT_AS);
    if (source == MemorySource::kRlimitData) limit_process(RLIMIT_DATA);
    GovernorSettings settings;
    settings.files = files();
    if (source == MemorySource::kOption) settings.limit_bytes = 100 * kMiB;
    governor_start(settings, kHooks);
    EXPECT_EQ(look(), Calls());
    EXPECT_EQ(state().reading.source, source);
    EXPECT_EQ(state().reading.limit_bytes, 100 * unit_bytes(source));
    EXPECT_EQ(state().reading.used_bytes, used * unit_bytes(source));
  }
  // What the source says. The option says what is held.
  void set_used(uint64_t used) const {
    switch (source_) {
      case MemorySource::kGroupMax:
        write("cgroup", "0::/a\n");
        return group("/a", in_mib(100), used);
      case MemorySource::kGroupHigh:
        write("cgroup", "0::/a\n");
        group("/a", "max\n", used);
        return write("mount/a/memory.high", in_mib(100));
      case MemorySource::kGroupV1:
        write("cgroup", "4:memory:/a\n");
        return group_v1("/a", in_mib(100), used);
      case MemorySource::kSystem:
        return system(100, 100 - used);
      case MemorySource::kRlimitAs:
        return write("statm", pages(used) + " 9 9 9 0 9 0\n");
      case MemorySource::kRlimitData:
        return write("statm", "9 9 9 9 0 " + pages(used) + " 0\n");
      case MemorySource::kOption:
      case MemorySource::kNone:
        return;
    }
  }
  void grow(uint64_t units) const {
    EXPECT_TRUE(charge(units * unit_bytes(source_), Charge::kBlock));
  }
  void shrink(uint64_t units) const { discharge(units * unit_bytes(source_)); }
  std::string free_of(uint64_t units) const {
    return "free " + text_of(units * unit_bytes(source_));
  }
  static Calls look() {
    g_heap.calls.clear();
    governor_look();
    return g_heap.calls;
  }

 private:
  static std::string pages(uint64_t units) {
    return std::to_string(units * (kHugeUnitBytes / static_cast<uint64_t>(getpagesize())));
  }
  static void limit_process(__rlimit_resource_t resource) {
    const rlimit limit = {100 * kHugeUnitBytes, RLIM_INFINITY};
    EXPECT_EQ(setrlimit(resource, &limit), 0);
  }

  MemorySource source_ = MemorySource::kNone;
};

// What was granted is not in what they say, and will be when it is touched: then it is too late.
TEST_F(GovernorSourcesTest, AGroupAndTheSystemAreExpectedToCountWhatWasGranted) {
  for (const MemorySource source : {MemorySource::kGroupMax, MemorySource::kGroupHigh,
                                    MemorySource::kGroupV1, MemorySource::kSystem}) {
    SCOPED_TRACE(static_cast<int>(source));
    run([&] {
      start(source, 55);
      grow(30);
      EXPECT_TRUE(look_is_due());
      EXPECT_EQ(look(), (Calls{"grown", free_of(7)})) << "55 are used, 85 are expected";
      EXPECT_EQ(state().level, PressureLevel::kNone) << "that is of what is used";
      EXPECT_FALSE(look_is_due());
      EXPECT_EQ(look(), Calls()) << "no growth since";
      set_used(85);
      EXPECT_EQ(look(), (Calls{free_of(7)})) << "it was touched";
      EXPECT_EQ(state().level, PressureLevel::kHigh);
    });
  }
}

TEST_F(GovernorSourcesTest, AGrantThatNobodyCanTouchAsAWholeIsNotExpected) {
  run([&] {
    start(MemorySource::kGroupMax, 55);
    grow(101);
    EXPECT_EQ(look(), Calls{"grown"});
    shrink(101);
    grow(100);
    EXPECT_EQ(look(), (Calls{"grown", "thrift", free_of(77)})) << "that might be";
  });
}

// What was granted is mapped, and held: it is in what they say.
TEST_F(GovernorSourcesTest, TheProcessAndTheOptionHaveCountedWhatWasGranted) {
  for (const MemorySource source :
       {MemorySource::kRlimitAs, MemorySource::kRlimitData, MemorySource::kOption}) {
    SCOPED_TRACE(static_cast<int>(source));
    run([&] {
      start(source, 55);
      grow(20);
      set_used(75);
      EXPECT_TRUE(look_is_due());
      EXPECT_EQ(look(), Calls{"grown"}) << "75 are used, and not 95";
      EXPECT_EQ(state().level, PressureLevel::kWarning);
      grow(10);
      set_used(85);
      EXPECT_EQ(look(), (Calls{"grown", free_of(7)})) << "no more than is too much";
      // And the next look comes as soon as it should.
      const PressureLadder ladder({70, 80, 90, 95});
      const uint64_t limit_bytes = 100 * unit_bytes(source);
      const uint64_t next_bytes = ladder.next_look_bytes(limit_bytes / 100 * 85, limit_bytes);
      EXPECT_EQ(static_cast<uint64_t>(g_held_memory.until_look_bytes.load()),
                std::min(next_bytes, 64 * kMiB));
    });
  }
}

}  // namespace
}  // namespace elasticpool
