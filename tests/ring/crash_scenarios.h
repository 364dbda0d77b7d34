// What a process does that is killed or stopped at any of its steps, and what must hold afterwards.
#pragma once

#include <elasticpool/ring.h>

#include <cstdint>

// Shared between the test and the process that falls; not part of the region.
struct Journal {
  // Publications that returned OK, by their payload's number; and acknowledged ones.
  uint32_t published[256];
  uint32_t acknowledged[4096];     // by sequence
  uint32_t consumed_up_to;         // the last checkpoint that returned OK
  volatile uint32_t steps;         // taken so far
  volatile uint32_t errors_other;  // results that no death explains
  volatile int last_error;
  volatile int unexpected;
};

struct Scenario {
  const char* name;
  uint32_t slots;
  size_t pool_bytes;
  size_t pool_bytes_max;
  // By the test, before: messages that are there already.
  uint32_t before;
  // A second group sees all that the first does, and is served by the test alone.
  bool has_audit;
  // By the process that falls. Every result must be OK or FENCED, or what the scenario expects.
  void (*run)(ep_ring* ring, Journal* journal);
};

const Scenario* find_scenario(const char* name);

// A payload that tells its number, of `size` bytes.
void fill(void* data, size_t size, uint32_t number);
bool is_filled(const void* data, size_t size, uint32_t* number);
