/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include "server/query-internal.h"

#include "base/alloc.h"

#include <ctype.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>

/* A pattern comes from outside: what it may cost is bounded per value, so that one with
 * nested repeats ends in an error and not in minutes. */
#define MATCH_LIMIT 200000
#define DEPTH_LIMIT 2000
#define HEAP_LIMIT_KIB 4096
#define PATTERN_MAX 65536

struct regex {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

struct regex *regex_compile(const char *pattern, bool any_case, char error[256])
{
    int number;
    PCRE2_SIZE offset;
    size_t n = strlen(pattern);
    if (n > PATTERN_MAX) {
        snprintf(error, 256, "longer than %d bytes", PATTERN_MAX);
        return NULL;
    }
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, n,
                                     PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C |
                                         (any_case ? PCRE2_CASELESS : 0),
                                     &number, &offset, NULL);
    if (!code) {
        PCRE2_UCHAR text[200];
        pcre2_get_error_message(number, text, sizeof text);
        snprintf(error, 256, "%s at position %zu", (const char *)text, (size_t)offset);
        return NULL;
    }
    struct regex *r = xcalloc(1, sizeof *r);
    r->code = code;
    r->data = pcre2_match_data_create(1, NULL);
    r->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(r->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(r->limits, HEAP_LIMIT_KIB);
    return r;
}

void regex_free(struct regex *r)
{
    if (!r)
        return;
    pcre2_match_context_free(r->limits);
    pcre2_match_data_free(r->data);
    pcre2_code_free(r->code);
    free(r);
}

int regex_match(struct regex *r, const char *text, size_t n)
{
    int rc = pcre2_match(r->code, (PCRE2_SPTR)text, n, 0, 0, r->data, r->limits);
    if (rc >= 0)
        return 1;
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT || rc == PCRE2_ERROR_RECURSELOOP)
        return -1;
    return 0;
}

char *regex_literal_dup(const char *pattern)
{
    size_t n = strlen(pattern);
    if (n < 2 || pattern[0] != '^' || pattern[n - 1] != '$')
        return NULL;
    auto_buf text = BUF_INIT;
    for (size_t i = 1; i < n - 1; i++) {
        char c = pattern[i];
        if (c == '\\') {
            c = pattern[++i];
            /* Only what Python's re.escape writes: a backslash before punctuation or
             * white space stands for that character. */
            if (i == n - 1 || isalnum((unsigned char)c) || (unsigned char)c >= 0x80)
                return NULL;
        } else if (strchr(".^$*+?()[]{}|", c)) {
            return NULL;
        }
        buf_add_char(&text, c);
    }
    return xstrdup(buf_str(&text));
}
