/* SPDX-License-Identifier: Apache-2.0 */
/* reeve-prepare: checkout and environment of one attempt, then the task's own program.
 *
 * Runs as the task's user in the payload's group, under its limits. Descriptor 3 is the
 * specification with its secrets, 4 the sub-agent's ear; HACKING.md has both. */
#include "config.h"

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "config/programs.h"
#include "prepare/checkout.h"
#include "prepare/entry.h"
#include "prepare/git-url.h"
#include "prepare/payload-env.h"
#include "prepare/program.h"
#include "prepare/report.h"
#include "prepare/spec.h"
#include "prepare/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPEC_FD 3
#define STATUS_FD 4
#define REQUIREMENTS_SHOWN 400

extern char **environ;

static void tell_task(const struct spec *spec, struct report *r)
{
    r->hold = true;
    const cJSON *note;
    cJSON_ArrayForEach(note, spec->notes)
    {
        if (cJSON_IsString(note))
            report_line(r, "%s", note->valuestring);
    }
    auto_free char *shown = git_url_shown_dup(spec->repository);
    report_line(r, "Executing task id [%s]:", spec->task);
    report_line(r, "repository = %s", shown);
    report_line(r, "branch = %s", spec->branch);
    report_line(r, "version_num = %s", spec->version_num);
    report_line(r, "tag = %s", spec->tag);
    report_line(r, "docker_cmd = ");
    report_line(r, "entry_point = %s", spec->entry_point);
    report_line(r, "working_dir = %s", spec->working_dir);
    report_line(r, "%s", "");
    report_release(r);
}

/* The lines of one requirements text, without comments, joined by commas. */
static void add_requirements(const char *text, struct buf *out)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        size_t skip = strspn(text, " \t\r");
        size_t len = n > skip ? strcspn(text + skip, "#\r\n") : 0;
        while (len > 0 && strchr(" \t", text[skip + len - 1]))
            len--;
        if (len) {
            buf_add_str(out, out->len ? ", " : "");
            buf_add(out, text + skip, len);
        }
        text += n + (text[n] == '\n');
    }
}

static void tell_requirements(const struct spec *spec, const struct report *r)
{
    auto_buf list = BUF_INIT;
    const cJSON *kind, *line;
    cJSON_ArrayForEach(kind, spec->requirements)
    {
        /* org_pip and the like are what the user had, kept for the record. */
        if (strcmp(kind->string, "pip") != 0 && strcmp(kind->string, "conda") != 0)
            continue;
        if (cJSON_IsString(kind))
            add_requirements(kind->valuestring, &list);
        const cJSON *lines = cJSON_IsArray(kind) ? kind : NULL;
        cJSON_ArrayForEach(line, lines)
        {
            if (cJSON_IsString(line))
                add_requirements(line->valuestring, &list);
        }
    }
    if (list.len)
        report_line(r, "python requirements are not installed by this version: %.*s%s",
                    REQUIREMENTS_SHOWN, list.data,
                    list.len > REQUIREMENTS_SHOWN ? ", ..." : "");
}

static int write_config(const struct spec *spec, struct reeve_error *err)
{
    if (!spec->sdk_config)
        return 0;
    auto_free char *path = path_join_dup(spec->run_dir, "conf");
    return file_replace(path, spec->sdk_config, strlen(spec->sdk_config), 0600, false,
                        err);
}

/* The program and its arguments, and what its environment still lacks. */
static int make_command(const struct spec *spec, const struct workspace *w,
                        struct report *r, struct words *env, struct words *argv,
                        struct reeve_error *err)
{
    struct program program;
    struct program_request request = {spec->binary, spec->python,
                                      payload_env_get(env, "PATH"), w->cwd, r};
    report_step(r, "environment");
    if (program_find(&request, &program, err) < 0)
        return -1;
    tell_requirements(spec, r);
    if (write_config(spec, err) < 0) {
        program_free(&program);
        return -1;
    }
    report_step(r, "execute");
    auto_free char *folder = NULL;
    struct entry_request entry = {w->root, w->cwd, w->entry_point, &program, env->v};
    int result = entry_command(&entry, argv, &folder, err);
    if (result == 0 && program.kind == PROGRAM_PYTHON)
        payload_env_add_python_path(env, w->cwd, folder);
    program_free(&program);
    return result;
}

