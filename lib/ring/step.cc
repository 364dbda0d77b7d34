// The hook of the fail points; only in the library that tests link.
#include "ring/step.h"

namespace elasticpool {

void (*ring_step_hook)() = nullptr;

}  // namespace elasticpool
