/* watchdog.h - when the silence of tasks is looked at
 *
 * A host that was suspended, a server that stood still, a clock that was set: nobody
 * could be heard meanwhile, so that all tasks would seem silent. They get another
 * interval to be heard in. */
#ifndef REEVE_WATCHDOG_H
#define REEVE_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct watchdog {
    int64_t silence_ms, interval_ms, every_ms;
    int64_t due_ms;           /* boot clock */
    int64_t boot_ms, wall_ms; /* when it was asked last */
};

/* silence_s 0: never due. every_s: how often it will be asked. The first look comes
 * after as long as lies between two. */
void watchdog_start(struct watchdog *w, unsigned silence_s, unsigned interval_s,
                    unsigned every_s, int64_t boot_ms, int64_t wall_ms);
/* True if tasks that were silent for silence_ms are to be stopped
 * now. */
bool watchdog_due(struct watchdog *w, int64_t boot_ms, int64_t wall_ms);

#endif
