// A library that before_and_after_main.c is linked with.
#ifndef ELASTICPOOL_TESTS_DROPIN_EARLY_LIBRARY_H_
#define ELASTICPOOL_TESTS_DROPIN_EARLY_LIBRARY_H_

#include <stdbool.h>

// Whether the blocks that the library's constructor allocated have kept their contents.
__attribute__((visibility("default"))) bool early_library_is_whole(void);

#endif  // ELASTICPOOL_TESTS_DROPIN_EARLY_LIBRARY_H_
