/* hoststat-internal.h - the parts of hoststat.c that its unit tests reach */
#ifndef REEVE_HOSTSTAT_INTERNAL_H
#define REEVE_HOSTSTAT_INTERNAL_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* Adds the number, rounded to 3 decimals; one that is no number is left out. */
void stats_set(cJSON *stats, const char *name, double value);
/* Appends to the list of that name, made if need be. */
void stats_append(cJSON *stats, const char *name, double value);

/* Degrees of the hottest CPU sensor below root ("/sys/class/hwmon"); false: none. */
bool hoststat_temperature(const char *root, double *degrees);

#endif
