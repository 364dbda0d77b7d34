// The environment that all these programs run in has the library in it: were it not found, ld.so
// would only warn, and most contracts would hold just because the C library keeps them.
#include "extensions.h"

int main(void) {
  CHECK(ep_version != NULL);
  CHECK_WITH(malloc_size != NULL && nallocx != NULL, "version %s", ep_version());
  CHECK(ep_version()[0] != 0);
  return 0;
}
