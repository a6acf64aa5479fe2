/* watch.h - looks whether a live task was stopped, reset or deleted on the server */
#ifndef REEVE_WATCH_H
#define REEVE_WATCH_H

struct watch;
struct master;

struct watch *watch_create(struct master *m);
void watch_destroy(struct watch *w);

#endif
