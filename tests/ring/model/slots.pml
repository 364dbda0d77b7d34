/* Slots, header lines, deliveries: publish, claim, acknowledge, take out, sweep.
 *
 * Covered    every interleaving of the steps below, in which one process, VICTIM, may be killed
 *            before any step, or be fenced as one that hangs, swept, and go on or die later.
 *            Two sweeps of it run at once.
 * Claims     no message is lost, none comes twice without being counted, none is acknowledged
 *            twice, sequences have no gaps; a block is free only when its message is out of its
 *            slot, and in the end every block is; nobody writes the line that another message has.
 * Left out   scanning and epochs (a consumer may look at any message at any time), holders
 *            (holders.pml), groups that come (groups.pml), memory orders weaker than seq_cst
 *            (lib/ring/protocol.md argues them). One group.
 *
 * run: producer -DVICTIM=1 -DMESSAGES=3
 * run: sweeps -DVICTIM=1 -DSLOTS=1 -DMESSAGES=1 -DTWO_SWEEPS
 * run: reclaimer -DVICTIM=3 -DMESSAGES=3
 * run: consumer -DVICTIM=2 -DMESSAGES=2
 * run: lines -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY
 * run: drop -DVICTIM=7 -DDROPPER
 * mutant 1 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2:
 *          the line is looked up behind the claim (Publisher::write_line)
 * mutant 2 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2:
 *          the slot is claimed before the block is attached
 * mutant 3 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2:
 *          the intent is written behind the claim
 * mutant 4 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=1 -DTWO_SWEEPS:
 *          a sweep that is refused a slot goes on (Sweep::sweep_slot)
 * mutant 5 -DVICTIM=3 -DSLOTS=1 -DMESSAGES=2:
 *          a block is freed whatever its word says (Reclaimer::attach_block)
 * mutant 6 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2:
 *          who helps does not say so (MemberRecord::helping)
 * mutant 7 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          the line map is a plain store (Reclaimer::exchange_line)
 * mutant 8 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          a line word stays where the line does (next_line_word)
 * mutant 9 -DVICTIM=7 -DDROPPER:
 *          a drop takes the next lap's word for its own (is_ahead_of)
 * mutant 10 -DVICTIM=2 -DSLOTS=1 -DMESSAGES=1:
 *          an acknowledgement expects nothing (Deliverer::ack)
 * mutant 11 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2:
 *          a header's sequence is stored first (write_line)
 * mutant 12 -DVICTIM=3 -DSLOTS=1 -DMESSAGES=2:
 *          a block without its slot is not swept (Sweep::sweep_block)
 * mutant 13 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          a sweep frees the spare of one who is only stopped
 * mutant 14 -DVICTIM=2 -DSLOTS=1 -DMESSAGES=1:
 *          a redelivery is not counted (Sweep::return_message)
 * mutant 15 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          a later message's word counts as unclaimed (is_unclaimed)
 * mutant 16 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          the line word is read when the slot is another's
 * mutant 17 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          who gives a slot back does not take it first (return_leaving)
 * mutant 18 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY:
 *          who takes over a leaving slot goes on with it (begin_leaving)
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#define SPARES 2
#define LINES (SLOTS + SPARES)
#define BLOCKS 2
#ifndef MESSAGES
#define MESSAGES 3
#endif
#define PLACES 8
#define NONE 15

/* SlotState */
#define EMPTY 0
#define CLAIMED 1
#define HELPED 2
#define FULL 3
#define LEAVING 4
#define LEAVING_HELPED 5
byte slot_state[2], slot_tag[2], slot_lap[2];
#define SLOT(q) ((q) % SLOTS)
#define LAP(q) ((q) / SLOTS)
#define SLOT_IS(i, s, t, l) (slot_state[i] == (s) && slot_tag[i] == (t) && slot_lap[i] == (l))
#define SET_SLOT(i, s, t, l) slot_state[i] = (s); slot_tag[i] = (t); slot_lap[i] = (l)
#define PUBLISHED(s) ((s) >= HELPED)

/* A header line: its checksum covers the sequence, so body and sequence must be of one message. */
byte line_sequence[LINES], line_body[LINES], line_block[LINES];
byte map_spare[2], map_changes[2];
byte spare_tag[SPARES], spare_of[SPARES];
#define LINE(i) (map_spare[i] == 0 -> (i) : SLOTS + map_spare[i] - 1)
#define OPENS(l, q) (line_sequence[l] == (q) && line_body[l] == (q))

