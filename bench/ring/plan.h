// Everything that can be measured, by name, in the order in which a round does it.
#pragma once

#include "latency.h"

struct PlanOptions {
  Setting setting;
  Touch touch = Touch::kFirstLine;
  uint32_t slots = 16384;
  bool checks_payloads = false;
  unsigned kills = 20;
};

struct Measurement {
  std::string name;
  Section section;
  std::function<Values()> run;
};

// What a name means: SECTION/LINK/SIZE and how.
std::vector<Measurement> make_plan(const PlanOptions& options);
