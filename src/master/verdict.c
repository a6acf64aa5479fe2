/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/verdict.h"

#include <stdio.h>
#include <string.h>

static const char *bytes_text(int64_t bytes, char out[32])
{
    if (bytes < 0)
        snprintf(out, 32, "unknown");
    else
        snprintf(out, 32, "%.1f MiB", (double)bytes / (1 << 20));
    return out;
}

static void put(struct verdict *v, enum verdict_kind kind, const char *reason)
{
    v->kind = kind;
    snprintf(v->reason, sizeof v->reason, "%s", reason);
}

/* Linux before 5.19 counts no peak on v2; least is what it was at least, if known. */
static void put_memory(struct verdict *v, const char *what,
                       const struct verdict_input *in, int64_t least)
{
    char limit[32], peak[32];
    int64_t counted = in->stat->memory_peak;
    snprintf(v->text, sizeof v->text, "%s: limit %s, peak %s", what,
             in->memory_limit < 0 ? "none" : bytes_text(in->memory_limit, limit),
             bytes_text(counted < 0 ? least : counted, peak));
}

void verdict_setup(struct verdict *v, const char *step, const char *text)
{
    snprintf(v->step, sizeof v->step, "%s", step);
    snprintf(v->reason, sizeof v->reason, "setup:%s", v->step);
    snprintf(v->text, sizeof v->text, "set-up failed at %s: %s", step, text);
    v->kind = VERDICT_SETUP;
}

/* A failed run whose own limit was hit ended by it, whoever of its processes was
 * killed; kills without that event are the host's shortage (memory.events,
 * cgroup-v2.rst). */
static bool judge_memory(const struct verdict_input *in, struct verdict *v)
{
    if (!in->stat || (!in->stat->oom && !in->stat->oom_kill))
        return false;
    if (in->stat->oom) {
        put(v, VERDICT_OOM, "oom");
        put_memory(v, "out of memory", in, in->memory_limit);
        return true;
    }
    if (in->exit->signal != 9)
        return false;
    put(v, VERDICT_HOST_OOM, "host-oom");
    put_memory(v, "killed because the host ran out of memory", in, -1);
    return true;
}

static void judge_exit(const struct verdict_input *in, struct verdict *v)
{
    char word[48];
    if (v->signal) {
        snprintf(word, sizeof word, "signal:%d", v->signal);
        put(v, VERDICT_SIGNAL, word);
        snprintf(v->text, sizeof v->text, "ended by signal %d (SIG%s)", v->signal,
                 sigabbrev_np(v->signal) ? sigabbrev_np(v->signal) : "?");
    } else {
        snprintf(word, sizeof word, "exit:%d", v->code);
        put(v, VERDICT_EXIT, word);
        snprintf(v->text, sizeof v->text,
                 v->code ? "exit code %d" : "completed, exit code %d", v->code);
    }
}

void verdict_make(const struct verdict_input *in, struct verdict *out)
{
    memset(out, 0, sizeof *out);
    out->code = in->exit ? in->exit->code : -1;
    out->signal = in->exit ? in->exit->signal : 0;
    if (in->aborted) {
        put(out, VERDICT_ABORTED, "aborted");
        snprintf(out->text, sizeof out->text, "aborted: %s", in->abort_text);
    } else if (in->rebooted && !in->exit) {
        put(out, VERDICT_REBOOT, "host-reboot");
        snprintf(out->text, sizeof out->text, "the host was restarted while this ran");
    } else if (!in->exit) {
        put(out, VERDICT_AGENT_LOST, "agent-lost");
        snprintf(out->text, sizeof out->text,
                 "the sub-agent was lost, so how the task ended is not known");
    } else if (in->exit->timed_out) {
        put(out, VERDICT_TIMEOUT, "timeout");
        snprintf(out->text, sizeof out->text, "stopped: its time-out was reached");
    } else if (in->exit->step[0]) {
        bool oom = in->stat && in->stat->oom;
        verdict_setup(out, in->exit->step, oom ? "out of memory" : in->exit->text);
    } else if (verdict_success(out) || !judge_memory(in, out)) {
        judge_exit(in, out);
    }
}

bool verdict_success(const struct verdict *v)
{
    return v->kind == VERDICT_EXIT && v->code == 0 && v->signal == 0;
}

int verdict_exit_code(const struct verdict *v)
{
    if (verdict_success(v))
        return 0;
    return v->code > 0 ? v->code : v->signal ? 128 + v->signal : 1;
}
