// How good the outlooks on a set of traces were.
//
// Evaluation begins after 30 s of history. A share is taken trace by trace, then the mean over the
// traces, so that a long trace counts no more than a short one; a forecast whose target lies behind
// the trace's end is not counted, nor a trace with fewer than 10 forecasts at that horizon.
#pragma once

#include <vector>

#include "replay.h"

struct Score {
  // For 30, 60 and 120 s. Within: off by at most 10 points of the limit. Covered: within the stated
  // interval. Calibration: forecasts in ten classes by stated confidence; |mean stated - share that
  // was within|, mean over the classes by how many there are.
  double within[elasticpool::kHorizons];
  double covered[elasticpool::kHorizons];
  double calibration[elasticpool::kHorizons];
  // A crossing: usage reaches 90 % after 30 s below. Missed: no alarm was on then, and none had
  // ended within the 10 s before. Lead: from the begin of that alarm, at most 120 s.
  size_t crossings;
  size_t missed;
  double lead_median_s;
  double lead_early;  // share of those not missed with a lead of 30 s or more
  // Alarms that began below 90 %. Harmful: usage reached not even 80 % from its begin until 120 s
  // after its end.
  size_t episodes;
  size_t harmful;
  // Share of moments under alarm of those from which usage stays for 120 s below 90 %; below 80 %.
  double safe_alarmed;
  double calm_alarmed;
  double step_us;
};

// `replays[i]` is that of `traces[i]`; those with chosen[i] count.
Score score(const std::vector<Trace>& traces, const std::vector<Replay>& replays,
            const std::vector<bool>& chosen);
