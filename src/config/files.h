/* files.h - the section `files` of clearml.conf, which writes files on this host
 *
 * As clearml_agent/backend_config/utils.py has it (apply_files): each member has a path
 * (~ and $NAME are replaced), contents, and maybe format (string, base64),
 * target_format (string, bytes, json), overwrite (true) and mode (octal). */
#ifndef REEVE_FILES_H
#define REEVE_FILES_H

#include "config/config.h"

/* Writes them if agent.apply_files is true; logs a line for each that it wrote or
 * skipped. One that fails holds up no other. Without a mode a file has what the umask
 * leaves. */
void files_apply(const struct config *c, int umask);

#endif
