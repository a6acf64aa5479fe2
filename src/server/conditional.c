/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "server/conditional.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool read_number(const char **p, uint64_t *out)
{
    if (!isdigit((unsigned char)**p))
        return false;
    char *end;
    errno = 0;
    *out = strtoull(*p, &end, 10);
    *p = end;
    return errno == 0;
}

static enum range last_bytes(const char *p, uint64_t size, uint64_t *offset,
                             uint64_t *n)
{
    uint64_t count;
    if (!read_number(&p, &count) || *p)
        return RANGE_ALL;
    if (count == 0 || size == 0)
        return RANGE_BAD;
    *n = count < size ? count : size;
    *offset = size - *n;
    return RANGE_PART;
}

enum range conditional_range(const char *header, uint64_t size, uint64_t *offset,
                             uint64_t *n)
{
    uint64_t first, last = UINT64_MAX;
    *offset = 0;
    *n = size;
    if (!header || strncasecmp(header, "bytes=", 6) != 0 || strchr(header, ','))
        return RANGE_ALL;
    const char *p = header + 6;
    if (*p == '-')
        return last_bytes(p + 1, size, offset, n);
    if (!read_number(&p, &first) || *p++ != '-')
        return RANGE_ALL;
    if (*p && (!read_number(&p, &last) || *p || last < first))
        return RANGE_ALL;
    if (first >= size)
        return RANGE_BAD;
    *offset = first;
    *n = (last < size - 1 ? last : size - 1) - first + 1;
    return RANGE_PART;
}

/* One entry of a list of tags, compared weakly. */
static bool tag_is(const char *entry, size_t n, const char *etag)
{
    if (n >= 2 && !strncmp(entry, "W/", 2)) {
        entry += 2;
        n -= 2;
    }
    return n == strlen(etag) && !memcmp(entry, etag, n);
}

static bool list_has(const char *list, const char *etag)
{
    while (*list) {
        list += strspn(list, " \t,");
        size_t n = strcspn(list, ",");
        size_t end = n;
        while (end && isspace((unsigned char)list[end - 1]))
            end--;
        if ((end == 1 && *list == '*') || tag_is(list, end, etag))
            return true;
        list += n;
    }
    return false;
}

/* Seconds of a date of HTTP; -1 if it is none. */
static time_t read_date(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return end && !*end ? timegm(&tm) : (time_t)-1;
}

bool conditional_known(const char *none_match, const char *since, const char *etag,
                       time_t modified)
{
    if (none_match)
        return list_has(none_match, etag);
    time_t date = since ? read_date(since) : (time_t)-1;
    return date != (time_t)-1 && modified <= date;
}

bool conditional_same(const char *if_range, const char *etag, time_t modified)
{
    if (!if_range || !strcmp(if_range, etag))
        return true;
    time_t date = read_date(if_range);
    return date != (time_t)-1 && modified == date;
}