static void tell_start(const struct spec *spec, const struct workspace *w,
                       const struct words *argv, struct report *r)
{
    auto_free char *command = words_join_dup(argv->v, argv->n);
    const char *below = w->cwd + strlen(w->root);
    r->hold = true;
    report_line(r, "Running task id [%s]:", spec->task);
    report_line(r, "[%s]$ %s", below[0] == '/' ? below + 1 : ".", command);
    report_line(r, "Environment setup completed successfully");
    report_line(r, "%s", "");
    report_line(r, "Starting Task Execution:");
    report_line(r, "%s", "");
    report_release(r);
}

/* Ignored signals and the mask survive an exec, and the program expects neither. */
static void reset_signals(void)
{
    for (int signo = 1; signo < NSIG; signo++)
        if (signo != SIGKILL && signo != SIGSTOP)
            signal(signo, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Returns only when the program can't be executed. */
static int execute(const struct spec *spec, const struct words *argv,
                   const struct words *env, const char *cwd, struct reeve_error *err)
{
    if (chdir(cwd) < 0)
        return reeve_error_set(err, errno, "enter %s", cwd);
    payload_env_set((struct words *)env, "PWD", cwd);
    reset_signals();
    if (spec->umask >= 0)
        umask((mode_t)spec->umask & 0777);
    execve(argv->v[0], argv->v, env->v);
    if (errno == ENOEXEC) {
        /* A script without a first line that names its interpreter: as a shell would.
         */
        auto_words line = WORDS_INIT;
        words_add(&line, "/bin/sh");
        for (size_t i = 0; i < argv->n; i++)
            words_add(&line, argv->v[i]);
        execve(line.v[0], line.v, env->v);
    }
    return reeve_error_set(err, errno, "execute %.150s", argv->v[0]);
}

/* The same with libgit2, from the start: nothing was printed or told yet. Returns only
 * when it can't be executed. */
static int hand_over(struct reeve_error *err)
{
    auto_free char *program = program_find_dup("reeve-prepare-git", err);
    char *argv[] = {program, NULL};
    if (!program)
        return -1;
    if (lseek(SPEC_FD, 0, SEEK_SET) < 0)
        return reeve_error_set(err, errno, "read the specification again");
    fd_set_cloexec(SPEC_FD, 0);
    fd_set_cloexec(STATUS_FD, 0);
    execv(program, argv);
    return reeve_error_set(err, errno, "execute %s", program);
}

static int prepare(struct report *r, struct reeve_error *err)
{
    struct spec spec;
    if (spec_read(SPEC_FD, &spec, err) < 0)
        return -1;
    if (spec.repository[0] && !checkout_available()) {
        spec_free(&spec);
        return hand_over(err);
    }
    close(SPEC_FD);
    tell_task(&spec, r);
    struct workspace w = {0};
    auto_words env = WORDS_INIT;
    auto_words argv = WORDS_INIT;
    payload_env_make(&spec, (const char *const *)environ, &env);
    int result = workspace_make(&spec, r, &w, err);
    if (result == 0)
        result = make_command(&spec, &w, r, &env, &argv, err);
    if (result == 0) {
        tell_start(&spec, &w, &argv, r);
        result = execute(&spec, &argv, &env, w.cwd, err);
    }
    workspace_free(&w);
    spec_free(&spec);
    return result;
}

static int check_descriptors(void)
{
    if (fcntl(SPEC_FD, F_GETFD) >= 0 && fcntl(STATUS_FD, F_GETFD) >= 0)
        return 0;
    fprintf(stderr, "reeve-prepare: started by reeve-subagent, with a specification on "
                    "descriptor 3 and a status pipe on 4\n");
    return -1;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1 || check_descriptors() < 0)
        return 2;
    /* No core file and no ptrace by the user's other processes: secrets are in here. An
     * exec undoes it. */
    prctl(PR_SET_DUMPABLE, 0);
    signal(SIGPIPE, SIG_IGN);
    syscall(SYS_close_range, STATUS_FD, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
    fd_set_cloexec(SPEC_FD, 1);
    fd_set_cloexec(STATUS_FD, 1);
    struct report r = {STDOUT_FILENO, STATUS_FD, "environment", false};
    struct reeve_error err = {0};
    if (prepare(&r, &err) < 0)
        report_fail(&r, err.text);
    return 1;
}
