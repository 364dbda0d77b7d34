/* Who keeps a message's block beyond its acknowledgement: hold, unhold, take out, sweep.
 *
 * Covered    consumers 1 (VICTIM) and 2 have the message of sequence 1 and hold it; whoever is last
 *            acknowledges; 3 takes it out and detaches or frees the block; 4 sweeps VICTIM, which is
 *            killed before any step, or fenced, swept as alive, and goes on; the block is used again
 *            by 5 as sequence 2. A last sweep, of anybody, comes at the end.
 * Claims     nobody reads a block that is free or another message's while he may; the block is freed
 *            once, and in the end it is free.
 *
 * run: all
 * mutant 1: a sweep as alive does not keep the block (Sweep::keep_for)
 * mutant 2: the last to give up does not look whether it is detached (free_if_unheld)
 * mutant 3: who detaches does not look again whether it is held (finish_block)
 * mutant 4: sweeps pass by a detached block that nobody holds (clear_lost_holders)
 * mutant 5: the holder word does not bear the sequence (is_held_as)
 * mutant 6: who frees expects nothing of the word (Pool::give_back)
 * mutant 7: bits are set by load and store, not by a change
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define VICTIM 1

/* BlockState; low is the sequence */
#define FREE 0
#define RESERVED 1
#define ATTACHED 2
#define DETACHED 3
byte state = ATTACHED, tag = 5, low = 1;
#define IS(s, t, l) (state == (s) && tag == (t) && low == (l))
#define SET(s, t, l) state = (s); tag = (t); low = (l)

/* BlockEntry::holders */
byte held_sequence = 1, holders;
#define BIT(t) (1 << (t))

/* One group for each consumer: its delivery word of sequence 1. */
#define WITH 1
#define ACKED 2
#define RETURNED 3
byte delivery[4];
bool in_slot = true;
bool dead[10], fenced;

/* What the model knows: who reads the block as message 1, and may. */
bool reads[4];
byte freed;
#define READS_WELL (low == 1 && (state == ATTACHED || state == DETACHED))

#define ALIVE !dead[_pid];

/* Deliverer::hold() of whoever has it */
inline hold() {
  do
  :: atomic { ALIVE ok = delivery[_pid] == WITH }
     if
     :: !ok -> break
     :: else
     fi;
     atomic { ALIVE seen = holders; seq = held_sequence; ok = seq == 1 }
     if
     :: !ok -> break
     :: else
     fi;
     atomic { ALIVE
       if
       :: (holders == seen && held_sequence == seq) || MUTANT == 7 ->
          holders = seen | BIT(_pid); has = true; break
       :: else
       fi
     }
  od
}

/* Deliverer::unhold() and a sweep's part of it: the bit of `who` */
inline give_up(who) {
  do
  :: atomic { ALIVE
       seen = holders; seq = held_sequence;
       ok = seq == 1 && (seen & BIT(who))
     }
     if
     :: !ok -> break
     :: else
     fi;
     atomic { ALIVE
       if
       :: holders == seen && held_sequence == seq ->
          holders = seen & ~BIT(who); break
       :: else
       fi
     }
  od;
  if
  :: ok && MUTANT != 2 -> free_if_unheld()
  :: else
  fi
}

inline free_if_unheld() {
  atomic { ALIVE ok = state == DETACHED; seq = low; }
  atomic { ALIVE ok = ok && holders == 0 }
  if
  :: ok -> free_it(DETACHED, 0, seq)
  :: else
  fi
}

inline free_it(s, t, l) {
  atomic { ALIVE
    if
    :: IS(s, t, l) || MUTANT == 6 ->
       assert(!in_slot || l != 1);
       assert(l != 1 || (!reads[1] && !reads[2]));
       assert(state != FREE && state != RESERVED);
       freed++;
       SET(FREE, 0, 0)
    :: else
    fi
  }
}

inline last_look() {
  if
  :: MUTANT != 4 -> free_if_unheld()
  :: else
  fi
}

