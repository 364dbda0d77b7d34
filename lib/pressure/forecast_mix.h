// One horizon's forecast out of what the experts say, and how far it may be off.
//
// Pure:      numbers in, numbers out; a second of its caller's is its step.
// Weights    by recent loss, which is 0 well within the band of 10 points of the limit and 1 well
//            outside (prediction with expert advice: Littlestone and Warmuth 1994, Vovk 1990; the
//            forgetting after Herbster and Warmuth 1998). Until a horizon has losses of its own,
//            those of the next shorter one stand for it, over a prior from other programs.
// Bounds     every opinion is taken as the nearest figure within them: one past the limit cannot
//            come true, but means that usage will be near it.
// Centre     from the median of the opinions by weight some steps towards where they are dense (an
//            M-estimate, Huber 1964, with Cauchy's weights): to be right is to be within a band, so
//            those near by count most, and one that is far off as little as in a median.
// Heading    the median of the opinions without bounds: where usage would go if nothing held it.
// Interval   centre +- reach * scale. Scale is what there is to be wrong about: how the experts
//            disagree, how far the centre is from now, how much was missed of late: near the mean
//            error to be expected. Reach follows what was outside, so that kCoverage hold
//            (quantile tracking: Gibbs and Candes 2021, Angelopoulos et al. 2023).
// Confidence the chance that the centre is within the band, by how many scales the band is wide:
//            one curve for all horizons, from the traces for tuning.
// Cost       some 1 microsecond a step.
#pragma once

#include <algorithm>
#include <cstdint>

#include "pressure/forecast_experts.h"

namespace elasticpool {

inline constexpr float kCoverage = 0.9F;
// Right is who is off by at most this share of the limit.
inline constexpr float kBandShare = 0.1F;

class HorizonMix;

// What usage will hardly leave.
struct Bounds {
  float least;
  float most;

  float hold(float figure) const { return std::max(least, std::min(figure, most)); }
};

// What may be said besides the experts' opinions.
struct MixContext {
  uint32_t horizon;  // index of it
  uint32_t allowed;  // experts, as bits
  float last;        // usage now
  float band;        // above 0
  float level;       // whose passing the experts vote on; 0: none
  Bounds bounds;
  // Of the next shorter horizon, or nullptr and what the prior expects.
  const HorizonMix* shorter;
  float shorter_missed;
};

struct Mixed {
  float centre;
  float heading;
  float scale;
  float reach;  // in scales
  float confidence;
  float missed;  // by how much, of late
  float vote;    // the experts' weight that sees the level passed; half of it at the level

  float low() const { return centre - reach * scale; }
  float high() const { return centre + reach * scale; }
};

// What a horizon remembers of a second whose outcome it waits for.
struct Pledge {
  float says[kExperts];  // within the bounds
  float centre;
  float scale;
  float peak;        // of this and the shorter horizons' headings, and of usage then
  uint32_t allowed;  // 0: nothing was said in that second
};

class HorizonMix {
 public:
  // `says` without bounds.
  Mixed mix(const float (&says)[kExperts], const MixContext& context) const;

  // A pledge has come due.
  void settle(const Pledge& pledge, float truth, uint32_t horizon, float band);

 private:
  // Of each expert, over what the prior expects.
  void estimate(uint32_t horizon, const HorizonMix* shorter, float (&losses)[kExperts]) const;

  // Sums that fade, and of how many seconds.
  float loss_[kExperts] = {};
  float seconds_ = 0;
  float missed_ = 0;
  // How much more than the prior's reach is needed: 1 is twice as much.
  float stretch_ = 0;
};

}  // namespace elasticpool
