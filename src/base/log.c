/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* A line is built on the stack and written by one write(2): threads need no lock, and
 * lines of several processes on one file do not mix. */
#define LINE_MAX_BYTES 4096

static const char *log_name = "reeve";
static int log_fd = STDERR_FILENO;
static _Atomic int log_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_init(const char *name, int fd)
{
    log_name = name;
    log_fd = fd;
}

void log_set_level(enum log_level level)
{
    log_level = (int)level;
}

enum log_level log_get_level(void)
{
    return (enum log_level)log_level;
}

int log_level_parse(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return i;
    if (strcasecmp(name, "warning") == 0)
        return LOG_LEVEL_WARN;
    if (strcasecmp(name, "critical") == 0 || strcasecmp(name, "fatal") == 0)
        return LOG_LEVEL_ERROR;
    return -1;
}

__attribute__((format(printf, 2, 0))) static void log_line(enum log_level level,
                                                           const char *fmt, va_list ap)
{
    if ((int)level > log_level)
        return;
    int saved = errno;
    char text[LINE_MAX_BYTES - 512];
    vsnprintf(text, sizeof text, fmt, ap);

    char line[LINE_MAX_BYTES];
    char ts[CLOCK_ISO_SIZE];
    int n = snprintf(line, sizeof line, "ts=%s level=%s component=%s msg=\"",
                     clock_iso(clock_wall_ms(), ts), level_names[level], log_name);
    size_t len = n > 0 ? (size_t)n : 0;
    for (const char *p = text; *p && len < sizeof line - 8; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            len += (size_t)snprintf(line + len, sizeof line - len, "\\x%02x", c);
        else if (c == '"' || c == '\\') {
            line[len++] = '\\';
            line[len++] = (char)c;
        } else
            line[len++] = (char)c;
    }
    line[len++] = '"';
    line[len++] = '\n';
    ssize_t ignored = write(log_fd, line, len);
    (void)ignored;
    errno = saved;
}

#define LOG_FUNCTION(name, level)                                                      \
    void name(const char *fmt, ...)                                                    \
    {                                                                                  \
        va_list ap;                                                                    \
        va_start(ap, fmt);                                                             \
        log_line(level, fmt, ap);                                                      \
        va_end(ap);                                                                    \
    }

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warn, LOG_LEVEL_WARN)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
