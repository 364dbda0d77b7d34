/* Memory pressure: what the library knows of the limit that this process will meet, and how a
 * program is asked to give memory back before it gets there.
 *
 * For programs that link the library (cc app.c -lelasticpool). One that is only preloaded may look
 * the functions up (dlsym, or a weak reference) and use them where they are there.
 *
 * Limit    the nearest of: memory.max and memory.high of the control group and of all above it
 *          (version 1: memory.limit_in_bytes), what the system has left, RLIMIT_AS, RLIMIT_DATA,
 *          and MEMPOOL_LIMIT. "Nearest" is the one with the least room.
 * Threads  every function may be called from any thread. None is safe in a signal handler.
 */
#ifndef EP_PRESSURE_H
#define EP_PRESSURE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define EP_PRESSURE_NOEXCEPT noexcept
extern "C" {
#else
#define EP_PRESSURE_NOEXCEPT
#endif

/* By the share of the limit that is used: from MEMPOOL_PRESSURE_LEVELS, 70, 80, 90 and 95 % unless
 * set otherwise. */
enum ep_pressure_level {
  EP_PRESSURE_NONE = 0,
  EP_PRESSURE_WARNING = 1,  /* watched; nothing is done yet */
  EP_PRESSURE_HIGH = 2,     /* what is free goes back to the system */
  EP_PRESSURE_CRITICAL = 3, /* and what threads and CPUs have at hand; no more huge pages */
  EP_PRESSURE_EMERGENCY = 4 /* and every single page */
};

enum ep_pressure_trend {
  EP_TREND_DECREASING = 0,
  EP_TREND_STABLE = 1,
  EP_TREND_INCREASING = 2,
  EP_TREND_CRITICAL = 3 /* likely over the third level (90 %) within two minutes */
};

enum ep_pressure_source {
  EP_SOURCE_NONE = 0, /* no limit is known */
  EP_SOURCE_CGROUP_MAX = 1,
  EP_SOURCE_CGROUP_HIGH = 2,
  EP_SOURCE_CGROUP_V1 = 3,
  EP_SOURCE_SYSTEM = 4, /* what the machine has left (MemAvailable) */
  EP_SOURCE_RLIMIT_AS = 5,
  EP_SOURCE_RLIMIT_DATA = 6,
  EP_SOURCE_OPTION = 7 /* MEMPOOL_LIMIT */
};

/* used_bytes is expected, and lies between low_bytes and high_bytes in nine of ten cases.
 * confidence: how likely it is that used_bytes is right to a tenth of the limit, 0 to 1; 0 while
 * nothing is known. No group uses more than its limit: what would pass it is told as just below it,
 * while seconds_to and crossing go on beyond. */
struct ep_forecast {
  uint32_t horizon_s;
  float confidence;
  uint64_t used_bytes;
  uint64_t low_bytes;
  uint64_t high_bytes;
};

#define EP_NEVER UINT32_MAX

struct ep_pressure {
  enum ep_pressure_level level;
  enum ep_pressure_trend trend;
  enum ep_pressure_source source;
  uint32_t age_ms;      /* since the figures below were read */
  uint64_t limit_bytes; /* 0: no limit is known */
  uint64_t used_bytes;  /* of what the limit counts, as of the last look; without file cache */
  uint64_t heap_bytes;  /* of it, this heap's: live and free with pages; at most */
  struct ep_forecast forecasts[3]; /* in 30, 60 and 120 s */
  /* Until 70, 80, 90, 95 % are passed as it goes now; EP_NEVER: not within ten minutes. */
  uint32_t seconds_to[4];
  float crossing;          /* how likely 90 % are passed within 120 s, 0 to 1 */
  uint32_t alarms;         /* how often that was likely where it had not been before */
  uint64_t returned_bytes; /* given back under pressure so far */
  uint64_t callbacks;      /* calls of ep_on_pressure()'s functions so far */
  /* Of the last ten seconds, 0 to 1: in which somebody in the control group (where the kernel does
   * not say that: on the machine) waited for memory. As of when the helper was awake last; 0 where
   * there is none to ask. */
  float stalled;
  uint32_t shortages; /* how often the kernel or the service manager said that memory is short */
};

/* The present state, into the first `size` bytes of *pressure: pass sizeof(struct ep_pressure), so
 * that later versions may add to its end.
 * Returns 0; EINVAL where pressure is NULL or size is 0. It looks anew where the last look is older
 * than a second: a few system calls then. */
int ep_pressure_get(struct ep_pressure* pressure, size_t size) EP_PRESSURE_NOEXCEPT;

/* Called when memory gets scarce: level HIGH or above, or a forecast that says so; at any level
 * where the service manager says so (systemd.io/MEMORY_PRESSURE), from WARNING on where the kernel
 * does (stalls). wanted_bytes: so much should be freed, to leave the level HIGH (two per cent of
 * the limit below its line), or a share of the heap; a cache drops entries for it, and what the
 * function frees goes back to the system when it returns.
 *
 * Where     on the helper thread of the library, or on the thread whose request has made the heap
 *           grow; outside all locks of the library, but maybe under those of the program that this
 *           thread holds: take them with trylock. It may allocate and free; a call within it never
 *           leads to another call. Two threads never run callbacks at the same time.
 * How often at most ten times a second; up to a hundred times while the heap grows by more than a
 *           256th of the limit in between; once a second while nothing changes.
 * It must not throw, longjmp, fork or end the thread, and needs what stack it needs: the helper has
 * 200 KiB. Where the request is one of libc's own (setenv, localtime, getline ...), maybe under a
 * lock of libc's, it is called behind the next malloc or new of the program itself; only where the
 * heap grows on by a 32nd of the room that is left, and none came, within one of libc's after all.
 * A program that is linked with libelasticpool.a cannot be told from libc: there it is called
 * within the request, whoever made it, and must not call functions of that kind.
 * It is called until it is taken out, also while the process ends: take it out before what it works
 * on is gone. */
typedef void (*ep_pressure_callback)(const struct ep_pressure* pressure, uint64_t wanted_bytes,
                                     void* argument);

/* From now on callback(…, argument) is called, after those that came before. The same pair may be
 * there only once. Returns 0; EINVAL where callback is NULL, EEXIST where the pair is there
 * already, ENOSPC where 16 are. */
int ep_on_pressure(ep_pressure_callback callback, void* argument) EP_PRESSURE_NOEXCEPT;

/* Not any more. When it returns no thread but the caller's is in callback(…, argument), unless it
 * is called from within a callback. Returns 0; ENOENT where the pair is not there. */
int ep_off_pressure(ep_pressure_callback callback, void* argument) EP_PRESSURE_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#endif
