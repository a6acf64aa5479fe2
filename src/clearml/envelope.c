/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "clearml/envelope.h"
#include "base/json.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A parsed value takes about 64 bytes, a value in the text as few as two: this bounds
 * what an answer can make of the memory to about 128 MiB. Real answers of the largest
 * page have some 100,000. */
enum { MAX_VALUES = 2000000 };

static void say(struct envelope *out, const char *text)
{
    size_t n = 0;
    for (; *text && n < sizeof out->message - 1; text++) {
        unsigned char c = (unsigned char)*text;
        out->message[n++] = c < ' ' || c == 0x7f ? ' ' : *text;
    }
    out->message[utf8_sound(out->message, n)] = '\0';
}

static const char *status_hint(int status)
{
    switch (status) {
    case 401:
        return " (something before the server wants a user and a password)";
    case 407:
        return " (the proxy wants a user and a password: "
               "http://user:password@proxy:port "
               "in the proxy's variable)";
    case 502:
    case 504:
        return " (a proxy answers, the server behind it does not)";
    case 503:
        return " (maintenance)";
    default:
        return "";
    }
}

static void foreign(int status, const char *why, struct envelope *out)
{
    char text[512];
    snprintf(text, sizeof text, "HTTP %d with no ClearML answer: %s%s", status, why,
             status_hint(status));
    out->kind = ENVELOPE_FOREIGN;
    out->code = out->subcode = 0;
    say(out, text);
}

/* A proxy's bound on bodies (nginx: client_max_body_size) is as certain a no as the
 * server's own: the same request gets the same answer for ever. */
static void too_large(struct envelope *out)
{
    out->kind = ENVELOPE_REFUSED;
    out->code = 413;
    say(out, "HTTP 413: the request is larger than the server, or a proxy before it, "
             "takes");
}

static bool too_many_values(const char *body, size_t n)
{
    size_t values = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        char c = body[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ',' || c == '[' || c == '{'))
            values++;
    }
    return values > MAX_VALUES;
}

/* A page's title says more of where the call went than where its JSON ends. False: it
 * is no page. */
static bool page_title(const char *body, size_t n, char *out, size_t size)
{
    const char *end = body + n;
    const char *from = memchr(body, '<', n < 64 ? n : 64);
    if (!from)
        return false;
    from = memmem(from, (size_t)(end - from), "<title>", 7);
    snprintf(out, size, "a web page");
    if (!from)
        return true;
    from += 7;
    const char *close = memchr(from, '<', (size_t)(end - from));
    size_t length = (size_t)((close ? close : end) - from);
    snprintf(out, size, "a web page, \"%.*s\"", (int)(length < 100 ? length : 100),
             from);
    return true;
}

/* A member that is absent or null is 0; one that is no sound number fails. */
static bool small_int(const cJSON *object, const char *name, int *out)
{
    const cJSON *v = json_get(object, name);
    *out = 0;
    if (!v || cJSON_IsNull(v))
        return true;
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0 && v->valuedouble <= 1000000) ||
        v->valuedouble != (double)(int)v->valuedouble)
        return false;
    *out = (int)v->valuedouble;
    return true;
}

static void classify(int status, cJSON *root, struct envelope *out)
{
    const cJSON *meta = json_get(root, "meta");
    if (!cJSON_IsObject(meta)) {
        foreign(status, "no meta", out);
        return;
    }
    if (!small_int(meta, "result_code", &out->code) ||
        !small_int(meta, "result_subcode", &out->subcode)) {
        foreign(status, "result_code is no code", out);
        return;
    }
    /* The HTTP status repeats the result code; a status of its own is a proxy's. */
    if (status != 200 && status != out->code) {
        foreign(status, "another result_code", out);
        return;
    }
    say(out, json_str(meta, "result_msg", ""));
    if (out->code >= 400 && out->code < 500) {
        out->kind = ENVELOPE_REFUSED;
    } else if (out->code >= 500 && out->code < 600) {
        out->kind = ENVELOPE_FAILED;
    } else if (out->code != 200) {
        foreign(status, "an unknown result_code", out);
    } else if (!cJSON_IsObject(json_get(root, "data"))) {
        foreign(status, "no data", out);
    } else {
        out->kind = ENVELOPE_OK;
        out->data = cJSON_DetachItemFromObjectCaseSensitive(root, "data");
    }
}

void envelope_decode(int status, const char *body, size_t n, struct envelope *out)
{
    struct reeve_error err = {0};
    char title[160];
    *out = (struct envelope){0};
    if (too_many_values(body, n)) {
        foreign(status, "too many values", out);
        return;
    }
    auto_json *root = json_parse(n ? body : "", n, &err);
    if (root)
        classify(status, root, out);
    else if (status == 413)
        too_large(out);
    else if (page_title(body, n, title, sizeof title))
        foreign(status, title, out);
    else
        foreign(status, err.text, out);
    if (!out->message[0] && out->kind != ENVELOPE_OK)
        snprintf(out->message, sizeof out->message, "error %d/%d", out->code,
                 out->subcode);
}

void envelope_free(struct envelope *e)
{
    cJSON_Delete(e->data);
    e->data = NULL;
}
