/* option-table.h - what reeve does for each option, variable and flag of clearml-agent
 *
 * The table is options.tsv, from which reeve-clearml-agent(7) is made too. A test reads
 * clearml-agent's package and fails where the table has no row for something. */
#ifndef REEVE_OPTION_TABLE_H
#define REEVE_OPTION_TABLE_H

#include "config/config.h"

#include <stddef.h>

enum option_kind { OPTION_OPTION, OPTION_VARIABLE, OPTION_FLAG };
enum option_fate {
    OPTION_SAME,
    OPTION_BETTER,
    OPTION_LATER,
    OPTION_REFUSED,
    OPTION_REEVE /* reeve's own */
};
enum option_say { OPTION_SAY_NOTHING, OPTION_SAY_WARN, OPTION_SAY_ERROR };

struct option_row {
    enum option_kind kind;
    const char *name; /* "x.*": all below x; of variables, all that begin so */
    enum option_fate fate;
    enum option_say say;  /* at start, if it is set otherwise than by default */
    const char *fallback; /* clearml-agent's default as JSON, "" if it has none */
    const char *text;
};

const struct option_row *option_rows(size_t *n);
/* The row of that name, else one that has all that begin so; or NULL. */
const struct option_row *option_find(enum option_kind kind, const char *name);
/* "option", "same". */
const char *option_kind_name(enum option_kind kind);
const char *option_fate_name(enum option_fate fate);

enum option_level {
    OPTION_LEVEL_WARN,
    OPTION_LEVEL_UNKNOWN, /* below agent. or api.; the text names the nearest known one
                           */
    OPTION_LEVEL_ERROR /* reeve must not start: it would run tasks otherwise than asked
                        */
};
typedef void (*option_say_f)(void *arg, enum option_level level, const char *text);

/* Says, one line each, what in the configuration and in the environment is unknown,
 * refused or not used yet; texts have no values in them. */
void option_check(const struct config *c, option_say_f say, void *arg);

#endif