/* BlockState */
#define FREE 0
#define RESERVED 1
#define ATTACHED 2
byte block_state[BLOCKS], block_tag[BLOCKS], block_low[BLOCKS];
#define BLOCK_IS(b, s, t, q) (block_state[b] == (s) && block_tag[b] == (t) && block_low[b] == (q))
#define SET_BLOCK(b, s, t, q) block_state[b] = (s); block_tag[b] = (t); block_low[b] = (q)

/* DeliveryState, of the one group */
#define VOID 0
#define WITH 1
#define ACKED 2
#define RETURNED 3
#define DROPPED 4
byte delivery_state[2], delivery_tag[2], delivery_lap[2], delivery_count[2];
#define OF_LAP(q) (delivery_state[SLOT(q)] != VOID && delivery_lap[SLOT(q)] == LAP(q))
#define AHEAD_OF(q) (delivery_state[SLOT(q)] != VOID && delivery_lap[SLOT(q)] > LAP(q))
#define UNCLAIMED(q) \
  (OF_LAP(q) -> delivery_state[SLOT(q)] == RETURNED : !AHEAD_OF(q) || MUTANT == 15)
#define PASSED(q) \
  (OF_LAP(q) && (delivery_state[SLOT(q)] == ACKED || delivery_state[SLOT(q)] == DROPPED))

/* Members: the intent of each, and what it says of itself. */
#define LIVE 0
#define FENCED 1
#define GONE 2
byte member_state[PLACES];
bool dead[PLACES];
byte intent_sequence[PLACES], intent_body[PLACES], intent_block[PLACES];
byte helping[PLACES];
#define OPEN(t) (member_state[t] != GONE)

/* Before every step: who is killed does not go on. */
#define ALIVE !dead[_pid];

/* What the model knows and no process does. */
byte claimed_count;
bool is_seen[MESSAGES], is_acked[MESSAGES], is_dropped[MESSAGES];
byte true_block[MESSAGES];

#define WRITES(t, q) (intent_sequence[t] == (q) || helping[t] == (q))
#define WRITES_EARLIER(t, q)                                                              \
  ((intent_sequence[t] < (q) && SLOT(intent_sequence[t]) == SLOT(q)) ||                   \
   (helping[t] < (q) && SLOT(helping[t]) == SLOT(q)))
#define ANY(f, q) \
  ((OPEN(1) && f(1, q)) || (OPEN(2) && f(2, q)) || (OPEN(3) && f(3, q)) || \
   (OPEN(4) && f(4, q)) || (OPEN(5) && f(5, q)) || (OPEN(6) && f(6, q)) || (OPEN(7) && f(7, q)))

/* Pool::give_back() of a block that ours names; what is checked is that it is no message's. */
inline free_block(b, t, q) {
  atomic { ALIVE
    if
    :: BLOCK_IS(b, ATTACHED, t, q) ->
       /* Leaving, and its header is given up already: it is as good as gone. */
       assert(!(PUBLISHED(slot_state[SLOT(q)]) && slot_lap[SLOT(q)] == LAP(q) &&
                true_block[q] == b &&
                !(slot_state[SLOT(q)] >= LEAVING && !OPENS(LINE(SLOT(q)), q))));
       assert(!(slot_state[SLOT(q)] == CLAIMED && slot_lap[SLOT(q)] == LAP(q) &&
                true_block[q] == b));
       SET_BLOCK(b, FREE, 0, 0)
    :: else
    fi
  }
}

