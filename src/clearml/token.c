/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "clearml/token.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/json.h"

#include <string.h>

enum {
    MAX_TOKEN = 16 * 1024
}; /* ClearML's are about 1 KiB; servers cut headers here */

struct token {
    char *text;
    cJSON *claims;
};

static int check_text(const char *text, struct reeve_error *err)
{
    size_t n = 0;
    for (; text[n]; n++) {
        if (n == MAX_TOKEN)
            return reeve_error_set(err, 0, "the token is too long");
        if (text[n] <= ' ' || text[n] > '~')
            return reeve_error_set(err, 0, "the token has a bad byte");
    }
    return n ? 0 : reeve_error_set(err, 0, "the token is empty");
}

static cJSON *read_claims(const char *text, struct reeve_error *err)
{
    auto_buf bytes = BUF_INIT;
    const char *first = strchr(text, '.');
    const char *second = first ? strchr(first + 1, '.') : NULL;
    if (!second || strchr(second + 1, '.')) {
        reeve_error_set(err, 0, "the token has not three parts");
        return NULL;
    }
    if (base64_decode(first + 1, (size_t)(second - first - 1), &bytes) != 0) {
        reeve_error_set(err, 0, "the token's claims are not base64");
        return NULL;
    }
    cJSON *claims = json_parse(buf_str(&bytes), bytes.len, err);
    if (!claims) {
        reeve_error_wrap(err, "the token's claims");
        return NULL;
    }
    if (!cJSON_IsObject(claims)) {
        cJSON_Delete(claims);
        reeve_error_set(err, 0, "the token's claims are no object");
        return NULL;
    }
    return claims;
}

struct token *token_parse(const char *text, struct reeve_error *err)
{
    if (check_text(text, err) != 0)
        return NULL;
    cJSON *claims = read_claims(text, err);
    if (!claims)
        return NULL;
    struct token *t = xcalloc(1, sizeof *t);
    t->text = xstrdup(text);
    t->claims = claims;
    return t;
}

void token_free(struct token *t)
{
    if (!t)
        return;
    explicit_bzero(t->text, strlen(t->text));
    free(t->text);
    cJSON_Delete(t->claims);
    free(t);
}

const char *token_text(const struct token *t)
{
    return t->text;
}

const char *token_api_version(const struct token *t)
{
    const char *v = json_str(t->claims, "api_version", "");
    size_t n = strlen(v);
    return n < 32 && strspn(v, "0123456789.") == n ? v : "";
}

const char *token_user(const struct token *t)
{
    return json_str(json_get(t->claims, "identity"), "user", "");
}

bool token_has_extension(const struct token *t, const char *name)
{
    return json_list_has(json_get(t->claims, "reeve"), name);
}

int64_t token_issued_s(const struct token *t)
{
    double iat = json_num(t->claims, "iat", 0);
    return iat > 0 && iat < 1e12 ? (int64_t)iat : 0;
}

int64_t token_seconds_left(const struct token *t, bool fresh, int64_t wall_ms)
{
    const cJSON *exp = json_get(t->claims, "exp");
    const cJSON *iat = json_get(t->claims, "iat");
    if (!exp || cJSON_IsNull(exp))
        return INT64_MAX;
    double from = (double)wall_ms / 1000.0;
    if (fresh && cJSON_IsNumber(iat))
        from = iat->valuedouble;
    double left = json_num(t->claims, "exp", 0) - from;
    if (!(left > 0)) /* NaN too */
        return 0;
    return left > 1e12 ? INT64_MAX : (int64_t)left;
}
