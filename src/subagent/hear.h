/* hear.h - what the master says */
#ifndef REEVE_HEAR_H
#define REEVE_HEAR_H

#include "subagent/agent-state.h"

/* Acts on what has come, some messages at a time. */
void hear_master(struct agent *a, int64_t now);

#endif
