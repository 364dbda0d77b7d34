/* The ring: processes hand each other pointers into a shared region, and nothing is copied.
 *
 * For programs that link -lelasticpool-ring; the malloc replacement is not needed. A producer
 * reserves bytes in the region, writes them in place and publishes them as a message; every group
 * of consumers sees every message, and within a group the work is shared. A message is freed when
 * all groups have passed it, nobody holds a reference and no checkpoint needs it.
 *
 * Death    a process may die at any instruction, by SIGKILL too: what it had reserved is freed,
 *          what it had not acknowledged goes to others of its group. Whoever calls any function of
 *          a handle notices, at most ten times a second; there is no daemon and no thread.
 * Leases   a handle that calls nothing for the length of a lease (10 s unless set otherwise) is
 *          taken for hung: its messages go to others, and its next call returns EP_RING_FENCED.
 *          What its process could still be reading or writing is not given to anybody before it is
 *          gone.
 * Delivery at least once; ep_ring_message.deliveries counts. Exactly once for a consumer that
 *          stores the sequence together with its result and compares after ep_ring_recover().
 * Order    of one producer, and of one key within a group; sequences have no gaps.
 * Trust    whatever lies in shared memory is checked before it is used: a process that scribbles
 *          over the region makes others return EP_RING_CORRUPT, not crash. Payloads are protected
 *          by a checksum where the region asks for it (EP_RING_CHECK_PAYLOADS).
 * Threads  an ep_ring may be used by all threads at once; a producer or consumer by one at a time.
 *          After fork() the child opens handles of its own.
 * Errors   every function that can fail returns an enum ep_ring_error; errno is left alone but for
 *          EP_RING_SYSTEM, where it says more.
 * Time     timeouts are in milliseconds: 0 does not wait, EP_RING_FOREVER waits for ever.
 *
 * The operations of the interface first asked for, and what answers them here:
 *   create_memory_pool             ep_ring_create
 *   pool_allocate, pool_free       ep_ring_reserve, ep_ring_discard
 *   pool_add_consumer              ep_ring_consumer_open (private_bytes: slabs of its own,
 *                                  ep_ring_consumer_reserve)
 *   ring_buffer_put_pointer        ep_ring_publish
 *   ring_buffer_get_pointer        ep_ring_get
 *   ring_buffer_create_checkpoint  ep_ring_checkpoint
 */
