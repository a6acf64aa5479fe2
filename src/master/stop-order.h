/* stop-order.h - ends all runs in order: at the end of the master, of a drain's time
 *
 * Controllers (tasks of type controller or optimizer, and pipelines) first, with
 * whatever runs nothing yet; all others once these are gone, or have had their time. A
 * controller that sees its steps end begins them again, or calls itself failed for it;
 * and its own signal handler may stop them itself. A run that appears only then, of a
 * claim that was under way, is told as well. */
#ifndef REEVE_STOP_ORDER_H
#define REEVE_STOP_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct master;
struct run;
struct stop_order;

/* Tells one run to end. first: others wait for it. False: it is not to be told now, and
 * asked about again; else once for each attempt. */
typedef bool (*stop_order_f)(struct run *run, bool first);

/* first_ms: what controllers have. */
struct stop_order *stop_order_begin(struct master *m, int64_t first_ms,
                                    stop_order_f tell);
/* Looks at once whether somebody is to be told; it does so by itself every waits.order.
 * NULL is fine. */
void stop_order_look(struct stop_order *o);
/* Perhaps that of the last controller. NULL is fine. */
void stop_order_attempt_ended(struct stop_order *o);
/* Tells nobody any more. NULL is fine. */
void stop_order_end(struct stop_order *o);

#endif
