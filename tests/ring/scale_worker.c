/* A consumer as a command: joins where its environment says, counts, and leaves when asked.
 * It writes what it processed to the file that its argument names, one sequence a line. */
#include <elasticpool/ring.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  const char* fd = getenv("EP_RING_FD");
  const char* name = getenv("EP_RING_NAME");
  if (argc != 2 || fd == NULL) return 10;
  ep_ring* ring;
  int error = name != NULL ? ep_ring_attach(name, 0, &ring) : ep_ring_attach_fd(atoi(fd), 0, &ring);
  if (error != EP_RING_OK) return 11;
  const struct ep_ring_consumer_options options = {.group = getenv("EP_RING_GROUP"),
                                                   .name = getenv("EP_RING_CONSUMER")};
  ep_ring_consumer* consumer;
  if (ep_ring_consumer_open(ring, &options, &consumer) != EP_RING_OK) return 12;
  FILE* out = fopen(argv[1], "a");
  if (out == NULL) return 13;
  struct ep_ring_message message;
  while ((error = ep_ring_get(consumer, EP_RING_FOREVER, &message)) == EP_RING_OK) {
    fprintf(out, "%llu\n", (unsigned long long)message.sequence);
    if (ep_ring_ack(consumer, &message) != EP_RING_OK) return 14;
  }
  fclose(out);
  ep_ring_consumer_close(consumer, NULL);
  ep_ring_detach(ring);
  return error == EP_RING_STOPPED ? 0 : 15;
}
