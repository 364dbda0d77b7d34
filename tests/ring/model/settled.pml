/* From where consumers look again: epoch, returns, settled, settled_at (lib/ring/settled.h).
 *
 * Covered    messages that are in the ring, with or without a key (one lane, of the first member), a
 *            group of one or two members and one that joins at any time. Each takes messages as
 *            Deliverer does, and acknowledges in any order. One of them does one thing more, at any
 *            moment: it releases a message, recovers from a checkpoint before all messages, leaves,
 *            or dies at any step and is swept, also by two at once, of which one may die.
 * Claims     nobody has behind him what is anybody's, but between a return and the epoch that
 *            follows; in the end all is acknowledged where somebody is left; and who takes a
 *            message with a key sees no earlier one in another's work, but for what recover()
 *            brings back.
 *
 * Left out   the head: nothing is taken out, so looking at everything begins at the first message.
 *            When a message without a key may be stolen: always. That stores wait in a buffer: what
 *            settled says is only older then. Places that others take (settled_order.cc).
 *
 * KEYS: which messages have one. COARSE: below.
 * run: leave-plain -DEVENTS=1 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0
 * run: leave-keyed -DEVENTS=1 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=3
 * run: release-plain -DEVENTS=2 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=3 -DKEYS=0
 * run: release-keyed -DEVENTS=2 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=3
 * run: recover-plain -DEVENTS=4 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=3 -DKEYS=0
 * run: recover-keyed -DEVENTS=4 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=3 -DKEYS=3
 * run: die-plain -DEVENTS=8 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=3 -DKEYS=0
 * run: die-keyed -DEVENTS=8 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=3 -DKEYS=3
 * run: two-plain -DEVENTS=7 -DMESSAGES=2 -DCONSUMERS=2 -DKEYS=0
 * run: two-keyed -DEVENTS=7 -DMESSAGES=2 -DCONSUMERS=2 -DKEYS=3
 * run: two-mixed -DEVENTS=15 -DMESSAGES=2 -DCONSUMERS=2 -DKEYS=2
 * run: two-sweepers -DEVENTS=8 -DMESSAGES=2 -DCONSUMERS=2 -DKEYS=0 -DSWEEPERS=2
 * run: two-sweepers-keyed -DEVENTS=8 -DMESSAGES=2 -DCONSUMERS=2 -DKEYS=3 -DSWEEPERS=2
 * run: three-messages -DEVENTS=1 -DMESSAGES=3 -DCONSUMERS=2 -DKEYS=5
 * mutant 1 -DEVENTS=2 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: a release is not counted (Deliverer::release)
 * mutant 2 -DEVENTS=4 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: what recover() returns is not counted (return_messages)
 * mutant 3 -DEVENTS=8 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: a sweep does not count (sweep_deliveries)
 * mutant 4 -DEVENTS=1 -DMESSAGES=2 -DCONSUMERS=2 -DKEYS=3: settled goes on over what is in its own work (Settled::tell)
 * mutant 5 -DEVENTS=1 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: settled goes on over what was skipped (Settled::advance)
 * mutant 6 -DEVENTS=2 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: settled is believed for any count (look_again_from)
 * mutant 7 -DEVENTS=4 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: a return is counted before the words are changed
 * mutant 8 -DEVENTS=2 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: settled stays as it was when everything is looked at again
 * mutant 9 -DEVENTS=2 -DMESSAGES=2 -DCONSUMERS=3 -DCOARSE=2 -DKEYS=0: a release is counted behind the epoch (Deliverer::release)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef CONSUMERS
#define CONSUMERS 3
#endif
#define JOINER (CONSUMERS - 1)
#ifndef EVENTS_MOST
#define EVENTS_MOST 1
#endif
#ifndef SWEEPERS
#define SWEEPERS 1
#endif

/* EVENTS: a bit each. */
#define LEAVE 1
#define RELEASE 2
#define RECOVER 4
#define DIE 8

