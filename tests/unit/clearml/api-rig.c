/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "api-rig.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

static void guard_cb(struct ev_loop *loop, ev_timer *w, int revents)
{
    fprintf(stderr, "the test hangs\n");
    abort();
}

void answer(const struct fake_request *r, int status, const char *body)
{
    fake_answer(r->conn, status, NULL, body);
}

void answer_token(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    auto_buf b = BUF_INIT;
    auto_free char *claims =
        xasprintf("{\"iat\":%lld,\"exp\":%lld,\"api_version\":\"2.31\",\"n\":%d,"
                  "\"identity\":{\"user\":\"me\"},\"reeve\":[\"wait\"]}",
                  1000LL, 1000LL + (long long)f->token_life_s, f->logins);
    buf_add_str(&b, "{\"meta\":{\"result_code\":200},\"data\":{\"token\":\"e30.");
    base64_add(&b, claims, strlen(claims));
    buf_printf(&b, ".login%d\"}}", f->logins);
    answer(r, 200, b.data);
}

void answer_ok(void *arg, const struct fake_request *r)
{
    answer(r, 200, OK_BODY);
}

void serve(void *arg, const struct fake_request *r)
{
    struct fixture *f = arg;
    if (strstr(r->head, "/auth.login")) {
        f->logins++;
        snprintf(f->login_head, sizeof f->login_head, "%s", r->head);
        f->on_login(f, r);
    } else {
        f->calls++;
        snprintf(f->last_head, sizeof f->last_head, "%s", r->head);
        snprintf(f->last_body, sizeof f->last_body, "%s", r->body);
        f->on_call(f, r);
    }
}

static void on_reachable(void *arg, bool reachable, const char *why)
{
    struct fixture *f = arg;
    f->edges++;
    f->reachable = reachable;
    snprintf(f->why, sizeof f->why, "%s", why);
}

struct fixture *setup_config(fake_f on_call, struct api_config config)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct reeve_error err = {0};
    f->loop = ev_loop_new(0);
    f->server = fake_server_create(f->loop, serve, f);
    f->on_login = answer_token;
    f->on_call = on_call;
    f->token_life_s = 100000;
    f->stop_after = 1;
    auto_free char *url = xasprintf("%s/", fake_server_url(f->server));
    config.url = url;
    config.worker = "host:1";
    config.client = "reeve-test";
    config.retry_min_ms = 5;
    config.retry_max_ms = 40;
    f->api = api_create(f->loop, &config, &err);
    assert_non_null(f->api);
    api_on_reachable(f->api, on_reachable, f);
    ev_timer_init(&f->guard, guard_cb, 30., 0.);
    ev_timer_start(f->loop, &f->guard);
    return f;
}

struct fixture *setup(fake_f on_call)
{
    return setup_config(
        on_call, (struct api_config){.access_key = "key", .secret_key = "secret"});
}

void teardown(struct fixture *f)
{
    api_destroy(f->api);
    fake_server_destroy(f->server);
    ev_timer_stop(f->loop, &f->guard);
    assert_false(ev_run(f->loop, EVRUN_NOWAIT));
    ev_loop_destroy(f->loop);
    free(f);
}

void done(void *arg, const struct api_reply *reply)
{
    struct fixture *f = arg;
    f->replies++;
    f->result = reply->result;
    f->code = reply->code;
    f->subcode = reply->subcode;
    snprintf(f->message, sizeof f->message, "%s", reply->message);
    f->a = (int)json_int(reply->data, "a", -1);
    if (reply->result == API_OK)
        assert_true(cJSON_IsObject(reply->data));
    if (f->replies >= f->stop_after)
        ev_break(f->loop, EVBREAK_ALL);
}

void call(struct fixture *f, const struct api_options *options)
{
    assert_non_null(api_send(f->api, NULL, "tasks.get_all", NULL, options, done, f));
    ev_run(f->loop, 0);
}

void html(void *arg, const struct fake_request *r)
{
    answer(r, 200, "<html>It works!</html>");
}

void silent(void *arg, const struct fake_request *r)
{
}
