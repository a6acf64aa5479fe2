/* masker.h - secrets replaced in text by asterisks
 *
 * Three things are hidden: values that are known to be secret; the value that follows
 * a known name (NAME=value, NAME: value, quoted or not); the credentials of an address
 * (scheme://user:password@host). A text never grows by it. What is written over is
 * "****", or as many asterisks as there were bytes if there were fewer. */
#ifndef REEVE_MASKER_H
#define REEVE_MASKER_H

#include <stdbool.h>
#include <stddef.h>

/* A shorter value is not hidden: it would be found in words that are no secret. */
#define MASKER_VALUE_MIN 4
#define MASKER_TEXT "****"

struct masker;

/* One that hides the credentials of addresses alone, until something is added. */
struct masker *masker_create(void);
/* Wipes what it knows. */
void masker_destroy(struct masker *m);
/* A value of several lines is hidden line by line, and one that is longer than 1 KiB
 * piece by piece. */
void masker_add_value(struct masker *m, const char *value, size_t n);
/* A variable's name; '*' in it stands for any number of characters. */
void masker_add_name(struct masker *m, const char *name, size_t n);
/* Names that this says yes to, beside those. NULL: none. */
void masker_ask_names(struct masker *m, bool (*is_secret)(const char *name, size_t n));
/* Lines of "v VALUE" and "n NAME"; others are passed over. */
void masker_load(struct masker *m, const char *text, size_t n);

/* Hides, in place, and returns the new length. m may be NULL: nothing is hidden. */
size_t masker_apply(const struct masker *m, char *text, size_t n);
/* A line that is not at its end yet may be shown so far, without masker_apply() being
 * misled: where nothing that is to be hidden begins and ends beyond. 0 to n. */
size_t masker_cut(const struct masker *m, const char *text, size_t n);

/* Where the secret of the next address at or after `from` is: the password, or what
 * stands in its place (a token as the user's name). */
bool masker_find_url(const char *text, size_t n, size_t from, size_t *begin,
                     size_t *end);
/* Hides the credentials of addresses alone; the new length. */
size_t masker_apply_urls(char *text, size_t n);

#endif
