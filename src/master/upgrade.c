/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/upgrade.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/oom-score.h"
#include "base/utf8.h"
#include "master/child.h"
#include "master/master.h"
#include "master/notify.h"
#include "master/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKETS "REEVED_SOCKETS" /* "agent.sock=5,control.sock=6" */
#define BEFORE "REEVED_BEFORE"   /* "5 /usr/sbin/reeved": the program before, open */
#define FAILED "REEVED_FAILED"   /* why the one that was to follow did not */
#define STEP_S 0.05
#define KEPT_MAX 4

struct upgrade {
    struct master *master;
    struct child *child;
    char *binary;
    upgrade_done_f done;
    void *arg;
    bool answered, due;
    int64_t until_ms;
    ev_timer step;
};

/* What outlives the master: its parts are gone when the new program is executed. */
static struct {
    char **argv; /* without --ready-fd, whose descriptor is used up */
    char *self;  /* the path by which we were started */
    char *inherited;
    char *before; /* its path; "": there was none */
    int before_fd;
    char *failed;
    char *binary;
    struct buf sockets;
    bool due;
} next;

/* ---- around main ---- */

static void note_words(int argc, char **argv)
{
    int n = 0;
    next.argv = xcalloc((size_t)argc + 2, sizeof *next.argv);
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--ready-fd") == 0)
            i++;
        else if (strncmp(argv[i], "--ready-fd=", 11) != 0)
            next.argv[n++] = argv[i];
    }
}

/* Nobody else's business, least of all a payload's. */
static char *take_variable(const char *name)
{
    const char *text = getenv(name);
    char *taken = text ? xstrdup(text) : NULL;
    unsetenv(name);
    return taken;
}

/* As it was given: a symbolic link to the version of the day stays one. */
static char *own_path_dup(const char *given)
{
    char path[PATH_MAX];
    if (given && given[0] == '/')
        return xstrdup(given);
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return xstrdup(path);
}

static void note_before(void)
{
    auto_free char *text = take_variable(BEFORE);
    char *path = NULL;
    long fd = text ? strtol(text, &path, 10) : -1;
    next.before_fd = -1;
    if (fd <= STDERR_FILENO || fd > INT_MAX || *path != ' ')
        return;
    next.before_fd = (int)fd;
    next.before = xstrdup(path + 1);
    fd_set_cloexec(next.before_fd, 1);
}

void upgrade_note(int argc, char **argv)
{
    next.self = own_path_dup(argc ? argv[0] : NULL);
    note_words(argc, argv);
    next.inherited = take_variable(SOCKETS);
    next.failed = take_variable(FAILED);
    note_before();
}

void upgrade_begun(void)
{
    if (next.before_fd >= 0)
        close(fd_take(&next.before_fd));
}

const char *upgrade_failed(void)
{
    return next.failed;
}

static bool is_listener(int fd)
{
    int on = 0;
    socklen_t n = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

int upgrade_take_socket(const char *name)
{
    auto_free char *word = xasprintf("%s=", name);
    char *found = next.inherited ? strstr(next.inherited, word) : NULL;
    int fd = found ? atoi(found + strlen(word)) : -1;
    if (fd <= STDERR_FILENO || !is_listener(fd))
        return -1;
    fd_set_cloexec(fd, 1);
    return fd;
}

/* The file may be another one by now, or none. */
static int hand_on_before(void)
{
    int fd = open("/proc/self/exe", O_PATH);
    auto_free char *text = xasprintf("%d %s", fd, next.self);
    if (fd >= 0)
        setenv(BEFORE, text, 1);
    return fd;
}

/* file: what is executed; path: as what. */
static void execute(const char *file, char *path, int umask_was)
{
    umask((mode_t)umask_was);
    fd_restore_limit();
    oom_score_set(oom_score_first());
    next.argv[0] = path;
    execv(file, next.argv);
}

static void go_back(const char *file, char *path, const char *why, int umask_was)
{
    log_error("no upgrade: %s; %s goes on", why, path);
    unsetenv(BEFORE);
    setenv(FAILED, why, 1);
    execute(file, path, umask_was);
    log_error("%s cannot be executed: %s", path, strerror(errno));
}

void upgrade_execute(int umask_was)
{
    if (!next.due)
        return;
    setenv(SOCKETS, buf_str(&next.sockets), 1);
    auto_close before = hand_on_before();
    execute(next.binary, next.binary, umask_was);
    auto_free char *why =
        xasprintf("%s cannot be executed: %s", next.binary, strerror(errno));
    if (before >= 0)
        fd_set_cloexec(before, 1);
    go_back("/proc/self/exe", next.self, why, umask_was);
}

void upgrade_give_up(const char *why, int umask_was)
{
    if (next.before_fd < 0)
        return;
    auto_free char *file = xasprintf("/proc/self/fd/%d", next.before_fd);
    auto_free char *text = xasprintf("%s does not start: %s", next.self, why);
    if (next.inherited)
        setenv(SOCKETS, next.inherited, 1);
    go_back(file, next.before, text, umask_was);
}

/* ---- the check ---- */

static void answer(struct upgrade *u, cJSON *data, int code, struct reeve_error *err)
{
    if (u->answered || !u->done)
        cJSON_Delete(data);
    else
        u->done(u->arg, data, code, err);
    u->answered = true;
}

static void refuse(struct upgrade *u, int code, struct reeve_error *err)
{
    log_warn("no upgrade: %s", err->text);
    answer(u, NULL, code, err);
    free(u->binary);
    u->binary = NULL;
}

/* The last line that it said. */
static char *last_line(char *text)
{
    size_t n = strlen(text);
    while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = '\0';
    char *newline = strrchr(text, '\n');
    return newline ? newline + 1 : text;
}

/* Or perhaps, if systemd says so. */
static bool is_ending(const struct master *m)
{
    return m->exiting || m->host_child;
}

static void upgrade_step_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct upgrade *u = w->data;
    struct master *m = u->master;
    if (is_ending(m)) /* told to meanwhile */
        return;
    if (pull_claims(m->pull) > 0 && clock_boot_ms() < u->until_ms)
        return;
    u->due = true;
    ev_break(loop, EVBREAK_ALL);
}

