/* A group goes while somebody joins: enter_group(), remove_group(), join_group().
 *
 * Covered    two that join, any of whom may be stopped for as long as it likes, or die at any step
 *            and be swept; one that removes the group, twice; one that makes it again in the same
 *            record, and clears its members (settle()).
 * Claims     who believes that it joined is a member of a group that is there, and stays so; a bit
 *            among the members is that of somebody who joined, or is about to or about to give up;
 *            in the end no other is left.
 * Left out   messages; that a name is found in another record (join_group() begins again there).
 *
 * run: all
 * mutant 1: the joiner does not count itself in the group's word (enter_group)
 * mutant 2: it counts first, then sets its bit (enter_group)
 * mutant 3: the remover looks at the members before the word (remove_group)
 * mutant 4: who is refused leaves its bit (enter_group)
 * mutant 5: a sweep leaves the bit (sweep_deliveries)
 * mutant 6: joins are not counted, only the generation (joined_word)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define JOINERS 2

/* The group's word: state, generation, joins; one of each is changed at once. */
#define FREE 0
#define JOINING 1
#define ACTIVE 2
byte state = ACTIVE, generation = 1, joins;
byte members;
#define BIT(i) (1 << (i))

byte joined[JOINERS]; /* the generation that it believes to be a member of */
bool is_at_it[JOINERS], dead[JOINERS];
#define ALIVE !dead[me];

proctype joiner(byte me) {
  byte found, counted;
  bool ok;
  byte tries;
  is_at_it[me] = true;
  do
  :: tries < 2 ->
     atomic { ALIVE ok = state == ACTIVE; found = generation } /* find_group() */
     if
     :: !ok -> break
     :: else
     fi;
     if
     :: MUTANT != 2 -> atomic { ALIVE members = members | BIT(me) }
     :: else
     fi;
     do
     :: atomic { ALIVE ok = state == ACTIVE && generation == found; counted = joins }
        if
        :: !ok -> break
        :: else
        fi;
        atomic { ALIVE
          ok = state == ACTIVE && generation == found && (joins == counted || MUTANT == 6);
          if
          :: ok ->
             joins = (MUTANT == 1 || MUTANT == 6 -> joins : joins + 1);
             joined[me] = (MUTANT != 2 -> found : 0)
          :: else
          fi
        }
        if
        :: ok -> break
        :: else
        fi
     od;
     if
     :: ok && MUTANT == 2 -> atomic { ALIVE members = members | BIT(me); joined[me] = found }
     :: else
     fi;
     if
     :: ok -> break
     :: else
     fi;
     if
     :: MUTANT != 4 -> atomic { ALIVE members = members & ~BIT(me) }
     :: else
     fi;
     tries++
  :: else -> break
  od;
  atomic { ALIVE is_at_it[me] = false }
}

proctype remover() {
  byte seen, counted;
  bool ok, none;
  byte tries;
  do
  :: tries < 2 ->
     if
     :: MUTANT == 3 -> none = members == 0
     :: else
     fi;
     atomic { ok = state == ACTIVE; seen = generation; counted = joins }
     if
     :: MUTANT != 3 -> none = members == 0
     :: else
     fi;
     atomic {
       if
       :: ok && none && state == ACTIVE && generation == seen && joins == counted ->
          state = FREE;
          assert(joined[0] != seen || dead[0]);
          assert(joined[1] != seen || dead[1])
       :: else
       fi
     }
     tries++;
     atomic { ok = false; none = false; seen = 0; counted = 0 }
  :: else -> break
  od
}

proctype creator() {
  atomic { state == FREE -> state = JOINING; generation++; joins = 0 }
  members = 0; /* settle() */
  state = ACTIVE
}

/* Sweep::sweep_deliveries() */
proctype sweeper(byte who) {
  atomic {
    dead[who] ->
    if
    :: MUTANT != 5 -> members = members & ~BIT(who)
    :: else
    fi
  }
}

proctype fate() {
  if
  :: dead[0] = true
  :: dead[1] = true
  :: true
  fi
}

proctype judge() {
  byte i;
  atomic {
    timeout ->
    do
    :: i < JOINERS ->
       assert(dead[i] || joined[i] == 0 ||
              (state == ACTIVE && generation == joined[i] && (members >> i) & 1));
       assert(!((members >> i) & 1) || (!dead[i] && joined[i] != 0));
       i++
    :: else -> break
    od
  }
}

init {
  atomic {
    run joiner(0);
    run joiner(1);
    run remover();
    run creator();
    run sweeper(0);
    run sweeper(1);
    run fate();
    run judge()
  }
}