/* Delivery words: with whom, or */
#define VOID 10
#define RETURNED 11
#define ACKED 20 /* by this and the consumer's number */
#define IS_FREE(word) ((word) == VOID || (word) == RETURNED)
#define IS_WITH(word) ((word) < CONSUMERS)
byte delivery[MESSAGES];
bool keyed[MESSAGES];
bool is_lane_of_first; /* else of the last member */

byte epoch, returns, members;
byte settled[CONSUMERS], settled_at[CONSUMERS];
#define NEVER 255

/* What the model knows. */
bool dead[CONSUMERS], has_left[CONSUMERS], is_gone[CONSUMERS];
byte news[CONSUMERS]; /* something changed since it looked */
byte recovered;       /* messages that recover() brought back: bit i */
byte events_left = EVENTS_MOST;
byte pending;         /* returns of which not all were told yet */
byte m; /* in atomic steps only */
/* The first COARSE consumers do each look, pass and start in one step: the others, who wait, stop
 * between any two loads and stores. */
#ifndef COARSE
#define COARSE 0
#endif
byte busy;
#define BEGIN busy = (me < COARSE -> me + 1 : 0)
#define END busy = 0
/* With three, the first is the one that things happen to. */
#define MAY_ACT (me == 0 || CONSUMERS == 2)

#define BIT(i) (1 << (i))
#define HAS(set, i) (((set) >> (i)) & 1)
#define COUNT(set) (HAS(set, 0) + HAS(set, 1) + HAS(set, 2))
#define FIRST(set) (HAS(set, 0) -> 0 : (HAS(set, 1) -> 1 : 2))
#define LAST(set) (HAS(set, 2) -> 2 : (HAS(set, 1) -> 1 : 0))
/* Membership::rank_for(): of two members in turn, here. */
#define FOR(set, message) (keyed[message] -> (is_lane_of_first -> FIRST(set) : LAST(set)) : \
                           ((message) % 2 == 0 -> FIRST(set) : LAST(set)))
#define ALIVE !dead[me] && (busy == 0 || busy == me + 1);
#define IDLE(me) (!dead[me] && busy == 0)

inline tell_all() {
  news[0] = 1;
  news[1] = 1;
#if CONSUMERS > 2
  news[2] = 1
#endif
}
inline count_return() { atomic { ALIVE returns++ } }
inline stir(ends) { atomic { ALIVE epoch++; tell_all(); pending = pending - ends } }

/* Settled::look_again_from() and start_over() */
inline start_over() {
  atomic { ALIVE my_members = members }
  atomic { ALIVE
    ok = my_returns != NEVER && my_returns == returns;
    from = (ok -> skipped : 0);
    my_returns = returns
  }
  if
  :: !ok && MUTANT != 8 -> atomic { ALIVE settled[me] = 0 }
  :: else
  fi;
  if
  :: !ok -> atomic { ALIVE settled_at[me] = my_returns }
  :: else
  fi;
  i = 0;
  do
  :: i < CONSUMERS ->
     if
     :: HAS(my_members, i) ->
        atomic { ALIVE ok = settled_at[i] == my_returns || MUTANT == 6 }
        if
        :: ok -> atomic { ALIVE from = (settled[i] > from -> settled[i] : from) }
        :: else
        fi
     :: else
     fi;
     i++
  :: else -> break
  od;
  atomic { scan = from; skipped = from; again = from; blocked = false; blocked_again = false; i = 0;
           from = 0; ok = false }
}

