/* SPDX-License-Identifier: Apache-2.0 */
/* payload FOLDER LINES PAUSE_MS CODE...: a task by which it can be seen how often it
 * ran, whether twice at a time, and what it printed.
 *
 * In FOLDER: `lock` is held while it works; `marks` gets "begin N", "end N", and
 * "twice" if the lock was held; `count` says "N LINES": what this attempt has printed
 * so far. It prints "line N.I", half of them after PAUSE_MS, and exits with the Nth
 * CODE, or the last; a CODE of "wait" is to be ended by a signal. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static int marks = -1, count = -1, attempt;

static void mark(const char *word)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%s %d\n", word, attempt);
    if (write(marks, line, (size_t)n) != n)
        abort();
}

static int next_attempt(void)
{
    char text[4096];
    ssize_t n = pread(marks, text, sizeof text - 1, 0);
    int begun = 0;
    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; (at = strstr(at, "begin")); at++)
        begun++;
    return begun + 1;
}

static int open_in(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        abort();
    return fd;
}

static void print_lines(int from, int to)
{
    char line[32];
    for (int i = from; i < to; i++) {
        int n = snprintf(line, sizeof line, "line %d.%d\n", attempt, i);
        if (write(STDOUT_FILENO, line, (size_t)n) != n)
            abort();
        n = snprintf(line, sizeof line, "%d %d\n", attempt, i + 1);
        if (write(count, line, (size_t)n) != n)
            abort();
    }
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    int lines = atoi(argv[2]), pause_ms = atoi(argv[3]);
    struct timespec pause_time = {pause_ms / 1000, pause_ms % 1000 * 1000000L};
    int lock = open_in(argv[1], "lock");
    marks = open_in(argv[1], "marks");
    count = open_in(argv[1], "count");
    attempt = next_attempt();
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        mark("twice");
    mark("begin");
    print_lines(0, lines / 2);
    nanosleep(&pause_time, NULL);
    print_lines(lines / 2, lines);
    const char *code = argv[attempt + 3 < argc ? attempt + 3 : argc - 1];
    if (strcmp(code, "wait") == 0)
        pause();
    mark("end");
    return atoi(code);
}
