/* SPDX-License-Identifier: Apache-2.0 */
/* A shell line is split, joined and split again: the same words, or an error. */
#include "config.h"

#include "base/alloc.h"
#include "config/size.h"
#include "config/words.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = xstrndup((const char *)data, size);
    auto_words words = WORDS_INIT, again = WORDS_INIT;
    int64_t value;
    size_parse(text, &value, NULL);
    duration_parse(text, &value, NULL);
    if (words_split(text, &words, NULL) < 0)
        return 0;
    auto_free char *line = words_join_dup(words.v, words.n);
    if (words_split(line, &again, NULL) < 0 || again.n != words.n)
        abort();
    for (size_t i = 0; i < words.n; i++)
        if (strcmp(words.v[i], again.v[i]) != 0)
            abort();
    return 0;
}
