// A ring as its watchers see it: attached without a right to write payloads, and figures of one
// moment.
#pragma once

#include <string>
#include <vector>

#include "elasticpool/ring.h"

namespace elasticpool {

// "ring NAME: what the error means", to be thrown as a CommandError.
std::string ring_error_text(const std::string& name, int error);
// Nothing that would steer a terminal: names come from other programs.
std::string printable_name(std::string text);

// Throws a CommandError where the ring cannot be attached to. While it is open, memory that the
// system cannot bring (the file was cut short meanwhile) ends the program with one line.
class RingView {
 public:
  explicit RingView(const std::string& name);
  ~RingView() { ep_ring_detach(ring_); }
  RingView(const RingView&) = delete;
  RingView& operator=(const RingView&) = delete;

  ep_ring* get() const { return ring_; }

 private:
  ep_ring* ring_ = nullptr;
};

struct RingFigures {
  ep_ring_stat stat{};
  bool is_used = false;
  double taken_at_s = 0;
  std::vector<ep_ring_group_stat> groups;
  std::vector<ep_ring_member_stat> members;
};
RingFigures read_figures(ep_ring* ring);
uint64_t messages_held(const ep_ring_stat& stat);

}  // namespace elasticpool
