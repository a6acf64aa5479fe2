/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "server/multipart.h"

#include <stdint.h>
#include <string.h>

/* A body says the same in pieces of any size; and nothing in it does any harm. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_begin(void *arg, const char *name, bool is_file)
{
    buf_printf(arg, "(%s|%d)", name, is_file);
    return 0;
}

static int on_data(void *arg, const char *data, size_t n)
{
    buf_add(arg, data, n);
    return 0;
}

static int on_end(void *arg)
{
    buf_add_char(arg, ';');
    return 0;
}

static const struct multipart_ops ops = {on_begin, on_data, on_end};

/* 1: complete, 0: not, -1: refused. */
static int run(const char *data, size_t size, size_t piece, struct buf *said)
{
    struct multipart *m =
        multipart_create("multipart/form-data; boundary=B", &ops, said);
    int result = 0;
    for (size_t at = 0; at < size && result == 0; at += piece)
        result = multipart_feed(m, data + at, size - at < piece ? size - at : piece);
    if (result == 0)
        result = multipart_complete(m);
    multipart_destroy(m);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    auto_buf whole = BUF_INIT;
    auto_buf pieces = BUF_INIT;
    const char *body = (const char *)data + 1;
    int one = run(body, size - 1, size, &whole);
    int other = run(body, size - 1, data[0] % 7 + 1, &pieces);
    /* What a refused body said before depends on where it was cut. */
    if (one != other ||
        (one >= 0 && (whole.len != pieces.len ||
                      memcmp(buf_str(&whole), buf_str(&pieces), whole.len) != 0)))
        abort();
    auto_free char *type = xstrndup((const char *)data, size);
    multipart_destroy(multipart_create(type, &ops, NULL));
    return 0;
}
