// Random operations of several processes' handles against a model that does one after the other.
//
//   ring_model [OPERATIONS] [SEED]
//
// All handles are in one process, each with an attachment of its own, and used in turns: so after
// every operation the model knows what must be there. What is concurrent is for crash, soak and the
// models of the protocol.
#include <elasticpool/ring.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

constexpr uint32_t kSlots = 64;
constexpr uint64_t kFar = UINT64_MAX;

struct Message {
  uint64_t key = 0;
  size_t size = 0;
  uint32_t tag = 0;
};

enum class Place { kWaiting, kTaken, kAcked, kDropped };
struct Delivery {
  Place place = Place::kWaiting;
  int consumer = -1;
  uint32_t deliveries = 0;
};

struct Group {
  std::string name;
  ep_ring_policy policy = EP_RING_BLOCK;
  uint64_t start = 1;
  std::map<uint64_t, Delivery> deliveries;  // of what lies in the ring
};

struct Consumer {
  ep_ring* ring = nullptr;
  ep_ring_consumer* handle = nullptr;
  int group = 0;
  std::string name;
  uint64_t checkpoint = kFar;
  std::vector<ep_ring_message> taken;
  std::vector<ep_ring_message> held;
};

struct Producer {
  ep_ring* ring = nullptr;
  ep_ring_producer* handle = nullptr;
  std::vector<ep_ring_buffer> reserved;
};

class Model {
 public:
  explicit Model(unsigned seed) : random_(seed), seed_(seed) { open(); }
  void run(unsigned operations);

 private:
  void open();
  void publish();
  int error_of(const Consumer& consumer, int id, const ep_ring_message& message) const;
  void discard_or_reserve();
  void take();
  void acknowledge();
  void give_back();
  void hold();
  void let_go();
  void checkpoint();
  void recover();
  void join();
  void leave();
  void add_group();
  void check_stat();
  void finish();

  void collect();
  bool has_passed(const Group& group, uint64_t sequence) const;
  bool has_passed_all(uint64_t sequence) const;
  [[noreturn]] void fail(const char* text, uint64_t value);
  void expect(int error, int wanted, const char* what);
  uint64_t draw(uint64_t below) { return random_() % below; }
  int find_consumer();
  void check_message(const ep_ring_message& message);
  uint64_t oldest_in_ring() const { return messages_.empty() ? next_ : messages_.begin()->first; }

  std::mt19937_64 random_;
  unsigned seed_;
  unsigned step_ = 0;
  ep_ring* ring_ = nullptr;
  std::vector<Producer> producers_;
  std::map<int, Consumer> consumers_;
  int next_consumer_ = 0;
  std::vector<Group> groups_;
  std::map<uint64_t, Message> messages_;  // in the ring, or held
  uint64_t next_ = 1;
  uint64_t head_ = 1;
};

void Model::fail(const char* text, uint64_t value) {
  fprintf(stderr, "ring_model: seed %u, step %u: %s (%lu)\n", seed_, step_, text,
          static_cast<unsigned long>(value));
  _exit(1);
}

void Model::expect(int error, int wanted, const char* what) {
  if (error == wanted) return;
  fprintf(stderr, "ring_model: seed %u, step %u: %s: %s, not %s\n", seed_, step_, what,
          ep_ring_strerror(error), ep_ring_strerror(wanted));
  _exit(1);
}

void Model::open() {
  ep_ring_options options;
  ep_ring_options_init(&options);
  options.slots = kSlots;
  options.pool_bytes = size_t{4} << 20;
  expect(ep_ring_create(nullptr, &options, &ring_), EP_RING_OK, "create");
  for (int i = 0; i < 3; ++i) {
    Producer producer;
    expect(ep_ring_attach_fd(ep_ring_fd(ring_), 0, &producer.ring), EP_RING_OK, "attach");
    expect(ep_ring_producer_open(producer.ring, &producer.handle), EP_RING_OK, "open");
    producers_.push_back(producer);
  }
  for (const ep_ring_policy policy : {EP_RING_BLOCK, EP_RING_DROP_OLDEST}) {
    Group group;
    group.name = "group" + std::to_string(groups_.size());
    group.policy = policy;
    const ep_ring_group_options group_options = {EP_RING_OLDEST, 0, policy};
    expect(ep_ring_group_create(ring_, group.name.c_str(), &group_options), EP_RING_OK, "group");
    groups_.push_back(group);
  }
}

