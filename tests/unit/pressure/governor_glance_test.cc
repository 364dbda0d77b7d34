// pressure/governor.h between two samples of the forecast: each look judges the rise anew.
//
// The clock    a rise must last for some seconds before anybody believes it, and the looks are
//              10 a second: it takes as long as that.
#include <unistd.h>

#include "base/held_memory.h"
#include "base/units.h"
#include "os/fake_files.h"
#include "pressure/forecast_rise.h"
#include "pressure/governor.h"

namespace elasticpool {
namespace {

constexpr uint64_t kLimit = 100 * kMiB;

constexpr GovernorHooks kHooks = {
    [](size_t) -> size_t { return 0; },
    []() -> size_t { return 0; },
    []() -> uint64_t { return 0; },
    [] {},
    [](bool) {},
    [](PressureListeners::Function, void*, const PressureState&, uint64_t) {},
    [] {}};

uint32_t alarms_at(uint64_t mib) {
  correct_held(static_cast<int64_t>(mib * kMiB) - static_cast<int64_t>(held_bytes()));
  governor_look();
  PressureState now;
  governor_state(&now, UINT64_MAX);
  return now.outlook.alarms;
}

class GovernorGlance : public test::FakeFiles {};

// Each tenth look is a sample; the last one lies between two of them, unless the test is held up.
TEST_F(GovernorGlance, AnAlarmWaitsForNoSample) {
  const int status = test::in_child([] {
    alarm(120);  // in place of waiting for good
    GovernorSettings settings;
    settings.limit_bytes = kLimit;
    governor_start(settings, kHooks);
    constexpr auto kLooks = static_cast<uint64_t>(kDoubtS + 1) * 10 + 5;
    for (uint64_t i = 0; i < kLooks; ++i) {
      EXPECT_EQ(alarms_at(5 + 40 * i / kLooks), 0U) << i;
      usleep(100'000);
    }
    EXPECT_EQ(alarms_at(85), 1U);
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace elasticpool