proctype consumer() {
  byte seen, seq;
  bool ok, has;
  if
  :: hold()
  :: true
  fi;
  atomic { ALIVE /* ack() */
    if
    :: delivery[_pid] == WITH -> delivery[_pid] = ACKED; reads[_pid] = has
    :: else -> reads[_pid] = reads[_pid] && !dead[_pid]
    fi
  }
  if
  :: has ->
     atomic { ALIVE assert(!reads[_pid] || READS_WELL) }
     if
     :: _pid == VICTIM && fenced /* unhold(): FENCED */
     :: else -> atomic { ALIVE reads[_pid] = false } give_up(_pid)
     fi
  :: else
  fi;
  /* Fenced, it may read on what it was given until it closes its handle. */
  atomic { ALIVE assert(!reads[_pid] || READS_WELL); reads[_pid] = false; ok = false; seen = 0; seq = 0 }
}

/* Reclaimer::take_out(), finish_block() */
proctype reclaimer() {
  bool ok;
  byte seq;
  (delivery[1] == ACKED && delivery[2] == ACKED);
  in_slot = false;
  ok = holders != 0 && held_sequence == 1;
  if
  :: ok ->
     atomic {
       ok = IS(ATTACHED, 5, 1);
       if
       :: ok -> SET(DETACHED, 0, 1)
       :: else
       fi
     }
     if
     :: ok && MUTANT != 3 -> free_if_unheld()
     :: else
     fi
  :: else -> free_it(ATTACHED, 5, 1)
  fi
}

/* Another consumer of VICTIM's group takes what was returned, and acknowledges. */
proctype heir() {
  atomic { delivery[VICTIM] == RETURNED -> delivery[VICTIM] = ACKED }
}

/* Sweep of VICTIM, as long as there is something */
proctype sweeper() {
  byte seen, seq;
  bool ok, gone;
  do
  :: atomic { fenced && (dead[VICTIM] || delivery[VICTIM] == WITH) -> gone = dead[VICTIM] }
     /* return_message() */
     ok = delivery[VICTIM] == WITH;
     if
     :: ok ->
        if
        :: gone || MUTANT == 1
        :: !gone && MUTANT != 1 -> /* keep_for() */
           do
           :: atomic { seen = holders; seq = held_sequence }
              if
              :: seq != 1 || (seen & BIT(VICTIM)) -> break
              :: else
              fi;
              atomic {
                if
                :: holders == seen && (held_sequence == seq || MUTANT == 5) ->
                   holders = seen | BIT(VICTIM); break
                :: else
                fi
              }
           od
        fi;
        atomic {
          if
          :: delivery[VICTIM] == WITH -> delivery[VICTIM] = RETURNED
          :: else
          fi
        }
     :: else
     fi;
     if
     :: gone -> /* sweep_block() */
        last_look();
        give_up(VICTIM);
        break
     :: else
     fi
  od;
}
/* Whoever closes his handle last looks at every block. */
proctype closing() {
  bool ok;
  byte seq;
  atomic { timeout -> skip }
  atomic { /* clear_lost_holders(): VICTIM's place is free */
    if
    :: state == DETACHED && MUTANT != 4 -> holders = holders & ~BIT(VICTIM)
    :: else
    fi
  }
  last_look();
  assert(state == FREE || (state == ATTACHED && low == 2));
  assert(freed == 1)
}

/* The block is another message, with a holder word of its own. */
proctype user() {
  atomic { state == FREE -> SET(RESERVED, _pid, 0) }
  atomic { held_sequence = 2; holders = 0 }
  atomic { assert(IS(RESERVED, _pid, 0)); SET(ATTACHED, _pid, 2) }
  assert(held_sequence == 2 && holders == 0)
}

proctype fate() {
  if
  :: atomic { dead[VICTIM] = true; fenced = true; reads[VICTIM] = false }
  :: fenced = true; atomic { dead[VICTIM] = true; reads[VICTIM] = false }
  fi
}

init {
  atomic {
    delivery[1] = WITH;
    delivery[2] = WITH;
    reads[1] = true;
    reads[2] = true;
    run consumer();
    run consumer();
    run reclaimer();
    run sweeper();
    run user();
    run heir();
    run fate();
    run closing()
  }
}
