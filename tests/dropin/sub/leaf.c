// The neighbour that origin_module.c finds through its RUNPATH.
__attribute__((visibility("default"))) int leaf_answer(void);

int leaf_answer(void) { return 42; }
