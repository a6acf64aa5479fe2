/* SPDX-License-Identifier: Apache-2.0 */
/* ticker - a service that does next to nothing, and leaves proof of what it did
 *
 *     ticker FOLDER MILLISECONDS
 *
 * Prints "tick N" at each interval until FOLDER/go is there, then "done N" with the
 * number of ticks, and ends with 0. FOLDER/<task>.starts gets a line at its start, so
 * that a second payload of one task shows; while it runs it holds a lock on that file,
 * so that two at a time show as "twice" in it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static int say(int fd, const char *text)
{
    size_t n = strlen(text);
    return write(fd, text, n) == (ssize_t)n ? 0 : -1;
}

static int mark_start(const char *folder, const char *task)
{
    char path[4096], line[64];
    snprintf(path, sizeof path, "%s/%s.starts", folder, task);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    const char *word = flock(fd, LOCK_EX | LOCK_NB) == 0 ? "start" : "twice";
    snprintf(line, sizeof line, "%s %d\n", word, (int)getpid());
    return say(fd, line) < 0 ? -1 : fd;
}

int main(int argc, char **argv)
{
    const char *task = getenv("CLEARML_TASK_ID");
    char go[4096], line[64];
    unsigned long n = 0;
    if (argc != 3 || !task || mark_start(argv[1], task) < 0)
        return 2;
    long ms = strtol(argv[2], NULL, 10);
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    snprintf(go, sizeof go, "%s/go", argv[1]);
    while (access(go, F_OK) != 0) {
        snprintf(line, sizeof line, "tick %lu\n", n++);
        if (say(STDOUT_FILENO, line) < 0)
            return 3;
        nanosleep(&pause, NULL);
    }
    snprintf(line, sizeof line, "done %lu\n", n);
    return say(STDOUT_FILENO, line) < 0 ? 3 : 0;
}
