/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/size.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS 9
#define FRACTION_ONE 1000000000

/* A decimal number as whole and billionths: exact, and without strtod's locale. */
struct decimal {
    int64_t whole, billionths;
};

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* Returns where the number ends, or NULL if there is none or it does not fit. */
static const char *read_decimal(const char *p, struct decimal *d)
{
    bool digits = false;
    d->whole = d->billionths = 0;
    for (; isdigit((unsigned char)*p); p++, digits = true)
        if (__builtin_mul_overflow(d->whole, 10, &d->whole) ||
            __builtin_add_overflow(d->whole, *p - '0', &d->whole))
            return NULL;
    if (*p == '.') {
        int64_t unit = FRACTION_ONE / 10;
        for (p++; isdigit((unsigned char)*p); p++, digits = true, unit /= 10)
            d->billionths += (*p - '0') * unit;
    }
    return digits ? p : NULL;
}

/* value * unit, rounded down; false if it does not fit. */
static bool scale(const struct decimal *d, int64_t unit, int64_t *out)
{
    int64_t whole;
    if (__builtin_mul_overflow(d->whole, unit, &whole))
        return false;
    __int128 part = (__int128)d->billionths * unit / FRACTION_ONE;
    return !__builtin_add_overflow(whole, (int64_t)part, out);
}

/* The exponent of 1,024, or -1. */
static int size_unit(const char *p)
{
    static const char letters[] = "bkmgtp";
    if (!*p)
        return 0;
    const char *found = strchr(letters, tolower((unsigned char)*p));
    if (!found)
        return -1;
    int exponent = (int)(found - letters);
    p++;
    if (exponent && (*p == 'i' || *p == 'I') && (p[1] == 'b' || p[1] == 'B'))
        p += 2;
    else if (exponent && (*p == 'b' || *p == 'B'))
        p++;
    return *skip_blanks(p) ? -1 : exponent;
}

int size_parse(const char *text, int64_t *out, struct reeve_error *err)
{
    struct decimal d;
    const char *p = read_decimal(skip_blanks(text), &d);
    int unit = p ? size_unit(skip_blanks(p)) : -1;
    if (unit < 0)
        return reeve_error_set(
            err, 0, "\"%.40s\" is no size; write bytes, or 512k, 256m, 1.5g, 1t", text);
    int64_t bytes;
    if (!scale(&d, INT64_C(1) << unit * 10, &bytes))
        return reeve_error_set(err, 0, "\"%.40s\" is too large a size", text);
    *out = bytes;
    return 0;
}

static const struct {
    const char *name;
    int64_t ms;
} duration_units[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
    {"m", 60000},     {"s", 1000},     {"ms", 1},
};

#define DURATION_UNITS (sizeof duration_units / sizeof duration_units[0])

static int64_t duration_unit(const char *p, size_t n)
{
    for (size_t i = 0; i < DURATION_UNITS; i++)
        if (strlen(duration_units[i].name) == n &&
            strncasecmp(duration_units[i].name, p, n) == 0)
            return duration_units[i].ms;
    return 0;
}

int duration_parse(const char *text, int64_t *ms, struct reeve_error *err)
{
    const char *p = skip_blanks(text);
    int64_t total = 0;
    bool plain = false;
    do {
        struct decimal d;
        p = read_decimal(p, &d);
        if (!p)
            goto bad;
        p = skip_blanks(p);
        size_t n = 0;
        while (isalpha((unsigned char)p[n]))
            n++;
        /* A number without a unit is seconds, and then the only one. */
        plain = n == 0;
        int64_t unit = plain ? 1000 : duration_unit(p, n), part;
        if (!unit || (plain && total))
            goto bad;
        if (!scale(&d, unit, &part) || __builtin_add_overflow(total, part, &total))
            return reeve_error_set(err, 0, "\"%.40s\" is too long a time", text);
        p = skip_blanks(p + n);
    } while (*p && !plain);
    if (*p)
        goto bad;
    *ms = total;
    return 0;
bad:
    return reeve_error_set(
        err, 0, "\"%.40s\" is no time; write seconds, or 500ms, 90s, 5m, 2h30m, 1d",
        text);
}

const char *size_format(int64_t bytes, char out[SIZE_TEXT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    bool whole = value == (double)(int64_t)value || value >= 100;
    snprintf(out, SIZE_TEXT_SIZE, whole ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

const char *duration_format(int64_t ms, char out[DURATION_TEXT_SIZE])
{
    size_t at = 0;
    out[0] = '\0';
    if (ms <= 0)
        snprintf(out, DURATION_TEXT_SIZE, "0s");
    for (size_t i = 0; i < DURATION_UNITS && ms > 0; i++) {
        int64_t n = ms / duration_units[i].ms;
        ms %= duration_units[i].ms;
        if (n)
            at += (size_t)snprintf(out + at, DURATION_TEXT_SIZE - at, "%" PRId64 "%s",
                                   n, duration_units[i].name);
    }
    return out;
}
