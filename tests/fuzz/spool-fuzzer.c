/* SPDX-License-Identifier: Apache-2.0 */
/* Segments of a spool. Half of the time the input is made a sound record first, so that
 * what is behind the checksum is reached too. */
#include "config.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "run/spool-internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const char *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct spool_entry e;
        if (spool_parse(p + at, n - at, at, &e) == RECORD_OK) {
            if (e.next <= at || e.next > n || e.text_len > n)
                abort();
            at = (size_t)e.next;
        } else {
            at += spool_resync(p + at, n - at, at);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk((const char *)data, size);
    if (size < SPOOL_FIXED_SIZE + 1)
        return 0;
    auto_buf body = BUF_INIT;
    auto_buf record = BUF_INIT;
    buf_add(&body, data + 1, size - 1);
    put_le64((unsigned char *)body.data + 4, 0);
    unsigned char header[RECORD_HEADER_SIZE];
    struct iovec piece = {body.data, body.len};
    record_header(header, SPOOL_VERSION, data[0] % 5, &piece, 1);
    buf_add(&record, header, sizeof header);
    buf_add(&record, body.data, body.len);
    walk(record.data, record.len);
    return 0;
}