bool Model::has_passed(const Group& group, uint64_t sequence) const {
  if (sequence < group.start) return true;
  const auto found = group.deliveries.find(sequence);
  if (found == group.deliveries.end()) return false;
  const Delivery& delivery = found->second;
  if (delivery.place == Place::kDropped) return true;
  if (delivery.place != Place::kAcked) return false;
  const auto consumer = consumers_.find(delivery.consumer);
  return consumer == consumers_.end() || consumer->second.checkpoint == kFar ||
         sequence <= consumer->second.checkpoint;
}

bool Model::has_passed_all(uint64_t sequence) const {
  return std::all_of(groups_.begin(), groups_.end(),
                     [&](const Group& group) { return has_passed(group, sequence); });
}

// What all have passed may go at any time; the real ring chooses when. So the model asks it.
void Model::collect() {
  ep_ring_stat stat;
  ep_ring_read_stat(ring_, &stat);
  if (stat.head_sequence < head_) fail("the head went back", stat.head_sequence);
  for (; head_ < stat.head_sequence; ++head_) {
    if (!has_passed_all(head_)) fail("gone, and somebody had not passed it", head_);
    for (Group& group : groups_) group.deliveries.erase(head_);
  }
  if (stat.tail_sequence != next_) fail("the tail is wrong", stat.tail_sequence);
}

void fill(void* data, size_t size, uint32_t tag) {
  auto* bytes = static_cast<unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(tag * 31 + i);
}

void Model::check_message(const ep_ring_message& message) {
  const auto found = messages_.find(message.sequence);
  if (found == messages_.end()) fail("a message that nobody published", message.sequence);
  const Message& wanted = found->second;
  if (message.size != wanted.size || message.key != wanted.key || message.tag != wanted.tag) {
    fail("another header", message.sequence);
  }
  const auto* bytes = static_cast<const unsigned char*>(message.data);
  for (size_t i = 0; i < message.size; ++i) {
    if (bytes[i] != static_cast<unsigned char>(wanted.tag * 31 + i)) {
      fail("another payload", message.sequence);
    }
  }
}

void Model::publish() {
  Producer& producer = producers_[draw(producers_.size())];
  ep_ring_buffer buffer;
  Message message;
  message.size = 1 + draw(uint64_t{64} << draw(9));
  message.key = draw(3) == 0 ? 1 + draw(5) : 0;
  message.tag = static_cast<uint32_t>(random_());
  expect(ep_ring_reserve(producer.handle, message.size, 0, &buffer), EP_RING_OK, "reserve");
  fill(buffer.data, message.size, message.tag);
  const ep_ring_label label = {message.key, message.tag};
  uint64_t sequence = 0;
  const int error = ep_ring_publish(producer.handle, &buffer, &label, 0, &sequence);
  if (error == EP_RING_FULL) {
    // Somebody who blocks is behind by all of it.
    const uint64_t oldest = next_ - kSlots;
    const bool is_blocked = std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
      return !has_passed(group, oldest) && group.policy == EP_RING_BLOCK;
    });
    if (!is_blocked) fail("full, and nobody blocks", oldest);
    expect(ep_ring_discard(producer.handle, &buffer), EP_RING_OK, "discard");
    collect();
    return;
  }
  expect(error, EP_RING_OK, "publish");
  if (sequence != next_) fail("not the next sequence", sequence);
  messages_[sequence] = message;
  // Room was made by dropping what is oldest for who allows it.
  ep_ring_stat stat;
  ep_ring_read_stat(ring_, &stat);
  for (uint64_t gone = head_; gone < stat.head_sequence; ++gone) {
    for (Group& group : groups_) {
      if (group.policy != EP_RING_DROP_OLDEST || has_passed(group, gone)) continue;
      group.deliveries[gone].place = Place::kDropped;
    }
  }
  ++next_;
  collect();
}

