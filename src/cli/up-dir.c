/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/up-dir.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/record.h"
#include "cli/cli.h"
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define RECORD_BYTES_MAX 65536
#define MASTER_END_MS 15000
#define SERVER_END_MS 10000
#define KILL_END_MS 5000

static const char *const port_names[] = {"api_port", "web_port", "files_port"};

/* ---- folder and lock ---- */

char *up_dir_file_dup(const struct up_dir *d, const char *name)
{
    return path_join_dup(d->path, name);
}

static int make_folders(const char *path, struct reeve_error *err)
{
    static const char *const names[] = {"server", "state", "run"};
    if (dir_make(path, 0700, err) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        auto_free char *sub = path_join_dup(path, names[i]);
        if (dir_make(sub, 0700, err) < 0)
            return -1;
    }
    return 0;
}

/* The pid that the lock's holder has written. */
static void read_holder(int lock, char *out, size_t size)
{
    ssize_t n = fd_pread_full(lock, out, size - 1, 0);
    out[n > 0 ? strspn(out, "0123456789") : 0] = '\0';
}

pid_t up_dir_holder(const char *run_dir)
{
    char pid[32] = "";
    auto_free char *path = path_join_dup(run_dir, "../lock");
    auto_close lock = open(path, O_RDONLY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return 0;
    read_holder(lock, pid, sizeof pid);
    return (pid_t)atoi(pid);
}

/* Its own pid goes into the lock, for the message of the one who comes second. */
static int take_lock(struct up_dir *d, struct reeve_error *err)
{
    char other[32] = "";
    auto_free char *path = up_dir_file_dup(d, "lock");
    d->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock < 0)
        return reeve_error_set(err, errno, "open %s", path);
    if (flock(d->lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return reeve_error_set(err, errno, "lock %s", path);
        read_holder(d->lock, other, sizeof other);
        return reeve_error_set(err, 0, "`reeve up` runs on %s already, as process %s",
                               d->path, *other ? other : "unknown");
    }
    int n = snprintf(other, sizeof other, "%d\n", (int)getpid());
    if (ftruncate(d->lock, 0) < 0 || fd_pwrite_all(d->lock, other, (size_t)n, 0) < 0)
        return reeve_error_set(err, errno, "write %s", path);
    return 0;
}

int up_dir_open(const char *path, struct up_dir *d, struct reeve_error *err)
{
    *d = (struct up_dir){.lock = -1, .made = access(path, F_OK) < 0};
    if (make_folders(path, err) < 0)
        return CLI_FAILED;
    d->path = realpath(path, NULL);
    if (!d->path) {
        reeve_error_set(err, errno, "find %s", path);
        return CLI_FAILED;
    }
    if (take_lock(d, err) == 0)
        return CLI_DONE;
    up_dir_close(d);
    return CLI_FAILED;
}

void up_dir_close(struct up_dir *d)
{
    if (d->lock >= 0)
        close(d->lock);
    free(d->path);
    *d = (struct up_dir){.lock = -1};
}

void up_dir_undo(const struct up_dir *d)
{
    if (d->made)
        dir_remove_tree(d->path, NULL);
}

char *up_dir_cgroup_dup(const struct up_dir *d)
{
    return xasprintf("reeve-%08x", crc32c(0, d->path, strlen(d->path)));
}

/* ---- record ---- */

static void add_process(cJSON *doc, const char *name, const struct up_process *p)
{
    char start[32];
    if (!p->pid)
        return;
    cJSON *item = json_set(doc, name, cJSON_CreateObject());
    snprintf(start, sizeof start, "%llu", (unsigned long long)p->start);
    json_set_int(item, "pid", p->pid);
    json_set_str(item, "start", start);
}

int up_record_write(const struct up_dir *d, const struct up_record *r,
                    struct reeve_error *err)
{
    char boot[BOOT_IDENTITY_SIZE];
    auto_json *doc = cJSON_CreateObject();
    auto_free char *path = up_dir_file_dup(d, "up.json");
    json_set_str(doc, "boot", proc_boot_identity(boot));
    add_process(doc, "server", &r->server);
    add_process(doc, "master", &r->master);
    for (size_t i = 0; i < ARRAY_SIZE(port_names); i++)
        json_set_int(doc, port_names[i], r->ports[i]);
    auto_free char *text = json_format(doc);
    return file_replace(path, text, strlen(text), 0600, false, err);
}

static void read_process(const cJSON *doc, const char *name, struct up_process *p)
{
    const cJSON *item = json_get(doc, name);
    int64_t pid = json_int(item, "pid", 0);
    uint64_t start = strtoull(json_str(item, "start", "0"), NULL, 10);
    if (pid > 1 && pid < INT32_MAX && start && proc_start_time((pid_t)pid) == start)
        *p = (struct up_process){(pid_t)pid, start};
}

void up_record_read(const struct up_dir *d, struct up_record *r)
{
    char boot[BOOT_IDENTITY_SIZE];
    auto_buf text = BUF_INIT;
    auto_free char *path = up_dir_file_dup(d, "up.json");
    *r = (struct up_record){0};
    if (file_read(path, &text, RECORD_BYTES_MAX, NULL) < 0)
        return;
    auto_json *doc = json_parse(buf_str(&text), text.len, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(port_names); i++) {
        int64_t port = json_int(doc, port_names[i], 0);
        r->ports[i] = port > 0 && port < 65536 ? (int)port : 0;
    }
    /* Pids of another boot or pid namespace mean other processes. */
    if (strcmp(json_str(doc, "boot", ""), proc_boot_identity(boot)) != 0)
        return;
    read_process(doc, "server", &r->server);
    read_process(doc, "master", &r->master);
}

/* ---- taking over ---- */

static bool wait_end(int pidfd, int timeout_ms)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;
    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

/* 0 when it is gone. ask: how it is told to end; a process that does not is killed. */
static int end_process(const struct up_process *p, const char *what, int timeout_ms,
                       int (*ask)(int pidfd, void *arg), void *arg,
                       struct reeve_error *err)
{
    if (!p->pid)
        return 0;
    auto_close pidfd = proc_pidfd_open(p->pid);
    /* Compared again: the number may have got another owner before the descriptor. */
    if (pidfd < 0 || proc_start_time(p->pid) != p->start)
        return 0;
    if (ask(pidfd, arg) == 0 && wait_end(pidfd, timeout_ms))
        return 0;
    proc_pidfd_signal(pidfd, SIGKILL);
    if (wait_end(pidfd, KILL_END_MS))
        return 0;
    return reeve_error_set(err, 0,
                           "the %s of an earlier `up`, process %d, does not end", what,
                           (int)p->pid);
}

/* A signal would stop the master's runs, since `up` started it so. */
static int ask_master(int pidfd, void *arg)
{
    const struct up_dir *d = arg;
    auto_free char *run_dir = up_dir_file_dup(d, "run");
    cJSON *request = control_request("shutdown", NULL);
    json_set_str(request, "on_exit", "keep");
    return control_call(run_dir, request, NULL, NULL) == CLI_DONE ? 0 : -1;
}

static int ask_server(int pidfd, void *arg)
{
    return proc_pidfd_signal(pidfd, SIGTERM);
}

int up_take_over(const struct up_dir *d, const struct up_record *r,
                 struct reeve_error *err)
{
    if (end_process(&r->master, "master", MASTER_END_MS, ask_master, (void *)d, err) <
        0)
        return -1;
    return end_process(&r->server, "server", SERVER_END_MS, ask_server, NULL, err);
}

/* ---- what others read ---- */

static void add_setting(struct buf *out, const char *name, const cJSON *doc,
                        const char *from)
{
    auto_json *value = cJSON_CreateString(json_str(doc, from, ""));
    auto_free char *quoted = json_format(value);
    buf_printf(out, "%s: %s\n", name, quoted);
}

static void add_api(struct buf *out, const cJSON *endpoint)
{
    buf_add_str(out, "api {\n");
    add_setting(out, "    web_server", endpoint, "web");
    add_setting(out, "    api_server", endpoint, "api");
    add_setting(out, "    files_server", endpoint, "files");
    buf_add_str(out, "    credentials {\n");
    add_setting(out, "        access_key", endpoint, "access_key");
    add_setting(out, "        secret_key", endpoint, "secret_key");
    buf_add_str(out, "    }\n}\n");
}

static int write_master_config(const struct up_dir *d, const cJSON *endpoint,
                               const char *user_config, char **config,
                               struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    auto_free char *user = realpath(user_config, NULL);
    if (!user)
        return reeve_error_set(err, errno, "find %s", user_config);
    auto_json *name = cJSON_CreateString(user);
    auto_free char *quoted = json_format(name);
    *config = up_dir_file_dup(d, "master.conf");
    buf_printf(&text, "include required(file(%s))\n", quoted);
    add_api(&text, endpoint);
    return file_replace(*config, text.data, text.len, 0600, false, err);
}

int up_write_config(const struct up_dir *d, const cJSON *endpoint,
                    const char *user_config, char **config, struct reeve_error *err)
{
    auto_buf text = BUF_INIT;
    auto_free char *path = up_dir_file_dup(d, "clearml.conf");
    buf_add_str(&text, "# Written by `reeve up`: for the ClearML SDK, by "
                       "CLEARML_CONFIG_FILE.\n");
    add_api(&text, endpoint);
    if (file_replace(path, text.data, text.len, 0600, false, err) < 0)
        return -1;
    if (user_config)
        return write_master_config(d, endpoint, user_config, config, err);
    *config = steal(&path);
    return 0;
}

int up_publish(const struct up_dir *d, const cJSON *endpoint, struct reeve_error *err)
{
    static const char *const names[] = {"api", "web", "files", "access_key",
                                        "secret_key"};
    auto_json *doc = cJSON_CreateObject();
    auto_free char *path = up_dir_file_dup(d, "endpoint.json");
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        json_set_str(doc, names[i], json_str(endpoint, names[i], ""));
    json_set_int(doc, "pid", getpid());
    auto_free char *text = json_format(doc);
    return file_replace(path, text, strlen(text), 0600, false, err);
}

void up_unpublish(const struct up_dir *d)
{
    auto_free char *path = up_dir_file_dup(d, "endpoint.json");
    unlink(path);
}

int url_port(const char *url)
{
    const char *colon = strrchr(url, ':');
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;
    return port > 0 && port < 65536 ? (int)port : 0;
}
