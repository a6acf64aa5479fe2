/* SPDX-License-Identifier: Apache-2.0 */
/* inject: kills a program at its Nth system call, or makes that call fail. */
#include "config.h"

#include "tracer.h"
#include "base/alloc.h"
#include "base/fd.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char usage[] =
    "usage: inject [OPTION]... -- COMMAND [ARGUMENT]...\n"
    "       inject [OPTION]... --pid PID\n"
    "Kills a program at its Nth system call, or makes that call fail or move less.\n"
    "\n"
    "which calls are numbered, from 1:\n"
    "  --program NAME[,NAME]  of processes that execute a program of this name, below "
    "the\n"
    "                         command or PID (default: the command's or PID's own)\n"
    "  --through NAME[,NAME]  and below those of these names, whose own calls do not "
    "count\n"
    "  --thread ROLE          of the thread of this name; main: the first one "
    "(default);\n"
    "                         all: of all threads, in one sequence\n"
    "  --forked               of what such a program forks, until it executes "
    "something\n"
    "  --calls NAME[,NAME]    of these alone; %effects: those that change something "
    "outside\n"
    "                         of the process (default: all)\n"
    "  --path TEXT            whose path, descriptor's path or, for what goes to a "
    "socket,\n"
    "                         first line has this in it\n"
    "  --after CALLS:TEXT     from the first call on, itself included, that is one of "
    "CALLS\n"
    "                         (or *) and has TEXT there as above\n"
    "what is done at which of them:\n"
    "  --at N[,N]...          the Nth (default 1); of a kill also: and then the Nth of "
    "one that\n"
    "                         begins later\n"
    "  --times N              and the next, N in all; 0: all (default 1)\n"
    "  --when entry|exit      before the call is carried out (default), or after that\n"
    "  --kill                 SIGKILL to the process (default)\n"
    "  --errno NAME           the call fails so: ENOSPC, ... or a number\n"
    "  --short N              it moves at most N bytes (pieces of a vector)\n"
    "  --count                nothing: all that are numbered are reported\n"
    "and:\n"
    "  --report FILE          a line for each: NUMBER PID ROLE CALL DETAIL\n"
    "  --ready-fd N           a byte is written there once the program is traced\n"
    "\n"
    "Of a command the exit code is returned, or 128 and the signal. With --pid: 0 if "
    "it was\n"
    "done, 3 if the process ended before or SIGTERM came, which lets it go. SIGTERM "
    "and\n"
    "SIGINT are passed on to a command; SIGUSR1 kills it, or PID. All processes that "
    "are\n"
    "not killed go on untraced; if inject itself is killed, so is what it traces.\n";

struct options {
    struct plan plan;
    pid_t pid;
    int ready_fd;
};

static pid_t command, target; /* the latter with --pid */

static void on_signal(int signal)
{
    if (signal == SIGUSR1)
        kill(command > 0 ? command : target, SIGKILL);
    else if (command > 0 && signal != SIGALRM)
        kill(command, signal);
    else if (signal != SIGALRM)
        tracer_interrupt();
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
}

static _Noreturn void fail(const char *what, const char *value)
{
    fprintf(stderr, "inject: %s%s (--help says more)\n", what, value);
    exit(2);
}

static long number(const char *text)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || *end || end == text || n < 0)
        fail("not a number: ", text);
    return n;
}

/* "N" or "N,N,..." */
static void parse_at(struct plan *p, char *value)
{
    char *comma = strchr(value, ',');
    if (comma)
        *comma = '\0';
    p->at = number(value);
    p->then = comma ? comma + 1 : NULL;
}

static int error_number(const char *text)
{
    for (int n = 1; n < 134; n++) {
        const char *name = strerrorname_np(n);
        if (name && strcmp(name, text) == 0)
            return n;
    }
    return (int)number(text);
}

static void parse_calls(struct call_set *set, const char *words)
{
    auto_free char *unknown = NULL;
    if (strcmp(words, "*") == 0)
        set->all = true;
    else if (call_set_parse(set, words, &unknown) < 0)
        fail("no such call is known: ", unknown);
}

static void parse_after(struct plan *p, char *value)
{
    char *colon = strchr(value, ':');
    if (!colon)
        fail("--after needs CALLS:TEXT, not ", value);
    *colon = '\0';
    parse_calls(&p->after_calls, value);
    p->after = colon + 1;
    p->begun = false;
}

static void open_report(struct plan *p, const char *path)
{
    p->report = fopen(path, "we");
    if (!p->report)
        fail("cannot write ", path);
}

enum {
    OPT_PROGRAM = 256,
    OPT_THROUGH,
    OPT_THREAD,
    OPT_FORKED,
    OPT_CALLS,
    OPT_PATH,
    OPT_AFTER,
    OPT_AT,
    OPT_TIMES,
    OPT_WHEN,
    OPT_KILL,
    OPT_ERRNO,
    OPT_SHORT,
    OPT_COUNT,
    OPT_REPORT,
    OPT_READY_FD,
    OPT_PID,
    OPT_HELP
};

