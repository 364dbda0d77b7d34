/* A second consumer is started when the first does not keep up. */
#include <elasticpool/ring.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kJobs = 400, kJobUs = 1000, kLagMax = 100, kWorkersMax = 2, kEnd = 1 };

static unsigned (*done)[kJobs]; /* by worker and job, seen by all */

static void need(int error) {
  if (error != EP_RING_OK) fprintf(stderr, "failed: %s\n", ep_ring_strerror(error));
  if (error != EP_RING_OK) _exit(1);
}

static void work(ep_ring* ring, int worker) {
  const struct ep_ring_consumer_options options = {.group = "workers"};
  ep_ring_consumer* consumer;
  struct ep_ring_message message;
  need(ep_ring_consumer_open(ring, &options, &consumer));
  do {
    need(ep_ring_get(consumer, 10000, &message));
    usleep(kJobUs);
    if (message.tag != kEnd) ++done[worker][*(const int*)message.data];
    need(ep_ring_ack(consumer, &message));
  } while (message.tag != kEnd);
  ep_ring_consumer_close(consumer, NULL);
  _exit(0);
}

int main(void) {
  const size_t bytes = kWorkersMax * sizeof *done;
  ep_ring* ring;
  ep_ring_producer* producer;
  struct ep_ring_group_stat group;
  int workers = 0, wrong = 0, shares[kWorkersMax] = {0};
  done = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(ep_ring_create(NULL, NULL, &ring));
  need(ep_ring_group_create(ring, "workers", NULL));
  need(ep_ring_producer_open(ring, &producer));
  for (int job = 0; job < kJobs + workers; ++job) { /* each worker ends with a message of its own */
    const bool is_late = ep_ring_read_group(ring, 0, &group) && group.lag > kLagMax;
    if (job < kJobs && workers < kWorkersMax && (workers == 0 || is_late)) {
      printf("job %d, %ju wait: worker %d starts\n", job, (uintmax_t)group.lag, ++workers);
      if (fork() == 0) work(ring, workers - 1);
    }
    const struct ep_ring_label label = {.tag = job < kJobs ? 0 : kEnd};
    struct ep_ring_buffer buffer;
    need(ep_ring_reserve(producer, sizeof job, 0, &buffer));
    *(int*)buffer.data = job;
    need(ep_ring_publish(producer, &buffer, &label, 0, NULL));
  }
  for (int status; wait(&status) > 0;) wrong += status != 0;
  for (int job = 0; job < kJobs; ++job) wrong += done[0][job] + done[1][job] != 1;
  for (int i = 0; i < kJobs * kWorkersMax; ++i) shares[i / kJobs] += (int)done[0][i];
  printf("jobs done: %d and %d; lost or doubled: %d\n", shares[0], shares[1], wrong);
  return wrong == 0 && shares[1] > 0 ? 0 : 1;
}