/* ---- Publisher::publish_one() of one message. Uses b cursor line won. */
inline publish() {
  /* Pool::reserve() */
  atomic {
    !dead[_pid] && (block_state[0] == FREE || block_state[1] == FREE || gives_up);
    if
    :: block_state[0] != FREE && block_state[1] != FREE -> b = NONE
    :: block_state[0] == FREE -> b = 0
    :: block_state[0] != FREE && block_state[1] == FREE -> b = 1
    fi;
    if
    :: b == NONE
    :: else -> SET_BLOCK(b, RESERVED, _pid, 0)
    fi
  }
  won = false;
  do
  :: won || b == NONE -> break
  :: else ->
     /* publish_one: the slot's word. Behind: full, waits. */
     atomic { !dead[_pid] && (slot_lap[SLOT(cursor)] >= LAP(cursor) || gives_up);
       if
       :: slot_lap[SLOT(cursor)] < LAP(cursor) -> /* unattach() */
          SET_BLOCK(b, FREE, 0, 0); b = NONE; work = false
       :: slot_lap[SLOT(cursor)] == LAP(cursor) && slot_state[SLOT(cursor)] == EMPTY ->
          work = true
       :: slot_lap[SLOT(cursor)] > LAP(cursor) ||
          (slot_lap[SLOT(cursor)] == LAP(cursor) && slot_state[SLOT(cursor)] != EMPTY) ->
          cursor++; work = false
       fi
     }
     if
     :: !work
     :: else ->
        atomic { ALIVE line = LINE(SLOT(cursor)) }; /* region.line() */
        /* claim_slot: the intent, its sequence last */
        if
        :: MUTANT != 3 ->
           atomic { ALIVE intent_body[_pid] = cursor; intent_block[_pid] = b }
           atomic { ALIVE intent_sequence[_pid] = cursor }
        :: else
        fi
        if
        :: MUTANT != 2 -> atomic { ALIVE SET_BLOCK(b, ATTACHED, _pid, cursor) }
        :: else
        fi
        atomic { ALIVE
          if
          :: SLOT_IS(SLOT(cursor), EMPTY, 0, LAP(cursor)) ->
             SET_SLOT(SLOT(cursor), CLAIMED, _pid, LAP(cursor));
             assert(cursor == claimed_count); /* no gap */
             claimed_count++;
             true_block[cursor] = b;
             won = true
          :: else -> cursor++
          fi
        }
     fi
  od;
  if
  :: b == NONE
  :: else -> finish_publish()
  fi;
  atomic { ALIVE b = 0; line = 0; work = false; won = false }
}

inline finish_publish() {
  if
  :: MUTANT == 2 -> atomic { ALIVE SET_BLOCK(b, ATTACHED, _pid, cursor) }
  :: MUTANT == 3 ->
     atomic { ALIVE intent_body[_pid] = cursor; intent_block[_pid] = b; intent_sequence[_pid] = cursor }
  :: MUTANT == 1 -> atomic { ALIVE line = LINE(SLOT(cursor)) }
  :: MUTANT == 11 -> atomic { ALIVE line_sequence[line] = cursor }
  :: else
  fi;
  /* write_line */
  write_header(line, cursor, b);
  atomic { ALIVE
    if
    :: SLOT_IS(SLOT(cursor), CLAIMED, _pid, LAP(cursor)) -> slot_state[SLOT(cursor)] = FULL
    :: else -> won = false
    fi
  }
  if
  :: !won -> atomic { ALIVE intent_sequence[_pid] = NONE }
  :: else
  fi;
  atomic { ALIVE cursor++; left-- }
}

/* store_header_body, store_header_sequence. Bad: over the header of another message in a slot. */
#define HAS_LINE(i, l, q)                                                                   \
  (slot_state[i] != EMPTY && slot_lap[i] * SLOTS + i != (q) && LINE(i) == (l) &&            \
   line_sequence[l] == slot_lap[i] * SLOTS + i)
inline write_header(l, q, block) {
  atomic { ALIVE
    assert(!HAS_LINE(0, l, q) && !HAS_LINE(1, l, q));
    line_body[l] = q;
    line_block[l] = block
  }
  atomic { ALIVE
    assert(!HAS_LINE(0, l, q) && !HAS_LINE(1, l, q));
    line_sequence[l] = q
  }
}

/* ---- Reclaimer::take_out() of message q. Uses state tag helped b whole mapped changes keep ok i.
 */
