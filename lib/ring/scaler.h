// Elasticity: consumers of a group as processes that are started, looked after and asked to leave.
//
// Threads     one at a time, in the process that opened it.
// Life        of one consumer: free → running → leaving → free, or running → waiting → running
//             where it died unasked. There is no thread: tend() does what is due, and everything
//             that is not the caller's own order waits for it.
// Leaving     it is asked through its record (MemberRecord::leave_wanted) and its ep_ring_get says
//             EP_RING_STOPPED; who has not exited after the grace time is sent SIGTERM, after
//             another one SIGKILL. One that has not joined yet is asked when it has. What it had
//             not acknowledged goes to others in each case, as after any death.
// Starting    again is at once where it had run for a second, else after 100 ms that double with
//             each time, to 10 s; under the same name, so that its checkpoint is taken up.
// Invariants  at most one process for a name: a name is started again when its former process is
//             swept. A request to leave names one opening of a handle (leave_mark()): a stale one
//             does not hit who has the place later.
// Cost        tend() a waitpid per consumer; open, scale_up and scale_down a scan over 128 records.
#pragma once

#include "ring/groups.h"
#include "ring/starter.h"

namespace elasticpool {

class Scaler {
 public:
  // The group exists.
  Scaler(Region& region, const char* group, const ep_ring_starter& starter);

  // Errors  BUSY: no place for so many, nothing was started. SYSTEM NO_MEMORY: one could not be
  // started; those before it run.
  ep_ring_error scale_up(uint32_t count);
  void scale_down(uint32_t to);
  // How many exits it saw.
  uint32_t tend();
  void read_stat(ep_ring_scaler_stat* stat) const;

 private:
  enum class State { kFree, kRunning, kLeaving, kWaiting };
  struct Consumer {
    State state = State::kFree;
    bool is_asked = false;      // its record says so
    uint32_t signals_sent = 0;  // SIGTERM, SIGKILL
    uint32_t early_deaths = 0;  // in a row
    uint32_t order = 0;         // of being started
    uint64_t started_at_ns = 0;
    uint64_t due_at_ns = 0;  // the next signal, or the next start
    ConsumerProcess process;
    NameText name;
  };

  bool is_group_there() const;
  ep_ring_error start(Consumer& consumer);
  NameText new_name();
  bool is_member(const Consumer& consumer, uint32_t place, uint64_t word) const;
  bool has_joined(const Consumer& consumer) const;
  bool is_name_taken(const NameText& name, bool by_dormant_too) const;
  bool ask_to_leave(Consumer& consumer);
  void press(Consumer& consumer, uint64_t now_ns);
  void see_exit(Consumer& consumer, int status, uint64_t now_ns);
  void delay(Consumer& consumer, uint64_t now_ns);
  void start_again(Consumer& consumer, uint64_t now_ns);
  void report(const Consumer& consumer, int status, bool was_asked, int start_error) const;
  uint32_t wanted() const;

  Region& region_;
  const ep_ring_starter starter_;
  const NameText group_;
  const uint32_t group_index_;
  const uint64_t group_word_;
  const uint32_t number_;  // of this scaler in its process
  const uint64_t grace_ns_;
  uint32_t started_ = 0;
  uint64_t exits_ = 0;
  uint64_t restarts_ = 0;
  Consumer consumers_[kConsumersMax];
};

}  // namespace elasticpool
