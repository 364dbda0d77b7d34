// What the loader calls: before main, and when the process exits.
#include "heap/heap.h"
#include "stats/report.h"

namespace {

// glibc hands the environment to constructors.
__attribute__((constructor(101))) void start(int /*argc*/, char** /*argv*/, char** environment) {
  elasticpool::heap_start(environment);
}

__attribute__((destructor(101))) void finish() { elasticpool::report_at_exit(); }

}  // namespace

// A linker takes only those members of libelasticpool.a that somebody refers to: malloc refers to
// this one.
extern "C" __attribute__((visibility("hidden"))) const char ep_start_is_linked = 1;