inline take_out(q) {
  atomic { ALIVE /* the slot's word, all_passed(), is_unwritten(), begin_leaving() */
    state = slot_state[SLOT(q)];
    tag = slot_tag[SLOT(q)];
    helped = (state == HELPED || state == LEAVING_HELPED);
    ok = slot_lap[SLOT(q)] == LAP(q) && PUBLISHED(state) && PASSED(q) &&
         !(state >= LEAVING && member_state[tag] == LIVE)
  }
  if
  :: ok && state >= LEAVING && MUTANT != 18 -> return_leaving(SLOT(q), q); atomic { ok = false }
  :: else
  fi;
  atomic { ALIVE
    if
    :: ok && helped && line_sequence[LINE(SLOT(q))] != q && ANY(WRITES, q) -> ok = false
    :: else
    fi
  }
  atomic { ALIVE
    if
    :: ok && SLOT_IS(SLOT(q), state, tag, LAP(q)) ->
       SET_SLOT(SLOT(q), (helped -> LEAVING_HELPED : LEAVING), _pid, LAP(q))
    :: else -> ok = false
    fi;
    state = 0;
    tag = 0
  }
  if
  :: !ok
  :: else ->
     attach_block(q);
     prepare_line(q);
     if
     :: ok ->
        atomic { ALIVE /* slot to empty */
          if
          :: SLOT_IS(SLOT(q), (helped -> LEAVING_HELPED : LEAVING), _pid, LAP(q)) ->
             SET_SLOT(SLOT(q), EMPTY, 0, LAP(q) + 1); assert(whole)
          :: else -> ok = false
          fi
        }
     :: else ->
        state = (helped -> LEAVING_HELPED : LEAVING);
        tag = _pid;
        return_leaving(SLOT(q), q);
        atomic { ALIVE ok = whole && slot_lap[SLOT(q)] != LAP(q); state = 0; tag = 0 }
     fi;
     if
     :: ok && MUTANT == 5 -> atomic { ALIVE SET_BLOCK(b, FREE, 0, 0) }
     :: ok && MUTANT != 5 -> finish_own_block(q)
     :: else
     fi
  fi;
  atomic { ALIVE b = 0; whole = false; helped = false; helps = false; ok = false }
}

/* return_leaving() of slot x, whose word said state, tag. Uses line i helps ok. */
inline return_leaving(x, q) {
  atomic { ALIVE
    ok = SLOT_IS(x, state, tag, LAP(q));
    if
    :: ok && MUTANT != 17 -> slot_tag[x] = _pid
    :: else
    fi
  }
  do
  :: !ok -> break
  :: else ->
     atomic { ALIVE line = map_spare[x]; i = map_changes[x] }
     atomic { ALIVE
       if
       :: line == 0 -> break
       :: line != 0 && map_spare[x] == line && map_changes[x] == i ->
          map_changes[x] = i + 1; break
       :: else
       fi
     }
  od;
  if
  :: !ok
  :: else ->
     atomic { ALIVE helps = OPENS(LINE(x), q) }
     atomic { ALIVE
       ok = SLOT_IS(x, state, (MUTANT == 17 -> tag : _pid), LAP(q));
       if
       :: ok && helps -> SET_SLOT(x, (state == LEAVING -> FULL : HELPED), _pid, LAP(q))
       :: ok && !helps -> SET_SLOT(x, EMPTY, 0, LAP(q) + 1)
       :: else
       fi
     }
  fi;
  atomic { line = 0; i = 0; helps = false }
}

inline attach_block(q) {
  atomic { ALIVE
    whole = OPENS(LINE(SLOT(q)), q);
    b = line_block[LINE(SLOT(q))]
  }
  do
  :: !whole -> break
  :: else ->
     atomic { ALIVE
       tag = block_tag[b];
       if
       :: MUTANT == 5 -> tag = 0; break
       :: MUTANT != 5 && (block_state[b] != ATTACHED || block_low[b] != q) ->
          whole = false; tag = 0; break
       :: else
       fi
     }
     atomic { ALIVE
       if
       :: BLOCK_IS(b, ATTACHED, tag, q) -> block_tag[b] = _pid; tag = 0; break
       :: else
       fi
     }
  od
}

inline change_map(q) {
  if
  :: map_spare[SLOT(q)] == mapped && map_changes[SLOT(q)] == changes ->
     map_spare[SLOT(q)] = to;
     map_changes[SLOT(q)] = changes + (MUTANT == 8 && to == mapped -> 0 : 1)
  :: MUTANT == 7 -> map_spare[SLOT(q)] = to
  :: MUTANT != 7 && !(map_spare[SLOT(q)] == mapped && map_changes[SLOT(q)] == changes) ->
     ok = false
  fi
}

