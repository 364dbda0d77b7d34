// Our own broken invariants. Never for the caller's misuse (die.h) nor for lack of memory (NULL).
//
// EP_CHECK    always on; for what costs nothing beside the work that surrounds it.
// EP_ASSERT   in builds with -Dchecks=full.
#pragma once

#include "base/annotations.h"
#include "base/die.h"

#define EP_STRINGIFY_(x) #x
#define EP_STRINGIFY(x) EP_STRINGIFY_(x)

#define EP_CHECK(condition)   \
  (EP_LIKELY(condition)       \
       ? static_cast<void>(0) \
       : ::elasticpool::die_broken_invariant(__FILE__ ":" EP_STRINGIFY(__LINE__) ": " #condition))

#if defined(EP_CHECKS_FULL)
#define EP_ASSERT(condition) EP_CHECK(condition)
#else
#define EP_ASSERT(condition) static_cast<void>(0)
#endif
