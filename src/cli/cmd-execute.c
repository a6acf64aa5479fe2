/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cli/commands.h"
#include "cli/daemon-args.h"
#include "cli/find.h"

#include "base/alloc.h"
#include "base/json.h"
#include "config/programs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The clone's name is clearml-agent's (worker.py, execute). */
static int clone_task(struct session *s, char **id, struct reeve_error *err)
{
    auto_json *task = NULL, *made = NULL;
    int code = get_task(s, *id, &task, err);
    if (code != CLI_DONE)
        return code;
    cJSON *body = cJSON_CreateObject();
    auto_free char *name = xasprintf("Clone of %s", json_str(task, "name", ""));
    json_set_str(body, "task", *id);
    json_set_str(body, "new_task_name", name);
    code = session_call(s, "tasks.clone", body, &made, err);
    if (code != CLI_DONE)
        return code;
    printf("Task cloned, new task id=%s\n", json_str(made, "id", ""));
    free(*id);
    *id = xstrdup(json_str(made, "id", ""));
    return CLI_DONE;
}

static int find(const struct args *args, struct session *s, char **id,
                struct reeve_error *err)
{
    const char *word = args_value(args, "id", NULL);
    if (!word) {
        reeve_error_set(err, 0, "--id TASK is needed");
        return CLI_USAGE;
    }
    int code = session_open(args, s, err);
    if (code == CLI_DONE)
        code = find_task(s, word, id, err);
    if (code == CLI_DONE && args_has(args, "clone"))
        code = clone_task(s, id, err);
    return code;
}

/* The master that supervises the one task becomes of this process: its exit code is
 * the task's, and signals of the terminal reach it. */
static int run(const struct args *args)
{
    struct reeve_error err = {0};
    auto_words argv = WORDS_INIT;
    auto_session s = {0};
    auto_free char *id = NULL;
    int code = find(args, &s, &id, &err);
    if (code != CLI_DONE)
        return cli_fail(code, "execute: %s", err.text);
    if (execute_args(args, id, &argv, &err) < 0)
        return cli_fail(CLI_USAGE, "execute: %s", err.text);
    auto_free char *state = target_state_dir_dup(args);
    if (state) {
        words_add(&argv, "--state-dir");
        words_add(&argv, state);
    }
    if (!args_has(args, "run-dir")) {
        words_add(&argv, "--run-dir");
        words_add(&argv, s.target.run_dir);
    }
    auto_free char *program = program_find_dup("reeved", &err);
    if (!program)
        return cli_fail(CLI_FAILED, "execute: %s", err.text);
    worker_args_set_git(args);
    target_export(&s.target);
    fflush(stdout);
    signal(SIGPIPE, SIG_DFL);
    execv(program, argv.v);
    return cli_fail(CLI_FAILED, "execute: %s: %s", program, strerror(errno));
}

const struct command cmd_execute = {
    .name = "execute",
    .summary = "run one task in the foreground (clearml-agent's flags)",
    .usage = "--id TASK [OPTION]...",
    .about = "The task runs as under a master: in its cgroup, with its quotas, its log "
             "on the server and here.\nThe exit code is the task's, 128 and the signal "
             "for one that ended it. A signal aborts it; a second\none leaves it no "
             "grace.",
    .specs = execute_specs,
    .words_max = -1,
    .run = run,
};
