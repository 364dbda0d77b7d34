// A library as deepbind.c loads it: it mixes blocks of libc's functions, its own, and its caller's.
#include "deepbind_module.h"

#include "dropin.h"

// Weak, so that no compiler calls it past the dynamic linker.
__attribute__((weak)) const char* owner(void) { return "module"; }

const char* module_owner(void) { return owner(); }

bool module_mixes_blocks(void) {
  char* text = NULL;
  if (asprintf(&text, "%0*d", 300, 42) != 300) return false;  // libc allocates
  text = opaque(realloc(text, 5000));                         // we grow
  if (text == NULL || strlen(text) != 300) return false;
  free(text);  // we free
  FILE* file = fmemopen((void*)(uintptr_t) "line\n", 5, "r");
  char* line = opaque(malloc(2));
  size_t capacity = 2;
  if (file == NULL || getline(&line, &capacity, file) != 5) return false;  // libc grows
  free(line);
  return fclose(file) == 0;
}

char* module_makes(void) { return strdup("made by the module"); }

void module_frees(void* block) { free(block); }