inline prepare_line(q) {
  atomic { ALIVE mapped = map_spare[SLOT(q)]; changes = map_changes[SLOT(q)] }
  if
  :: !helped && mapped == 0
  :: else ->
     atomic { ALIVE /* the slot is still ours */
       ok = ok && (MUTANT == 16 ||
                   SLOT_IS(SLOT(q), (helped -> LEAVING_HELPED : LEAVING), _pid, LAP(q)))
     }
     atomic { ALIVE /* is_line_written() */
       keep = (helped -> ANY(WRITES, q) : ANY(WRITES_EARLIER, q))
     }
     if
     :: !ok
     :: ok && helped && keep -> exchange_line(q)
     :: ok && !(helped && keep) ->
        keep = mapped != 0 && (helped || keep);
        to = (keep -> mapped : 0);
        if
        :: mapped == 0 || keep -> atomic { ALIVE change_map(q) }
        :: else ->
           atomic { ALIVE i = spare_tag[mapped - 1]; state = spare_of[mapped - 1] }
           atomic { ALIVE
             if
             :: spare_tag[mapped - 1] == i && spare_of[mapped - 1] == state ->
                spare_tag[mapped - 1] = _pid;
                spare_of[mapped - 1] = q
             :: else -> ok = false
             fi
           }
           if
           :: ok ->
              atomic { ALIVE change_map(q) }
              atomic { ALIVE
                if
                :: map_spare[SLOT(q)] != mapped && spare_tag[mapped - 1] == _pid &&
                   spare_of[mapped - 1] == q ->
                   spare_tag[mapped - 1] = NONE
                :: else
                fi
              }
           :: else
           fi
        fi
     fi
  fi;
  atomic { ALIVE mapped = 0; changes = 0; to = 0; keep = false; i = 0; state = 0 }
}

inline exchange_line(q) {
  atomic { ALIVE
    if
    :: spare_tag[0] == NONE -> i = 0
    :: spare_tag[0] != NONE && spare_tag[1] == NONE -> i = 1
    :: else -> ok = false
    fi;
    if
    :: ok -> spare_tag[i] = _pid; spare_of[i] = q
    :: else
    fi
  }
  if
  :: !ok
  :: else ->
     write_header(SLOTS + i, q, b);
     atomic { ALIVE to = i + 1; change_map(q) }
     if
     :: ok
     :: else ->
        atomic { ALIVE
          if
          :: spare_tag[i] == _pid && spare_of[i] == q -> spare_tag[i] = NONE
          :: else
          fi
        }
     fi
  fi
}

inline finish_own_block(q) {
  do
  :: free_block(b, _pid, q);
     atomic { ALIVE
       if
       :: block_state[b] == ATTACHED && block_low[b] == q -> block_tag[b] = _pid
       :: else -> break
       fi
     }
  od
}

/* ---- Deliverer: one look at message q, get and ack. Uses state tag i count b ok. */
inline consume(q) {
  atomic { ALIVE /* look_at: the line's sequence, the delivery word */
    ok = line_sequence[LINE(SLOT(q))] == q && UNCLAIMED(q);
    state = delivery_state[SLOT(q)];
    tag = delivery_tag[SLOT(q)];
    i = delivery_lap[SLOT(q)];
    count = delivery_count[SLOT(q)]
  }
  atomic { ALIVE /* open_header; where it fails and nothing changed, give_up_corrupt() */
    assert(!(ok && line_sequence[LINE(SLOT(q))] == q && !OPENS(LINE(SLOT(q)), q) &&
             delivery_state[SLOT(q)] == state && delivery_tag[SLOT(q)] == tag &&
             delivery_lap[SLOT(q)] == i && delivery_count[SLOT(q)] == count));
    ok = ok && OPENS(LINE(SLOT(q)), q);
    b = line_block[LINE(SLOT(q))]
  }
  atomic { ALIVE /* claim */
    if
    :: ok && delivery_state[SLOT(q)] == state && delivery_tag[SLOT(q)] == tag &&
       delivery_lap[SLOT(q)] == i && delivery_count[SLOT(q)] == count ->
       count = ((state != VOID && i == LAP(q)) -> count + 1 : 1);
       delivery_state[SLOT(q)] = WITH;
       delivery_tag[SLOT(q)] = _pid;
       delivery_lap[SLOT(q)] = LAP(q);
       delivery_count[SLOT(q)] = count;
       assert(!is_acked[q]);
       assert(count > 1 || !is_seen[q]);
       is_seen[q] = true;
       assert(b == true_block[q] && block_state[b] == ATTACHED && block_low[b] == q)
    :: else -> ok = false
    fi;
    state = 0;
    tag = 0;
    i = 0
  }
  atomic { ALIVE /* ack */
    if
    :: ok && ((delivery_state[SLOT(q)] == WITH && delivery_tag[SLOT(q)] == _pid &&
               delivery_lap[SLOT(q)] == LAP(q) && delivery_count[SLOT(q)] == count) ||
              MUTANT == 10) ->
       assert(!is_acked[q]);
       assert(block_state[b] == ATTACHED && block_low[b] == q);
       delivery_state[SLOT(q)] = ACKED;
       delivery_tag[SLOT(q)] = _pid;
       delivery_lap[SLOT(q)] = LAP(q);
       is_acked[q] = true
    :: ok && MUTANT != 10 && !(delivery_state[SLOT(q)] == WITH && delivery_tag[SLOT(q)] == _pid &&
         delivery_lap[SLOT(q)] == LAP(q) && delivery_count[SLOT(q)] == count) ->
       /* GONE: only one who was fenced may be told that. */
       assert(member_state[_pid] != LIVE)
    :: else
    fi;
    ok = false;
    b = 0;
    count = 0
  }
}

