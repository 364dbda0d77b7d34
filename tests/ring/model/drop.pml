/* A message dropped under its consumer's hands: drop, acknowledge, release, hold, unhold, take out.
 *
 * Covered    the consumer (pid CONSUMER) has the message of sequence 1, and perhaps holds it; it
 *            releases it, perhaps, and gets it again; two publishers drop it at the same time, each
 *            killed before any step, or not; it is taken out, its slot goes to the next message, and
 *            its block is used again as sequence 2. The consumer stays: no sweep looks at its bits.
 * Claims     it reads its message until it has given it up, by acknowledgement and unhold in any
 *            order; the block is freed once, and in the end it is free.
 *
 * run: all
 * mutant 1: who drops keeps nothing for the consumer (keep_for)
 * mutant 2: who drops does not count it before (GroupRecord::taken_away)
 * mutant 3: the consumer clears its bit though somebody is about to set it (is_being_dropped)
 * mutant 4: who drops does not look at the delivery again before he sets the bit
 * mutant 5: who is refused clears the bit himself
 * mutant 6: to hold no longer clears the bit of what is in work (unhold)
 * mutant 7: to acknowledge clears the bit of what is held (give_up)
 * mutant 8: what was still to be cleared of a delivery is cleared behind the next (take_into_work)
 * mutant 9: a message that comes again has no bit from before (KeptMessage::has_bit)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define CONSUMER 1

/* BlockState; low is the sequence */
#define FREE 0
#define RESERVED 1
#define ATTACHED 2
#define DETACHED 3
byte state = ATTACHED, low = 1;
/* BlockEntry::holders: the only bit is the consumer's */
byte held_sequence = 1;
bool is_held;

/* Delivered once, and again */
#define WITH 1
#define AGAIN 2
#define RETURNED 3
#define ACKED 4
#define DROPPED 5
#define NEXT 6
byte delivery = WITH, taken_away;
bool in_slot = true;
/* MemberRecord::dropping of the publishers: pids 2 and 3 */
bool at_it[4], dead[4];

/* What the model knows */
bool reads = true, is_done;
byte freed;
#define READS_WELL (low == 1 && (state == ATTACHED || state == DETACHED))

#define ALIVE !dead[_pid];

inline free_it(from) {
  atomic {
    if
    :: state == from && low == 1 ->
       assert(!in_slot);
       assert(!reads);
       freed++;
       state = FREE;
       low = 0
    :: else
    fi
  }
}

inline free_if_unheld() {
  ok = state == DETACHED && low == 1;
  atomic { ok = ok && !(is_held && held_sequence == 1) }
  if
  :: ok -> free_it(DETACHED)
  :: else
  fi
}

/* end_hold(): one change that expects what was there */
inline end_hold() {
  atomic { ok = held_sequence == 1 && is_held; if :: ok -> is_held = false :: else fi }
  if
  :: ok -> free_if_unheld()
  :: else
  fi
}

/* Deliverer::is_settled() */
inline settle() {
  if
  :: !in_work && !holds ->
     atomic { ok = has_bit || taken_away != taken_before }
     if
     :: ok ->
        ok = at_it[2];
        ok = ok || at_it[3];
        if
        :: ok && MUTANT != 3 -> is_loose = true
        :: else -> is_loose = false; end_hold()
        fi
     :: else -> is_loose = false
     fi
  :: else
  fi
}

/* ack() or release(), give_up() */
inline give_up(to) {
  atomic {
    if
    :: delivery == mine -> delivery = to
    :: else
    fi;
    in_work = false;
    reads = holds
  }
  if
  :: MUTANT == 7 -> end_hold()
  :: else
  fi;
  settle()
}

inline unhold() {
  if
  :: MUTANT == 6 -> atomic { holds = false; reads = in_work } end_hold()
  :: else -> atomic { holds = false; reads = in_work } settle()
  fi
}

inline perhaps_hold() {
  if
  :: true
  :: atomic { ok = delivery == mine }
     if
     :: ok -> atomic { assert(held_sequence == 1); is_held = true; holds = true; has_bit = true }
     :: else
     fi
  fi;
  assert(READS_WELL)
}

active proctype nobody() { skip } /* so that pids are those of the model */

active proctype consumer() {
  bool ok, holds, has_bit, is_loose, in_work = true, was_loose;
  byte mine = WITH, taken_before, count;
  perhaps_hold();
  if
  :: holds -> unhold(); assert(READS_WELL)
  :: true
  fi;
  if
  :: true -> /* released; perhaps it comes again */
     give_up(RETURNED);
     assert(!reads || READS_WELL);
     count = taken_away;
     atomic {
       ok = delivery == RETURNED;
       if
       :: ok ->
          delivery = AGAIN;
          mine = AGAIN;
          taken_before = count;
          in_work = true;
          reads = true;
          has_bit = (has_bit || is_loose) && MUTANT != 9;
          was_loose = is_loose;
          is_loose = false
       :: else
       fi
     }
     if
     :: ok ->
        if
        :: was_loose && MUTANT == 8 -> (!at_it[2] && !at_it[3]); end_hold()
        :: else
        fi;
        assert(READS_WELL);
        if
        :: !holds -> perhaps_hold()
        :: else
        fi;
        give_up(ACKED)
     :: else
     fi
  :: true -> give_up(ACKED)
  fi;
  assert(!reads || READS_WELL);
  if
  :: holds -> unhold()
  :: else
  fi;
  do
  :: is_loose -> (!at_it[2] && !at_it[3]); settle()
  :: else -> break
  od;
  is_done = true
}

/* Publisher::drop() */
active [2] proctype publisher() {
  bool ok;
  byte seen;
  atomic { ALIVE seen = delivery }
  if
  :: seen == RETURNED -> atomic { ALIVE if :: delivery == seen -> delivery = DROPPED :: else fi }
  :: seen == WITH || seen == AGAIN ->
     atomic { ALIVE at_it[_pid] = true }
     if
     :: MUTANT != 2 -> atomic { ALIVE taken_away++ }
     :: else
     fi;
     atomic { ALIVE ok = delivery == seen }
     if
     :: (ok || MUTANT == 4) && MUTANT != 1 ->
        /* begin_hold() */
        atomic { ALIVE if :: held_sequence == 1 -> is_held = true :: else fi }
     :: else
     fi;
     atomic { ALIVE ok = delivery == seen; if :: ok -> delivery = DROPPED :: else fi }
     if
     :: !ok && MUTANT == 5 -> end_hold()
     :: else
     fi;
     atomic { ALIVE at_it[_pid] = false }
  :: else
  fi
}

/* Either publisher dies, and is swept. */
active [2] proctype fate() {
  byte who = _pid - 2;
  if
  :: true
  :: dead[who] = true; at_it[who] = false
  fi
}

/* Reclaimer::take_out(), finish_block(); then the slot is the next message's. */
active proctype reclaimer() {
  bool ok;
  (delivery == ACKED || delivery == DROPPED);
  in_slot = false;
  ok = is_held && held_sequence == 1;
  if
  :: ok ->
     atomic { if :: state == ATTACHED && low == 1 -> state = DETACHED :: else fi }
     free_if_unheld()
  :: else -> free_it(ATTACHED)
  fi;
  delivery = NEXT
}

/* The block is another message, with a holder word of its own. */
active proctype user() {
  atomic { state == FREE -> state = RESERVED }
  atomic { held_sequence = 2; is_held = false }
  atomic { state = ATTACHED; low = 2 }
}

active proctype judge() {
  atomic { timeout ->
    assert(is_done);
    assert(freed == 1);
    assert(low == 2 || state == FREE)
  }
}
