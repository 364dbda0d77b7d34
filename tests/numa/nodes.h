// What the programs of this suite share: threads on a node, and where the kernel says pages lie.
//
// They run as root in a machine of two nodes (vm.sh boots one); elsewhere they skip themselves.
#ifndef ELASTICPOOL_TESTS_NUMA_NODES_H_
#define ELASTICPOOL_TESTS_NUMA_NODES_H_

#include <sched.h>
#include <sys/syscall.h>

#include "../dropin/dropin.h"

enum { kNodes = 2, kPage = 4096 };

static inline void read_text(const char* file, char* text, size_t capacity) {
  const int fd = open(file, O_RDONLY | O_CLOEXEC);
  const ssize_t length = fd < 0 ? -1 : read(fd, text, capacity - 1);
  if (length < 0) SKIP("not a host of two NUMA nodes");
  EXPECT(close(fd) == 0);
  text[length] = '\0';
}

static inline void write_text(const char* file, const char* text) {
  const int fd = open(file, O_WRONLY | O_CLOEXEC);
  EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static inline void expect_preloaded(void) {
  EXPECT(strstr(allocator_path(), "libelasticpool") != NULL);
}

// The caller stays on the node's first CPU.
static inline void stay_on_node(int node) {
  char file[64];
  char cpus[64];
  snprintf(file, sizeof file, "/sys/devices/system/node/node%d/cpulist", node);
  read_text(file, cpus, sizeof cpus);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)strtol(cpus, NULL, 10), &set);
  EXPECT(sched_setaffinity(0, sizeof set, &set) == 0);
}

typedef struct {
  int node;
  void (*body)(void* context);
  void* context;
} OnNode;

static inline void* stay_and_run(void* arg) {
  const OnNode* job = (const OnNode*)arg;
  stay_on_node(job->node);
  job->body(job->context);
  return NULL;
}

// Runs body in a new thread of that node, to its end.
static inline void run_on_node(int node, void (*body)(void*), void* context) {
  OnNode job = {node, body, context};
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, stay_and_run, &job) == 0);
  EXPECT(pthread_join(thread, NULL) == 0);
}

// --- Where pages lie. ---

typedef struct {
  long pages[kNodes];
  long absent;
  uintptr_t last;  // the page counted last
} Tally;

// Adds the pages that [block, block + bytes) touches; one that the block before lies in too
// counts once.
static inline void count_pages(const void* block, size_t bytes, Tally* tally) {
  enum { kBatch = 512 };
  void* pages[kBatch];
  int node_of[kBatch];
  const uintptr_t end = (uintptr_t)block + bytes;
  uintptr_t page = (uintptr_t)block / kPage * kPage;
  if (page == tally->last) page += kPage;
  while (page < end) {
    size_t count = 0;
    for (; page < end && count < kBatch; page += kPage) {
      pages[count++] = (void*)page;
      tally->last = page;
    }
    // Without a list of nodes to move to, it only says where each is.
    EXPECT(syscall(SYS_move_pages, 0, count, pages, NULL, node_of, 0) == 0);
    for (size_t i = 0; i < count; ++i) {
      if (node_of[i] >= 0 && node_of[i] < kNodes) {
        ++tally->pages[node_of[i]];
      } else {
        ++tally->absent;
      }
    }
  }
}

static inline double share_on(const Tally* tally, int node) {
  const long all = tally->pages[0] + tally->pages[1] + tally->absent;
  EXPECT(all > 0);
  return (double)tally->pages[node] / (double)all;
}

// --- Many blocks of one size. ---

typedef struct {
  size_t size;
  size_t count;
  void** blocks;  // not of the heap that is looked at
} Blocks;

static inline Blocks make_blocks(size_t size, size_t all_bytes) {
  Blocks many = {size, all_bytes / size, NULL};
  many.blocks = (void**)mmap(NULL, many.count * sizeof(void*), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT(many.blocks != MAP_FAILED);
  return many;
}

static inline void allocate_blocks(void* context) {
  const Blocks* many = (const Blocks*)context;
  for (size_t i = 0; i < many->count; ++i) {
    many->blocks[i] = opaque(malloc(many->size));
    EXPECT(many->blocks[i] != NULL);
  }
}

static inline void touch_blocks(void* context) {
  const Blocks* many = (const Blocks*)context;
  for (size_t i = 0; i < many->count; ++i) fill(many->blocks[i], many->size, (unsigned)i);
}

static inline void allocate_and_touch(void* context) {
  allocate_blocks(context);
  touch_blocks(context);
}

static inline void free_blocks(void* context) {
  const Blocks* many = (const Blocks*)context;
  for (size_t i = 0; i < many->count; ++i) {
    check_and_free(many->blocks[i], many->size, (unsigned)i);
  }
}

static inline Tally count_blocks(const Blocks* many) {
  Tally tally = {{0, 0}, 0, 0};
  for (size_t i = 0; i < many->count; ++i) count_pages(many->blocks[i], many->size, &tally);
  return tally;
}

// Says what it has found, for the log, and whether that is at least so much.
static inline bool mostly_on(const char* what, const Blocks* many, int node, double least) {
  const Tally tally = count_blocks(many);
  printf("%s, %zu blocks of %zu bytes: %ld pages on node 0, %ld on node 1, %ld absent\n", what,
         many->count, many->size, tally.pages[0], tally.pages[1], tally.absent);
  fflush(stdout);
  return share_on(&tally, node) >= least;
}

// --- Policies. ---

// Pages of 4 KiB each or huge ones wherever they fit.
static inline void use_huge_pages(bool huge) {
  // It is the whole host's setting: only in the machine that tests/numa/vm.sh boots.
  if (getenv("TEST_SECONDS") == NULL) SKIP("not in the virtual machine");
  write_text("/sys/kernel/mm/transparent_hugepage/enabled", huge ? "always" : "never");
}

// The policy of the mapping that holds the address: "default", "prefer:1", "interleave:0-1".
static inline void policy_at(const void* address, char* policy, size_t capacity) {
  char line[1024];
  policy[0] = '\0';
  FILE* maps = fopen("/proc/self/numa_maps", "r");
  EXPECT(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL) {
    char* words = NULL;
    if (strtoull(line, &words, 16) > (uintptr_t)address) break;
    snprintf(policy, capacity, "%.*s", (int)strcspn(words + 1, " \n"), words + 1);
  }
  fclose(maps);
}

static inline bool has_policy(const void* address, const char* wanted) {
  char policy[64];
  policy_at(address, policy, sizeof policy);
  if (strcmp(policy, wanted) == 0) return true;
  fprintf(stderr, "the policy at %p is %s, not %s\n", address, policy, wanted);
  return false;
}

#endif  // ELASTICPOOL_TESTS_NUMA_NODES_H_
