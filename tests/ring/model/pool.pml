/* The words of one slab, its granule and its blocks: make, take, put, dissolve, undo, sweep.
 *
 * Covered    two processes that take a block, give it back, dissolve the slab when it looks empty
 *            and make one anew; VICTIM is killed before any step, or fenced while it lives and goes
 *            on; two others sweep it when it is dead.
 * Claims     nobody has a block of a slab that is gone, no two have the same block, a granule is
 *            made into a slab by one at a time, and in the end nothing is left with the dead.
 * Left out   hints (they only say where to look), several granules a run, owners of slabs.
 *
 * run: all
 * mutant 1: dissolve() does not try to retire each block
 * mutant 2: a free block's word does not bear the slab's generation
 * mutant 3: a sweep leaves blocks in a slab that another dissolves
 * mutant 4: a half dissolved slab is not undone
 * mutant 5: dissolve() says kDissolving by a plain store
 * mutant 6: a sweep takes a half freed run without making it its own
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#define VICTIM 1
#define BLOCKS 2
#define GENERATIONS 3

/* BlockState, of the granule and of blocks */
#define FREE 0
#define CACHED 1
#define RETIRED 2
#define BUILDING 3
#define FREEING 4
#define SLAB 5
#define DISSOLVING 6
byte granule_state, granule_tag, granule_low;
byte block_state[BLOCKS], block_tag[BLOCKS], block_low[BLOCKS];
#define GRANULE_IS(s, t, l) (granule_state == (s) && granule_tag == (t) && granule_low == (l))
#define SET_GRANULE(s, t, l) granule_state = (s); granule_tag = (t); granule_low = (l)
#define BLOCK_IS(i, s, t, l) (block_state[i] == (s) && block_tag[i] == (t) && block_low[i] == (l))
#define SET_BLOCK(i, s, t, l) block_state[i] = (s); block_tag[i] = (t); block_low[i] = (l)
#define LOW(g) (MUTANT == 2 -> 0 : (g))

byte generation; /* RegionHeader::slab_generation */
bool dead[6], is_gone;
byte users[BLOCKS]; /* what the model knows: how many have the block */
bool is_shared;     /* two own the granule */

#define ALIVE !dead[_pid];

/* Slabs::make() */
inline make() {
  atomic { ALIVE /* Runs::claim() */
    ok = granule_state == FREE && generation < GENERATIONS;
    if
    :: ok -> SET_GRANULE(BUILDING, _pid, 0)
    :: else
    fi
  }
  if
  :: !ok
  :: else ->
     atomic { ALIVE generation++; low = generation }
     atomic { ALIVE assert(users[0] == 0); SET_BLOCK(0, FREE, 0, LOW(low)) }
     atomic { ALIVE assert(users[1] == 0); SET_BLOCK(1, FREE, 0, LOW(low)) }
     atomic { ALIVE assert(GRANULE_IS(BUILDING, _pid, 0)); SET_GRANULE(SLAB, 0, low) }
  fi
}

/* Slabs::take() of block i, its use, and Slabs::put() */
inline use() {
  atomic { ALIVE ok = granule_state == SLAB; low = granule_low } /* find_slab() */
  if
  :: !ok
  :: else ->
     atomic { ALIVE /* take_bits() */
       ok = BLOCK_IS(i, FREE, 0, LOW(low));
       if
       :: ok -> SET_BLOCK(i, CACHED, _pid, LOW(low)); users[i]++; assert(users[i] == 1)
       :: else
       fi
     }
     if
     :: !ok
     :: else ->
        atomic { ALIVE /* find(): the slab is there, or somebody tries to dissolve it */
          assert((granule_state == SLAB || granule_state == DISSOLVING) && granule_low == low)
        }
        atomic { ALIVE /* put() */
          assert(BLOCK_IS(i, CACHED, _pid, LOW(low)));
          SET_BLOCK(i, FREE, 0, LOW(low));
          users[i]--
        }
     fi
  fi
}

