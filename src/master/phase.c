/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/phase.h"

#include "base/alloc.h"

#include <string.h>

#define TO(phase, action)                                                              \
    {                                                                                  \
        PHASE_##phase, ACTION_##action, 1                                              \
    }
#define ON(event) [RUN_EVENT_##event]

/* clang-format off */
static const struct transition table[PHASE_COUNT][RUN_EVENT_COUNT] = {
    [PHASE_CLAIMED] = {
        ON(LAUNCH)   = TO(STARTING, LAUNCH),
        ON(STOP)     = TO(EXITED, JUDGE),
        ON(ENDED)    = TO(EXITED, JUDGE),
    },
    [PHASE_STARTING] = {
        ON(STARTED)  = TO(PREPARING, SAVE),
        ON(EXECUTED) = TO(RUNNING, NOTE_RUNNING),
        ON(STOP)     = TO(STOPPING, STOP),
        ON(ENDED)    = TO(EXITED, JUDGE),
        ON(LOST)     = TO(STARTING, RECOVER),
    },
    [PHASE_PREPARING] = {
        ON(EXECUTED) = TO(RUNNING, NOTE_RUNNING),
        ON(STOP)     = TO(STOPPING, STOP),
        ON(ENDED)    = TO(EXITED, JUDGE),
        ON(LOST)     = TO(PREPARING, RECOVER),
    },
    [PHASE_RUNNING] = {
        ON(STOP)     = TO(STOPPING, STOP),
        ON(ENDED)    = TO(EXITED, JUDGE),
        ON(LOST)     = TO(RUNNING, RECOVER),
    },
    [PHASE_STOPPING] = {
        /* An abort that overtakes its own START: the payload appears, and is told again. */
        ON(STARTED)  = TO(STOPPING, STOP),
        ON(STOP)     = TO(STOPPING, STOP),
        ON(ENDED)    = TO(EXITED, JUDGE),
        ON(LOST)     = TO(STOPPING, RECOVER),
    },
    [PHASE_EXITED] = {
        ON(RESTART)  = TO(BACKOFF, WAIT),
        ON(FINAL)    = TO(DRAINING, DRAIN),
    },
    [PHASE_BACKOFF] = {
        ON(DUE)      = TO(STARTING, LAUNCH),
        ON(STOP)     = TO(EXITED, JUDGE),
    },
    [PHASE_DRAINING] = {
        ON(DRAINED)  = TO(REPORTING, REPORT),
    },
    [PHASE_REPORTING] = {
        ON(REPORTED) = TO(GONE, REMOVE),
    },
    [PHASE_GONE] = {{0}},
};
/* clang-format on */

static const char *const phase_names[] = {
#define X(name, text) [PHASE_##name] = text,
    PHASES(X)
#undef X
};
_Static_assert(ARRAY_SIZE(phase_names) == PHASE_COUNT, "a name for each phase");

static const char *const event_names[] = {
#define X(name) [RUN_EVENT_##name] = #name,
    RUN_EVENTS(X)
#undef X
};
_Static_assert(ARRAY_SIZE(event_names) == RUN_EVENT_COUNT, "a name for each event");

const struct transition *phase_transition(enum phase phase, enum run_event event)
{
    return &table[phase][event];
}

const char *phase_name(enum phase phase)
{
    return phase_names[phase];
}

int phase_parse(const char *name)
{
    for (int i = 0; i < PHASE_COUNT; i++)
        if (strcmp(phase_names[i], name) == 0)
            return i;
    return -1;
}

const char *run_event_name(enum run_event event)
{
    return event_names[event];
}