/* Deliverer::look_at(): `to_be_skipped` says what came of it. */
inline look_at(message, may_steal, lane) {
  atomic { ALIVE word = delivery[message] }
  if
  :: !IS_FREE(word) ->
     to_be_skipped = IS_WITH(word) && word != me && keyed[message];
     lane = lane || to_be_skipped
  :: else ->
     if
     :: keyed[message] && (lane || FOR(my_members, message) != me) ->
        to_be_skipped = true;
        lane = true
     :: !keyed[message] && !may_steal && FOR(my_members, message) != me -> to_be_skipped = true
     :: else ->
        atomic { ALIVE
          if
          :: delivery[message] == word ->
             m = 0;
             do
             :: m < message ->
                assert(!keyed[message] || !keyed[m] || delivery[m] >= ACKED || delivery[m] == me ||
                       HAS(recovered, m));
                m++
             :: else -> break
             od;
             m = 0;
             delivery[message] = me;
             tell_all();
             in_work++;
             before_mark = (message < mark -> before_mark + 1 : before_mark);
             to_be_skipped = false
          :: else ->
             to_be_skipped = keyed[message];
             lane = lane || to_be_skipped
          fi
        }
     fi
  fi;
  word = 0
}

/* Settled::tell(), advance() */
inline tell() {
  if
  :: scan > mark && (before_mark == 0 || MUTANT == 4) ->
     from = (mark < skipped || MUTANT == 5 -> mark : skipped);
     settled[me] = (from > settled[me] -> from : settled[me]);
     mark = scan;
     before_mark = in_work;
     from = 0
  :: else
  fi
}

inline give_up(message) {
  in_work--;
  before_mark = (message < mark -> before_mark - 1 : before_mark)
}

/* Deliverer::return_messages() */
inline return_messages(acknowledged_too) {
  i = 0;
  ok = false;
  do
  :: i < MESSAGES ->
     atomic { ALIVE
       if
       :: delivery[i] == me -> delivery[i] = RETURNED; ok = true; tell_all(); give_up(i)
       :: delivery[i] == ACKED + me && acknowledged_too ->
          delivery[i] = RETURNED; ok = true; tell_all(); recovered = recovered | BIT(i)
       :: else
       fi
     }
     i++
  :: else -> break
  od;
  if
  :: ok && MUTANT != 2 && MUTANT != 7 -> count_return()
  :: else
  fi;
  i = 0;
  ok = false
}

proctype consumer(byte me) {
  byte my_epoch = NEVER, my_members, my_returns = NEVER;
  byte scan, skipped, again, from, mark, in_work, before_mark, word, i;
  bool blocked, blocked_again, to_be_skipped, ok;
  if
  :: me == JOINER -> /* enter_group(); fill_in() before */
     atomic { members = members | BIT(me) }
     stir(0)
  :: else
  fi;
  do
  /* Nothing that it will not look at again is anybody's. */
  :: atomic { IDLE(me) && epoch == my_epoch && pending == 0 &&
              ((skipped > 0 && IS_FREE(delivery[0])) || (skipped > 1 && IS_FREE(delivery[1]))
#if MESSAGES > 2
               || (skipped > 2 && IS_FREE(delivery[2]))
#endif
              ) -> assert(false) }
  /* try_get() */
  :: atomic { IDLE(me) && epoch != my_epoch -> my_epoch = epoch; BEGIN }
     start_over();
     END
  :: atomic { IDLE(me) && epoch == my_epoch && scan == MESSAGES && scan > mark &&
              before_mark == 0 -> tell() }
  :: atomic { IDLE(me) && epoch == my_epoch && scan < MESSAGES -> BEGIN; tell() }
     look_at(scan, false, blocked);
     atomic {
       END;
       skipped = (!to_be_skipped && skipped == scan -> skipped + 1 : skipped);
       scan++;
       to_be_skipped = false
     }
  :: atomic { IDLE(me) && epoch == my_epoch && scan == MESSAGES && skipped < scan && news[me] == 1 ->
              news[me] = 0; BEGIN; tell() }
     /* look_at_skipped(), a whole pass */
     again = skipped;
     blocked_again = false;
     do
     :: again < scan ->
        look_at(again, true, blocked_again);
        atomic {
          skipped = (!to_be_skipped && again == skipped -> skipped + 1 : skipped);
          again++;
          to_be_skipped = false
        }
     :: else -> break
     od;
     blocked = blocked_again && skipped < scan;
     atomic { END; again = 0; blocked_again = false }
  /* ack() */
  :: atomic { IDLE(me) && in_work > 0 ->
       if
       :: delivery[0] == me -> delivery[0] = ACKED + me; tell_all(); give_up(0)
       :: delivery[1] == me -> delivery[1] = ACKED + me; tell_all(); give_up(1)
#if MESSAGES > 2
       :: delivery[2] == me -> delivery[2] = ACKED + me; tell_all(); give_up(2)
#endif
       fi
     }
  /* release() */
  :: atomic { IDLE(me) && MAY_ACT && events_left > 0 && in_work > 0 && (EVENTS & RELEASE) ->
       events_left--;
       pending++;
       if
       :: delivery[0] == me -> delivery[0] = RETURNED; tell_all(); give_up(0)
       :: delivery[1] == me -> delivery[1] = RETURNED; tell_all(); give_up(1)
#if MESSAGES > 2
       :: delivery[2] == me -> delivery[2] = RETURNED; tell_all(); give_up(2)
#endif
       fi
     }
     if
     :: MUTANT != 1 && MUTANT != 7 && MUTANT != 9 -> count_return()
     :: else
     fi;
     stir(1);
     if
     :: MUTANT == 9 -> count_return()
     :: else
     fi
  /* recover() */
  :: atomic { IDLE(me) && MAY_ACT && events_left > 0 && (EVENTS & RECOVER) -> events_left--; pending++ }
     if
     :: MUTANT == 7 -> count_return()
     :: else
     fi;
     return_messages(true);
     stir(1)
  /* close() */
  :: atomic { IDLE(me) && MAY_ACT && events_left > 0 && (EVENTS & LEAVE) -> events_left--; pending++ }
     return_messages(false);
     atomic { ALIVE members = members & ~BIT(me) }
     stir(1);
     atomic { has_left[me] = true; is_gone[me] = true }
     break
  od
}