/* Slabs::dissolve(), then Runs::free() */
inline dissolve() {
  atomic { ALIVE ok = granule_state == SLAB; low = granule_low }
  atomic { ALIVE ok = ok && BLOCK_IS(0, FREE, 0, LOW(low)) }
  atomic { ALIVE ok = ok && BLOCK_IS(1, FREE, 0, LOW(low)) }
  if
  :: !ok
  :: else ->
     atomic { ALIVE
       ok = GRANULE_IS(SLAB, 0, low) || MUTANT == 5;
       if
       :: ok -> SET_GRANULE(DISSOLVING, _pid, low)
       :: else
       fi
     }
     if
     :: !ok
     :: else ->
        atomic { ALIVE retire(0) }
        atomic { ALIVE retire(1) }
        if
        :: !ok -> undo(_pid)
        :: else ->
           atomic { ALIVE SET_GRANULE(FREEING, _pid, 0) }
           atomic { ALIVE SET_GRANULE(FREE, 0, 0) }
        fi
     fi
  fi
}
inline retire(at) {
  if
  :: ok && BLOCK_IS(at, FREE, 0, LOW(low)) -> SET_BLOCK(at, RETIRED, _pid, LOW(low))
  :: ok && !BLOCK_IS(at, FREE, 0, LOW(low)) -> ok = MUTANT == 1
  :: else
  fi
}

/* Slabs::undo_dissolving() of what `who` left: `low` is its generation. */
inline undo(who) {
  atomic { ALIVE
    if
    :: BLOCK_IS(0, RETIRED, who, LOW(low)) -> SET_BLOCK(0, FREE, 0, LOW(low))
    :: else
    fi
  }
  atomic { ALIVE
    if
    :: BLOCK_IS(1, RETIRED, who, LOW(low)) -> SET_BLOCK(1, FREE, 0, LOW(low))
    :: else
    fi
  }
  atomic { ALIVE
    if
    :: GRANULE_IS(DISSOLVING, who, low) -> SET_GRANULE(SLAB, 0, low)
    :: else
    fi
  }
}

/* Sweep::sweep_run_or_slab() */
inline sweep() {
  atomic { ALIVE state = granule_state; tag = granule_tag; low = granule_low }
  if
  :: (state == BUILDING || state == FREEING) && tag == VICTIM ->
     atomic { ALIVE
       ok = GRANULE_IS(state, VICTIM, low) || MUTANT == 6;
       if
       :: ok && MUTANT != 6 -> SET_GRANULE(FREEING, _pid, 0)
       :: else
       fi
     }
     if
     :: ok -> /* Runs::free() */
        atomic { ALIVE
          assert(granule_state == FREEING || granule_state == BUILDING);
          SET_GRANULE(FREE, 0, 0)
        }
     :: else
     fi
  :: state == DISSOLVING && tag == VICTIM && MUTANT != 4 -> undo(VICTIM)
  :: else
  fi;
  atomic { ALIVE
    ok = (granule_state == SLAB || (granule_state == DISSOLVING && MUTANT != 3));
    low = granule_low
  }
  i = 0;
  do
  :: ok && i < BLOCKS -> /* sweep_block() */
     atomic { ALIVE
       if
       :: BLOCK_IS(i, CACHED, VICTIM, LOW(low)) -> SET_BLOCK(i, FREE, 0, LOW(low)); users[i]--
       :: else
       fi;
       i++
     }
  :: else -> break
  od
}

proctype member(byte turns) {
  byte i, low, n;
  bool ok;
  do
  :: n < turns ->
     if
     :: make()
     :: i = 0; use()
     :: i = 1; use()
     :: dissolve()
     fi;
     atomic { n++; ok = false; low = 0; i = 0 }
  :: else -> break
  od
}

proctype sweeper() {
  byte state, tag, low, i;
  bool ok;
  atomic { dead[VICTIM] -> skip }
  sweep();
  is_gone = true
}

proctype fate() {
  dead[VICTIM] = true /* at any time, also when it has done all */
}

proctype judge() {
  atomic {
    timeout ->
    assert(granule_state == FREE || granule_state == SLAB);
    assert(users[0] == 0 && users[1] == 0);
    assert(granule_state == FREE ||
           (BLOCK_IS(0, FREE, 0, LOW(granule_low)) && BLOCK_IS(1, FREE, 0, LOW(granule_low))))
  }
}

init {
  atomic {
    run member(3);
    run member(3);
    run sweeper();
    run sweeper();
    run fate();
    run judge()
  }
}
