/* Sleeping and waking: no consumer sleeps while there is something for it, no publisher while there
 * is room.
 *
 * Covered    two publishers that publish a message each and wake who sleeps, who of them sleep
 *            when there is no room; a consumer that sleeps when there is nothing, takes messages,
 *            acknowledges, and wakes who waits for room. Stores wait in a buffer until a fence, a
 *            change or any later moment, as they do on x86-64.
 * Claims     nobody sleeps for ever. That needs no timeouts: with them, no later than those.
 * Left out   who is killed between taking a sleeper's bit and waking it: that sleep lasts until its
 *            timeout, 100 ms (kWatchIntervalNs). Acknowledgements that are too few to wake for
 *            (acknowledged_to_waiter; here each is enough): a publisher looks for those by itself,
 *            every 10 ms (kRoomWaitNs), and is told when their consumer has nothing left.
 *
 * run: all
 * mutant 1: no fence between the sequence and the look at the sleepers (tell_consumers)
 * mutant 2: no fence between saying asleep and the last look (say_asleep)
 * mutant 3: the consumer does not look for a last time (say_asleep)
 * mutant 4: the wake count is read behind the last look (Deliverer::sleep)
 * mutant 5: a publisher says that it waits after its last look (wait_for_room)
 * mutant 6: the room's count is not raised (wake_publishers)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define MESSAGES 2

/* Shared memory, and of each publisher the stores that nobody sees yet. */
byte published;            /* header lines with their sequence */
byte buffered[4];          /* of publisher i: messages that only it sees */
bool sleeps, slot_free;    /* GroupRecord::sleepers; the one slot */
byte wake_count;           /* MemberRecord */
byte space_count;          /* RegionHeader */
bool space_waiters;
bool bit_buffered;         /* the consumer's bit, were set_bits() no locked instruction */
byte taken;

/* futex_wait(): sleeps only if the word is what it was; woken by a change, which is always followed
 * by futex_wake(). */
proctype publisher() {
  byte seen;
  bool has_room;
  do
  :: atomic { slot_free -> slot_free = false; break } /* claim_slot() */
  :: atomic { !slot_free -> skip }
     /* wait_for_room() */
     seen = space_count;
     if
     :: MUTANT != 5 -> space_waiters = true
     :: else
     fi;
     has_room = slot_free; /* pass() */
     if
     :: MUTANT == 5 -> space_waiters = true
     :: else
     fi;
     if
     :: has_room
     :: else -> space_count != seen
     fi;
     seen = 0
  od;
  buffered[_pid] = 1; /* write_line(): a store */
  if
  :: MUTANT == 1
  :: else -> atomic { published = published + buffered[_pid]; buffered[_pid] = 0 } /* the fence */
  fi;
  /* tell_consumers(), wake_consumers() */
  if
  :: sleeps ->
     atomic { has_room = sleeps; sleeps = false }
     if
     :: has_room -> wake_count++
     :: else
     fi
  :: else
  fi
}

/* The store buffer of publisher i empties some time. */
proctype drain(byte i) {
end:
  do
  :: atomic { buffered[i] > 0 -> published = published + buffered[i]; buffered[i] = 0 }
  od
}
proctype drain_bit() {
end:
  do
  :: atomic { bit_buffered -> sleeps = true; bit_buffered = false }
  od
}

proctype consumer() {
  byte seen;
  bool more;
  do
  :: taken == MESSAGES -> break
  :: taken < MESSAGES ->
     if
     :: published > taken ->
        taken++; /* get() */
        slot_free = true; /* ack(), and the slot is emptied */
        if
        :: space_waiters -> /* wake_publishers() */
           space_waiters = false;
           if
           :: MUTANT != 6 -> space_count++
           :: else
           fi
        :: else
        fi
     :: published == taken ->
        /* sleep() */
        if
        :: MUTANT != 4 -> seen = wake_count
        :: else
        fi;
        if
        :: MUTANT == 2 -> bit_buffered = true
        :: else -> sleeps = true
        fi;
        more = published > taken && MUTANT != 3;
        if
        :: MUTANT == 4 -> seen = wake_count
        :: else
        fi;
        if
        :: more
        :: else -> wake_count != seen /* futex_wait() */
        fi;
        atomic { sleeps = false; bit_buffered = false; seen = 0; more = false }
     fi
  od
}

proctype judge() {
  atomic { timeout -> assert(taken == MESSAGES) }
}

init {
  atomic {
    slot_free = true;
    run publisher();
    run publisher();
    run drain(1);
    run drain(2);
    run drain_bit();
    run consumer();
    run judge()
  }
}