/* Who dies, at any moment: one of them, and perhaps the first sweeper. */
proctype fate() {
  if
  :: (EVENTS & DIE) ->
     if
     :: atomic { busy == 0 && !has_left[0] -> dead[0] = true; pending++ }
#if CONSUMERS == 2
     :: atomic { !has_left[1] && HAS(members, 1) -> dead[1] = true; pending++ }
#endif
     :: true
     fi
  :: else
  fi
}

/* Sweep::sweep_deliveries(), by whoever notices. */
proctype sweeper(bool may_die) {
  byte fallen, i;
  if
  :: dead[0] -> fallen = 0
  :: dead[1] -> fallen = 1
  fi;
  i = 0;
  members = members & ~BIT(fallen);
  do
  :: i < MESSAGES ->
     atomic {
       if
       :: delivery[i] == fallen -> delivery[i] = RETURNED; tell_all()
       :: else
       fi
     }
     i++
  :: may_die -> goto end
  :: else -> break
  od;
  if
  :: MUTANT != 3 && MUTANT != 7 -> returns++
  :: else
  fi;
  atomic { epoch++; tell_all(); is_gone[fallen] = true; pending = 0 };
end:
  skip
}

proctype judge() {
  atomic {
    timeout ->
    if
    :: members != 0 ->
       assert(delivery[0] >= ACKED);
       assert(delivery[1] >= ACKED);
#if MESSAGES > 2
       assert(delivery[2] >= ACKED)
#endif
    :: else
    fi
  }
}

init {
  atomic {
    m = 0;
    do
    :: m < MESSAGES ->
       delivery[m] = VOID;
       keyed[m] = HAS(KEYS, m);
       m++
    :: else -> break
    od;
    m = 0;
    if
    :: KEYS != 0 -> is_lane_of_first = true
    :: is_lane_of_first = false
    fi;
    members = BIT(0) | (CONSUMERS > 2 -> BIT(1) : 0);
    tell_all();
    run consumer(0);
    run consumer(1);
#if CONSUMERS > 2
    run consumer(2);
#endif
#if EVENTS & DIE
#if SWEEPERS > 1
    run sweeper(true);
#endif
    run sweeper(false);
    run fate();
#endif
    run judge()
  }
}
