/* A consumer is killed and another takes over: exactly once, by a checkpoint beside the result. */
#include <elasticpool/ring.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kNumbers = 1000, kKilledAt = 550 };

/* Stands for a database: sum and sequence are stored together, in one transaction. */
static struct { uint64_t sum, sequence, redelivered; } * result;

static void need(int error) {
  if (error != EP_RING_OK) fprintf(stderr, "failed: %s\n", ep_ring_strerror(error));
  if (error != EP_RING_OK) _exit(1);
}

static void consume(ep_ring* ring, uint64_t killed_at) {
  const struct ep_ring_consumer_options options = {.group = "sums", .name = "adder"};
  ep_ring_consumer* consumer;
  uint64_t resume; /* the first sequence that may come */
  need(ep_ring_consumer_open(ring, &options, &consumer));
  need(ep_ring_recover(consumer, &resume));
  while (result->sequence < kNumbers) {
    struct ep_ring_message message;
    need(ep_ring_get(consumer, 10000, &message));
    result->redelivered += message.deliveries > 1;
    if (message.sequence > result->sequence) { /* else it is in the sum already */
      result->sum += *(const uint64_t*)message.data, result->sequence = message.sequence;
    }
    if (message.sequence == killed_at) raise(SIGKILL); /* stored, and not yet acknowledged */
    need(ep_ring_ack(consumer, &message));
    if (message.sequence % 100 == 0) need(ep_ring_checkpoint(consumer, message.sequence));
  }
  _exit(0);
}

int main(void) {
  ep_ring* ring;
  ep_ring_producer* producer;
  result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  need(ep_ring_create(NULL, NULL, &ring));
  need(ep_ring_group_create(ring, "sums", NULL));
  need(ep_ring_producer_open(ring, &producer));
  for (uint64_t number = 1; number <= kNumbers; ++number) {
    struct ep_ring_buffer buffer;
    need(ep_ring_reserve(producer, sizeof number, 0, &buffer));
    *(uint64_t*)buffer.data = number;
    need(ep_ring_publish(producer, &buffer, NULL, 0, NULL));
  }
  for (int life = 0; life < 2; ++life) {
    if (fork() == 0) consume(ring, life == 0 ? kKilledAt : 0);
    wait(NULL);
    ep_ring_watch(ring); /* its name is free at once */
    printf("sum up to %ju: %ju, %ju redelivered\n", result->sequence, result->sum,
           result->redelivered);
  }
  return result->sum == kNumbers * (kNumbers + 1) / 2 && result->redelivered > 0 ? 0 : 1;
}
