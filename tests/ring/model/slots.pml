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
 * run: sweeps -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2 -DTWO_SWEEPS
 * run: reclaimer -DVICTIM=3 -DMESSAGES=3
 * run: consumer -DVICTIM=2 -DMESSAGES=2
 * run: lines -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DMESSAGES=2
 * run: laps -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1
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
 *          a block is freed whatever its word says (Reclaimer::finish_block)
 * mutant 6 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2 -DTWO_SWEEPS:
 *          who helps does not say so (MemberRecord::helping)
 * mutant 7 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          the line map is a plain store (Reclaimer::exchange_line)
 * mutant 8 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          a line word stays where the line does (next_line_word)
 * mutant 9 -DVICTIM=7 -DDROPPER:
 *          a drop takes the next lap's word for its own (is_ahead_of)
 * mutant 10 -DVICTIM=2 -DSLOTS=1 -DMESSAGES=1:
 *          an acknowledgement expects nothing (Deliverer::ack)
 * mutant 11 -DVICTIM=1 -DSLOTS=1 -DMESSAGES=2:
 *          a header's sequence is stored first (write_line)
 * mutant 12 -DVICTIM=3 -DSLOTS=1 -DMESSAGES=2:
 *          what a reclaimer was emptying is not swept (Sweep::sweep_emptied)
 * mutant 13 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          a sweep frees the spare of one who is only stopped (Sweep::sweep_spares)
 * mutant 14 -DVICTIM=2 -DSLOTS=1 -DMESSAGES=1:
 *          a redelivery is not counted (Sweep::return_message)
 * mutant 15 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          a later message's word counts as unclaimed (is_unclaimed)
 * mutant 16 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          the slot is not ours when its line changes (Reclaimer::prepare_line)
 * mutant 17 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          the line word is read when the slot is another's (Reclaimer::prepare_line)
 * mutant 18 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          a slot whose header was given up stays as it is (Sweep::sweep_emptied)
 * mutant 19 -DVICTIM=3 -DSLOTS=1 -DLINES_ONLY -DTRIES=1:
 *          who gave up a header and is refused the slot leaves it (Reclaimer::empty)
 * mutant 20 -DVICTIM=2 -DSLOTS=1 -DMESSAGES=2:
 *          a claim does not expect the word that was seen (Deliverer::claim)
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
/* How often the reclaimer that may be stopped begins to take a message out: two who both do may
 * refuse each other the slot any number of times. */
#ifndef TRIES
#define TRIES 2
#endif
#define NONE 15

/* SlotState. A message is there from the moment on at which its line says its sequence. */
#define EMPTY 0
#define CLAIMED 1
#define HELPED 2
#define PUBLISHED 3
byte slot_state[2], slot_tag[2], slot_lap[2];
#define SLOT(q) ((q) % SLOTS)
#define LAP(q) ((q) / SLOTS)
#define SLOT_IS(i, s, t, l) (slot_state[i] == (s) && slot_tag[i] == (t) && slot_lap[i] == (l))
#define SET_SLOT(i, s, t, l) slot_state[i] = (s); slot_tag[i] = (t); slot_lap[i] = (l)

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
byte emptying[PLACES], emptying_block[PLACES];
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

/* Reclaimer::finish_block() of block x, whose word said attached by t to q. It must be no message's:
 * in the slot, and not given up by somebody who gave the slot its own line again. */
#define IN_SLOT(x, q) \
  (slot_state[SLOT(q)] != EMPTY && slot_lap[SLOT(q)] == LAP(q) && true_block[q] == (x) && \
   (slot_state[SLOT(q)] == CLAIMED || OPENS(LINE(SLOT(q)), q)))
