// Three consumers share the work of a group: each number goes to one of them. With ring.hpp.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <elasticpool/ring.hpp>

namespace ring = elasticpool::ring;

constexpr int kNumbers = 30000;
constexpr int kConsumers = 3;
constexpr uint32_t kEnd = 1;

static int fail(ring::Error error) {
  fprintf(stderr, "failed: %s\n", error.text());
  return 1;
}

static int consume(ring::Ring& shared, unsigned char* seen) {
  auto consumer = shared.open_consumer("workers");
  if (!consumer) return fail(consumer.error());
  for (;;) {
    auto message = consumer->get(10000);
    if (!message) return fail(message.error());
    const bool is_end = (*message)->tag == kEnd;
    if (!is_end) ++seen[*message->as<int>()];
    // A message that goes out of scope without this would go to another.
    if (const ring::Error error = message->ack(); !error.ok()) return fail(error);
    if (is_end) return 0;
  }
}

int main() {
  void* shared_page =
      mmap(nullptr, kNumbers, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* seen = static_cast<unsigned char*>(shared_page);
  auto shared = ring::Ring::create(nullptr);
  if (!shared) return fail(shared.error());
  if (const ring::Error error = shared->create_group("workers"); !error.ok()) return fail(error);
  for (int i = 0; i < kConsumers; ++i) {
    if (fork() == 0) _exit(consume(*shared, seen));
  }
  auto producer = shared->open_producer();
  if (!producer) return fail(producer.error());
  for (int i = 0; i < kNumbers + kConsumers; ++i) {
    auto buffer = producer->reserve(sizeof i, 10000);
    if (!buffer) return fail(buffer.error());
    memcpy(buffer->bytes().data(), &i, sizeof i);
    const auto sent = buffer->publish({.key = 0, .tag = i < kNumbers ? 0 : kEnd}, 10000);
    if (!sent) return fail(sent.error());
  }
  int wrong = 0;
  for (int status; wait(&status) > 0;) wrong += status != 0 ? 1 : 0;
  for (int i = 0; i < kNumbers; ++i) wrong += seen[i] != 1 ? 1 : 0;
  printf("%d numbers to %d consumers; lost or doubled: %d\n", kNumbers, kConsumers, wrong);
  return wrong == 0 ? 0 : 1;
}
