/* SPDX-License-Identifier: Apache-2.0 */
/* A server's answer: first byte the HTTP status, the rest the body; what is a token in
 * there is read as one. */
#include "config.h"

#include "base/alloc.h"
#include "base/json.h"
#include "clearml/envelope.h"
#include "clearml/token.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_token(const char *text)
{
    struct reeve_error err;
    struct token *t = token_parse(text, &err);
    if (!t)
        return;
    if (strlen(token_api_version(t)) >= 32 || !token_user(t) ||
        token_seconds_left(t, true, 0) < 0 || token_seconds_left(t, false, 1) < 0)
        abort();
    token_has_extension(t, "wait");
    token_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 400, 401, 404, 429, 500, 502, 503};
    struct envelope e;
    if (size == 0)
        return 0;
    envelope_decode(statuses[data[0] % ARRAY_SIZE(statuses)], (const char *)data + 1,
                    size - 1, &e);
    if ((e.kind == ENVELOPE_OK) != (e.data != NULL) ||
        (e.kind == ENVELOPE_FOREIGN) != (e.code == 0) ||
        strlen(e.message) >= sizeof e.message)
        abort();
    if (e.data)
        read_token(json_str(e.data, "token", ""));
    envelope_free(&e);
    auto_free char *text = xstrndup((const char *)data + 1, size - 1);
    read_token(text);
    return 0;
}
