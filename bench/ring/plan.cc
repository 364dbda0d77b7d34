// Names, and what they stand for.
#include "plan.h"

#include "membership.h"
#include "peer_links.h"
#include "ring_link.h"
#include "throughput.h"

namespace {

constexpr size_t kSizes[] = {64, 4096, size_t{1} << 20};
constexpr unsigned kBatch = 32;

std::string size_name(size_t bytes) {
  if (bytes < 1024) return std::to_string(bytes);
  if (bytes < (size_t{1} << 20)) return std::to_string(bytes / 1024) + "k";
  return std::to_string(bytes >> 20) + "m";
}

struct Peer {
  const char* name;
  PeerKind kind;
  bool is_of_bytes;
};
constexpr Peer kPeers[] = {{"pipe", PeerKind::kPipe, true},
                           {"unix-stream", PeerKind::kUnixStream, true},
                           {"unix-seqpacket", PeerKind::kUnixSeqpacket, false},
                           {"posix-mq", PeerKind::kPosixMq, false},
                           {"boost-mq", PeerKind::kBoost, false}};

class Plan {
 public:
  explicit Plan(const PlanOptions& options) : options_(options) {}

  void add_latency();
  void add_woken();
  void add_ring_streams();
  void add_peer_streams();
  void add_membership();
  std::vector<Measurement> take() { return std::move(all_); }

 private:
  void add(const std::string& name, Section section, std::function<Values()> run) {
    all_.push_back({name, section, std::move(run)});
  }
  MessageForm form(size_t bytes) const { return {bytes, options_.touch, false}; }
  RingForm ring_form(const MessageForm& message) const {
    RingForm ring;
    ring.message = message;
    ring.slots = options_.slots;
    ring.checks_payloads = options_.checks_payloads;
    return ring;
  }
  template <typename Link, typename Form>
  static MakeLink<Link> maker(Form form) {
    return [form](const MessageForm& message) {
      Form whole = form;
      whole.message = message;
      return std::make_unique<Link>(whole);
    };
  }
  template <typename Link>
  static MakeLink<Link> bare_maker() {
    return [](const MessageForm& message) { return std::make_unique<Link>(message); };
  }
  template <typename Link>
  void add_ping_pong(const std::string& name, const MessageForm& message,
                     const MakeLink<Link>& make) {
    const Setting setting = options_.setting;
    add("latency/" + name, Section::kLatency,
        [setting, make, message] { return ping_pong<Link>(setting, message, make); });
  }
  template <typename Link>
  void add_woken_one(const std::string& name, size_t bytes, const MakeLink<Link>& make) {
    const Setting setting = options_.setting;
    add("woken/" + name, Section::kWoken,
        [setting, make, message = form(bytes)] { return woken<Link>(setting, message, make); });
  }
  template <typename Link, typename Form>
  void add_stream(const std::string& name, const Form& link_form, const StreamForm& stream_form) {
    const Setting setting = options_.setting;
    add("throughput/" + name, Section::kThroughput, [setting, link_form, stream_form] {
      Link link(link_form);
      return stream(setting, stream_form, link);
    });
  }
  void add_ring_latency(const std::string& name, const MessageForm& message);
  void add_ring_stream(const std::string& name, const MessageForm& message, StreamForm stream_form);

