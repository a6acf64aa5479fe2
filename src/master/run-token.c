/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/* The token that a payload was given at its start: the master's own is another one
 * before long, and a payload may print its own as long as it lives. The same token is
 * many runs'. */

#include "master/run-token.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/proc.h"
#include "config/secrets.h"
#include "master/master.h"

#include <string.h>

#define ENVIRON_MAX (2 << 20)

struct run_token {
    unsigned uses;
    char text[];
};

static struct run_token *make(const char *text)
{
    size_t n = strlen(text) + 1;
    struct run_token *t = xmalloc(sizeof *t + n);
    t->uses = 0;
    memcpy(t->text, text, n);
    return t;
}

static void set(struct run_token **to, struct run_token *t)
{
    if (t)
        t->uses++;
    struct run_token *old = *to;
    *to = t;
    if (!old || --old->uses)
        return;
    explicit_bzero(old->text, strlen(old->text));
    free(old);
}

void run_token_note(struct run *run)
{
    struct master *m = run->master;
    const char *now = api_token(m->api);
    if (now && (!m->token || strcmp(m->token->text, now) != 0))
        set(&m->token, make(now));
    set(&run->token, now ? m->token : NULL);
}

void run_token_forget(struct run_token **token)
{
    set(token, NULL);
}

/* After a start of the master only the payload itself has it. */
static void add_environment(const struct run *run, cJSON *env)
{
    auto_buf text = BUF_INIT;
    auto_free char *path = xasprintf("/proc/%d/environ", (int)run->payload_pid);
    if (!run->payload_pid || file_read(path, &text, ENVIRON_MAX, NULL) < 0 ||
        proc_start_time(run->payload_pid) != run->payload_start)
        return;
    buf_add_char(&text, '\0');
    for (char *e = text.data; e < text.data + text.len; e += strlen(e) + 1) {
        size_t name = strcspn(e, "=");
        if (!e[name] || !secret_variable(e, name))
            continue;
        auto_free char *key = xstrndup(e, name);
        cJSON_AddStringToObject(env, key, e + name + 1);
    }
    explicit_bzero(text.data, text.len);
}

void run_token_add(const struct run *run, cJSON *env)
{
    if (run->token)
        cJSON_AddStringToObject(env, "CLEARML_AUTH_TOKEN", run->token->text);
    else
        add_environment(run, env);
}
