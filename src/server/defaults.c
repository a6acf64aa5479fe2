/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/defaults.h"
#include "base/clock.h"
#include "server/services.h"
#include "server/store.h"

int defaults_create(sqlite3 *db, void *arg)
{
    char id[65];
    int64_t now = clock_wall_ms();
    if (store_int(db, "SELECT 1 FROM settings WHERE name = 'defaults'", 0, ""))
        return 0;
    /* A queue that somebody deleted later does not come back at the next start. */
    store_change(db, "INSERT INTO settings (name, value) VALUES ('defaults', '1')", "");
    if (queue_create(db, "default", now, id))
        queue_add_system_tag(db, id, "default");
    queue_create(db, "services", now, id);
    return 0;
}
