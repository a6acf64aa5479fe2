/* defaults.h - what every new database has, as ClearML's does */
#ifndef REEVE_SERVER_DEFAULTS_H
#define REEVE_SERVER_DEFAULTS_H

#include <sqlite3.h>

/* For store_run: the queues `default` and `services`, once in a database's life. 0 or
 * -1. */
int defaults_create(sqlite3 *db, void *arg);

#endif
