/* SPDX-License-Identifier: Apache-2.0 */
/* A diff as a task may hold it, read and applied: up to the first NUL the content of a
 * file, after it the diff, of which each part is put on that file. */
#include "config.h"

#include "base/buf.h"
#include "prepare/git-url.h"
#include "prepare/patch-apply.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A URL that is taken holds no secret in what is shown or fetched. */
static void read_url(const char *text)
{
    struct git_url u;
    char *shown = git_url_shown_dup(text);
    if (git_url_parse(text, &u, NULL) == 0) {
        if (!u.name[0] || strchr(u.name, '/') || u.name[0] == '.')
            abort();
        free(git_url_https_dup(&u));
        git_url_free(&u);
    }
    free(shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, '\0', size);
    const char *before = (const char *)data;
    size_t n = nul ? (size_t)(nul - data) : 0;
    const char *diff = (const char *)data + n + (nul ? 1 : 0);
    struct patch p;
    if (nul)
        read_url(before);
    if (patch_parse(diff, size - n - (nul ? 1 : 0), &p, NULL) < 0)
        return 0;
    for (size_t i = 0; i < p.count; i++) {
        auto_buf out = BUF_INIT;
        if (!patch_file_name(&p.files[i]))
            abort();
        if (p.files[i].binary)
            patch_apply_binary(&p.files[i], before, n, &out, NULL);
        else
            patch_apply_hunks(&p.files[i], before, n, &out, NULL);
    }
    patch_free(&p);
    return 0;
}
