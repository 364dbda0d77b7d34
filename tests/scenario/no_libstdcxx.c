// A C program that runs under the library has no C++ library in it.
#include "check.h"

int main(void) {
  free(opaque_pointer(malloc(100)));
  FILE* maps = fopen("/proc/self/maps", "re");
  CHECK(maps != NULL);
  char line[1024];
  while (fgets(line, sizeof(line), maps) != NULL) {
    line[strcspn(line, "\n")] = 0;
    CHECK_WITH(!strstr(line, "libstdc++") && !strstr(line, "libc++") && !strstr(line, "libgcc_s"),
               "%s", line);
  }
  fclose(maps);
  return 0;
}