static const struct option long_options[] = {
    {"program", required_argument, NULL, OPT_PROGRAM},
    {"through", required_argument, NULL, OPT_THROUGH},
    {"thread", required_argument, NULL, OPT_THREAD},
    {"forked", no_argument, NULL, OPT_FORKED},
    {"calls", required_argument, NULL, OPT_CALLS},
    {"path", required_argument, NULL, OPT_PATH},
    {"after", required_argument, NULL, OPT_AFTER},
    {"at", required_argument, NULL, OPT_AT},
    {"times", required_argument, NULL, OPT_TIMES},
    {"when", required_argument, NULL, OPT_WHEN},
    {"kill", no_argument, NULL, OPT_KILL},
    {"errno", required_argument, NULL, OPT_ERRNO},
    {"short", required_argument, NULL, OPT_SHORT},
    {"count", no_argument, NULL, OPT_COUNT},
    {"report", required_argument, NULL, OPT_REPORT},
    {"ready-fd", required_argument, NULL, OPT_READY_FD},
    {"pid", required_argument, NULL, OPT_PID},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

/* What is to be done; false if the option is not about that. */
static bool parse_action(struct plan *p, int option, char *value)
{
    if (option == OPT_KILL) {
        p->action = PLAN_KILL;
    } else if (option == OPT_COUNT) {
        p->action = PLAN_COUNT;
    } else if (option == OPT_ERRNO) {
        p->action = PLAN_ERRNO;
        p->error = error_number(value);
    } else if (option == OPT_SHORT) {
        p->action = PLAN_SHORT;
        p->most = (uint64_t)number(value);
    } else if (option == OPT_AT) {
        parse_at(p, value);
    } else if (option == OPT_TIMES) {
        p->times = number(value);
    } else if (option == OPT_WHEN) {
        p->at_exit = strcmp(value, "exit") == 0;
        if (!p->at_exit && strcmp(value, "entry") != 0)
            fail("--when is entry or exit, not ", value);
    } else {
        return false;
    }
    return true;
}

static void parse_which(struct options *o, int option, char *value)
{
    struct plan *p = &o->plan;
    if (option == OPT_PROGRAM)
        p->programs = value;
    else if (option == OPT_THROUGH)
        p->through = value;
    else if (option == OPT_THREAD)
        p->thread = value;
    else if (option == OPT_FORKED)
        p->forked = true;
    else if (option == OPT_CALLS)
        parse_calls(&p->calls, value);
    else if (option == OPT_PATH)
        p->path = value;
    else if (option == OPT_AFTER)
        parse_after(p, value);
    else if (option == OPT_REPORT)
        open_report(p, value);
    else if (option == OPT_READY_FD)
        o->ready_fd = (int)number(value);
    else if (option == OPT_PID)
        o->pid = (pid_t)number(value);
}

/* Where nothing says otherwise: all calls. */
static void fill_in(struct plan *p)
{
    static const struct call_set none;
    if (memcmp(&p->calls, &none, sizeof none) == 0)
        p->calls.all = true;
    if (p->then && p->action != PLAN_KILL)
        fail("several numbers are for kills alone", "");
#ifndef __x86_64__
    if (p->action == PLAN_ERRNO || p->action == PLAN_SHORT)
        fail("--errno and --short need an x86-64 processor", "");
#endif
}

static void parse(struct options *o, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        if (option == '?')
            fail("usage", "");
        if (option == OPT_HELP) {
            fputs(usage, stdout);
            exit(0);
        }
        if (!parse_action(&o->plan, option, optarg))
            parse_which(o, option, optarg);
    }
    if ((o->pid > 0) == (argv[optind] != NULL))
        fail("a command, or --pid", "");
    fill_in(&o->plan);
}

static int exit_code(const struct tracer *r)
{
    if (!r->own)
        return r->plan->hits > 0 || r->plan->action == PLAN_COUNT ? 0 : 3;
    return WIFEXITED(r->root_status) ? WEXITSTATUS(r->root_status)
                                     : 128 + WTERMSIG(r->root_status);
}

int main(int argc, char **argv)
{
    struct options o = {.plan = {.thread = "main",
                                 .at = 1,
                                 .times = 1,
                                 .begun = true,
                                 .action = PLAN_KILL},
                        .ready_fd = -1};
    struct tracer r = {.plan = &o.plan};
    struct reeve_error err;
    parse(&o, argc, argv);
    catch_signals();
    int failed = o.pid > 0 ? tracer_attach(&r, o.pid, &err)
                           : tracer_spawn(&r, argv + optind, &err);
    if (failed) {
        fprintf(stderr, "inject: %s\n", err.text);
        return 1;
    }
    command = r.own ? r.root : 0;
    target = r.root;
    if (o.ready_fd >= 0 && write(o.ready_fd, "1", 1) != 1)
        fail("cannot write to the descriptor of --ready-fd", "");
    tracer_run(&r);
    if (o.plan.report)
        fclose(o.plan.report);
    return exit_code(&r);
}
