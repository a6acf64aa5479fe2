/* clock.h - the two clocks: BOOTTIME for deadlines, wall time for people and schedules
 */
#ifndef REEVE_CLOCK_H
#define REEVE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since boot, suspend included; never goes back. */
int64_t clock_boot_ms(void);
/* Milliseconds since 1970, UTC. */
int64_t clock_wall_ms(void);

#define CLOCK_ISO_SIZE 40
/* "2026-11-24T08:46:55.123Z" into out; returns out. */
const char *clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE]);
/* ClearML's form, "2026-11-24T08:46:55.123000+00:00" (its rapidjson encoder). */
const char *clock_iso_clearml(int64_t wall_ms, char out[CLOCK_ISO_SIZE]);
/* Reads both forms, a space for the T, any number of fraction digits, no zone (UTC), Z
 * or an offset, and a bare date. Returns 0, or -1 if the text is none of these. */
int clock_iso_parse(const char *text, int64_t *wall_ms);

#endif
