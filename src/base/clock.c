/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_ms(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_boot_ms(void)
{
    return clock_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

static int split(int64_t wall_ms, struct tm *tm)
{
    int64_t secs = wall_ms / 1000;
    int ms = (int)(wall_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        secs--;
    }
    time_t t = (time_t)secs;
    if (!gmtime_r(&t, tm))
        memset(tm, 0, sizeof *tm);
    return ms;
}

static const char *iso_format(int64_t wall_ms, const char *tail,
                              char out[CLOCK_ISO_SIZE])
{
    struct tm tm;
    int ms = split(wall_ms, &tm);
    snprintf(out, CLOCK_ISO_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03u%s",
             (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
             (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
             (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u,
             (unsigned)ms % 1000u, tail);
    return out;
}

const char *clock_iso(int64_t wall_ms, char out[CLOCK_ISO_SIZE])
{
    return iso_format(wall_ms, "Z", out);
}

const char *clock_iso_clearml(int64_t wall_ms, char out[CLOCK_ISO_SIZE])
{
    return iso_format(wall_ms, "000+00:00", out);
}

static int digits(const char **p, int n, int *value)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        if (!isdigit((unsigned char)**p))
            return -1;
        v = v * 10 + (**p - '0');
        (*p)++;
    }
    *value = v;
    return 0;
}

static int fraction(const char **p, int *ms)
{
    *ms = 0;
    if (**p != '.' && **p != ',')
        return 0;
    (*p)++;
    if (!isdigit((unsigned char)**p))
        return -1;
    int scale = 100;
    for (; isdigit((unsigned char)**p); (*p)++) {
        *ms += (**p - '0') * scale;
        scale /= 10;
    }
    return 0;
}

static int zone(const char **p, int *offset_s)
{
    *offset_s = 0;
    if (**p == 'Z' || **p == 'z') {
        (*p)++;
        return 0;
    }
    if (**p != '+' && **p != '-')
        return 0;
    int sign = **p == '-' ? -1 : 1, h, m = 0;
    (*p)++;
    if (digits(p, 2, &h) < 0)
        return -1;
    if (**p == ':')
        (*p)++;
    if (**p && digits(p, 2, &m) < 0)
        return -1;
    *offset_s = sign * (h * 3600 + m * 60);
    return 0;
}

int clock_iso_parse(const char *text, int64_t *wall_ms)
{
    const char *p = text;
    int year, month, day, hour = 0, min = 0, sec = 0, ms = 0, offset = 0;
    if (digits(&p, 4, &year) < 0 || *p++ != '-' || digits(&p, 2, &month) < 0 ||
        *p++ != '-' || digits(&p, 2, &day) < 0)
        return -1;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return -1;
    if (*p == 'T' || *p == ' ') {
        p++;
        if (digits(&p, 2, &hour) < 0 || *p++ != ':' || digits(&p, 2, &min) < 0)
            return -1;
        if (*p == ':') {
            p++;
            if (digits(&p, 2, &sec) < 0 || fraction(&p, &ms) < 0)
                return -1;
        }
        if (hour > 23 || min > 59 || sec > 60 || zone(&p, &offset) < 0)
            return -1;
    }
    if (*p)
        return -1;
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = min,
                    .tm_sec = sec};
    *wall_ms = ((int64_t)timegm(&tm) - offset) * 1000 + ms;
    return 0;
}
