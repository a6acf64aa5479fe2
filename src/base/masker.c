/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* - Values are found by a hash of their first four bytes: a bit for each hash that
 * occurs, so that most places in a text cost one look; then a chain.
 * - Names are found from the '=' or ':' backwards, which is rare enough.
 * - Values go first: a value may contain what looks like a name or an address, and
 * what the others leave of it would not be found any more. */

#include "base/masker.h"

#include "base/alloc.h"

#include <fnmatch.h>
#include <stdint.h>
#include <string.h>

#define PIECE_MAX 1024
#define CHAINS 256
#define HASHES 4096
#define NAME_MAX_LEN 128
/* Of a line that is cut, the stretch that is looked at for an unfinished address or
 * assignment. */
#define OPEN_MAX 4096
#define SPACES_MAX 8

struct value {
    char *text;
    uint32_t len;
    int32_t next; /* in its chain, -1 at the end */
};

struct name {
    char *text;
    uint32_t len;
    bool pattern;
};

struct masker {
    struct value *values;
    size_t value_count, longest;
    int32_t chain[CHAINS];
    uint8_t seen[HASHES / 8];
    struct name *names;
    size_t name_count;
    bool patterns;
    bool (*is_secret)(const char *name, size_t n);
    uint64_t name_lengths; /* bit n: there is one of n (63: or more) bytes */
};

static uint32_t hash_at(const char *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x * 2654435761u >> 20;
}

struct masker *masker_create(void)
{
    struct masker *m = xcalloc(1, sizeof *m);
    for (size_t i = 0; i < CHAINS; i++)
        m->chain[i] = -1;
    return m;
}

void masker_destroy(struct masker *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->value_count; i++) {
        explicit_bzero(m->values[i].text, m->values[i].len);
        free(m->values[i].text);
    }
    for (size_t i = 0; i < m->name_count; i++)
        free(m->names[i].text);
    free(m->values);
    free(m->names);
    free(m);
}

static bool has_value(const struct masker *m, const char *p, size_t n)
{
    for (int32_t i = m->chain[hash_at(p) % CHAINS]; i >= 0; i = m->values[i].next)
        if (m->values[i].len == n && memcmp(m->values[i].text, p, n) == 0)
            return true;
    return false;
}

static void add_piece(struct masker *m, const char *p, size_t n)
{
    if (n < MASKER_VALUE_MIN || has_value(m, p, n))
        return;
    uint32_t h = hash_at(p);
    m->values = xreallocarray(m->values, m->value_count + 1, sizeof *m->values);
    m->values[m->value_count] =
        (struct value){xstrndup(p, n), (uint32_t)n, m->chain[h % CHAINS]};
    m->chain[h % CHAINS] = (int32_t)m->value_count++;
    m->seen[h / 8] |= (uint8_t)(1u << h % 8);
    if (n > m->longest)
        m->longest = n;
}

/* The last piece is as long as two, rather than too short to be found. */
static void add_line(struct masker *m, const char *p, size_t n)
{
    while (n >= 2 * PIECE_MAX) {
        add_piece(m, p, PIECE_MAX);
        p += PIECE_MAX;
        n -= PIECE_MAX;
    }
    add_piece(m, p, n);
}

static bool ends_line(char c)
{
    return c == '\n' || c == '\r' || c == '\0';
}

void masker_add_value(struct masker *m, const char *value, size_t n)
{
    for (size_t at = 0, begin = 0; at <= n; at++)
        if (at == n || ends_line(value[at])) {
            add_line(m, value + begin, at - begin);
            begin = at + 1;
        }
}

void masker_add_name(struct masker *m, const char *name, size_t n)
{
    if (n == 0 || n > NAME_MAX_LEN)
        return;
    bool pattern = memchr(name, '*', n) != NULL;
    m->names = xreallocarray(m->names, m->name_count + 1, sizeof *m->names);
    m->names[m->name_count++] = (struct name){xstrndup(name, n), (uint32_t)n, pattern};
    m->patterns = m->patterns || pattern;
    m->name_lengths |= UINT64_C(1) << (n < 63 ? n : 63);
}

void masker_ask_names(struct masker *m, bool (*is_secret)(const char *name, size_t n))
{
    m->is_secret = is_secret;
}

