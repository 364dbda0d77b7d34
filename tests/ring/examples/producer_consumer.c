/* A producer and a consumer in two processes: numbers are written where they are read, in place. */
#include <elasticpool/ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kNumbers = 100000 };

static void need(int error) {
  if (error == EP_RING_OK) return;
  fprintf(stderr, "failed: %s\n", ep_ring_strerror(error));
  _exit(1);
}

/* Every number must come, once, and in the order in which it was sent. */
static int consume(ep_ring* ring) {
  const struct ep_ring_consumer_options options = {.group = "readers"};
  ep_ring_consumer* consumer;
  need(ep_ring_consumer_open(ring, &options, &consumer));
  for (uint64_t expected = 0; expected < kNumbers; ++expected) {
    struct ep_ring_message message;
    need(ep_ring_get(consumer, 10000, &message));
    const uint64_t number = *(const uint64_t*)message.data;
    if (number != expected) {
      fprintf(stderr, "%ju came in place of %ju\n", (uintmax_t)number, (uintmax_t)expected);
      return 1;
    }
    /* From here on the bytes may be written anew. */
    need(ep_ring_ack(consumer, &message));
  }
  ep_ring_consumer_close(consumer, NULL);
  return 0;
}

int main(void) {
  ep_ring* ring;
  need(ep_ring_create(NULL, NULL, &ring)); /* without a name: for our children */
  /* The group is there before its first consumer is: it misses nothing. */
  need(ep_ring_group_create(ring, "readers", NULL));
  const pid_t child = fork();
  if (child == 0) _exit(consume(ring));

  ep_ring_producer* producer;
  need(ep_ring_producer_open(ring, &producer));
  for (uint64_t number = 0; number < kNumbers; ++number) {
    struct ep_ring_buffer buffer;
    need(ep_ring_reserve(producer, sizeof number, 10000, &buffer));
    *(uint64_t*)buffer.data = number;
    need(ep_ring_publish(producer, &buffer, NULL, 10000, NULL));
  }
  ep_ring_producer_close(producer);
  int status = 1;
  waitpid(child, &status, 0);
  ep_ring_detach(ring);
  printf("%d numbers sent, and received in order: %s\n", kNumbers, status == 0 ? "yes" : "NO");
  return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
