/* waits.h - every wait of the master and what it hands on, so that a test can make it
 * short: agent.reeve.waits.<name>
 *
 * Each has its row in options.tsv, by which a name that is none is found. */
#ifndef REEVE_WAITS_H
#define REEVE_WAITS_H

#include "base/error.h"

#include <stdint.h>

struct config;

/* name, default, least; ms */
#define WAITS(X)                                                                       \
    X(poll, 5000, 1)    /* between looks at an empty queue */                          \
    X(watch, 2000, 1)   /* between looks at the status of live tasks */                \
    X(report, 30000, 1) /* between status reports */                                   \
    X(agent, 10000, 1)  /* for a sub-agent to connect */                               \
    X(alive, 15000, 1)  /* between looks whether a sub-agent is stopped */             \
    X(backoff_min, 1000, 0)                                                            \
    X(backoff_max, 300000, 0)                                                          \
    X(healthy, 60000, 0) /* an attempt that lasted this long resets the back-off */    \
    X(linger, 5000, 0)   /* streams that outlive the first process */                  \
    X(settle, 60000, 0)  /* an unsure claim waits this long, twice */                  \
    X(stop, 60000, 0)    /* --on-exit stop: all payloads have ended by then */         \
    X(tell, 15000, 0)    /* ... and then the server has heard of it */                 \
    X(keep, 3000, 0)     /* --on-exit keep: for the last lines */                      \
    X(host, 30000, 1)    /* for systemd to say whether the host goes down */           \
    X(order, 1000, 1)    /* between looks for runs to stop: a drain's or our end */    \
    X(check, 60000, 1)   /* of an upgrade: for the new program to say yes */           \
    X(claims, 10000, 0)  /* ... and for claims: a lost pop takes long to settle */     \
    X(flush, 100, 1)     /* between two batches of log lines */                        \
    X(steps, 5000, 1)    /* between looks for controllers whose steps have no slot */  \
    X(worker_timeout, 90000, 1000) /* the server forgets a silent sub-agent */         \
    X(reassert, 120000, 1)         /* between two looks at a run's limits */           \
    X(disk, 10000, 1)              /* ... at the room that its folder takes */         \
    X(stuck, 1000, 1)              /* ... at processes that could not be ended */      \
    X(launch, 5000, 1)             /* for what may be in a START's way to pass */     \
    X(unseen, 10000, 1)            /* for others to reap a payload that is not ours */ \
    X(line, 5000, 1)               /* a line without its end is shown after this */    \
    X(full, 1000, 1) /* a payload's output that found the disk full is tried again */  \
    X(reconnect, 2000, 1)  /* sub-agents come to a new master within this */           \
    X(recover, 125, 1)     /* before a second sub-agent replaces a lost; doubles */    \
    X(recovered, 10000, 0) /* one that was at work so long is not one of a row */      \
    X(again, 1000, 1)      /* what failed or was not possible is tried again */

struct waits {
#define X(name, fallback, least) int64_t name##_ms;
    WAITS(X)
#undef X
};

/* polling_s: --polling-interval in seconds, 0: agent.polling_interval's. -1 with err
 * for a value that is none, or too small or large. */
int waits_read(const struct config *c, double polling_s, struct waits *out,
               struct reeve_error *err);

#endif
