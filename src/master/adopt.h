/* adopt.h - what an earlier master left: runs that live, ended or never began */
#ifndef REEVE_ADOPT_H
#define REEVE_ADOPT_H

#include "base/error.h"

struct master;

/* Reads $STATE/runs: live sub-agents are waited for (they connect by themselves), what
 * ended meanwhile is finished, restarts that are due go on. What cannot be read is told
 * and kept under $STATE/damaged; its run is ended truthfully. Also sweeps what is left
 * in trash folders. -1 if the runs cannot even be listed: a master that knows of none
 * would leave them without care. */
int adopt_all(struct master *m, struct reeve_error *err);

#endif