#ifndef EP_RING_H
#define EP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define EP_RING_NOEXCEPT noexcept
extern "C" {
#else
#define EP_RING_NOEXCEPT
#endif

#define EP_RING_FOREVER (-1)

/* The numbers are stable. */
enum ep_ring_error {
  EP_RING_OK = 0,
  EP_RING_EMPTY = 1,       /* no message within the timeout */
  EP_RING_FULL = 2,        /* a group lags behind by the whole ring, and its policy is to fail or
                              the timeout is 0 */
  EP_RING_TIMEOUT = 3,     /* still full when the time was over */
  EP_RING_NO_MEMORY = 4,   /* the pool is exhausted, or no block can be that large */
  EP_RING_NO_SPACE = 5,    /* the file system is full (ENOSPC) */
  EP_RING_INVALID = 6,     /* an argument that cannot be right */
  EP_RING_FOREIGN = 7,     /* the file is no ring */
  EP_RING_VERSION = 8,     /* a ring of another version, or laid out by another build */
  EP_RING_TRUNCATED = 9,   /* shorter than it says */
  EP_RING_CORRUPT = 10,    /* contents that cannot be right */
  EP_RING_EXISTS = 11,     /* there is one of that name */
  EP_RING_MISSING = 12,    /* there is none of that name */
  EP_RING_DENIED = 13,     /* the mode bits do not let this process in */
  EP_RING_BUSY = 14,       /* no place for a further producer, consumer or group; or it is used */
  EP_RING_FENCED = 15,     /* this handle's lease ran out and others took over: close it */
  EP_RING_GONE = 16,       /* not this consumer's message (any more) */
  EP_RING_STOPPED = 17,    /* this consumer is asked to leave (ep_ring_scale_down) */
  EP_RING_UNFINISHED = 18, /* being created at this moment, or its creator died */
  EP_RING_SYSTEM = 19      /* a system call failed; errno says why */
};

/* One line, without a final stop; a constant. */
const char* ep_ring_strerror(int error) EP_RING_NOEXCEPT;

/* ---- Regions ----------------------------------------------------------------------------------
 * */

typedef struct ep_ring ep_ring;

enum ep_ring_flags {
  EP_RING_HUGE_2M = 1,           /* of 2 MiB pages where they can be had, else of small ones */
  EP_RING_HUGE_1G = 2,           /* the same with 1 GiB; both: what can be had of the two */
  EP_RING_CHECK_PAYLOADS = 4,    /* a CRC32C of every payload is stored and checked at delivery */
  EP_RING_READ_ONLY_PAYLOADS = 8 /* for attach: this process may not write payloads, so it can have
                                    consumers but no producers */
};

/* ep_ring_options_init() sets every member; change what shall be different. */
struct ep_ring_options {
  size_t pool_bytes;     /* for payloads, 64 MiB; backed by memory as it is first used */
  size_t pool_bytes_max; /* it grows up to this when exhausted; 0: it does not grow */
  size_t growth_bytes;   /* by this much at a time; 0: an eighth of pool_bytes_max */
  uint32_t slots;        /* messages in the ring at once, rounded up to a power of two; 16384 */
  uint32_t flags;        /* enum ep_ring_flags */
  uint32_t mode;         /* permissions of the file, 0600 */
  uint32_t lease_ms;     /* 10000; at least 100 */
};
void ep_ring_options_init(struct ep_ring_options* options) EP_RING_NOEXCEPT;

/* Creates a region and attaches to it.
 *
 * name    NULL: an anonymous memfd, for children and for who is sent its ep_ring_fd(). Without a
 *         slash: shared memory of that name (/dev/shm/NAME.ring). With one: a file, which outlives
 *         every process.
 * options NULL: the defaults.
 * Cost    some system calls; tables of some 80 bytes a slot are backed at once.
 * Errors  INVALID EXISTS DENIED NO_SPACE SYSTEM; nothing is left behind. */
int ep_ring_create(const char* name, const struct ep_ring_options* options,
                   ep_ring** ring) EP_RING_NOEXCEPT;

/* Attaches to a region that another process created. flags: EP_RING_READ_ONLY_PAYLOADS or 0; on
 * pages of 1 GiB payloads cannot be protected by themselves, and that flag is INVALID.
 * A region whose processes are all dead is brought in order first; a file region after a power cut
 * is brought back to the last durable checkpoint, or refused.
 * Errors  INVALID MISSING DENIED FOREIGN VERSION TRUNCATED CORRUPT UNFINISHED SYSTEM, BUSY: it is
 *         being removed. */
int ep_ring_attach(const char* name, uint32_t flags, ep_ring** ring) EP_RING_NOEXCEPT;
/* The same for a descriptor, of which it keeps a duplicate. */
int ep_ring_attach_fd(int fd, uint32_t flags, ep_ring** ring) EP_RING_NOEXCEPT;

/* The region's descriptor, to be inherited or sent over a unix socket; owned by the ring. */
int ep_ring_fd(const ep_ring* ring) EP_RING_NOEXCEPT;

/* Unmaps it; handles must be closed before. The region stays. NULL does nothing. */
void ep_ring_detach(ep_ring* ring) EP_RING_NOEXCEPT;

/* Removes the name; who is attached stays so. Errors  MISSING DENIED FOREIGN SYSTEM. */
int ep_ring_remove(const char* name) EP_RING_NOEXCEPT;

/* The same for a region that nobody uses any more, whatever it holds; one that is used stays.
 * Errors  BUSY: it is used; those of ep_ring_attach and ep_ring_remove. */
int ep_ring_remove_stale(const char* name) EP_RING_NOEXCEPT;

/* Whether any other process (or another ep_ring of this one) is attached, or a handle is open.
 * Children count that inherited an ep_ring. */
bool ep_ring_is_used(ep_ring* ring) EP_RING_NOEXCEPT;

/* Looks for dead and hung processes now, and gives back what they held. Every handle does so on its
 * own; for processes that only watch. Returns how many were found. */
unsigned ep_ring_watch(ep_ring* ring) EP_RING_NOEXCEPT;

/* ---- Producers --------------------------------------------------------------------------------
 * */

typedef struct ep_ring_producer ep_ring_producer;

/* Errors  BUSY DENIED (read-only payloads) NO_MEMORY. */
int ep_ring_producer_open(ep_ring* ring, ep_ring_producer** producer) EP_RING_NOEXCEPT;
/* Frees what is still reserved, and the handle. NULL does nothing. */
void ep_ring_producer_close(ep_ring_producer* producer) EP_RING_NOEXCEPT;

/* Bytes in the region that belong to this producer until they are published or discarded. */
struct ep_ring_buffer {
  void* data;      /* aligned to 64; blocks over 8 KiB to 4096 */
  size_t size;     /* may be lowered before publishing, and raised up to `capacity` */
  size_t capacity; /* of the block */
  uint32_t block;  /* the library's, as the next */
  uint32_t generation;
};

/* Reserves a block of the pool. Nothing in it is cleared.
 *
 * timeout_ms  how long to wait while the pool is exhausted by messages of lagging groups (their
 *             policies apply, as in ep_ring_publish). Nobody waits for what is reserved, held, or
 *             in work after it was dropped: where no message is left, it is NO_MEMORY at once.
 * Cost        a pop from this handle's own cache; some hundred nanoseconds when it is empty. In an
 *             exhausted pool some microseconds at work, also with timeout 0, and a look at all of
 *             it.
 * Errors      NO_MEMORY NO_SPACE FULL TIMEOUT FENCED INVALID. */
int ep_ring_reserve(ep_ring_producer* producer, size_t size, int timeout_ms,
                    struct ep_ring_buffer* buffer) EP_RING_NOEXCEPT;
/* Gives a reservation back. Errors  INVALID: it is none of this producer. FENCED. */
int ep_ring_discard(ep_ring_producer* producer, struct ep_ring_buffer* buffer) EP_RING_NOEXCEPT;

/* key: messages of one key (but 0) are processed in order within a group. tag: the program's own.
 * */
struct ep_ring_label {
  uint64_t key;
  uint32_t tag;
};

/* Publishes a reservation as one message. After OK the block is no longer the producer's.
 *
 * label       may be NULL: no key, tag 0.
 * sequence    may be NULL; the message's place in the order of all.
 * timeout_ms  how long to wait while a group of the policy "block" lags by the whole ring.
 * Cost        50 to 100 ns, a system call only where a consumer sleeps.
 * Errors      FULL TIMEOUT FENCED INVALID CORRUPT; then the block is still reserved. */
int ep_ring_publish(ep_ring_producer* producer, struct ep_ring_buffer* buffer,
                    const struct ep_ring_label* label, int timeout_ms,
                    uint64_t* sequence) EP_RING_NOEXCEPT;
/* The same for `count` of them, in order. labels may be NULL. *published: how many were, from the
 * front, also where an error is returned. */
int ep_ring_publish_batch(ep_ring_producer* producer, struct ep_ring_buffer* buffers, size_t count,
                          const struct ep_ring_label* labels, int timeout_ms,
                          size_t* published) EP_RING_NOEXCEPT;

/* ---- Groups -----------------------------------------------------------------------------------
 * */

enum ep_ring_start { EP_RING_OLDEST = 0, EP_RING_NEWEST = 1, EP_RING_SEQUENCE = 2 };
/* What happens to publishers when this group lags by the whole ring, or by the whole pool. Who
 * drops waits for no consumer: what one is busy with is dropped as well, and its bytes stay until
 * it has given that up. The next message of its key may then go to another, who works on it at the
 * same time. */
enum ep_ring_policy { EP_RING_BLOCK = 0, EP_RING_DROP_OLDEST = 1, EP_RING_FAIL = 2 };

struct ep_ring_group_options {
  enum ep_ring_start start; /* from the oldest message held, from now on, or from `sequence` */
  uint64_t sequence;
  enum ep_ring_policy policy;
};

/* Creates a group, so that it misses nothing before its first consumer comes. name: up to 31 bytes.
 * options may be NULL: oldest, block. Errors  EXISTS BUSY INVALID NO_SPACE. */
int ep_ring_group_create(ep_ring* ring, const char* name,
                         const struct ep_ring_group_options* options) EP_RING_NOEXCEPT;
/* Its messages are passed, its checkpoints forgotten. Errors  MISSING, BUSY: it has consumers. */
int ep_ring_group_remove(ep_ring* ring, const char* name) EP_RING_NOEXCEPT;

/* ---- Consumers --------------------------------------------------------------------------------
 * */

typedef struct ep_ring_consumer ep_ring_consumer;

struct ep_ring_consumer_options {
  const char* group; /* created with `group_options` where it does not exist */
  const char* name;  /* of this consumer within its group, up to 31 bytes; NULL: none, and then it
                         has no checkpoints */
  struct ep_ring_group_options group_options;
  size_t private_bytes; /* slabs of its own up to this much: ep_ring_consumer_reserve; 0 */
};

/* Joins a group. A name that died or left with a checkpoint is taken up again where that says.
 * Errors  BUSY EXISTS (a live consumer has that name) INVALID NO_MEMORY NO_SPACE. */
int ep_ring_consumer_open(ep_ring* ring, const struct ep_ring_consumer_options* options,
                          ep_ring_consumer** consumer) EP_RING_NOEXCEPT;
/* Leaves. What it did not acknowledge goes to `transfer_to`, a name within the group, or to anybody
 * (NULL); what was handed to a name waits for that consumer while it is there. A checkpoint is
 * forgotten: it has left for good. Frees the handle.
 * Cost  some microseconds; a handle that was fenced, that keeps more than 64 references or any
 *       reservation, or that had slabs of its own, is
 *       looked for in every block of the pool (650 ms a GiB in blocks of 64 bytes). */
void ep_ring_consumer_close(ep_ring_consumer* consumer, const char* transfer_to) EP_RING_NOEXCEPT;

/* A view of a message: the producer's own bytes, valid until it is acknowledged or released. */
struct ep_ring_message {
  const void* data;
  size_t size;
  uint64_t sequence;
  uint64_t key;
  uint64_t timestamp_ns; /* CLOCK_MONOTONIC, when it was published */
  uint32_t tag;
  uint32_t producer;   /* number of the producer's handle */
  uint32_t deliveries; /* 1: the first; saturates at 255 */
  uint32_t block;      /* the library's */
};

/* The next message for this consumer.
 *
 * Cost    about 30 ns and the transfer of its cache lines; an empty ring is polled for a moment
 *         before the process sleeps (futex).
 * Errors  EMPTY FENCED STOPPED CORRUPT (a message was damaged; the next call goes on behind it),
 *         NO_MEMORY: of this process, to remember what is in work in a group that drops. */
int ep_ring_get(ep_ring_consumer* consumer, int timeout_ms,
                struct ep_ring_message* message) EP_RING_NOEXCEPT;
/* Up to `capacity` of them: as many as are there, at least one. */
int ep_ring_get_batch(ep_ring_consumer* consumer, int timeout_ms, struct ep_ring_message* messages,
                      size_t capacity, size_t* count) EP_RING_NOEXCEPT;

/* Processed: it will not be delivered to this group again (but see ep_ring_checkpoint).
 * Errors  GONE: it was given up already, went to others because the lease ran out, or was dropped
 *         under this consumer's hands (EP_RING_DROP_OLDEST); then the bytes go with this call.
 *         FENCED. */
int ep_ring_ack(ep_ring_consumer* consumer, const struct ep_ring_message* message) EP_RING_NOEXCEPT;
int ep_ring_ack_batch(ep_ring_consumer* consumer, const struct ep_ring_message* messages,
                      size_t count) EP_RING_NOEXCEPT;
/* Not processed: back to the group, which delivers it again. */
int ep_ring_release(ep_ring_consumer* consumer,
                    const struct ep_ring_message* message) EP_RING_NOEXCEPT;

/* Keeps the bytes beyond the acknowledgement; one reference a consumer and message, to be taken
 * before it is acknowledged. Errors  GONE FENCED NO_MEMORY (of this process). */
int ep_ring_hold(ep_ring_consumer* consumer,
                 const struct ep_ring_message* message) EP_RING_NOEXCEPT;
int ep_ring_unhold(ep_ring_consumer* consumer,
                   const struct ep_ring_message* message) EP_RING_NOEXCEPT;

/* Reserves a block for this consumer: of slabs of its own up to its private_bytes, from which
 * nobody else allocates until it leaves, else of the pool (as what is over 8 KiB always is). Does
 * not wait.
 * Cost    as ep_ring_reserve; an exhausted pool is searched whole (some ns a 4 KiB of it).
 * Errors  NO_MEMORY NO_SPACE FENCED CORRUPT SYSTEM DENIED (read-only payloads). */
int ep_ring_consumer_reserve(ep_ring_consumer* consumer, size_t size,
                             struct ep_ring_buffer* buffer) EP_RING_NOEXCEPT;
/* Gives it back. Errors  INVALID: it is none of this consumer. FENCED. */
int ep_ring_consumer_discard(ep_ring_consumer* consumer,
                             struct ep_ring_buffer* buffer) EP_RING_NOEXCEPT;
/* What a consumer of this process reserved is the producer's from now on, to be published or
 * discarded; in one step, so a death leaves it with one of the two. An answer that was written by a
 * consumer is published like that. One thread at a time for both handles.
 * Errors  INVALID: it is none of `from`, or `from` is of another ep_ring. FENCED: either lost its
 *         lease. */
int ep_ring_adopt(ep_ring_producer* producer, ep_ring_consumer* from,
                  const struct ep_ring_buffer* buffer) EP_RING_NOEXCEPT;

/* A descriptor that is readable while messages may be waiting, for event loops: read its eight
 * bytes, then ep_ring_get(c, 0, ..) until EMPTY. Starts a thread in this process that sleeps for
 * it; closed with the consumer. Returns it, or -1 with errno. */
int ep_ring_consumer_eventfd(ep_ring_consumer* consumer) EP_RING_NOEXCEPT;

/* Extends the lease, for work that takes longer. Errors  FENCED. */
int ep_ring_renew(ep_ring_consumer* consumer) EP_RING_NOEXCEPT;

/* ---- Checkpoints ------------------------------------------------------------------------------
 * */

/* Everything up to `sequence` that this consumer acknowledged is stored by the program: after a
 * death only what is behind it is delivered again. With the first checkpoint acknowledged messages
 * behind it are kept. In a file region it is durable when the call returns (0.2 ms and more).
 * Errors  INVALID: no name, or before the last one. FENCED SYSTEM. */
int ep_ring_checkpoint(ep_ring_consumer* consumer, uint64_t sequence) EP_RING_NOEXCEPT;
/* Back to the checkpoint: what this consumer took behind it is delivered again. *sequence: the
 * first that may come. */
int ep_ring_recover(ep_ring_consumer* consumer, uint64_t* sequence) EP_RING_NOEXCEPT;
/* No checkpoint and no group needs anything before `sequence`: what is not being processed goes. */
int ep_ring_cleanup_before(ep_ring* ring, uint64_t sequence) EP_RING_NOEXCEPT;

/* ---- Elasticity -------------------------------------------------------------------------------
 *
 * A scaler starts consumers of one group as processes, restarts those that die, and asks others to
 * leave. Register and unregister(transfer_to) are ep_ring_consumer_open and ep_ring_consumer_close;
 * they and a scaler may be mixed in a group. A scaler manages only those that it started.
 *
 * Threads  a scaler is used by one at a time, in the process that opened it. There is no thread:
 *          exits are seen, and who does not leave is pressed, when ep_ring_scaler_poll is called;
 *          ten times a second is often enough.
 * Signals  it waits for its own children by their numbers, and for no other. */

typedef struct ep_ring_scaler ep_ring_scaler;

/* What is told of a consumer process that exited, or could not be started again. */
struct ep_ring_exit {
  const char* consumer; /* its name; valid during the call */
  int process;
  int status;      /* as of waitpid; -1: it was not our child, or start_error says more */
  int start_error; /* errno of a start that failed, after which another comes later; else 0 */
  bool was_asked;  /* to leave; else it is started again */
};

/* How a consumer is started: `start` or `argv`, the other is NULL. Copied, but for what it points
 * to, which must last until the scaler is closed. */
struct ep_ring_starter {
  /* Starts a process that joins the group under that name (ep_ring_consumer_open) and closes its
   * handle when ep_ring_get returns EP_RING_STOPPED. Returns its number (a pid_t), or -1 with
   * errno. */
  int (*start)(void* context, const char* consumer_name);
  /* A command, NULL behind its last argument, looked for in PATH. The child finds in its
   * environment EP_RING_NAME (where the region has a name), EP_RING_FD (the region's descriptor,
   * which it inherits), EP_RING_GROUP and EP_RING_CONSUMER. */
  const char* const* argv;
  /* Told of each exit, from within ep_ring_scaler_poll and ep_ring_scaler_settle; may be NULL.
   * It must not use the scaler. */
  void (*exited)(void* context, const struct ep_ring_exit* exit);
  void* context;
  unsigned grace_ms; /* from asking it to leave to SIGTERM, and from that to SIGKILL; 0: 5000 */
};

/* Errors  MISSING: no such group. INVALID: a starter with both ways, or none. NO_MEMORY. */
int ep_ring_scaler_open(ep_ring* ring, const char* group, const struct ep_ring_starter* starter,
                        ep_ring_scaler** scaler) EP_RING_NOEXCEPT;
/* Its consumers go on, and nobody looks after them. To stop them: ep_ring_scale_down(scaler, 0),
 * then ep_ring_scaler_settle. To be closed before the ring is detached. NULL does nothing. */
void ep_ring_scaler_close(ep_ring_scaler* scaler) EP_RING_NOEXCEPT;

/* Starts `count` more consumers and does not wait until they have joined.
 *
 * Cost    a fork and exec each; the join itself is under a millisecond.
 * Errors  BUSY: there is no place for so many (48 in a region), none was started. SYSTEM: one could
 *         not be started, errno says why (ENOENT: no such command); those before it run. MISSING:
 *         the group was removed. NO_MEMORY. */
int ep_ring_scale_up(ep_ring_scaler* scaler, unsigned count) EP_RING_NOEXCEPT;
/* Asks the youngest of its consumers to leave until `to` are left, and does not wait. Their
 * ep_ring_get returns EP_RING_STOPPED. Who has not exited after grace_ms gets SIGTERM, then
 * SIGKILL: nothing is lost in either case, what it did not acknowledge is delivered to others.
 * Always OK; with `to` or fewer consumers it does nothing. */
int ep_ring_scale_down(ep_ring_scaler* scaler, unsigned to) EP_RING_NOEXCEPT;
/* Looks after its consumers: exits are told, those that nobody asked are started again under the
 * same name (at once, or where one died within a second after 100 ms, then 200 ms, to 10 s), those
 * that do not leave are pressed. Returns the number of exits it saw.
 * Cost  a system call a consumer. */
unsigned ep_ring_scaler_poll(ep_ring_scaler* scaler) EP_RING_NOEXCEPT;
/* Polls until all its consumers have joined and all that were asked have exited.
 * Errors  TIMEOUT. */
int ep_ring_scaler_settle(ep_ring_scaler* scaler, int timeout_ms) EP_RING_NOEXCEPT;

struct ep_ring_scaler_stat {
  uint32_t running; /* processes that shall run; */
  uint32_t joined;  /* of these have joined */
  uint32_t leaving; /* asked, and still there */
  uint32_t waiting; /* died, and will be started again */
  uint64_t exits;   /* so far, asked or not */
  uint64_t restarts;
};
void ep_ring_scaler_read_stat(const ep_ring_scaler* scaler,
                              struct ep_ring_scaler_stat* stat) EP_RING_NOEXCEPT;

/* All consumers of the group look at everything again that waits. Load is shared anew on its own
 * when one comes or goes: messages without a key by turns of 16, with idle ones taking what others
 * leave lying; keys by a hash over 1024 lanes, dealt out evenly. Errors  MISSING INVALID. */
int ep_ring_rebalance(ep_ring* ring, const char* group) EP_RING_NOEXCEPT;

/* ---- Looking in -------------------------------------------------------------------------------
 * */

struct ep_ring_stat {
  uint64_t pool_bytes;        /* now */
  uint64_t pool_used_bytes;   /* in blocks that are reserved, published or held */
  uint64_t pool_cached_bytes; /* free, in the caches of handles */
  uint64_t pool_backed_bytes; /* taken from the system so far */
  uint64_t head_sequence;     /* the oldest held */
  uint64_t tail_sequence;     /* the next to come */
  uint64_t deaths;            /* handles whose process died or whose lease ran out */
  uint64_t redeliveries;
  uint64_t corruptions; /* messages and words that could not be right */
  uint32_t slots;
  uint32_t producers;
  uint32_t consumers;
  uint32_t groups;
};
/* Cost: it looks at every granule of the pool. Figures are of slightly different moments. */
void ep_ring_read_stat(ep_ring* ring, struct ep_ring_stat* stat) EP_RING_NOEXCEPT;

struct ep_ring_group_stat {
  char name[32];
  uint64_t lag; /* messages that it has still to pass */
  uint64_t dropped;
  uint32_t consumers;
  enum ep_ring_policy policy;
};
/* The group at `index`, counted from 0. False: there is none further. */
bool ep_ring_read_group(ep_ring* ring, uint32_t index,
                        struct ep_ring_group_stat* stat) EP_RING_NOEXCEPT;

struct ep_ring_member_stat {
  char name[32];     /* of a consumer, "" where it has none */
  char group[32];    /* "" for a producer */
  uint64_t messages; /* published, or delivered */
  uint64_t acknowledged;
  uint64_t redelivered;
  uint64_t checkpoint; /* the last, UINT64_MAX where there is none */
  uint32_t pid;
  uint32_t number; /* ep_ring_message.producer */
  uint32_t unacknowledged;
  bool alive; /* false: only its checkpoint is kept, or it is fenced */
};
bool ep_ring_read_member(ep_ring* ring, uint32_t index,
                         struct ep_ring_member_stat* stat) EP_RING_NOEXCEPT;

/* Message `sequence` as it lies there, without taking it: data may change while it is looked at.
 * Errors  GONE: it has passed. EMPTY: it is still to come. CORRUPT. */
int ep_ring_peek(ep_ring* ring, uint64_t sequence,
                 struct ep_ring_message* message) EP_RING_NOEXCEPT;

/* Checks every word of the region; for one at rest, since what changes meanwhile looks wrong.
 * Each fault is one line to `report` (may be NULL). Returns the number of faults. */
unsigned ep_ring_check(ep_ring* ring, void (*report)(void* context, const char* line),
                       void* context) EP_RING_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#undef EP_RING_NOEXCEPT
#endif
