// How full is how bad: the levels of pressure, and how much has to go.
//
// Pure: numbers in, numbers out.
// Levels    by the share of the limit that is used, in per cent; a level is reached at its line,
//           and left kSlackPercent below it, so that what sways around a line does not change all
//           the time. A limit of 0 is full whatever is used.
// Wanted    by so much more is used than where a level is left: who frees exactly that has left it,
//           and no less would do. (To be just below the line would not: the least growth leads
//           above it again, and to the next question.)
// Cost      some divisions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bits.h"
#include "base/units.h"

namespace elasticpool {

// As enum ep_pressure_level.
enum class PressureLevel : uint8_t { kNone, kWarning, kHigh, kCritical, kEmergency };
inline constexpr size_t kPressureLevels = 5;
inline constexpr unsigned kSlackPercent = 2;

constexpr uint64_t percent_of(uint64_t bytes, unsigned percent) {
  return bytes / 100 * percent + bytes % 100 * percent / 100;
}

class PressureLadder {
 public:
  // Of kWarning to kEmergency; rising, 1 to 100.
  constexpr explicit PressureLadder(const uint8_t (&percents)[4]) {
    std::copy(percents, percents + 4, percents_);
  }

  // What may be used before the level is reached. Of kNone: nothing.
  constexpr uint64_t line_bytes(PressureLevel level, uint64_t limit_bytes) const {
    if (level == PressureLevel::kNone) return 0;
    return percent_of(limit_bytes, percents_[static_cast<size_t>(level) - 1]);
  }

  // At most so much is used where the level, once reached, is left. Of kNone: nothing.
  constexpr uint64_t left_bytes(PressureLevel level, uint64_t limit_bytes) const {
    if (level == PressureLevel::kNone) return 0;
    // Never down to nothing: that would not be left any more. But below the line in any case.
    const unsigned percent = percents_[static_cast<size_t>(level) - 1];
    const uint64_t bytes = percent_of(limit_bytes, percent - std::min(kSlackPercent, percent - 1));
    return std::min(bytes, saturating_subtract(line_bytes(level, limit_bytes), 1));
  }

  constexpr PressureLevel level_of(uint64_t used_bytes, uint64_t limit_bytes,
                                   PressureLevel before) const {
    for (size_t i = kPressureLevels - 1; i > 0; --i) {
      const auto level = static_cast<PressureLevel>(i);
      if (used_bytes >= line_bytes(level, limit_bytes)) return level;
      if (before >= level && used_bytes > left_bytes(level, limit_bytes)) return level;
    }
    return PressureLevel::kNone;
  }

  // For `level` to be left.
  constexpr uint64_t wanted_bytes(PressureLevel level, uint64_t used_bytes,
                                  uint64_t limit_bytes) const {
    return saturating_subtract(used_bytes, left_bytes(level, limit_bytes));
  }

  // After how much more growth to look again: a share of what is left, so that the looks come the
  // closer the less that is; and at least a small share of the limit, or there would be no end of
  // them once it is passed.
  constexpr uint64_t next_look_bytes(uint64_t used_bytes, uint64_t limit_bytes) const {
    const uint64_t room_bytes = saturating_subtract(limit_bytes, used_bytes);
    return std::max({room_bytes / kLookShare, limit_bytes / kLeastLookShare, kLeastLookBytes});
  }

 private:
  static constexpr uint64_t kLookShare = 32;
  static constexpr uint64_t kLeastLookShare = 512;
  static constexpr uint64_t kLeastLookBytes = 256 * kKiB;

  uint8_t percents_[4] = {};
};

}  // namespace elasticpool