inline finish_block(x, t, q) {
  atomic { ALIVE
    if
    :: BLOCK_IS(x, ATTACHED, t, q) || MUTANT == 5 ->
       assert(!IN_SLOT(x, q));
       assert(block_state[x] == ATTACHED && block_low[x] == q);
       SET_BLOCK(x, FREE, 0, 0)
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
           atomic { ALIVE intent_sequence[_pid] = NONE }
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

/* ---- Reclaimer::pass_one() of message q. Uses state tag b block_by whole mapped changes to keep ok
 * i. */
inline take_out(q) {
  atomic { ALIVE /* the slot's word */
    state = slot_state[SLOT(q)];
    tag = slot_tag[SLOT(q)];
    ok = slot_lap[SLOT(q)] == LAP(q) && state != EMPTY
  }
  if
  :: !ok
  :: else ->
     atomic { ALIVE ok = line_sequence[LINE(SLOT(q))] == q }
     if
     :: ok -> take_out_written(q)
     :: else -> without_line(q)
     fi
  fi;
  atomic { b = 0; whole = false; ok = false; state = 0; tag = 0; block_by = 0 }
}

inline without_line(q) {
  atomic { ALIVE ok = PASSED(q) && !(state == CLAIMED && member_state[tag] != LIVE) }
  atomic { ALIVE ok = ok && !ANY(WRITES, q) }
  atomic { ALIVE ok = ok && line_sequence[LINE(SLOT(q))] != q }
  atomic { ALIVE
    if
    :: ok && SLOT_IS(SLOT(q), state, tag, LAP(q)) -> SET_SLOT(SLOT(q), EMPTY, 0, LAP(q) + 1)
    :: else
    fi
  }
}

inline take_out_written(q) {
  atomic { ALIVE ok = PASSED(q) }
  if
  :: !ok
  :: else ->
     atomic { ALIVE b = line_block[LINE(SLOT(q))] } /* find_block() */
     atomic { ALIVE
       whole = block_state[b] == ATTACHED && block_low[b] == q;
       block_by = block_tag[b]
     }
     atomic { ALIVE emptying[_pid] = q; emptying_block[_pid] = b }
     prepare_line(q);
     if
     :: !ok
     :: else ->
        do /* empty() */
        :: atomic { ALIVE
             ok = SLOT_IS(SLOT(q), state, tag, LAP(q));
             if
             :: ok -> SET_SLOT(SLOT(q), EMPTY, 0, LAP(q) + 1)
             :: else
             fi
           }
           if
           :: ok -> break
           :: else
           fi;
           atomic { ALIVE
             state = slot_state[SLOT(q)];
             tag = slot_tag[SLOT(q)];
             ok = slot_lap[SLOT(q)] > LAP(q);
             keep = slot_lap[SLOT(q)] == LAP(q) && MUTANT != 19
           }
           if
           :: !keep -> break
           :: else
           fi;
           atomic { ALIVE keep = line_sequence[LINE(SLOT(q))] != q }
           if
           :: !keep -> break
           :: else
           fi
        od;
        keep = false;
        if
        :: ok && whole -> finish_block(b, block_by, q)
        :: else
        fi
     fi
  fi
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

/* ok: go on, and the slot's word is state, tag. */
inline prepare_line(q) {
  atomic { ALIVE ok = state == HELPED || map_spare[SLOT(q)] != 0 }
  if
  :: !ok -> ok = true
  :: else ->
     if
     :: MUTANT == 16
     :: else ->
        atomic { ALIVE /* the slot is ours */
          ok = SLOT_IS(SLOT(q), state, tag, LAP(q));
          if
          :: ok ->
             state = (state == HELPED -> HELPED : PUBLISHED);
             tag = _pid;
             SET_SLOT(SLOT(q), state, tag, LAP(q))
          :: else
          fi
        }
     fi;
     do
     :: !ok -> break
     :: else ->
        atomic { ALIVE mapped = map_spare[SLOT(q)]; changes = map_changes[SLOT(q)] }
        atomic { ALIVE ok = SLOT_IS(SLOT(q), state, tag, LAP(q)) || MUTANT == 17 }
        if
        :: !ok -> break
        :: else
        fi;
        atomic { ALIVE keep = line_sequence[LINE(SLOT(q))] == q }
        if
        :: !keep -> break /* given up already */
        :: else
        fi;
        atomic { ALIVE keep = state == HELPED && ANY(WRITES, q) } /* is_line_written() */
        if
        :: keep -> exchange_line(q); break
        :: else -> change_line(q)
        fi;
        if
        :: ok -> break
        :: else -> ok = true
        fi
     od
  fi;
  atomic { mapped = 0; changes = 0; to = 0; keep = false; i = 0 }
}

inline change_line(q) {
  atomic { ALIVE keep = mapped != 0 && (state == HELPED || ANY(WRITES_EARLIER, q)) }
  to = (keep -> mapped : 0);
  if
  :: mapped == 0 || keep -> atomic { ALIVE change_map(q) }
  :: else ->
     atomic { ALIVE i = spare_tag[mapped - 1]; before = spare_of[mapped - 1] }
     atomic { ALIVE
       if
       :: spare_tag[mapped - 1] == i && spare_of[mapped - 1] == before ->
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
             spare_of[mapped - 1] == q -> spare_tag[mapped - 1] = NONE
          :: else
          fi
        }
     :: else
     fi;
     before = 0
  fi
}

inline exchange_line(q) {
  atomic { ALIVE ok = OPENS(LINE(SLOT(q)), q); to = line_block[LINE(SLOT(q))] }
  if
  :: !ok
  :: else ->
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
  fi;
  if
  :: !ok
  :: else ->
     write_header(SLOTS + i, q, to);
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

/* ---- Deliverer: one look at message q, get and ack. Uses state tag i count b ok line to. */
inline consume(q) {
  atomic { ALIVE /* look_at: the line's sequence, the delivery word */
    line = LINE(SLOT(q));
    ok = line_sequence[line] == q && UNCLAIMED(q);
    state = delivery_state[SLOT(q)];
    tag = delivery_tag[SLOT(q)];
    i = delivery_lap[SLOT(q)];
    count = delivery_count[SLOT(q)]
  }
  atomic { ALIVE to = line_body[line] } /* copy_header, which may be torn */
  atomic { ALIVE b = line_block[line] }
  atomic { ALIVE /* claim */
    if
    :: ok && ((delivery_state[SLOT(q)] == state && delivery_tag[SLOT(q)] == tag &&
               delivery_lap[SLOT(q)] == i && delivery_count[SLOT(q)] == count) || MUTANT == 20) ->
       assert(to == q); /* is_whole: what could be claimed was not torn */
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
    i = 0;
    line = 0;
    to = 0
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
    :: SLOT_IS(at, state, tag, LAP(q)) ->
       /* Not known: it wrote the line itself, and went on. */
       assert(ok || line_sequence[LINE(at)] == q)
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
     atomic { ALIVE helps = (state == HELPED || (state == CLAIMED && tag == VICTIM)) &&
       line_sequence[LINE(at)] != sequence }
     if
     :: helps -> help_publish(sequence)
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
  :: state == ATTACHED && tag == VICTIM ->
     atomic { ALIVE /* is_in_slot */
       ok = slot_state[SLOT(sequence)] != EMPTY && slot_lap[SLOT(sequence)] == LAP(sequence)
     }
     atomic { ALIVE
       ok = ok && OPENS(LINE(SLOT(sequence)), sequence) && line_block[LINE(SLOT(sequence))] == at
     }
     if
     :: ok
     :: else -> finish_block(at, VICTIM, sequence)
     fi
  :: else
  fi
}

inline sweep_emptied() {
  atomic { ALIVE sequence = emptying[VICTIM]; b = emptying_block[VICTIM] }
  if
  :: sequence == NONE || MUTANT == 12
  :: else ->
     atomic { ALIVE ok = block_state[b] == ATTACHED && block_low[b] == sequence; i = block_tag[b] }
     atomic { ALIVE
       state = slot_state[SLOT(sequence)];
       tag = slot_tag[SLOT(sequence)];
       line = slot_lap[SLOT(sequence)]
     }
     atomic { ALIVE /* it had given up the header */
       helps = line == LAP(sequence) && state >= HELPED &&
               line_sequence[LINE(SLOT(sequence))] != sequence && MUTANT != 18
     }
     do /* empty() */
     :: !helps -> break
     :: else ->
        atomic { ALIVE
          if
          :: SLOT_IS(SLOT(sequence), state, tag, LAP(sequence)) ->
             SET_SLOT(SLOT(sequence), EMPTY, 0, LAP(sequence) + 1)
          :: else
          fi;
          state = slot_state[SLOT(sequence)];
          tag = slot_tag[SLOT(sequence)];
          line = slot_lap[SLOT(sequence)]
        }
        if
        :: line > LAP(sequence) -> break
        :: else
        fi;
        atomic { ALIVE helps = line_sequence[LINE(SLOT(sequence))] != sequence }
     od;
     if
     :: ok && line > LAP(sequence) -> finish_block(b, i, sequence)
     :: else
     fi
  fi;
  atomic { sequence = 0; b = 0; i = 0; state = 0; tag = 0; line = 0; helps = false; ok = false }
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

#define UNWRITTEN(x)                                                                           \
  (slot_state[x] != EMPTY && line_sequence[LINE(x)] != slot_lap[x] * SLOTS + (x) &&            \
   (slot_state[x] == HELPED || (slot_state[x] == CLAIMED && slot_tag[x] == VICTIM)))
#define HAS_WORK                                                                               \
  (UNWRITTEN(0) || UNWRITTEN(1) || (delivery_state[0] == WITH && delivery_tag[0] == VICTIM) || \
   (delivery_state[1] == WITH && delivery_tag[1] == VICTIM))

inline sweeper() {
  do
  :: atomic { !dead[_pid] && member_state[VICTIM] == GONE -> break }
  :: atomic { !dead[_pid] && member_state[VICTIM] == FENCED && (dead[VICTIM] || HAS_WORK || MUTANT == 13) ->
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
#if VICTIM != 1
        sweep_emptied();
#endif
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
    :: i < PLACES -> intent_sequence[i] = NONE; intent_body[i] = NONE; helping[i] = NONE;
       emptying[i] = NONE; i++
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
  atomic { ALIVE intent_sequence[_pid] = NONE } /* publishes its next, or closes */
}

#define TO_GET(q) (line_sequence[LINE(SLOT(q))] == (q) && UNCLAIMED(q) && member_state[_pid] == LIVE)
#define TO_TAKE(q)                                                                      \
  (member_state[_pid] == LIVE && (gets || tries > 0) && slot_lap[SLOT(q)] == LAP(q) && slot_state[SLOT(q)] != EMPTY && \
   PASSED(q) && (line_sequence[LINE(SLOT(q))] == (q) ||                                         \
   (!ANY(WRITES, q) && !(slot_state[SLOT(q)] == CLAIMED && member_state[slot_tag[SLOT(q)]] != LIVE))))
proctype consumer(bool gets; byte cursor; byte left) {
  byte line;
  bool won, work, gives_up;
  byte state, tag, i, b, count, mapped, changes, to, q, before, block_by, tries;
  bool ok, whole, keep;
  gives_up = true;
  tries = (gets -> 0 : TRIES);
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
  :: atomic { !dead[_pid] && TO_TAKE(0) -> q = 0; tries = (gets -> 0 : tries - 1) } take_out(q)
  :: atomic { !dead[_pid] && TO_TAKE(1) -> q = 1; tries = (gets -> 0 : tries - 1) } take_out(q)
  :: atomic { !dead[_pid] && TO_TAKE(2) -> q = 2; tries = (gets -> 0 : tries - 1) } take_out(q)
#if MESSAGES > 3
  :: atomic { !dead[_pid] && TO_TAKE(3) -> q = 3; tries = (gets -> 0 : tries - 1) } take_out(q)
#endif
#if MESSAGES > 4
  :: atomic { !dead[_pid] && TO_TAKE(4) -> q = 4; tries = (gets -> 0 : tries - 1) } take_out(q)
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
