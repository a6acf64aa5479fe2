/* reassert.h - limits are read back from time to time, and set again where they are
 * gone
 *
 * On v1 a reload of systemd resets those of units that it knows (design, section 5),
 * and anybody with the rights can write them. What `limits` says and the kernel has not
 * - a master died in between - is set by the same. What a host can't hold at all is
 * left alone after one try. Also looks how much a run waits for CPU, memory or IO, and
 * says in its log, once an attempt, if that is most of the time for minutes. */
#ifndef REEVE_REASSERT_H
#define REEVE_REASSERT_H

#include <stdint.h>

struct master;
struct reassert;

/* Sets what agent.reeve.host gives all runs together, on the group that holds them. */
struct reassert *reassert_create(struct master *m);
/* After the applier's thread has ended. */
void reassert_destroy(struct reassert *r);
/* Once a second: looks at those runs whose turn it is, a bounded number. */
void reassert_tick(struct reassert *r);
/* How often something was set again, since the master's start. */
uint64_t reassert_count(const struct reassert *r);

#endif
