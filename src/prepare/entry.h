/* entry.h - the task's entry point as a command line */
#ifndef REEVE_ENTRY_H
#define REEVE_ENTRY_H

#include "base/error.h"
#include "config/words.h"
#include "prepare/program.h"

#include <stdbool.h>

struct entry_request {
    const char *root; /* the checkout: a file outside is refused */
    const char *cwd;  /* a real path in root */
    const char *entry_point;
    const struct program *program;
    char *const *env; /* for $VAR in "-m module $VAR" */
};

/* Appends the whole command to argv. *folder becomes that of the script relative to
 * cwd ("." for none), to be freed by the caller: Python's path has it. The entry point
 * is first one file name with all its blanks, then words of which the first is a file.
 * "-..." are options of the interpreter; a program that is neither Python nor a shell
 * takes what it is given. */
int entry_command(const struct entry_request *request, struct words *argv,
                  char **folder, struct reeve_error *err);
/* "file:working_dir", for a task without a working directory. False if there is nothing
 * to split; the parts are the caller's. */
bool entry_split_dir(const char *entry_point, char **file, char **dir);

#endif
