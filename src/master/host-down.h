/* host-down.h - whether a SIGTERM is the master's own end or the host's */
#ifndef REEVE_HOST_DOWN_H
#define REEVE_HOST_DOWN_H

#include <stdbool.h>

struct master;

/* Asks systemd, if it started us, whether the system is stopping; calls done from the
 * loop, or at once where there is nobody to ask. Whoever asks again while an answer is
 * due gets none. */
void host_down_ask(struct master *m, void (*done)(struct master *m, bool down));
void host_down_forget(struct master *m);

#endif
