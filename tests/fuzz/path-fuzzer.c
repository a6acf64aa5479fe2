/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, and their envelopes. */
#include "config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "server/dispatch.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct dispatch *d;
    struct call call;
    auto_buf out = BUF_INIT;
    if (!d)
        d = dispatch_create(true);
    auto_free char *path = xstrndup((const char *)data, size);
    call_init(&call, NULL);
    dispatch_path(d, &call, path);
    dispatch_envelope(&call, &out);
    auto_json *answer = json_parse(buf_str(&out), out.len, NULL);
    if (!answer)
        abort();
    call_free(&call);
    return 0;
}
