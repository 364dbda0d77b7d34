/* A group that joins while messages are taken out: groups_epoch, kJoining, kLeaving.
 *
 * Covered    one message, which nobody needs: two reclaimers take it out, of which VICTIM may be
 *            killed before any step, or fenced as one that hangs and go on; a creator makes a group
 *            that begins with it; the group's consumer claims it, and reads. A sweep gives back what
 *            VICTIM was taking out.
 * Claims     what the consumer reads stays in its slot while it has it; the message is out of the
 *            slot or with the consumer in the end, never neither; nobody waits for ever.
 *
 * run: all
 * mutant 1: the reclaimer does not look at the groups again (take_out)
 * mutant 2: the consumer does not look at the slot again (is_still_there)
 * mutant 3: the epoch is raised when the group is active already (create_group)
 * mutant 4: a joining group does not hold messages back (has_passed)
 * mutant 5: the consumer takes kLeaving for gone (is_still_there)
 * mutant 6: the consumer waits for a leaving slot without an end (is_still_there)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define VICTIM 1

/* SlotState */
#define EMPTY 0
#define FULL 1
#define LEAVING 2
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
bool dead[8], fenced;
bool reads; /* what the model knows: the consumer is told of the message */

#define ALIVE !dead[_pid];
/* Reclaimer::all_passed() */
#define PASSED                                                     \
  (group == FREE || (group == JOINING && MUTANT == 4) ||            \
   (group == ACTIVE && (delivery == ACKED || delivery == DROPPED)))

/* Reclaimer::take_out() */
proctype reclaimer() {
  byte epoch, state, tag;
  bool ok;
  do
  :: atomic { !dead[_pid] && slot == EMPTY -> break }
  :: atomic { !dead[_pid] && PASSED && slot != EMPTY &&
       !(slot == LEAVING && (slot_tag != VICTIM || !fenced)) -> skip }
     atomic { ALIVE state = slot; tag = slot_tag }
     atomic { ALIVE epoch = groups_epoch }
     atomic { ALIVE ok = PASSED && state != EMPTY &&
       !(state == LEAVING && (tag != VICTIM || !fenced)) }
     atomic { ALIVE
       ok = ok && slot == state && slot_tag == tag;
       if
       :: ok -> slot = LEAVING; slot_tag = _pid
       :: else
       fi
     }
     if
     :: !ok
     :: else ->
        atomic { ALIVE ok = groups_epoch == epoch || MUTANT == 1 }
        if
        :: !ok -> atomic { ALIVE ok = PASSED }
        :: else
        fi;
        atomic { ALIVE
          if
          :: slot == LEAVING && slot_tag == _pid ->
             assert(!ok || !reads);
             slot = (ok -> EMPTY : FULL)
          :: else
          fi
        }
     fi;
     atomic { ok = false; epoch = 0; state = 0; tag = 0 }
  od
}

/* create_group(): the delivery words are void already. */
proctype creator() {
  group = JOINING;
  if
  :: MUTANT != 3 -> groups_epoch++
  :: else
  fi;
  group = ACTIVE;
  if
  :: MUTANT == 3 -> groups_epoch++
  :: else
  fi
}

/* Deliverer::claim(), is_still_there(), ack() */
proctype consumer() {
  byte tag;
  bool ok, waits;
  group == ACTIVE;
  /* look_at(): the line shows the message also when its slot has just gone on. */
  delivery = WITH;
  waits = MUTANT != 2;
  ok = true;
  do
  :: !waits -> break
  :: else ->
     atomic {
       if
       :: slot == EMPTY -> ok = false; waits = false
       :: slot == FULL -> waits = false
       :: slot == LEAVING && MUTANT == 5 -> ok = false; waits = false
       :: slot == LEAVING && MUTANT != 5 -> tag = slot_tag
       fi
     }
     if
     :: waits -> /* return_leaving(): he is not at work, or it takes too long */
        atomic {
          if
          :: MUTANT == 6 -> slot != LEAVING || slot_tag != tag
          :: MUTANT != 6 && slot == LEAVING && slot_tag == tag -> slot = FULL; slot_tag = _pid
          :: MUTANT != 6 && !(slot == LEAVING && slot_tag == tag)
          fi
        }
     :: else
     fi
  od;
  if
  :: ok ->
     reads = true;
     atomic { assert(slot != EMPTY); reads = false; delivery = ACKED }
  :: else -> assert(slot == EMPTY); delivery = DROPPED
  fi
}

proctype sweeper() {
  atomic { dead[VICTIM] && slot == LEAVING && slot_tag == VICTIM && MUTANT != 6 ->
    slot = FULL; slot_tag = _pid }
}

proctype fate() {
  if
  :: atomic { dead[VICTIM] = true; fenced = true }
  :: fenced = true; dead[VICTIM] = true
  fi
}

proctype judge() {
  atomic { timeout -> assert(slot == EMPTY && (delivery == ACKED || delivery == DROPPED)) }
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