/* ---- Sweep of VICTIM. Uses at state tag sequence line b i ok seen_gone. */
inline help_publish(q) { /* the slot said state, tag */
  atomic { ALIVE /* the intent, and the slot still says so */
    ok = intent_sequence[tag] == q && intent_body[tag] == q;
    b = intent_block[tag]
  }
  atomic { ALIVE
    if
    :: SLOT_IS(at, state, tag, LAP(q)) -> assert(ok || state == HELPED)
    :: else -> ok = false
    fi
  }
  if
  :: !ok
  :: else ->
     atomic { ALIVE line = LINE(at) };
     if
     :: MUTANT != 6 -> atomic { ALIVE helping[_pid] = q }
     :: else
     fi;
     atomic { ALIVE
       if
       :: SLOT_IS(at, state, tag, LAP(q)) -> slot_state[at] = HELPED
       :: else -> ok = false
       fi
     }
     if
     :: ok -> write_header(line, q, b)
     :: else
     fi;
     atomic { ALIVE helping[_pid] = NONE }
  fi;
  atomic { ALIVE line = 0; b = 0 }
}

inline sweep_slot() {
  do
  :: atomic { ALIVE
       state = slot_state[at];
       tag = slot_tag[at];
       sequence = slot_lap[at] * SLOTS + at;
       ok = true
     }
     atomic { ALIVE helps = state == HELPED && line_sequence[LINE(at)] != sequence }
     if
     :: (state == CLAIMED && tag == VICTIM) || helps -> help_publish(sequence)
     :: state >= LEAVING && tag == VICTIM -> return_leaving(at, sequence)
     :: else
     fi;
     if
     :: ok || MUTANT == 4 -> break
     :: else
     fi
  od
}

inline sweep_delivery() { /* return_message */
  atomic { ALIVE
    if
    :: slot_state[at] != EMPTY && delivery_state[at] == WITH && delivery_tag[at] == VICTIM &&
       delivery_lap[at] == slot_lap[at] ->
       if
       :: MUTANT == 14 -> delivery_state[at] = VOID; delivery_count[at] = 0
       :: else -> delivery_state[at] = RETURNED
       fi
    :: else
    fi
  }
}

inline sweep_block() {
  atomic { ALIVE state = block_state[at]; tag = block_tag[at]; sequence = block_low[at] }
  if
  :: state == RESERVED && tag == VICTIM ->
     atomic { ALIVE
       if
       :: BLOCK_IS(at, RESERVED, VICTIM, 0) -> SET_BLOCK(at, FREE, 0, 0)
       :: else
       fi
     }
  :: state == ATTACHED && tag == VICTIM && MUTANT != 12 ->
     atomic { ALIVE /* is_in_slot */
       ok = PUBLISHED(slot_state[SLOT(sequence)]) && slot_lap[SLOT(sequence)] == LAP(sequence)
     }
     atomic { ALIVE
       ok = ok && OPENS(LINE(SLOT(sequence)), sequence) && line_block[LINE(SLOT(sequence))] == at
     }
     if
     :: ok
     :: else ->
        atomic { ALIVE
          ok = BLOCK_IS(at, ATTACHED, VICTIM, sequence);
          if
          :: ok -> block_tag[at] = _pid
          :: else
          fi
        }
        if
        :: ok -> free_block(at, _pid, sequence)
        :: else
        fi
     fi
  :: else
  fi
}

inline sweep_spare() {
  atomic { ALIVE
    if
    :: spare_tag[at] != NONE &&
       (spare_tag[at] == VICTIM || !OPEN(spare_tag[at])) &&
       map_spare[SLOT(spare_of[at])] != at + 1 &&
       !ANY(WRITES_EARLIER,
            (slot_lap[SLOT(spare_of[at])] * SLOTS + SLOT(spare_of[at]))) ->
       spare_tag[at] = NONE
    :: else
    fi
  }
}

