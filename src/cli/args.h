/* args.h - a command's options and words, by a table, without globals
 *
 * "--name value", "--name=value", "-n value", "-nvalue", flags joined ("-fq"), "--"
 * ends the options. Every command has --help. */
#ifndef REEVE_ARGS_H
#define REEVE_ARGS_H

#include "base/error.h"
#include "config/words.h"

#include <stdbool.h>
#include <stdio.h>

enum arg_kind {
    ARG_END,
    ARG_FLAG,
    ARG_VALUE,    /* one value; given again, the last counts */
    ARG_OPTIONAL, /* a value if the next word is a number */
    ARG_LIST,     /* one value each time */
    ARG_WORDS,    /* values up to the next option, each time */
    ARG_SOME,     /* the same, and none is fine */
    ARG_REFUSED   /* known elsewhere, refused here: help says why */
};

struct arg_spec {
    enum arg_kind kind;
    const char *name; /* without dashes */
    char letter;      /* or 0 */
    const char *value;
    const char *help; /* NULL: taken, but not listed */
};

struct args; /* the options that were given, and the other words */

/* argv without the program and the command. in_order: the first word that is no option
 * ends the options, for command lines inside command lines. The specs must outlive the
 * result. NULL with err, one line that names the option. */
struct args *args_parse(const struct arg_spec *specs, int argc, char *const *argv,
                        bool in_order, struct reeve_error *err);
void args_free(struct args *a);

bool args_has(const struct args *a, const char *name);
/* The last value, or the fallback. Borrowed. */
const char *args_value(const struct args *a, const char *name, const char *fallback);
/* All values of an option, or NULL if it was not given. Borrowed. */
const struct words *args_values(const struct args *a, const char *name);
/* The words that are no options. */
const struct words *args_words(const struct args *a);
/* True if "--" stood before the first word. */
bool args_after_dashes(const struct args *a);

/* The options, aligned. */
void args_print_help(const struct arg_spec *specs, FILE *out);

#endif