void masker_load(struct masker *m, const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *line = text + at;
        const char *newline = memchr(line, '\n', n - at);
        size_t len = newline ? (size_t)(newline - line) : n - at;
        at += len + 1;
        if (len > 2 && memcmp(line, "v ", 2) == 0)
            masker_add_value(m, line + 2, len - 2);
        else if (len > 2 && memcmp(line, "n ", 2) == 0)
            masker_add_name(m, line + 2, len - 2);
    }
}

/* ---- values ---- */

static inline bool may_be_value(const uint8_t *seen, const char *p)
{
    uint32_t h = hash_at(p);
    return seen[h / 8] & 1u << h % 8;
}

/* The longest value at p, of which n bytes are there; 0 for none. */
static size_t value_at(const struct masker *m, const char *p, size_t n)
{
    size_t best = 0;
    for (int32_t i = m->chain[hash_at(p) % CHAINS]; i >= 0; i = m->values[i].next) {
        const struct value *v = &m->values[i];
        if (v->len <= n && v->len > best && memcmp(v->text, p, v->len) == 0)
            best = v->len;
    }
    return best;
}

/* Values that overlap are one secret. */
static bool find_value(const struct masker *m, const char *text, size_t n, size_t from,
                       size_t *begin, size_t *end)
{
    size_t at = from, len = 0;
    if (!m->value_count)
        return false;
    /* Every byte that a task prints comes by here. */
    for (; at + MASKER_VALUE_MIN <= n; at++)
        if (may_be_value(m->seen, text + at) && (len = value_at(m, text + at, n - at)))
            break;
    if (!len)
        return false;
    *begin = at;
    *end = at + len;
    for (at++; at < *end && at + MASKER_VALUE_MIN <= n; at++) {
        len = value_at(m, text + at, n - at);
        if (at + len > *end)
            *end = at + len;
    }
    return true;
}

/* ---- addresses ---- */

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Where the scheme before "://" begins. */
static size_t scheme_begin(const char *text, size_t colon)
{
    size_t at = colon;
    while (at > 0 && colon - at < 16 &&
           (letter(text[at - 1]) || memchr("0123456789+-.", text[at - 1], 13)))
        at--;
    return at;
}

static bool is_http(const char *text, size_t begin, size_t colon)
{
    size_t n = colon - begin;
    return (n >= 4 && strncasecmp(text + colon - 4, "http", 4) == 0) ||
           (n >= 5 && strncasecmp(text + colon - 5, "https", 5) == 0);
}

static bool in_authority(char c)
{
    return (unsigned char)c > 0x20 && !strchr("/?#\"'<>\\`", c);
}

/* Of what stands before the '@': the secret. */
static bool credentials(const char *text, size_t scheme, size_t colon, size_t begin,
                        size_t at, size_t *secret, size_t *end)
{
    const char *parts = memchr(text + begin, ':', at - begin);
    size_t password = parts ? (size_t)(parts - text) + 1 : at;
    bool token = password == at || (at - password == strlen("x-oauth-basic") &&
                                    memcmp(text + password, "x-oauth-basic", 13) == 0);
    *secret = token ? begin : password;
    *end = token && parts ? password - 1 : at;
    /* "ssh://git@host" has no secret. */
    return *end > *secret && (parts || is_http(text, scheme, colon));
}

bool masker_find_url(const char *text, size_t n, size_t from, size_t *begin,
                     size_t *end)
{
    while (from < n) {
        const char *mark = memmem(text + from, n - from, "://", 3);
        if (!mark)
            return false;
        size_t colon = (size_t)(mark - text), first = colon + 3, at = 0;
        size_t stop = n - first < OPEN_MAX ? n : first + OPEN_MAX;
        for (size_t i = first; i < stop && in_authority(text[i]); i++)
            if (text[i] == '@')
                at = i;
        from = first;
        if (at > first &&
            credentials(text, scheme_begin(text, colon), colon, first, at, begin, end))
            return true;
    }
    return false;
}

/* ---- names ---- */

static bool in_name(char c)
{
    return letter(c) || (c >= '0' && c <= '9') || c == '_';
}

