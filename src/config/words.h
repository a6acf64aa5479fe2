/* words.h - a shell line into words and back, by the rules of Python's shlex (POSIX
 * mode)
 *
 * ClearML keeps arguments as one line of text, and its own agent splits them so.
 * Nothing is expanded: no variables, no patterns, no comments. */
#ifndef REEVE_WORDS_H
#define REEVE_WORDS_H

#include "base/error.h"

#include <stddef.h>

#define WORDS_MAX 10000

struct words {
    char **v; /* NULL-terminated once anything was added */
    size_t n;
};

#define WORDS_INIT                                                                     \
    {                                                                                  \
        NULL, 0                                                                        \
    }

/* Appends the words of the text. 0, or -1 for a quote that is not closed, a lone
 * backslash at the end, or more than WORDS_MAX words. */
int words_split(const char *text, struct words *out, struct reeve_error *err);
void words_add(struct words *w, const char *word);
void words_free(struct words *w);

/* One word such that a shell and words_split read it back as it is. */
char *word_quote_dup(const char *word);
/* n words joined by blanks, each quoted where it has to be. */
char *words_join_dup(char *const *v, size_t n);

#define auto_words __attribute__((cleanup(words_free))) struct words

#endif
