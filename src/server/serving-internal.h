/* serving-internal.h - what the files of the serving service share */
#ifndef REEVE_SERVER_SERVING_INTERNAL_H
#define REEVE_SERVER_SERVING_INTERNAL_H

#include "server/call.h"

/* How long and how many reports are kept. */
#define SERVING_KEPT_MS (INT64_C(7) * 24 * 3600 * 1000)
#define SERVING_KEPT_REPORTS INT64_C(1000000)

int serving_get_metrics_history(struct call *call);

#endif
