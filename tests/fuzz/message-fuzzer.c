/* SPDX-License-Identifier: Apache-2.0 */
/* Packets on agent.sock: every field walked by every reader. */
#include "config.h"

#include "run/message.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct message m;
    char text[64];
    uint64_t v;
    if (size > sizeof m.data)
        return 0;
    memcpy(m.data, data, size);
    m.len = size;
    /* A caller that forgot to check must not be led outside either. */
    message_check(&m, NULL);
    for (int tag = 0; tag <= TAG_STOP_SIGNAL + 1; tag++) {
        size_t at = 0;
        message_get_u64(&m, (enum message_tag)tag, &v);
        message_get_text(&m, (enum message_tag)tag, text, 1);
        while (message_next_text(&m, (enum message_tag)tag, &at, text, sizeof text))
            ;
    }
    return 0;
}
