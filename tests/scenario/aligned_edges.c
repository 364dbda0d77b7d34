// posix_memalign, aligned_alloc, memalign, valloc and pvalloc at their edges, as glibc 2.43 has
// them.
#include "check.h"

#define TOP_BIT ((size_t)1 << 63)

static const size_t kMostAlignment = GIB;

// Every aligned block is an ordinary one: writable, growable with its content, freed with free().
static void use_and_free(void* block, size_t alignment, size_t size) {
  CHECK_WITH(block && is_aligned(block, alignment), "%zu to %zu: %p", size, alignment, block);
  CHECK_WITH(malloc_usable_size(block) >= size, "%zu to %zu", size, alignment);
  fill(block, size, alignment);
  CHECK((block = realloc(block, 3 * size + 1)) != NULL);
  CHECK_WITH(is_filled(block, size, alignment), "%zu to %zu", size, alignment);
  free(block);
}

static void posix_memalign_refuses_bad_alignments(void) {
  static const size_t kBad[] = {0, 1, 2, 3, 4, 7, 12, 24, 48, 0x300, TOP_BIT + 8, SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(kBad); ++i) {
    void* untouched = &untouched;
    errno = ERRNO_MARK;
    CHECK_WITH(posix_memalign(&untouched, opaque(kBad[i]), 10) == EINVAL, "alignment %#zx",
               kBad[i]);
    CHECK_WITH(untouched == &untouched, "alignment %#zx", kBad[i]);
    CHECK_WITH(errno == ERRNO_MARK, "alignment %#zx: errno %d", kBad[i], errno);
  }
}

static void refuses_what_cannot_be(void) {
  for (size_t i = 0; i < kTooLargeCount; ++i) {
    const size_t size = opaque(kTooLarge[i]);
    for (size_t alignment = 8; alignment <= 2 * MIB; alignment *= 2) {
      void* untouched = &untouched;
      CHECK_WITH(posix_memalign(&untouched, alignment, size) == ENOMEM, "%#zx to %zu", size,
                 alignment);
      CHECK_WITH(untouched == &untouched, "%#zx to %zu", size, alignment);
      errno = 0;
      CHECK_WITH(aligned_alloc(alignment, size) == NULL, "%#zx to %zu", size, alignment);
      CHECK_WITH(errno == ENOMEM, "%#zx to %zu: errno %d", size, alignment, errno);
      errno = 0;
      CHECK_WITH(memalign(alignment, size) == NULL, "%#zx to %zu", size, alignment);
      CHECK_WITH(errno == ENOMEM, "%#zx to %zu: errno %d", size, alignment, errno);
    }
    errno = 0;
    CHECK_WITH(valloc(size) == NULL && errno == ENOMEM, "size %#zx: errno %d", size, errno);
    errno = 0;
    CHECK_WITH(pvalloc(size) == NULL && errno == ENOMEM, "size %#zx: errno %d", size, errno);
  }
  void* untouched = &untouched;
  CHECK(posix_memalign(&untouched, opaque(TOP_BIT), 9) == ENOMEM && untouched == &untouched);
}

static size_t available_bytes(void) {
  char text[256];
  const int file = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  const ssize_t length = read(file, text, sizeof(text) - 1);
  close(file);
  if (length <= 0) return 0;
  text[length] = 0;
  const char* line = strstr(text, "MemAvailable:");
  return line == NULL ? 0 : strtoul(line + strlen("MemAvailable:"), NULL, 10) * KIB;
}

// Address space is asked for, not memory: what can refuse 1 GiB of it is only a machine without
// that much.
static void honours_every_alignment(void) {
  static const size_t kSizes[] = {0, 1, 10, 100, 5000, 40000, 100000, MIB, 3 * MIB};
  const bool roomy = available_bytes() > 4 * GIB;
  for (size_t alignment = 8; alignment <= kMostAlignment; alignment *= 2) {
    for (size_t i = 0; i < COUNT_OF(kSizes); ++i) {
      void* block = NULL;
      errno = ERRNO_MARK;
      const int error = posix_memalign(&block, alignment, kSizes[i]);
      if (error == ENOMEM && !roomy && alignment > 64 * MIB) continue;
      CHECK_WITH(error == 0, "%zu to %zu: error %d", kSizes[i], alignment, error);
      CHECK_WITH(errno == ERRNO_MARK, "%zu to %zu: errno %d", kSizes[i], alignment, errno);
      use_and_free(block, alignment, kSizes[i]);
      if (alignment > 64 * MIB) continue;
      use_and_free(aligned_alloc(alignment, kSizes[i]), alignment, kSizes[i]);
      use_and_free(memalign(alignment, kSizes[i]), alignment, kSizes[i]);
    }
  }
}

