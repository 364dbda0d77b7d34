/* A ring that wishes for huge pages gets them where the kernel's pool holds all of it, and small
 * ones, silently, where it holds too few, none, or none of that size.
 *
 * As root it makes the pool larger itself, and as it was before at the end; else, or where the
 * kernel cannot make so many, it shows the fall back and says that it was no more. */
#include "hugetlb_pages.h"

#include <elasticpool/ring.h>
#include <linux/magic.h>
#include <sys/vfs.h>

/* The pool of blocks ends within a huge page. */
enum {
  kPoolBytes = 8 * kMiB + 100 * kKiB,
  kMessageBytes = 2 * kMiB,
  kMessages = 20,
  kPages2M = 32
};

#define FINE(call) EXPECT((call) == EP_RING_OK)

/* The size of the huge pages that it lies on; 0: of none. */
static long huge_kib(ep_ring* ring) {
  struct statfs file_system;
  EXPECT(fstatfs(ep_ring_fd(ring), &file_system) == 0);
  return file_system.f_type == HUGETLBFS_MAGIC ? file_system.f_bsize / kKiB : 0;
}

static bool is_mapped(void) {
  char line[512];
  bool found = false;
  FILE* file = fopen("/proc/self/maps", "r");
  EXPECT(file != NULL);
  while (!found && fgets(line, sizeof line, file) != NULL) {
    found = strstr(line, "memfd:elasticpool-ring") != NULL;
  }
  fclose(file);
  return found;
}

/* Payloads are protected as far as pages let them be. */
static void expect_read_only_attach(int fd) {
  struct statfs file_system;
  ep_ring* ring = NULL;
  EXPECT(fstatfs(fd, &file_system) == 0);
  const bool is_possible = file_system.f_bsize <= 2 * kMiB;
  const int error = ep_ring_attach_fd(fd, EP_RING_READ_ONLY_PAYLOADS, &ring);
  EXPECT(error == (is_possible ? EP_RING_OK : EP_RING_INVALID));
  if (is_possible) ep_ring_detach(ring);
}

/* Another process, which maps the same pages. */
static void produce(int fd) {
  ep_ring* ring = NULL;
  ep_ring_producer* producer = NULL;
  FINE(ep_ring_attach_fd(fd, 0, &ring));
  FINE(ep_ring_producer_open(ring, &producer));
  for (unsigned i = 0; i < kMessages; ++i) {
    struct ep_ring_buffer buffer;
    FINE(ep_ring_reserve(producer, kMessageBytes, EP_RING_FOREVER, &buffer));
    fill(buffer.data, buffer.size, i);
    FINE(ep_ring_publish(producer, &buffer, NULL, EP_RING_FOREVER, NULL));
  }
  ep_ring_producer_close(producer);
  ep_ring_detach(ring);
}

static long serve(uint32_t wish) {
  struct ep_ring_options options;
  ep_ring* ring = NULL;
  ep_ring_options_init(&options);
  options.pool_bytes = kPoolBytes;
  options.flags = wish;
  FINE(ep_ring_create(NULL, &options, &ring));
  const long kib = huge_kib(ring);
  expect_read_only_attach(ep_ring_fd(ring));
  const struct ep_ring_consumer_options consumer_options = {.group = "work"};
  ep_ring_consumer* consumer = NULL;
  FINE(ep_ring_consumer_open(ring, &consumer_options, &consumer));
  const pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    produce(ep_ring_fd(ring));
    _exit(0);
  }
  for (unsigned i = 0; i < kMessages; ++i) {
    struct ep_ring_message message;
    FINE(ep_ring_get(consumer, EP_RING_FOREVER, &message));
    EXPECT(message.size == kMessageBytes && holds(message.data, message.size, i));
    FINE(ep_ring_ack(consumer, &message));
  }
  int status = 0;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(ep_ring_check(ring, NULL, NULL) == 0);
  ep_ring_consumer_close(consumer, NULL);
  ep_ring_detach(ring);
  EXPECT(!is_mapped());
  return kib;
}

/* With so many pages to be had; false: the kernel has not made them. */
static bool with_pages(long page_kib, long pages, uint32_t wish, long expected_kib) {
  const long before = pool_read(page_kib, "nr_hugepages");
  const long used = before - pool_read(page_kib, "free_hugepages");
  const bool is_made = before >= 0 && pool_resize(page_kib, used + pages) &&
                       pool_read(page_kib, "free_hugepages") == pages;
  if (is_made) {
    EXPECT(serve(wish) == expected_kib);
    EXPECT(pool_read(page_kib, "free_hugepages") == pages);
  }
  pool_resize(page_kib, before);
  return is_made;
}

int main(void) {
  const uint32_t both = EP_RING_HUGE_2M | EP_RING_HUGE_1G;
  /* Whatever there is. */
  serve(EP_RING_HUGE_2M);
  serve(EP_RING_HUGE_1G);
  serve(both);
  const bool has_1g = pool_read(kKib1G, "free_hugepages") > 0;
  const bool is_shown = with_pages(kKib2M, 0, EP_RING_HUGE_2M, 0) &&
                        with_pages(kKib2M, 2, EP_RING_HUGE_2M, 0) &&
                        with_pages(kKib2M, kPages2M, EP_RING_HUGE_2M, kKib2M) &&
                        with_pages(kKib2M, kPages2M, both, has_1g ? kKib1G : kKib2M);
  if (!is_shown) SKIP("no huge pages can be had");
  if (!with_pages(kKib1G, 1, EP_RING_HUGE_1G, kKib1G)) puts("no pages of 1 GiB");
  return 0;
}
