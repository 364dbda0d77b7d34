/* A process that takes part in a ring as it is told, for the test of the tool.
 *
 * Reads commands, one a line, and answers each with "ok" or the error's number:
 *   create NAME | attach NAME | group NAME | producer | consumer GROUP NAME
 *   publish COUNT SIZE KEY TAG    each payload is its number in text, filled up with zeros
 *   get | ack | checkpoint        of one message: the last that came
 *   churn COUNT                   publishes, gets and acknowledges so many, one by one
 *   reserve SIZE                  and neither published nor given back
 *   close                         consumer and producer leave */
#include <elasticpool/ring.h>
#include <stdio.h>
#include <string.h>

static ep_ring* ring;
static ep_ring_producer* producer;
static ep_ring_consumer* consumer;
static struct ep_ring_message message;
static unsigned published;

static int publish(unsigned count, size_t size, uint64_t key, uint32_t tag) {
  const struct ep_ring_label label = {.key = key, .tag = tag};
  for (unsigned i = 0; i < count; ++i) {
    struct ep_ring_buffer buffer;
    int error = ep_ring_reserve(producer, size, 0, &buffer);
    if (error != EP_RING_OK) return error;
    char text[32];
    const int length = snprintf(text, sizeof text, "message %u", ++published);
    memset(buffer.data, 0, size);
    memcpy(buffer.data, text, (size_t)length < size ? (size_t)length : size);
    error = ep_ring_publish(producer, &buffer, &label, 0, NULL);
    if (error != EP_RING_OK) return error;
  }
  return EP_RING_OK;
}

static int open_consumer(const char* group, const char* name) {
  const struct ep_ring_consumer_options options = {.group = group, .name = name};
  return ep_ring_consumer_open(ring, &options, &consumer);
}

static int reserve(size_t size) {
  struct ep_ring_buffer buffer;
  return ep_ring_reserve(producer, size, 0, &buffer);
}

static int churn(unsigned count) {
  int error = EP_RING_OK;
  for (unsigned i = 0; i < count && error == EP_RING_OK; ++i) {
    error = publish(1, 64 + i * 61 % 5000, 0, 0);
    if (error == EP_RING_OK) error = ep_ring_get(consumer, 5000, &message);
    if (error == EP_RING_OK) error = ep_ring_ack(consumer, &message);
  }
  return error;
}

static int close_all(void) {
  ep_ring_consumer_close(consumer, NULL);
  ep_ring_producer_close(producer);
  consumer = NULL;
  producer = NULL;
  return EP_RING_OK;
}

static int obey(const char* line) {
  char word[16] = "", a[512] = "", b[64] = "";
  unsigned count = 0, tag = 0;
  size_t size = 0;
  unsigned long long key = 0;
  sscanf(line, "%15s %511s %63s", word, a, b);
  if (strcmp(word, "create") == 0) return ep_ring_create(a, NULL, &ring);
  if (strcmp(word, "attach") == 0) return ep_ring_attach(a, 0, &ring);
  if (strcmp(word, "group") == 0) return ep_ring_group_create(ring, a, NULL);
  if (strcmp(word, "producer") == 0) return ep_ring_producer_open(ring, &producer);
  if (strcmp(word, "consumer") == 0) return open_consumer(a, b);
  if (strcmp(word, "get") == 0) return ep_ring_get(consumer, 5000, &message);
  if (strcmp(word, "ack") == 0) return ep_ring_ack(consumer, &message);
  if (strcmp(word, "checkpoint") == 0) return ep_ring_checkpoint(consumer, message.sequence);
  if (strcmp(word, "close") == 0) return close_all();
  if (sscanf(line, "churn %u", &count) == 1) return churn(count);
  if (sscanf(line, "reserve %zu", &size) == 1) return reserve(size);
  if (sscanf(line, "publish %u %zu %llu %u", &count, &size, &key, &tag) == 4) {
    return publish(count, size, key, tag);
  }
  return -1;
}

int main(void) {
  char line[1024];
  while (fgets(line, sizeof line, stdin) != NULL) {
    const int error = obey(line);
    if (error == EP_RING_OK) {
      puts("ok");
    } else {
      printf("%d\n", error);
    }
    fflush(stdout);
  }
  return 0;
}