void Model::discard_or_reserve() {
  Producer& producer = producers_[draw(producers_.size())];
  if (producer.reserved.size() < 8 && draw(2) == 0) {
    ep_ring_buffer buffer;
    expect(ep_ring_reserve(producer.handle, 1 + draw(30'000), 0, &buffer), EP_RING_OK, "reserve");
    memset(buffer.data, 0xAA, buffer.size);
    producer.reserved.push_back(buffer);
  } else if (!producer.reserved.empty()) {
    ep_ring_buffer buffer = producer.reserved.back();
    producer.reserved.pop_back();
    expect(ep_ring_discard(producer.handle, &buffer), EP_RING_OK, "discard");
    expect(ep_ring_discard(producer.handle, &buffer), EP_RING_INVALID, "discard again");
  }
}

int Model::find_consumer() {
  if (consumers_.empty()) return -1;
  auto chosen = consumers_.begin();
  std::advance(chosen, static_cast<long>(draw(consumers_.size())));
  return chosen->first;
}

void Model::take() {
  const int id = find_consumer();
  if (id < 0) return;
  Consumer& consumer = consumers_[id];
  Group& group = groups_[static_cast<size_t>(consumer.group)];
  ep_ring_message message;
  const int error = ep_ring_get(consumer.handle, 0, &message);
  collect();
  if (error == EP_RING_EMPTY) return;
  expect(error, EP_RING_OK, "get");
  if (message.sequence < group.start || message.sequence >= next_) {
    fail("not of this group", message.sequence);
  }
  check_message(message);
  Delivery& delivery = group.deliveries[message.sequence];
  if (delivery.place != Place::kWaiting) fail("somebody has it", message.sequence);
  if (message.deliveries != delivery.deliveries + 1) fail("deliveries", message.deliveries);
  // Nothing earlier of its key is with another, or waits.
  for (const auto& [sequence, other] : group.deliveries) {
    if (sequence >= message.sequence || message.key == 0) break;
    if (messages_[sequence].key != message.key) continue;
    const bool is_in_order = other.place == Place::kAcked || other.place == Place::kDropped ||
                             (other.place == Place::kTaken && other.consumer == id);
    if (!is_in_order) fail("before an earlier one of its key", message.sequence);
  }
  delivery = {Place::kTaken, id, message.deliveries};
  consumer.taken.push_back(message);
}

// It may have been dropped under its hands.
int Model::error_of(const Consumer& consumer, int id, const ep_ring_message& message) const {
  const Group& group = groups_[static_cast<size_t>(consumer.group)];
  const auto found = group.deliveries.find(message.sequence);
  const bool is_its = found != group.deliveries.end() && found->second.place == Place::kTaken &&
                      found->second.consumer == id;
  return is_its ? EP_RING_OK : EP_RING_GONE;
}

void Model::acknowledge() {
  const int id = find_consumer();
  if (id < 0 || consumers_[id].taken.empty()) return;
  Consumer& consumer = consumers_[id];
  const size_t index = draw(consumer.taken.size());
  const ep_ring_message message = consumer.taken[index];
  consumer.taken.erase(consumer.taken.begin() + static_cast<long>(index));
  check_message(message);
  const int error = error_of(consumer, id, message);
  expect(ep_ring_ack(consumer.handle, &message), error, "acknowledge");
  if (error == EP_RING_OK) {
    groups_[static_cast<size_t>(consumer.group)].deliveries[message.sequence].place = Place::kAcked;
  }
  expect(ep_ring_ack(consumer.handle, &message), EP_RING_GONE, "acknowledge again");
  collect();
}

void Model::give_back() {
  const int id = find_consumer();
  if (id < 0 || consumers_[id].taken.empty()) return;
  Consumer& consumer = consumers_[id];
  const ep_ring_message message = consumer.taken.back();
  consumer.taken.pop_back();
  check_message(message);
  const int error = error_of(consumer, id, message);
  expect(ep_ring_release(consumer.handle, &message), error, "release");
  if (error != EP_RING_OK) return;
  groups_[static_cast<size_t>(consumer.group)].deliveries[message.sequence].place = Place::kWaiting;
}

void Model::hold() {
  const int id = find_consumer();
  if (id < 0 || consumers_[id].taken.empty()) return;
  Consumer& consumer = consumers_[id];
  const ep_ring_message message = consumer.taken[draw(consumer.taken.size())];
  const int error = error_of(consumer, id, message);
  expect(ep_ring_hold(consumer.handle, &message), error, "hold");
  if (error != EP_RING_OK) return;
  const bool is_new = std::none_of(
      consumer.held.begin(), consumer.held.end(),
      [&](const ep_ring_message& other) { return other.sequence == message.sequence; });
  if (is_new) consumer.held.push_back(message);
}

void Model::let_go() {
  const int id = find_consumer();
  if (id < 0 || consumers_[id].held.empty()) return;
  Consumer& consumer = consumers_[id];
  const size_t index = draw(consumer.held.size());
  const ep_ring_message message = consumer.held[index];
  // However long ago it was acknowledged.
  check_message(message);
  consumer.held.erase(consumer.held.begin() + static_cast<long>(index));
  expect(ep_ring_unhold(consumer.handle, &message), EP_RING_OK, "unhold");
}

void Model::checkpoint() {
  const int id = find_consumer();
  if (id < 0) return;
  Consumer& consumer = consumers_[id];
  const uint64_t sequence = head_ - 1 + draw(next_ - head_ + 1);
  const int error = ep_ring_checkpoint(consumer.handle, sequence);
  if (consumer.name.empty() || (consumer.checkpoint != kFar && sequence < consumer.checkpoint)) {
    expect(error, EP_RING_INVALID, "checkpoint");
    return;
  }
  expect(error, EP_RING_OK, "checkpoint");
  consumer.checkpoint = sequence;
  collect();
}

void Model::recover() {
  const int id = find_consumer();
  if (id < 0) return;
  Consumer& consumer = consumers_[id];
  uint64_t sequence = 0;
  expect(ep_ring_recover(consumer.handle, &sequence), EP_RING_OK, "recover");
  const bool has_checkpoint = consumer.checkpoint != kFar;
  const uint64_t after = has_checkpoint ? consumer.checkpoint : 0;
  if (sequence != after + 1) fail("resumes elsewhere", sequence);
  for (auto& [at, delivery] : groups_[static_cast<size_t>(consumer.group)].deliveries) {
    if (at <= after || delivery.consumer != id) continue;
    if (delivery.place == Place::kTaken || (delivery.place == Place::kAcked && has_checkpoint)) {
      delivery.place = Place::kWaiting;
    }
  }
  std::erase_if(consumer.taken, [&](const ep_ring_message& m) { return m.sequence > after; });
}

void Model::join() {
  if (consumers_.size() >= 6) return;
  Consumer consumer;
  const int id = next_consumer_++;
  consumer.group = static_cast<int>(draw(groups_.size()));
  if (draw(2) == 0) consumer.name = "consumer" + std::to_string(id);
  expect(ep_ring_attach_fd(ep_ring_fd(ring_), 0, &consumer.ring), EP_RING_OK, "attach");
  ep_ring_consumer_options options = {};
  options.group = groups_[static_cast<size_t>(consumer.group)].name.c_str();
  options.name = consumer.name.empty() ? nullptr : consumer.name.c_str();
  expect(ep_ring_consumer_open(consumer.ring, &options, &consumer.handle), EP_RING_OK, "join");
  consumers_[id] = consumer;
}

void Model::leave() {
  const int id = find_consumer();
  if (id < 0) return;
  Consumer& consumer = consumers_[id];
  for (auto& [sequence, delivery] : groups_[static_cast<size_t>(consumer.group)].deliveries) {
    if (delivery.consumer == id && delivery.place == Place::kTaken) {
      delivery.place = Place::kWaiting;
    }
  }
  ep_ring_consumer_close(consumer.handle, nullptr);
  ep_ring_detach(consumer.ring);
  consumers_.erase(id);
  collect();
}

void Model::add_group() {
  if (groups_.size() >= 5) return;
  Group group;
  group.name = "group" + std::to_string(groups_.size());
  group.policy = draw(2) == 0 ? EP_RING_BLOCK : EP_RING_DROP_OLDEST;
  const auto start = static_cast<ep_ring_start>(draw(3));
  ep_ring_group_options options = {start, head_ + draw(next_ - head_ + 1), group.policy};
  expect(ep_ring_group_create(ring_, group.name.c_str(), &options), EP_RING_OK, "group");
  expect(ep_ring_group_create(ring_, group.name.c_str(), &options), EP_RING_EXISTS, "again");
  group.start = start == EP_RING_OLDEST   ? head_
                : start == EP_RING_NEWEST ? next_
                                          : options.sequence;
  groups_.push_back(group);
}

void Model::check_stat() {
  ep_ring_stat stat;
  ep_ring_read_stat(ring_, &stat);
  if (stat.consumers != consumers_.size()) fail("consumers", stat.consumers);
  if (stat.producers != producers_.size()) fail("producers", stat.producers);
  if (stat.groups != groups_.size()) fail("groups", stat.groups);
  ep_ring_group_stat group;
  for (uint32_t i = 0; ep_ring_read_group(ring_, i, &group); ++i) {
    uint64_t lag = 0;
    for (uint64_t sequence = head_; sequence < next_; ++sequence) {
      const Group& mine = groups_[i];
      if (sequence < mine.start) continue;
      const auto found = mine.deliveries.find(sequence);
      if (found == mine.deliveries.end() || found->second.place == Place::kWaiting ||
          found->second.place == Place::kTaken) {
        ++lag;
      }
    }
    if (group.lag != lag) {
      fprintf(stderr, "group %u start %lu head %lu next %lu, model %lu\n", i, groups_[i].start,
              head_, next_, lag);
      fail("lag", group.lag);
    }
  }
  const auto report = [](void*, const char* line) { fprintf(stderr, "ring_model: %s\n", line); };
  if (const unsigned faults = ep_ring_check(ring_, report, nullptr); faults != 0) {
    fail("faults", faults);
  }
}

// Everybody takes and acknowledges all there is: nothing remains.
void Model::finish() {
  while (!consumers_.empty()) leave();
  for (size_t i = 0; i < groups_.size(); ++i) {
    Consumer consumer;
    consumer.group = static_cast<int>(i);
    ep_ring_consumer_options options = {};
    options.group = groups_[i].name.c_str();
    expect(ep_ring_consumer_open(ring_, &options, &consumer.handle), EP_RING_OK, "join");
    const int id = next_consumer_++;
    consumers_[id] = consumer;
    ep_ring_message message;
    while (ep_ring_get(consumer.handle, 0, &message) == EP_RING_OK) {
      collect();
      check_message(message);
      Delivery& delivery = groups_[i].deliveries[message.sequence];
      if (delivery.place != Place::kWaiting) fail("somebody has it", message.sequence);
      delivery = {Place::kAcked, id, message.deliveries};
      expect(ep_ring_ack(consumer.handle, &message), EP_RING_OK, "acknowledge");
    }
    for (uint64_t sequence = std::max(head_, groups_[i].start); sequence < next_; ++sequence) {
      if (!has_passed(groups_[i], sequence)) fail("never delivered", sequence);
    }
    ep_ring_consumer_close(consumer.handle, nullptr);
    consumers_.erase(id);
  }
  for (Producer& producer : producers_) ep_ring_producer_close(producer.handle);
  ep_ring_stat stat;
  ep_ring_read_stat(ring_, &stat);
  if (stat.pool_used_bytes != 0) fail("blocks leaked", stat.pool_used_bytes);
  if (stat.head_sequence != next_) fail("messages left", stat.head_sequence);
  producers_.clear();
  groups_.resize(stat.groups);
  check_stat();
}

void Model::run(unsigned operations) {
  void (Model::*const kOperations[])() = {&Model::publish,     &Model::publish,
                                          &Model::publish,     &Model::take,
                                          &Model::take,        &Model::take,
                                          &Model::acknowledge, &Model::acknowledge,
                                          &Model::acknowledge, &Model::give_back,
                                          &Model::hold,        &Model::let_go,
                                          &Model::checkpoint,  &Model::discard_or_reserve};
  for (step_ = 1; step_ <= operations; ++step_) {
    (this->*kOperations[draw(std::size(kOperations))])();
    if (draw(40) == 0) join();
    if (draw(120) == 0) leave();
    if (draw(60) == 0) recover();
    if (draw(2000) == 0) add_group();
    if (draw(50) == 0) check_stat();
  }
  finish();
}

}  // namespace

int main(int argc, char** argv) {
  const auto operations = argc > 1 ? static_cast<unsigned>(strtoul(argv[1], nullptr, 10)) : 100'000;
  const auto seed =
      argc > 2 ? static_cast<unsigned>(strtoul(argv[2], nullptr, 10)) : std::random_device{}();
  printf("seed %u\n", seed);
  fflush(stdout);
  Model(seed).run(operations);
  return 0;
}
