/* SPDX-License-Identifier: Apache-2.0 */
/* HOCON from anywhere: a document or an error, never a crash, a leak or a long wait. */
#include "config.h"

#include "config/hocon.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_error err;
    cJSON_Delete(hocon_parse((const char *)data, size, NULL, &err));
    return 0;
}
