/* program.h - which program runs the task's entry point */
#ifndef REEVE_PROGRAM_H
#define REEVE_PROGRAM_H

#include "base/error.h"
#include "config/words.h"

struct report;

enum program_kind { PROGRAM_PYTHON, PROGRAM_SHELL, PROGRAM_OTHER };

struct program {
    enum program_kind kind;
    struct words argv; /* an absolute path, then arguments that `binary` had */
};

struct program_request {
    const char *binary; /* script.binary; "" is the default interpreter */
    const char *python; /* the default interpreter */
    const char *path;   /* the payload's PATH */
    const char *cwd;    /* what a relative binary is relative to */
    const struct report *report;
};

/* By the name alone, before anything is looked for. */
enum program_kind program_kind_of(const char *binary);
/* A Python of another version than those here is replaced by the default one, with a
 * warning, as the official agent does. program_free is due after success alone. */
int program_find(const struct program_request *request, struct program *out,
                 struct reeve_error *err);
void program_free(struct program *p);

#endif
