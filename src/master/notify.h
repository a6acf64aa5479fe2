/* notify.h - what systemd is told of this service (sd_notify(3), for Type=notify)
 *
 * A datagram each to $NOTIFY_SOCKET, written here: libsystemd would be a library more for
 * 20 lines. Nothing is sent where there is none, nor by a process that systemd has not
 * started itself (`reeve up` in a unit). */
#ifndef REEVE_NOTIFY_H
#define REEVE_NOTIFY_H

struct ev_loop;
struct notify;

/* Never waits; what systemd does not take is lost. */
void notify_ready(void);
/* From here to the next notify_ready(), of this program or of the one in its place. */
void notify_reloading(void);
void notify_stopping(void);

/* Says from the loop that it turns, twice in $WATCHDOG_USEC, if systemd asks for it. */
struct notify *notify_create(struct ev_loop *loop);
void notify_destroy(struct notify *n);

#endif