#define HAS_WORK                                                                           \
  ((slot_tag[0] == VICTIM &&                                                               \
    (slot_state[0] == CLAIMED || slot_state[0] == LEAVING || slot_state[0] == LEAVING_HELPED)) || \
   (slot_tag[1] == VICTIM &&                                                               \
    (slot_state[1] == CLAIMED || slot_state[1] == LEAVING || slot_state[1] == LEAVING_HELPED)) || \
   (delivery_state[0] == WITH && delivery_tag[0] == VICTIM) ||                             \
   (delivery_state[1] == WITH && delivery_tag[1] == VICTIM) ||                             \
   (slot_state[0] == HELPED && line_sequence[LINE(0)] != slot_lap[0] * SLOTS) ||           \
   (slot_state[1] == HELPED && line_sequence[LINE(1)] != slot_lap[1] * SLOTS + 1))

inline sweeper() {
  do
  :: atomic { !dead[_pid] && member_state[VICTIM] == GONE -> break }
  :: atomic { !dead[_pid] && member_state[VICTIM] == FENCED && (dead[VICTIM] || HAS_WORK) ->
       seen_gone = dead[VICTIM]; at = 0 }
     do
     :: at < SLOTS -> sweep_slot(); atomic { ALIVE at++; state = 0; tag = 0; ok = false; sequence = 0 }
     :: else -> at = 0; break
     od;
#if VICTIM == 2
     do
     :: at < SLOTS -> sweep_delivery(); at++
     :: else -> at = 0; break
     od;
#endif
     if
     :: !seen_gone && MUTANT == 13 ->
        do
        :: at < SPARES -> sweep_spare(); at++
        :: else -> at = 0; break
        od
     :: !seen_gone && MUTANT != 13
     :: seen_gone && !whole -> break
     :: seen_gone && whole ->
        do
        :: at < BLOCKS ->
           sweep_block();
           atomic { ALIVE at++; state = 0; tag = 0; ok = false; sequence = 0 }
        :: else -> at = 0; break
        od;
#if VICTIM != 1
        do
        :: at < SPARES -> sweep_spare(); at++
        :: else -> at = 0; break
        od;
#endif
        atomic { ALIVE member_state[VICTIM] = GONE }
     fi;
     seen_gone = false
  od
}

inline start() {
  byte i;
  d_step {
    i = 0;
    do
    :: i < PLACES -> intent_sequence[i] = NONE; intent_body[i] = NONE; helping[i] = NONE; i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < LINES -> line_sequence[i] = NONE; line_body[i] = NONE; i++
    :: else -> break
    od;
    spare_tag[0] = NONE;
    spare_tag[1] = NONE
  }
}

/* ---- Who is there. Numbers are those of the run statements below. */

proctype producer(byte first; byte count) {
  byte b, cursor, line, left;
  bool won, work;
  bool gives_up;
  cursor = first;
  left = count;
  do
  :: left > 0 -> publish()
  :: else -> break
  od
}

/* Publishes nothing any more, but was stopped in write_line() of message 0, and helped. */
proctype late_writer() {
  write_header(0, 0, 0);
  atomic { ALIVE intent_sequence[_pid] = NONE }
}

#define TO_GET(q) (line_sequence[LINE(SLOT(q))] == (q) && UNCLAIMED(q) && member_state[_pid] == LIVE)
#define TO_TAKE(q)                                                                     \
  (member_state[_pid] == LIVE && slot_lap[SLOT(q)] == LAP(q) && PUBLISHED(slot_state[SLOT(q)]) && PASSED(q) &&       \
   !(slot_state[SLOT(q)] >= LEAVING && member_state[slot_tag[SLOT(q)]] == LIVE))
