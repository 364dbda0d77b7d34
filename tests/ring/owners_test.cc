// ring.hpp: what an owner gives back when it goes, and what moving leaves behind.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elasticpool/ring.hpp>
#include <vector>

namespace ring = elasticpool::ring;

// Expressions with a comma in braces are none for a macro.
static void check(bool condition, const char* text, int line) {
  if (condition) return;
  fprintf(stderr, "owners_test.cc:%d: %s\n", line, text);
  exit(1);
}
#define CHECK(condition) check(condition, #condition, __LINE__)

static ring::Ring make_ring(uint32_t slots = 64) {
  ring::Options options;
  options.slots = slots;
  auto made = ring::Ring::create(nullptr, options);
  CHECK(bool(made));
  CHECK(made->create_group("g").ok());
  return std::move(*made);
}

static void publish(ring::Producer& producer, int value) {
  auto buffer = producer.reserve(sizeof value, 0);
  CHECK(bool(buffer));
  memcpy(buffer->bytes().data(), &value, sizeof value);
  CHECK(bool(buffer->publish({}, 0)));
}

static void test_buffers_are_discarded() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  CHECK(shared.stat().pool_used_bytes == 0);
  {
    auto first = producer->reserve(4096, 0);
    const uint64_t used = shared.stat().pool_used_bytes;
    CHECK(used >= 4096);
    ring::Buffer moved = std::move(*first);
    auto second = producer->reserve(4096, 0);
    CHECK(shared.stat().pool_used_bytes == 2 * used);
    moved = std::move(*second);
    CHECK(moved.resize(5) && moved.bytes().size() == 5);
    CHECK(moved.resize(4096) && !moved.resize(size_t{1} << 20));
    CHECK(moved.bytes().size() == 4096);
    moved.discard();
    CHECK(moved.publish().error() == EP_RING_INVALID);
  }
  CHECK(shared.stat().pool_used_bytes == 0);
  CHECK(producer->reserve(size_t{1} << 40, 0).error() == EP_RING_NO_MEMORY);
}

static void test_buffers_stay_when_the_ring_is_full() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  for (int i = 0; i < 64; ++i) publish(*producer, i);
  auto buffer = producer->reserve(8, 0);
  CHECK(buffer->publish({}, 0).error() == EP_RING_FULL);
  CHECK(buffer->publish({}, 1).error() == EP_RING_TIMEOUT);
  auto consumer = shared.open_consumer("g");
  for (int i = 0; i < 64; ++i) CHECK(consumer->get(0)->ack().ok());
  auto sent = buffer->publish({.key = 3, .tag = 4}, 0);
  CHECK(bool(sent) && *sent == 65);
  auto message = consumer->get(0);
  CHECK((*message)->key == 3 && (*message)->tag == 4 && (*message)->sequence == 65);
}

static void test_batches_are_published_in_order() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto other = shared.open_producer();
  std::vector<ring::Buffer> buffers;
  std::vector<ep_ring_label> labels;
  for (uint32_t i = 0; i < 70; ++i) {
    buffers.push_back(std::move(*producer->reserve(8, 0)));
    labels.push_back({.key = 0, .tag = i});
  }
  std::span<ring::Buffer> rest(buffers);
  CHECK(producer->publish(rest, std::span(labels).first(3)) == EP_RING_INVALID);
  CHECK(other->publish(rest, labels, 0) == EP_RING_INVALID);
  CHECK(rest.size() == 70);
  CHECK(producer->publish(rest, labels, 0) == EP_RING_FULL);
  CHECK(rest.size() == 6);
  auto consumer = shared.open_consumer("g");
  auto batch = consumer->get_batch<64>(0);
  CHECK(batch->size() == 64);
  uint32_t expected = 0;
  for (const ep_ring_message& message : *batch) CHECK(message.tag == expected++);
  CHECK(batch->ack().ok());
  CHECK(producer->publish(rest, std::span(labels).last(6), 0).ok());
  CHECK(rest.empty());
  CHECK((*consumer->get(0))->tag == 64);
  buffers.clear();
  CHECK(shared.stat().tail_sequence == 71);
}