static void aligned_blocks_lie_apart(void) {
  enum { kBlocks = 64 };
  for (size_t alignment = 8; alignment <= 2 * MIB; alignment *= 2) {
    void* blocks[kBlocks];
    for (size_t i = 0; i < kBlocks; ++i) {
      CHECK(posix_memalign(&blocks[i], alignment, 1 + 97 * i) == 0);
      CHECK_WITH(is_aligned(blocks[i], alignment), "%p to %zu", blocks[i], alignment);
      fill(blocks[i], 1 + 97 * i, i);
    }
    for (size_t i = 0; i < kBlocks; ++i) {
      CHECK_WITH(is_filled(blocks[i], 1 + 97 * i, i), "alignment %zu, block %zu", alignment, i);
      free(blocks[i]);
    }
  }
}

static void aligned_alloc_wants_a_power_of_two(void) {
  static const size_t kBad[] = {0, 3, 5, 24, 48, 100, 4095, TOP_BIT + 1, SIZE_MAX};
  for (size_t i = 0; i < COUNT_OF(kBad); ++i) {
    errno = 0;
    CHECK_WITH(aligned_alloc(opaque(kBad[i]), 64) == NULL, "alignment %#zx", kBad[i]);
    CHECK_WITH(errno == EINVAL, "alignment %#zx: errno %d", kBad[i], errno);
  }
  use_and_free(aligned_alloc(1, 10), 16, 10);
  use_and_free(aligned_alloc(2, 10), 16, 10);
  use_and_free(aligned_alloc(64, 10), 64, 10);  // C17 dropped the rule that the size be a multiple
  errno = 0;
  CHECK(aligned_alloc(opaque(TOP_BIT), 9) == NULL && errno == ENOMEM);
}

static void memalign_rounds_the_alignment_up(void) {
  static const size_t kRounded[][2] = {
      {0, 16},  {1, 16},    {3, 16},      {17, 32},     {24, 32},
      {48, 64}, {100, 128}, {3000, 4096}, {5000, 8192},
  };
  for (size_t i = 0; i < COUNT_OF(kRounded); ++i) {
    void* blocks[8];
    for (int k = 0; k < 8; ++k) blocks[k] = memalign(opaque(kRounded[i][0]), 9);
    for (int k = 0; k < 8; ++k) use_and_free(blocks[k], kRounded[i][1], 9);
  }
  static const struct {
    size_t alignment;
    int error;
  } kRefused[] = {
      {(size_t)1 << 62, ENOMEM}, {TOP_BIT, ENOMEM}, {TOP_BIT + 1, EINVAL}, {SIZE_MAX, EINVAL}};
  for (size_t i = 0; i < COUNT_OF(kRefused); ++i) {
    errno = 0;
    CHECK_WITH(memalign(opaque(kRefused[i].alignment), 9) == NULL, "%#zx", kRefused[i].alignment);
    CHECK_WITH(errno == kRefused[i].error, "%#zx: errno %d", kRefused[i].alignment, errno);
  }
}

static void valloc_and_pvalloc_give_pages(void) {
  static const size_t kSizes[] = {0, 1, 4095, 4096, 4097, 40000, 100000, 2 * MIB + 1};
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < COUNT_OF(kSizes); ++i) {
    const size_t size = kSizes[i];
    use_and_free(valloc(opaque(size)), page, size);
    use_and_free(pvalloc(opaque(size)), page, (size + page - 1) / page * page);
  }
}

int main(void) {
  posix_memalign_refuses_bad_alignments();
  refuses_what_cannot_be();
  honours_every_alignment();
  aligned_blocks_lie_apart();
  aligned_alloc_wants_a_power_of_two();
  memalign_rounds_the_alignment_up();
  valloc_and_pvalloc_give_pages();
  return 0;
}
