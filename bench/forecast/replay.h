// A trace through one method, a sample after the other, as the library would see it.
#pragma once

#include <string>
#include <vector>

#include "pressure/forecast.h"
#include "traces.h"

struct Method {
  std::string name;
  elasticpool::ForecastMethod method;
  uint32_t experts;  // bits; 0: what the method asks
};
const std::vector<Method>& all_methods();

struct Replay {
  std::vector<elasticpool::Outlook> outlooks;  // one a sample
  double step_us;                              // observe and outlook, the mean
};
Replay replay(const Trace& trace, const Method& method);