// Its block belongs to another buffer of the same producer by now.
static void test_a_discarded_buffer_is_not_published() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto discarded = producer->reserve(64, 0);
  std::byte* const bytes = discarded->bytes().data();
  discarded->discard();
  auto other = producer->reserve(64, 0);
  CHECK(other->bytes().data() == bytes);
  std::span<ring::Buffer> one(&*discarded, 1);
  CHECK(producer->publish(one, {}, 0) == EP_RING_INVALID);
  CHECK(discarded->publish({}, 0).error() == EP_RING_INVALID);
  CHECK(bool(other->publish({}, 0)));
}

static void test_a_consumers_buffer_is_adopted() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto consumer = shared.open_consumer("g");
  {
    auto dropped = consumer->reserve(64);
    CHECK(bool(dropped) && shared.stat().pool_used_bytes == 64);
  }
  CHECK(shared.stat().pool_used_bytes == 0);
  auto answer = consumer->reserve(64);
  CHECK(answer->publish({}, 0).error() == EP_RING_INVALID);
  CHECK(producer->adopt(*answer).ok());
  CHECK(producer->adopt(*answer) == EP_RING_INVALID);
  CHECK(bool(answer->publish({.key = 0, .tag = 5}, 0)));
  CHECK((*consumer->get(0))->tag == 5);
}

static void test_messages_go_back() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto consumer = shared.open_consumer("g");
  CHECK(consumer->get(0).error() == EP_RING_EMPTY);
  publish(*producer, 7);
  {
    auto message = consumer->get(0);
    CHECK(*message->as<int>() == 7 && message->bytes().size() == 4);
    CHECK(message->as<uint64_t>() == nullptr);
    ring::Message moved = std::move(*message);
    CHECK(message->ack() == EP_RING_GONE);
  }
  auto again = consumer->get(0);
  CHECK(bool(again) && (*again)->deliveries == 2);
  CHECK(again->ack().ok());
  CHECK(again->ack() == EP_RING_GONE);
  CHECK(consumer->get(0).error() == EP_RING_EMPTY);
}

static void test_the_rest_of_a_batch_goes_back() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto consumer = shared.open_consumer("g");
  for (int i = 0; i < 10; ++i) publish(*producer, i);
  {
    auto batch = consumer->get_batch(0);
    CHECK(batch->size() == 10);
    CHECK(batch->ack(11) == EP_RING_INVALID);
    CHECK(batch->ack(4).ok());
    ring::Batch<32> moved = std::move(*batch);
    CHECK(batch->size() == 0 && moved.size() == 6);
    CHECK(*ring::as<int>(*moved.begin()) == 4);
    CHECK(moved.ack(1).ok());
  }
  auto rest = consumer->get_batch(0);
  CHECK(rest->size() == 5 && rest->messages()[0].sequence == 6);
  CHECK(rest->messages()[0].deliveries == 2);
}

static void test_references_keep_the_bytes() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto consumer = shared.open_consumer("g");
  publish(*producer, 42);
  auto message = consumer->get(0);
  auto held = message->hold();
  CHECK(bool(held));
  CHECK(message->ack().ok());
  CHECK(message->hold().error() == EP_RING_GONE);
  for (int i = 0; i < 200; ++i) {
    publish(*producer, i);
    CHECK(consumer->get(0)->ack().ok());
  }
  ring::Reference moved = std::move(*held);
  CHECK(*ring::as<int>(*moved) == 42);
  CHECK(moved.drop().ok());
}

static void test_checkpoints() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto consumer = shared.open_consumer("g", "name");
  CHECK(shared.open_consumer("g", "name").error() == EP_RING_EXISTS);
  CHECK(shared.open_consumer("").error() == EP_RING_INVALID);
  for (int i = 0; i < 5; ++i) publish(*producer, i);
  for (int i = 0; i < 4; ++i) CHECK(consumer->get(0)->ack().ok());
  CHECK(consumer->checkpoint(2).ok());
  auto resume = consumer->recover();
  CHECK(bool(resume) && *resume == 3);
  CHECK((*consumer->get(0))->sequence == 3);
  ring::Consumer moved = std::move(*consumer);
  CHECK(moved.renew().ok() && moved.event_fd() >= 0);
  unsigned consumers = 0;
  shared.for_each_member([&](const ep_ring_member_stat& m) { consumers += m.group[0] != '\0'; });
  CHECK(consumers == 1);
  moved.close();
  shared.for_each_group([](const ep_ring_group_stat& group) { CHECK(group.consumers == 0); });
}