static bool quote(char c)
{
    return c == '"' || c == '\'';
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool known_name(const struct masker *m, const char *p, size_t n)
{
    bool length = m->name_lengths & UINT64_C(1) << (n < 63 ? n : 63);
    if (n == 0 || n > NAME_MAX_LEN)
        return false;
    if (m->is_secret && m->is_secret(p, n))
        return true;
    if (!length && !m->patterns)
        return false;
    char name[NAME_MAX_LEN + 1];
    memcpy(name, p, n);
    name[n] = '\0';
    for (size_t i = 0; i < m->name_count; i++) {
        const struct name *k = &m->names[i];
        if (!k->pattern && k->text[0] != *p)
            continue;
        if (k->pattern ? fnmatch(k->text, name, 0) == 0
                       : k->len == n && memcmp(k->text, name, n) == 0)
            return true;
    }
    return false;
}

/* The name that ends before the sign at `sign`; false if it is none that is known. */
static bool name_before(const struct masker *m, const char *text, size_t sign,
                        size_t *begin, bool *quoted)
{
    size_t end = sign;
    while (end > 0 && sign - end < SPACES_MAX && blank(text[end - 1]))
        end--;
    *quoted = end > 0 && quote(text[end - 1]);
    if (*quoted)
        end--;
    /* JSON inside a string: \"NAME\": \"value\" */
    if (*quoted && end > 0 && text[end - 1] == '\\')
        end--;
    size_t at = end;
    while (at > 0 && end - at <= NAME_MAX_LEN && in_name(text[at - 1]))
        at--;
    *begin = at;
    return known_name(m, text + at, end - at);
}

static size_t value_end(const char *text, size_t n, size_t at, char closing)
{
    while (at < n && text[at] != '\n' &&
           (closing ? closing == '\n' || text[at] != closing
                    : !blank(text[at]) && !quote(text[at])))
        at++;
    return at;
}

/* What follows the sign; *open: it goes on to the end of the text. */
static bool value_after(const char *text, size_t n, size_t sign, bool whole_line,
                        size_t *begin, size_t *end, bool *open)
{
    size_t at = sign + 1;
    char closing = '\0';
    while (at < n && at - sign <= SPACES_MAX && blank(text[at]))
        at++;
    if (at < n && text[at] == '\\')
        at++;
    if (at < n && quote(text[at]))
        closing = text[at++];
    else if (whole_line)
        closing = '\n';
    *begin = at;
    *end = value_end(text, n, at, closing);
    *open = *end == n;
    if (closing && *end > at && *end < n && text[*end - 1] == '\\')
        --*end;
    return *end > *begin;
}

/* The first known name whose sign is at or after `from`. *start: of the name. */
static bool find_named(const struct masker *m, const char *text, size_t n, size_t from,
                       char sign, size_t *start, size_t *begin, size_t *end, bool *open)
{
    const char *at;
    while ((m->name_count || m->is_secret) && from < n &&
           (at = memchr(text + from, sign, n - from))) {
        size_t place = (size_t)(at - text);
        bool quoted;
        from = place + 1;
        if (!name_before(m, text, place, start, &quoted))
            continue;
        /* As `env` prints it: the value may have blanks. */
        bool line = sign == '=' && !quoted && (*start == 0 || text[*start - 1] == '\n');
        if (value_after(text, n, place, line, begin, end, open) || *open)
            return true;
    }
    return false;
}

/* ---- all of it ---- */

enum rule { RULE_VALUE, RULE_URL, RULE_EQUALS, RULE_COLON, RULES };

static bool find(const struct masker *m, enum rule rule, const char *text, size_t n,
                 size_t from, size_t *begin, size_t *end)
{
    size_t start;
    bool open;
    switch (rule) {
    case RULE_VALUE:
        return find_value(m, text, n, from, begin, end);
    case RULE_URL:
        return masker_find_url(text, n, from, begin, end);
    default:
        return find_named(m, text, n, from, rule == RULE_EQUALS ? '=' : ':', &start,
                          begin, end, &open);
    }
}

static size_t put_mask(char *to, size_t hidden)
{
    size_t n = hidden < strlen(MASKER_TEXT) ? hidden : strlen(MASKER_TEXT);
    memcpy(to, MASKER_TEXT, n);
    return n;
}

/* What stands between `to` and `from` is as it was: a name or a scheme is looked for
 * backwards. */
static size_t apply_rule(const struct masker *m, enum rule rule, char *text, size_t n)
{
    size_t from = 0, to = 0, begin, end;
    while (find(m, rule, text, n, from, &begin, &end)) {
        if (to < from)
            memmove(text + to, text + from, begin - from);
        to += begin - from;
        to += put_mask(text + to, end - begin);
        from = end;
    }
    if (to < from)
        memmove(text + to, text + from, n - from);
    return n - (from - to);
}

size_t masker_apply_urls(char *text, size_t n)
{
    return apply_rule(NULL, RULE_URL, text, n);
}

size_t masker_apply(const struct masker *m, char *text, size_t n)
{
    if (!m)
        return n;
    for (int rule = 0; rule < RULES; rule++)
        n = apply_rule(m, (enum rule)rule, text, n);
    return n;
}

/* ---- a line that is cut ---- */

/* How much of a value may have begun before `cut` and end after it; where that is. */
static size_t cut_values(const struct masker *m, const char *text, size_t n, size_t cut)
{
    size_t at = cut > m->longest ? cut - m->longest : 0;
    for (; at < cut; at++)
        for (size_t i = 0; i < m->value_count; i++) {
            const struct value *v = &m->values[i];
            size_t there = n - at < v->len ? n - at : v->len;
            if (at + v->len > cut && v->text[0] == text[at] &&
                memcmp(v->text, text + at, there) == 0)
                return at;
        }
    return cut;
}

static size_t cut_url(const char *text, size_t cut)
{
    static const char scheme[] = "https";
    size_t at = cut;
    while (at > 0 && cut - at < OPEN_MAX && in_authority(text[at - 1]))
        at--;
    /* The slashes before an authority end this walk, or the colon is its last byte. */
    if (at >= 3 && memcmp(text + at - 3, "://", 3) == 0)
        return scheme_begin(text, at - 3);
    if (at >= 2 && at == cut && memcmp(text + at - 2, ":/", 2) == 0)
        return scheme_begin(text, at - 2);
    if (cut > at && text[cut - 1] == ':')
        return scheme_begin(text, cut - 1);
    for (size_t len = sizeof scheme - 1; len > 0; len--)
        if (len <= cut && strncasecmp(text + cut - len, scheme, len) == 0)
            return cut - len;
    return cut;
}

/* True if a known name may begin with these bytes. */
static bool may_be_name(const struct masker *m, const char *p, size_t n)
{
    if (n == 0 || n > NAME_MAX_LEN)
        return false;
    if (m->is_secret)
        return true;
    for (size_t i = 0; i < m->name_count; i++)
        if (m->names[i].pattern ||
            (n <= m->names[i].len && memcmp(m->names[i].text, p, n) == 0))
            return true;
    return false;
}

static size_t cut_name(const struct masker *m, const char *text, size_t cut)
{
    static const char signs[] = {'=', ':'};
    size_t from = cut > OPEN_MAX ? cut - OPEN_MAX : 0, best = cut;
    for (size_t i = 0; i < sizeof signs; i++) {
        size_t start, begin, end;
        bool open;
        for (size_t at = from;
             find_named(m, text, cut, at, signs[i], &start, &begin, &end, &open);
             at = end)
            if (open) {
                best = start < best ? start : best;
                break;
            }
    }
    /* The name itself, what may stand between it and its sign. */
    size_t end = cut;
    while (end > 0 && cut - end < SPACES_MAX && blank(text[end - 1]))
        end--;
    if (end > 0 && quote(text[end - 1]))
        end--;
    if (end > 0 && text[end - 1] == '\\')
        end--;
    size_t at = end;
    while (at > 0 && end - at <= NAME_MAX_LEN && in_name(text[at - 1]))
        at--;
    return at < best && may_be_name(m, text + at, end - at) ? at : best;
}

size_t masker_cut(const struct masker *m, const char *text, size_t n)
{
    size_t cut = n, before;
    if (!m)
        return n;
    do {
        before = cut;
        cut = cut_values(m, text, n, cut);
        cut = cut_url(text, cut);
        cut = cut_name(m, text, cut);
    } while (cut != before);
    return cut;
}
