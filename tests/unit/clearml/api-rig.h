/* api-rig.h - an api on a loop of its own before a scripted server, for the tests of it
 */
#ifndef REEVE_API_RIG_H
#define REEVE_API_RIG_H

#include "clearml/api.h"
#include "../loop/fake-server.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#define OK_BODY                                                                        \
    "{\"meta\":{\"result_code\":200,\"result_msg\":\"OK\"},\"data\":{\"a\":1}}"

struct fixture {
    struct ev_loop *loop;
    struct fake_server *server;
    struct api *api;
    ev_timer guard;
    /* The server's side: what it does with request number n of each kind. */
    fake_f on_login, on_call;
    int logins, calls;
    int64_t token_life_s;
    char there[128]; /* where redirects lead, and with which status */
    int redirect, aways;
    char last_head[2048], last_body[512], login_head[2048];
    /* The client's side. */
    int replies;
    enum api_result result;
    int code, subcode;
    char message[512];
    int a; /* data.a, -1 without data */
    int stop_after;
    int edges;
    bool reachable;
    char why[512];
};

static const struct api_options safe = {.retry = API_RETRY_SAFE};

/* Keys "key" and "secret"; worker "host:1"; pauses of milliseconds. */
struct fixture *setup(fake_f on_call);
struct fixture *setup_config(fake_f on_call, struct api_config config);
/* Fails the test if anything is still registered with the loop. */
void teardown(struct fixture *f);
/* Runs tasks.get_all to its reply. */
void call(struct fixture *f, const struct api_options *options);
/* Notes the reply in the fixture, and ends its loop after stop_after of them. */
void done(void *arg, const struct api_reply *reply);

/* What the server does with a request: serve tells logins and calls apart. */
void serve(void *arg, const struct fake_request *r);
void answer(const struct fake_request *r, int status, const char *body);
void answer_token(void *arg, const struct fake_request *r);
void answer_ok(void *arg, const struct fake_request *r);
void html(void *arg, const struct fake_request *r);
void silent(void *arg, const struct fake_request *r);

#endif