static void test_looking_at_what_has_passed_or_is_to_come() {
  ring::Ring shared = make_ring();
  auto producer = shared.open_producer();
  auto consumer = shared.open_consumer("g");
  ep_ring_message message;
  CHECK(ep_ring_peek(shared.get(), 0, &message) == EP_RING_GONE);
  for (int i = 1; i <= 200; ++i) {
    const auto sequence = static_cast<uint64_t>(i);
    CHECK(ep_ring_peek(shared.get(), sequence, &message) == EP_RING_EMPTY);
    CHECK(ep_ring_peek(shared.get(), sequence + 1000, &message) == EP_RING_EMPTY);
    publish(*producer, i);
    CHECK(ep_ring_peek(shared.get(), sequence, &message) == EP_RING_OK);
    CHECK(message.sequence == sequence && *ring::as<int>(message) == i);
    CHECK(consumer->get(0)->ack().ok());
  }
  CHECK(ep_ring_peek(shared.get(), 1, &message) == EP_RING_GONE);
}

static void test_names() {
  char name[64];
  snprintf(name, sizeof name, "elasticpool-owners-%d", getpid());
  CHECK(ring::Ring::attach(name).error() == EP_RING_MISSING);
  auto made = ring::Ring::create(name);
  CHECK(bool(made) && !made->is_used());
  CHECK(ring::Ring::create(name).error() == EP_RING_EXISTS);
  CHECK(ring::Ring::remove_stale(name) == EP_RING_BUSY);
  {
    auto second = ring::Ring::attach(name, EP_RING_READ_ONLY_PAYLOADS);
    CHECK(bool(second) && made->is_used());
    CHECK(second->open_producer().error() == EP_RING_DENIED);
  }
  CHECK(!made->is_used());
  {
    auto by_fd = ring::Ring::attach(made->fd());
    auto producer = by_fd->open_producer();
    CHECK(bool(producer) && made->is_used());
  }
  { const ring::Ring gone = std::move(*made); }
  CHECK(ring::Ring::remove_stale(name).ok());
  CHECK(ring::Ring::remove(name) == EP_RING_MISSING);
  CHECK(strcmp(ring::Error(EP_RING_MISSING).text(), ep_ring_strerror(EP_RING_MISSING)) == 0);
}

// Whoever has attached keeps the name, at whatever moment he came.
static void test_attaching_while_it_is_removed() {
  char name[64];
  char path[96];
  snprintf(name, sizeof name, "elasticpool-removed-%d", getpid());
  snprintf(path, sizeof path, "/dev/shm/%s.ring", name);
  ring::Options options;
  options.pool_bytes = 1 << 16;
  options.slots = 64;
  const pid_t child = fork();
  for (int attached = 0; child == 0 && attached < 20000;) {
    const auto shared = ring::Ring::attach(name);
    CHECK(bool(shared) || shared.error() == EP_RING_MISSING || shared.error() == EP_RING_BUSY);
    if (!shared) continue;
    ++attached;
    CHECK(access(path, F_OK) == 0);
  }
  if (child == 0) _exit(0);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    const auto made = ring::Ring::create(name, options);
    CHECK(bool(made) || made.error() == EP_RING_EXISTS);
    if (made) continue;
    const ring::Error error = ring::Ring::remove_stale(name);
    CHECK(error.ok() || error == EP_RING_BUSY);
  }
  CHECK(status == 0);
  const ring::Error error = ring::Ring::remove_stale(name);
  CHECK(error.ok() || error == EP_RING_MISSING);
}

int main() {
  test_buffers_are_discarded();
  test_buffers_stay_when_the_ring_is_full();
  test_batches_are_published_in_order();
  test_a_discarded_buffer_is_not_published();
  test_a_consumers_buffer_is_adopted();
  test_messages_go_back();
  test_the_rest_of_a_batch_goes_back();
  test_references_keep_the_bytes();
  test_checkpoints();
  test_looking_at_what_has_passed_or_is_to_come();
  test_names();
  test_attaching_while_it_is_removed();
  return 0;
}
