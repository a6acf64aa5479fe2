/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "config/words.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

void words_add(struct words *w, const char *word)
{
    w->v = xreallocarray(w->v, w->n + 2, sizeof *w->v);
    w->v[w->n++] = xstrdup(word);
    w->v[w->n] = NULL;
}

void words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
    free(w->v);
    w->v = NULL;
    w->n = 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads on after an opening quote. Inside double quotes a backslash protects only
 * itself and the quote. Returns where the quote is closed, or NULL. */
static const char *read_quoted(const char *p, char quote, struct buf *word)
{
    for (; *p != quote; p++) {
        if (!*p)
            return NULL;
        if (*p == '\\' && quote == '"' && (p[1] == '"' || p[1] == '\\'))
            p++;
        buf_add_char(word, *p);
    }
    return p;
}

/* One word, its first character known to be no blank. Returns where it ends, or NULL.
 */
static const char *read_word(const char *p, struct buf *word, struct reeve_error *err)
{
    for (; *p && !is_blank(*p); p++) {
        if (*p == '\'' || *p == '"') {
            char quote = *p;
            p = read_quoted(p + 1, quote, word);
            if (!p) {
                reeve_error_set(err, 0, "a %c is not closed", quote);
                return NULL;
            }
        } else if (*p == '\\') {
            if (!*++p) {
                reeve_error_set(err, 0, "nothing follows the backslash at the end");
                return NULL;
            }
            buf_add_char(word, *p);
        } else {
            buf_add_char(word, *p);
        }
    }
    return p;
}

int words_split(const char *text, struct words *out, struct reeve_error *err)
{
    auto_buf word = BUF_INIT;
    for (const char *p = text;;) {
        while (is_blank(*p))
            p++;
        if (!*p)
            return 0;
        if (out->n >= WORDS_MAX)
            return reeve_error_set(err, 0, "more than %d words", WORDS_MAX);
        buf_clear(&word);
        p = read_word(p, &word, err);
        if (!p)
            return -1;
        words_add(out, buf_str(&word));
    }
}

static bool is_safe(const char *word)
{
    if (!*word)
        return false;
    for (; *word; word++)
        if (!isalnum((unsigned char)*word) && !strchr("_@%+=:,./-", *word))
            return false;
    return true;
}

static void add_quoted(struct buf *out, const char *word)
{
    if (is_safe(word)) {
        buf_add_str(out, word);
        return;
    }
    buf_add_char(out, '\'');
    for (; *word; word++) {
        if (*word == '\'')
            buf_add_str(out, "'\"'\"'");
        else
            buf_add_char(out, *word);
    }
    buf_add_char(out, '\'');
}

char *word_quote_dup(const char *word)
{
    struct buf out = BUF_INIT;
    add_quoted(&out, word);
    return buf_take(&out);
}

char *words_join_dup(char *const *v, size_t n)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(&out, ' ');
        add_quoted(&out, v[i]);
    }
    return buf_take(&out);
}