static void go(struct upgrade *u)
{
    struct master *m = u->master;
    log_info("executing %s in the place of %s %s", u->binary, "reeved",
             PACKAGE_VERSION);
    notify_reloading();
    pull_stop(m->pull);
    u->until_ms = clock_boot_ms() + m->waits.claims_ms;
    ev_timer_start(m->loop, &u->step);
}

static void on_checked(void *arg, int code, const char *said)
{
    struct upgrade *u = arg;
    struct reeve_error err = {0};
    auto_free char *text = xstrdup(said);
    char *line = last_line(text);
    u->child = NULL;
    utf8_trim(line);
    if (is_ending(u->master)) {
        reeve_error_set(&err, 0, "reeved is ending");
        refuse(u, 1, &err);
    } else if (code != 0) {
        reeve_error_set(&err, 0, "%.200s refuses: %s", u->binary,
                        line[0]    ? line
                        : code < 0 ? "it did not end by itself in time"
                                   : "it says nothing");
        refuse(u, 1, &err);
    } else {
        cJSON *data = cJSON_CreateObject();
        json_set_str(data, "binary", u->binary);
        json_set_str(data, "version", line);
        json_set_int(data, "pid", getpid());
        answer(u, data, 0, &err);
        go(u);
    }
}

static int start_check(struct upgrade *u, struct reeve_error *err)
{
    int n = 0;
    while (next.argv[n])
        n++;
    auto_free char **argv = xcalloc((size_t)n + 2, sizeof *argv);
    memcpy(argv, next.argv, (size_t)n * sizeof *argv);
    argv[0] = u->binary;
    argv[n] = "--check";
    u->child = child_start(u->master->loop, argv, u->master->waits.check_ms, on_checked,
                           u, err);
    return u->child ? 0 : -1;
}

void upgrade_begin(struct upgrade *u, const char *binary, upgrade_done_f done,
                   void *arg)
{
    struct master *m = u->master;
    struct reeve_error err = {0};
    if (u->child || u->binary || is_ending(m) || m->options->task) {
        reeve_error_set(&err, 0,
                        m->options->task ? "it runs one task, and ends with it"
                        : is_ending(m)   ? "reeved is ending"
                                         : "an upgrade is under way already");
        done(arg, NULL, 1, &err);
        return;
    }
    u->binary = xstrdup(binary && binary[0] ? binary : next.self);
    u->done = done;
    u->arg = arg;
    u->answered = false;
    if (start_check(u, &err) < 0)
        refuse(u, 1, &err);
}

void upgrade_forget(struct upgrade *u, const void *arg)
{
    if (u && u->arg == arg)
        u->done = NULL;
}

/* ---- the end ---- */

bool upgrade_due(const struct upgrade *u)
{
    return u && u->due;
}

bool upgrade_keep_socket(const struct upgrade *u, const char *name, int fd)
{
    if (!upgrade_due(u) || fd_set_cloexec(fd, 0) < 0) {
        close(fd);
        return false;
    }
    buf_printf(&next.sockets, "%s%s=%d", next.sockets.len ? "," : "", name, fd);
    return true;
}

struct upgrade *upgrade_create(struct master *m)
{
    struct upgrade *u = xcalloc(1, sizeof *u);
    u->master = m;
    ev_timer_init(&u->step, upgrade_step_cb, STEP_S, STEP_S);
    u->step.data = u;
    return u;
}

void upgrade_destroy(struct upgrade *u)
{
    if (!u)
        return;
    child_cancel(u->child);
    ev_timer_stop(u->master->loop, &u->step);
    if (u->due) {
        next.due = true;
        next.binary = steal(&u->binary);
    }
    free(u->binary);
    free(u);
}