proctype consumer(bool gets; byte cursor; byte left) {
  byte line;
  bool won, work, gives_up;
  byte state, tag, i, b, count, mapped, changes, to, q;
  bool ok, whole, helped, helps, keep;
  gives_up = true;
  do
  :: atomic { !dead[_pid] && left > 0 && slot_lap[SLOT(cursor)] >= LAP(cursor) &&
       (block_state[0] == FREE || block_state[1] == FREE) -> skip }
     publish()
  :: atomic { !dead[_pid] && gets && TO_GET(0) -> q = 0 } consume(q)
  :: atomic { !dead[_pid] && gets && TO_GET(1) -> q = 1 } consume(q)
  :: atomic { !dead[_pid] && gets && TO_GET(2) -> q = 2 } consume(q)
#if MESSAGES > 3
  :: atomic { !dead[_pid] && gets && TO_GET(3) -> q = 3 } consume(q)
#endif
#if MESSAGES > 4
  :: atomic { !dead[_pid] && gets && TO_GET(4) -> q = 4 } consume(q)
#endif
  :: atomic { !dead[_pid] && TO_TAKE(0) -> q = 0 } take_out(q)
  :: atomic { !dead[_pid] && TO_TAKE(1) -> q = 1 } take_out(q)
  :: atomic { !dead[_pid] && TO_TAKE(2) -> q = 2 } take_out(q)
#if MESSAGES > 3
  :: atomic { !dead[_pid] && TO_TAKE(3) -> q = 3 } take_out(q)
#endif
#if MESSAGES > 4
  :: atomic { !dead[_pid] && TO_TAKE(4) -> q = 4 } take_out(q)
#endif
  od
}

/* whole: blocks, too; else it dies before it comes to them. */
proctype sweeps(bool whole) {
  byte at, state, tag, sequence, line, b, i;
  bool ok, helps, seen_gone;
  sweeper()
}

/* Publisher::drop() of message 0 */
proctype dropper() {
  byte state, tag, lap, count;
  bool ok;
  atomic { claimed_count > 0 && !PASSED(0) }
  atomic {
    state = delivery_state[0];
    tag = delivery_tag[0];
    lap = delivery_lap[0];
    count = delivery_count[0];
    ok = !(state != VOID && lap > 0 && MUTANT != 9) && !(state == WITH && lap == 0)
  }
  atomic {
    if
    :: ok && delivery_state[0] == state && delivery_tag[0] == tag && delivery_lap[0] == lap &&
       delivery_count[0] == count ->
       delivery_state[0] = DROPPED;
       delivery_lap[0] = 0;
       is_dropped[0] = true
    :: else
    fi
  }
}

proctype fate() {
  if
  :: atomic { dead[VICTIM] = true; member_state[VICTIM] = FENCED }
  :: member_state[VICTIM] = FENCED; dead[VICTIM] = true
  :: true
  fi
}

/* Nobody can do anything any more. */
proctype judge() {
  byte i;
  atomic {
    timeout ->
    do
    :: i < claimed_count -> assert(is_acked[i] || is_dropped[i]); i++
    :: else -> break
    od;
    assert(claimed_count == MESSAGES || (VICTIM == 1 && dead[1]));
    i = 0;
    do
    :: i < SLOTS -> assert(slot_state[i] == EMPTY); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < BLOCKS -> assert(block_state[i] == FREE); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < SPARES ->
       /* Or kept till the next sweep, because of the last intent of a producer. */
       assert(spare_tag[i] == NONE || map_spare[SLOT(spare_of[i])] == i + 1 ||
              ANY(WRITES_EARLIER, slot_lap[SLOT(spare_of[i])] * SLOTS + SLOT(spare_of[i])));
       i++
    :: else -> break
    od
  }
}

init {
  atomic {
    start();
#if defined(LINES_ONLY)
    SET_SLOT(0, HELPED, 1, 0);
    line_sequence[0] = 0;
    line_body[0] = 0;
    delivery_state[0] = ACKED;
    is_acked[0] = true;
    SET_BLOCK(0, ATTACHED, 1, 0);
    intent_sequence[1] = 0;
    claimed_count = 1;
    member_state[1] = FENCED;
    run late_writer();
    run consumer(true, 1, MESSAGES - 1);
    run consumer(false, 0, 0);
    run sweeps(true);
#elif defined(DROPPER)
    run producer(0, MESSAGES);
    run consumer(true, 0, 0);
    run dropper();
#elif VICTIM == 1
    run producer(0, 1);
    run consumer(true, 0, MESSAGES - 1);
    run sweeps(true);
#if defined(TWO_SWEEPS)
    run sweeps(true);
#endif
#elif VICTIM == 2
    run producer(0, MESSAGES);
    run consumer(true, 0, 0);
    run consumer(true, 0, 0);
    run sweeps(true);
#else
    run producer(0, MESSAGES);
    run consumer(true, 0, 0);
    run consumer(false, 0, 0);
    run sweeps(true);
#endif
#if !defined(DROPPER)
    run fate();
#endif
    run judge()
  }
}
