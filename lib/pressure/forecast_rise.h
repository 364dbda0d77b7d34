// Whether the rise that is under way will carry usage past a level.
//
// Pure:      numbers in, numbers out. Each call is a figure with its time, any number a second: it
//            serves what is over before a history by seconds has said much.
// Rise       from the last low on. It is over when usage has fallen or hardly risen for some
//            seconds.
// Belief     a rise goes on for about as long as it has lasted (Gott 1993), less kDoubtS: nothing
//            in the first seconds says that it is not the tooth of a saw. It carries where the
//            level is nearer than that, at the lesser of its paces of late and since its begin.
// Ceiling    where usage has turned below the level and fallen by a band, the next rise may turn,
//            too: none is believed before it is past that. It is kept for kCeilingS; usage that
//            passes the level takes it away.
// Time       that goes back counts as no time.
// Cost       tens of instructions.
#pragma once

#include <cstdint>

namespace elasticpool {

inline constexpr float kDoubtS = 5;
// What is further off is for the forecasts to say.
inline constexpr float kCarriesS = 40;
inline constexpr float kCeilingS = 600;

// All zero at first.
class Rise {
 public:
  // `level` 0: none. `band` above 0.
  void note(uint64_t now_ms, float used, float level, float band);

  // Of the last figure: usage is below the level and will pass it.
  bool carries() const { return carries_; }
  // It has fallen by a band from where it turned, and not risen by one from there.
  bool sinks() const { return sinks_; }
  // It is above where it has turned so far.
  bool past_ceiling() const { return past_ceiling_; }

 private:
  struct Point {
    uint64_t ms;
    float used;
  };
  static constexpr uint32_t kPoints = 4;

  // The oldest that is kept.
  const Point& before() const { return past_[kPoints - 1]; }
  void keep(Point now);
  void turn(Point now, float level, float band);
  bool rests(Point now) const;
  bool judge(Point now, float level) const;

  Point low_ = {};            // where it began
  Point past_[kPoints] = {};  // a second and more apart, the last first
  Point ceiling_ = {};        // used 0: none
  float turn_ = 0;            // the most since usage rises, the least since it sinks
  bool sinks_ = false;
  bool is_known_ = false;
  bool carries_ = false;
  bool past_ceiling_ = false;
};

}  // namespace elasticpool