  const PlanOptions options_;
  std::vector<Measurement> all_;
};

void Plan::add_ring_latency(const std::string& name, const MessageForm& message) {
  RingForm ring = ring_form(message);
  add_ping_pong(name + "/poll", message, maker<RingLink>(ring));
  ring.is_in_line = true;
  add_ping_pong(name + "/poll-in-line", message, maker<RingLink>(ring));
  ring.is_in_line = false;
  ring.wait = RingWait::kBlock;
  add_ping_pong(name + "/block", message, maker<RingLink>(ring));
}

void Plan::add_latency() {
  add("latency/line", Section::kLatency, [setting = options_.setting] {
    return ping_pong<LineLink>(setting, MessageForm{}, bare_maker<LineLink>());
  });
  add_ring_latency("ring/header", {64, Touch::kNothing, false});
  for (const size_t bytes : kSizes) add_ring_latency("ring/" + size_name(bytes), form(bytes));
  for (const Peer& peer : kPeers) {
    for (const size_t bytes : kSizes) {
      for (const bool spins : {true, false}) {
        const std::string name = std::string(peer.name) + "/" + size_name(bytes);
        add_ping_pong(name + (spins ? "/spin" : "/block"), form(bytes),
                      maker<PeerLink>(PeerForm{peer.kind, {}, spins, 1}));
      }
    }
  }
}

void Plan::add_woken() {
  add_woken_one("futex", kSizes[0], bare_maker<FutexLink>());
  for (const size_t bytes : kSizes) {
    RingForm ring = ring_form(form(bytes));
    ring.wait = RingWait::kBlock;
    add_woken_one("ring/" + size_name(bytes), bytes, maker<RingLink>(ring));
  }
  for (const Peer& peer : kPeers) {
    for (const size_t bytes : kSizes) {
      add_woken_one(std::string(peer.name) + "/" + size_name(bytes), bytes,
                    maker<PeerLink>(PeerForm{peer.kind, {}, false, 1}));
    }
  }
}

void Plan::add_ring_stream(const std::string& name, const MessageForm& message,
                           StreamForm stream_form) {
  for (const unsigned batch : {kBatch, 1U}) {
    stream_form.batch = batch;
    RingForm ring = ring_form(message);
    ring.wait = RingWait::kBlock;
    ring.batch = batch;
    ring.groups = stream_form.groups;
    ring.is_shared = stream_form.receivers > stream_form.groups;
    const std::string how = batch == 1 ? "/one-by-one" : "/batches";
    add_stream<RingLink>("ring/" + name + how, ring, stream_form);
  }
}

void Plan::add_ring_streams() {
  // Half of the slots, and a quarter of the link's pool at most.
  constexpr size_t kStockBytes = size_t{64} << 20;
  for (const size_t bytes : kSizes) {
    StreamForm one;
    add_ring_stream(size_name(bytes), form(bytes), one);
    add_ring_stream(size_name(bytes) + "/header", {bytes, Touch::kNothing, false}, one);
    const uint64_t half = options_.slots / 2;
    one.burst = std::max<uint64_t>(std::min<uint64_t>(half, kStockBytes / bytes), kBatch);
    one.burst -= one.burst % kBatch;
    add_ring_stream(size_name(bytes) + "/stocked", form(bytes), one);
  }
  StreamForm two;
  two.senders = 2;
  two.receivers = 2;
  add_ring_stream("64/2-to-2", form(kSizes[0]), two);
  two.burst = std::max<uint64_t>(options_.slots / 4 / kBatch, 1) * kBatch;
  add_ring_stream("64/2-to-2/stocked", form(kSizes[0]), two);
  StreamForm fan;
  fan.receivers = 2;
  fan.groups = 2;
  add_ring_stream("64/2-groups", form(kSizes[0]), fan);
}

void Plan::add_peer_streams() {
  // A batch in one call is for small messages.
  constexpr size_t kBatchBytesMax = size_t{1} << 20;
  for (const Peer& peer : kPeers) {
    for (const size_t bytes : kSizes) {
      const std::string name = std::string(peer.name) + "/" + size_name(bytes);
      const PeerForm one{peer.kind, form(bytes), false, 1};
      if (peer.is_of_bytes && bytes * kBatch <= kBatchBytesMax) {
        PeerForm batches = one;
        batches.batch = kBatch;
        StreamForm stream_form;
        stream_form.batch = kBatch;
        add_stream<PeerLink>(name + "/batches", batches, stream_form);
      }
      add_stream<PeerLink>(name + "/one-by-one", one, StreamForm{});
      if (peer.kind != PeerKind::kBoost) continue;
      PeerForm spinning = one;
      spinning.spins = true;
      add_stream<PeerLink>(name + "/one-by-one-spin", spinning, StreamForm{});
    }
  }
}

void Plan::add_membership() {
  const Setting setting = options_.setting;
  const unsigned kills = options_.kills;
  add("recovery/ring", Section::kRecovery, [setting, kills] { return recovery(setting, kills); });
  for (const size_t pool_bytes : {size_t{64} << 20, size_t{1} << 30}) {
    const std::string name =
        pool_bytes < (size_t{1} << 30) ? "join/ring/pool-64m" : "join/ring/pool-1g";
    add(name, Section::kJoin,
        [setting, pool_bytes, kills] { return join_and_leave(setting, pool_bytes, kills); });
  }
}

}  // namespace

std::vector<Measurement> make_plan(const PlanOptions& options) {
  Plan plan(options);
  plan.add_latency();
  plan.add_woken();
  plan.add_ring_streams();
  plan.add_peer_streams();
  plan.add_membership();
  return plan.take();
}
