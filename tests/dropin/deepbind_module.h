// What deepbind_module.c offers to deepbind.c.
#ifndef ELASTICPOOL_TESTS_DROPIN_DEEPBIND_MODULE_H_
#define ELASTICPOOL_TESTS_DROPIN_DEEPBIND_MODULE_H_

#include <stdbool.h>

#pragma GCC visibility push(default)
const char* owner(void);         // defined in the program and in the module: whose wins?
const char* module_owner(void);  // owner() as the module sees it
bool module_mixes_blocks(void);
char* module_makes(void);
void module_frees(void* block);
#pragma GCC visibility pop

#endif  // ELASTICPOOL_TESTS_DROPIN_DEEPBIND_MODULE_H_
