/* log.h - the log of a program, one logfmt line an event: ts level component msg
 * key=value
 *
 * A library returns its errors; the layer that decides to go on logs, once. Lines about
 * a run carry task=<id>. Secrets never reach a format argument. */
#ifndef REEVE_LOG_H
#define REEVE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* name: the component in each line; borrowed for the life of the program. */
void log_init(const char *name, int fd);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn", "info", "debug", also ClearML's upper-case names; -1 if unknown. */
int log_level_parse(const char *name);

/* The format's text is the message; control bytes in it are written as \xNN. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
