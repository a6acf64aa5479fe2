/* programs.h - where the other programs of reeve are */
#ifndef REEVE_PROGRAMS_H
#define REEVE_PROGRAMS_H

#include "base/error.h"

/* The path of "reeved", or of a program of libexec ("reeve-server"): in the folder that
 * REEVE_LIBEXEC_DIR names, below this program's own prefix if it is there (a tree that
 * was moved), else where it was installed. NULL with err if it can't be executed. */
char *program_find_dup(const char *name, struct reeve_error *err);

#endif
