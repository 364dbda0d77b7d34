// The library under test is really the one that serves this program. A suite whose LD_PRELOAD names
// a missing file would otherwise pass on glibc, with no more than a warning.
#include "dropin.h"

int main(void) {
  EXPECT(dlsym(RTLD_DEFAULT, "ep_version") != NULL);
  EXPECT(strstr(allocator_path(), "elasticpool") != NULL);
  return 0;
}
