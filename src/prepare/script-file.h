/* script-file.h - a whole script that travels in the task's diff */
#ifndef REEVE_SCRIPT_FILE_H
#define REEVE_SCRIPT_FILE_H

#include "base/error.h"

#include <stdbool.h>

struct script_place {
    const char *folder;      /* where it goes */
    const char *entry_point; /* as the task has it */
    const char *module_file; /* for "-m" and "-c": "" for the usual name */
    bool keep;               /* an existing file is not overwritten (a repository's) */
};

/* The file's name for an entry point: its own name, without folders; the first word of
 * it, if arguments follow and that is quoted or has a dot; "untitled.py" or
 * "untitled.sh" for none, "-m" and "-c". To be freed by the caller. */
char *script_file_name_dup(const char *entry_point, const char *module_file);
/* The entry point as it is for the written file: folders dropped, arguments kept. To be
 * freed by the caller. */
char *script_file_entry_dup(const char *entry_point);
int script_file_write(const struct script_place *place, const char *text,
                      struct reeve_error *err);

#endif
