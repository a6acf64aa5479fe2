/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/doctor.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/proc.h"
#include "config/programs.h"
#include "config/size.h"
#include "run/run-dir.h"
#include "cli/target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MIN 4096
#define PIDS_MIN 4096
#define FREE_MIN (INT64_C(1) << 30)
/* close_range(2), without which no task is started. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 9

/* Of a process that ended, asked as a new sub-agent asks of its predecessor's. */
static bool tells_exits(void)
{
    int code = -1, sig = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    auto_close fd = pid > 0 ? proc_pidfd_open(pid) : -1;
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return fd >= 0 && proc_pidfd_exit(fd, &code, &sig) == 1 && code == 7;
}

static bool kernel_at_least(int major, int minor)
{
    struct utsname u;
    int a = 0, b = 0;
    return uname(&u) == 0 && sscanf(u.release, "%d.%d", &a, &b) == 2 &&
           (a > major || (a == major && b >= minor));
}

static void add_kernel(cJSON *checks)
{
    struct utsname u;
    bool young = kernel_at_least(KERNEL_MAJOR, KERNEL_MINOR);
    if (uname(&u) == 0)
        doctor_add(checks, young ? DOCTOR_OK : DOCTOR_FAIL, "kernel",
                   young ? NULL : "Linux 5.9 or later", "%s %s", u.release, u.machine);
    if (tells_exits())
        doctor_add(checks, DOCTOR_OK, "PIDFD_GET_INFO", NULL,
                   "how a run ended is known after the loss of its sub-agent and of "
                   "the master, too");
    else
        doctor_add(checks, DOCTOR_WARN, "PIDFD_GET_INFO", "Linux 6.15 or later",
                   "a run that ends after both its sub-agent and the master were "
                   "killed ends as agent-lost");
}

static int64_t number_in(const char *path)
{
    auto_buf text = BUF_INIT;
    int64_t n = -1;
    if (file_read(path, &text, 4096, NULL) == 0)
        sscanf(buf_str(&text), "%" SCNd64, &n);
    return n;
}

static void add_limits(cJSON *checks)
{
    struct rlimit files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    bool enough = files.rlim_max >= FILES_MIN;
    doctor_add(
        checks, enough ? DOCTOR_OK : DOCTOR_WARN, "open files",
        enough ? NULL : "raise it: LimitNOFILE= of the unit, or ulimit -n",
        "%llu at most; a run takes two of the master's, and five while it starts",
        (unsigned long long)files.rlim_max);
    int64_t pids = number_in("/proc/sys/kernel/pid_max");
    int64_t threads = number_in("/proc/sys/kernel/threads-max");
    enough = pids >= PIDS_MIN && threads >= PIDS_MIN;
    doctor_add(checks, enough ? DOCTOR_OK : DOCTOR_WARN, "processes",
               enough ? NULL : "sysctl kernel.pid_max and kernel.threads-max",
               "pid_max %" PRId64 ", threads-max %" PRId64, pids, threads);
}

static char *in_path_dup(const char *name)
{
    const char *path = getenv("PATH");
    auto_free char *list = xstrdup(path ? path : "/usr/bin:/bin");
    char *save;
    for (char *dir = strtok_r(list, ":", &save); dir;
         dir = strtok_r(NULL, ":", &save)) {
        char *file = path_join_dup(dir, name);
        if (access(file, X_OK) == 0)
            return file;
        free(file);
    }
    return NULL;
}

static void add_own_programs(cJSON *checks)
{
    static const char *const names[] = {"reeved", "reeve-subagent", "reeve-prepare"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct reeve_error err;
        auto_free char *path = program_find_dup(names[i], &err);
        if (!path)
            doctor_add(checks, DOCTOR_FAIL, names[i], "install reeve whole", "%s",
                       err.text);
    }
}

static void add_programs(cJSON *checks)
{
    auto_free char *git = program_find_dup("reeve-prepare-git", NULL);
    auto_free char *python = in_path_dup("python3");
    add_own_programs(checks);
    doctor_add(checks, git ? DOCTOR_OK : DOCTOR_WARN, "git",
               git ? NULL : "build reeve with libgit2",
               git ? "libgit2, by %s"
                   : "no reeve-prepare-git: no task with a repository",
               git);
    doctor_add(checks, python ? DOCTOR_OK : DOCTOR_WARN, "python",
               python ? NULL : "install it, or set agent.python_binary",
               python ? "%s" : "no python3 in $PATH: tasks that name none fail%.0s",
               python ? python : "");
}

void doctor_host(cJSON *checks)
{
    add_kernel(checks);
    add_limits(checks);
    add_programs(checks);
}

/* ---- folders */

/* The nearest folder above it that is there. */
static char *existing_dup(const char *dir)
{
    char *path = xstrdup(dir);
    char *slash;
    while (access(path, F_OK) < 0 && (slash = strrchr(path, '/')) && slash != path)
        *slash = '\0';
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return xstrdup(dir[0] == '/' ? "/" : ".");
}

static int check_writable(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    return access(path, W_OK | X_OK);
}

static void add_folder(cJSON *checks, const char *check, const char *dir, bool disk)
{
    char size[SIZE_TEXT_SIZE];
    struct statvfs fs;
    auto_free char *at = existing_dup(dir);
    if (check_writable(at) < 0) {
        doctor_add(checks, DOCTOR_FAIL, check,
                   "make it, writable for this user, or name another: --state-dir, "
                   "--run-dir",
                   "%s can't be %s: %s", dir, strcmp(at, dir) == 0 ? "written" : "made",
                   strerror(errno));
        return;
    }
    if (statvfs(at, &fs) < 0) {
        doctor_add(checks, DOCTOR_FAIL, check, NULL, "%s: %s", at, strerror(errno));
        return;
    }
    int64_t bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    bool few = disk && bytes < FREE_MIN, none = fs.f_files && !fs.f_favail;
    doctor_add(
        checks,
        none  ? DOCTOR_FAIL
        : few ? DOCTOR_WARN
              : DOCTOR_OK,
        check,
        none || few ? "make room: logs of tasks wait there for the server" : NULL,
        "%s, %s free%s", dir, size_format(bytes, size), none ? ", no inodes" : "");
}

void doctor_folders(cJSON *checks, const struct args *args)
{
    auto_free char *state = target_state_dir_dup(args);
    auto_free char *run = target_run_dir_dup(args);
    if (!state)
        state = state_root_dup(NULL);
    add_folder(checks, "state folder", state, true);
    add_folder(checks, "run folder", run, false);
}
