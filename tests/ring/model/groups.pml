/* A group that comes while messages are taken out: groups_epoch, kJoining, confirm_slots().
 *
 * Covered    one message, which nobody needs so far: two reclaimers take it out, one of which may be
 *            stopped at any step for as long as it likes; a creator makes a group that begins with
 *            it, and may be killed before any step, and swept; the group's consumer claims it, and
 *            reads.
 * Claims     what the consumer reads stays in its slot while it has it; in the end the message is
 *            out of its slot, and the consumer had it or found that it was gone.
 *
 * Left out   messages that come later, which the consumer does not look at again (first_to_come):
 *            argued in lib/ring/protocol.md. A reclaimer that looked at the groups in an earlier
 *            pass is one that was stopped for so long.
 *
 * run: all
 * mutant 1: the reclaimer does not look at the epoch behind the slot's word (take_out)
 * mutant 2: the consumer does not look at the slot again (is_still_there)
 * mutant 3: the epoch is raised when the group is active already (create_group)
 * mutant 4: the slot's word stays as it is (confirm_slots)
 * mutant 5: slots are confirmed before the epoch is raised (settle)
 * mutant 6: a group whose creator died is not given up (Sweep::sweep_groups)
 * mutant 7: the reclaimer reads the epoch behind the groups (look_at_groups)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define CREATOR 3

/* A slot word: full, and who said so last; or empty. */
#define EMPTY 0
#define FULL 1
byte slot = FULL, slot_tag;
/* GroupState */
#define FREE 0
#define JOINING 1
#define ACTIVE 2
byte group;
byte groups_epoch;
/* DeliveryState */
#define VOID 0
#define WITH 1
#define ACKED 2
#define DROPPED 3
byte delivery = VOID;
bool dead[8];
bool reads; /* what the model knows: the consumer has the message */

#define ALIVE !dead[_pid];

/* Reclaimer::pass() */
proctype reclaimer() {
  byte epoch, seen, tag;
  bool ok;
  do
  :: slot == EMPTY -> break
  :: atomic { slot != EMPTY && (group == FREE || (group == ACTIVE && delivery >= ACKED)) -> skip }
     if /* look_at_groups() */
     :: MUTANT == 7 -> seen = group; epoch = groups_epoch
     :: else -> epoch = groups_epoch; seen = group
     fi;
     atomic { ok = slot != EMPTY; tag = slot_tag }
     if
     :: MUTANT != 1 -> ok = ok && groups_epoch == epoch
     :: else
     fi;
     ok = ok && (seen == FREE || (seen == ACTIVE && delivery >= ACKED)); /* have_passed() */
     atomic {
       if
       :: ok && slot == FULL && slot_tag == tag -> assert(!reads); slot = EMPTY
       :: else
       fi
     }
     atomic { ok = false; epoch = 0; seen = 0; tag = 0 }
  od
}

inline confirm_slots() {
  atomic { ALIVE ok = slot == FULL; tag = slot_tag }
  atomic { ALIVE
    if
    :: ok && slot == FULL && slot_tag == tag && MUTANT != 4 -> slot_tag = _pid
    :: else
    fi
  }
}

/* create_group(), settle() */
proctype creator() {
  byte tag;
  bool ok;
  atomic { ALIVE group = JOINING }
  if
  :: MUTANT == 5 -> confirm_slots()
  :: else
  fi;
  if
  :: MUTANT != 3 -> atomic { ALIVE groups_epoch++ }
  :: else
  fi;
  if
  :: MUTANT != 5 -> confirm_slots()
  :: else
  fi;
  atomic { ALIVE
    if
    :: group == JOINING -> group = ACTIVE
    :: else
    fi
  }
  if
  :: MUTANT == 3 -> atomic { ALIVE groups_epoch++ }
  :: else
  fi
}

/* Deliverer::claim(), is_still_there(), ack() */
proctype consumer() {
  bool ok;
  group == ACTIVE;
  /* look_at(): the line shows the message also when its slot has just gone on. */
  delivery = WITH;
  ok = slot != EMPTY || MUTANT == 2;
  if
  :: ok ->
     reads = true;
     atomic { assert(slot != EMPTY); reads = false; delivery = ACKED }
  :: else -> delivery = DROPPED
  fi
}

/* Sweep::sweep_groups(): the creator is gone. */
proctype sweeper() {
  atomic { dead[CREATOR] && group == JOINING && MUTANT != 6 -> group = FREE }
}

proctype fate() {
  if
  :: dead[CREATOR] = true
  :: true
  fi
}

proctype judge() {
  atomic {
    timeout ->
    assert(slot == EMPTY);
    assert(group != ACTIVE || delivery == ACKED || delivery == DROPPED)
  }
}

init {
  atomic {
    run reclaimer();
    run reclaimer();
    run creator();
    run consumer();
    run sweeper();
    run fate();
    run judge()
  }
}
