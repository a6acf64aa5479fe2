/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/verdict.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word, *call;
} kinds[] = {
#define X(name, word, call) [VERDICT_##name] = {word, call},
    VERDICTS(X)
#undef X
};

const char *verdict_word(enum verdict_kind kind)
{
    return kinds[kind].word;
}

int verdict_kind_of(const char *reason)
{
    size_t n = strcspn(reason, ":");
    for (int i = 0; i < VERDICT_COUNT; i++)
        if (strlen(kinds[i].word) == n && memcmp(kinds[i].word, reason, n) == 0)
            return i;
    return -1;
}

const char *verdict_call(const struct verdict *v)
{
    return verdict_success(v) ? "tasks.completed" : kinds[v->kind].call;
}

static const char *bytes_text(int64_t bytes, char out[32])
{
    if (bytes < 0)
        snprintf(out, 32, "unknown");
    else
        snprintf(out, 32, "%.1f MiB", (double)bytes / (1 << 20));
    return out;
}

static void put(struct verdict *v, enum verdict_kind kind)
{
    v->kind = kind;
    snprintf(v->reason, sizeof v->reason, "%s", kinds[kind].word);
}

static void put_number(struct verdict *v, enum verdict_kind kind, int number)
{
    v->kind = kind;
    snprintf(v->reason, sizeof v->reason, "%s:%d", kinds[kind].word, number);
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

static const char *signal_name(int signal)
{
    return sigabbrev_np(signal) ? sigabbrev_np(signal) : "?";
}

/* Memory that ran out in set-up is the step's failure: it wins over oom. */
static void judge_setup(const struct verdict_input *in, struct verdict *v)
{
    const struct spool_exit *e = in->exit;
    char killed[64];
    const char *text = e->text;
    if (in->stat && in->stat->oom) {
        text = "out of memory";
    } else if (!text[0] && e->signal) {
        snprintf(killed, sizeof killed, "ended by signal %d (SIG%s)", e->signal,
                 signal_name(e->signal));
        text = killed;
    }
    v->kind = VERDICT_SETUP;
    snprintf(v->step, sizeof v->step, "%s", e->step);
    snprintf(v->reason, sizeof v->reason, "%s:%s", kinds[VERDICT_SETUP].word, v->step);
    snprintf(v->text, sizeof v->text, "set-up failed at %s: %s", v->step, text);
}

/* A failed run whose own limit was hit ended by it, whoever of its processes was
 * killed; kills without that event are the host's shortage (memory.events,
 * cgroup-v2.rst). */
static bool judge_memory(const struct verdict_input *in, struct verdict *v)
{
    if (!in->stat || (!in->stat->oom && !in->stat->oom_kill))
        return false;
    if (in->stat->oom) {
        put(v, VERDICT_OOM);
        put_memory(v, "out of memory", in, in->memory_limit);
        return true;
    }
    if (in->exit->signal != 9)
        return false;
    put(v, VERDICT_HOST_OOM);
    put_memory(v, "killed because the host ran out of memory", in, -1);
    return true;
}

static void judge_exit(const struct verdict_input *in, struct verdict *v)
{
    if (v->signal) {
        put_number(v, VERDICT_SIGNAL, v->signal);
        snprintf(v->text, sizeof v->text, "ended by signal %d (SIG%s)", v->signal,
                 signal_name(v->signal));
    } else {
        put_number(v, VERDICT_EXIT, v->code);
        snprintf(v->text, sizeof v->text,
                 v->code ? "exit code %d" : "completed, exit code %d", v->code);
    }
}

static void judge_timeout(const struct verdict_input *in, struct verdict *v)
{
    const char *step = in->exit->step;
    put(v, VERDICT_TIMEOUT);
    snprintf(v->text, sizeof v->text, "stopped: its time-out was reached%s%s",
             step[0] ? ", in set-up at " : "", step);
}

static void put_text(struct verdict *v, enum verdict_kind kind, const char *text)
{
    put(v, kind);
    snprintf(v->text, sizeof v->text, "%s", text);
}

void verdict_make(const struct verdict_input *in, struct verdict *out)
{
    memset(out, 0, sizeof *out);
    out->code = in->exit ? in->exit->code : -1;
    out->signal = in->exit ? in->exit->signal : 0;
    if (in->aborted_by) {
        put(out, VERDICT_ABORTED);
        snprintf(out->by, sizeof out->by, "%s", in->aborted_by);
        snprintf(out->text, sizeof out->text, "aborted: %s", in->abort_text);
    } else if (in->host_down) {
        put_text(out, VERDICT_REBOOT, "the host was shut down while this ran");
    } else if (in->rebooted && !in->exit) {
        put_text(out, VERDICT_REBOOT, "the host was restarted while this ran");
    } else if (!in->exit) {
        put_text(out, VERDICT_AGENT_LOST,
                 "the sub-agent was lost, so how the task ended is not known");
    } else if (in->exit->timed_out) {
        judge_timeout(in, out);
    } else if (in->over_disk) {
        char used[32], limit[32];
        put(out, VERDICT_DISK);
        bytes_text(in->disk_limit, limit);
        if (in->over_disk == DISK_HIDDEN)
            snprintf(
                out->text, sizeof out->text,
                "stopped: what its folder takes cannot be counted, its quota is %s",
                limit);
        else
            snprintf(out->text, sizeof out->text,
                     "stopped: its folder has %s, its quota is %s",
                     bytes_text(in->over_disk, used), limit);
    } else if (strcmp(in->exit->step, STEP_REFUSED) == 0) {
        put(out, VERDICT_REFUSED);
        snprintf(out->text, sizeof out->text, "refused: %s", in->exit->text);
    } else if (in->exit->step[0]) {
        judge_setup(in, out);
    } else if (verdict_success(out) || !judge_memory(in, out)) {
        judge_exit(in, out);
    }
}

/* Before a kind is put there, it is that of exit. */
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

const char *verdict_memory_warning(const struct verdict *v,
                                   const struct cgroup_stat *stat, char out[128])
{
    out[0] = '\0';
    if (stat->oom_kill && v->kind != VERDICT_OOM && v->kind != VERDICT_HOST_OOM)
        snprintf(out, 128, "%llu of its processes were killed for want of memory (%s)",
                 (unsigned long long)stat->oom_kill,
                 stat->oom ? "the run's own limit" : "the host's");
    return out;
}
