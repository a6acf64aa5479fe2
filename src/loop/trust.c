/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/trust.h"
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file of certificates, or a folder of them under their hashes. */
static bool take(struct trust *t, const char *path, const char *source)
{
    struct stat st;
    if (!path || !*path)
        return false;
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    *(folder ? &t->folder : &t->file) = xstrdup(path);
    t->source = source;
    return true;
}

static bool take_variable(struct trust *t, const char *name)
{
    return take(t, getenv(name), name);
}

void trust_choose(struct trust *t, bool verify, const char *path)
{
    *t = (struct trust){.verify = verify};
    if (!verify || take_variable(t, "REQUESTS_CA_BUNDLE") ||
        take_variable(t, "CURL_CA_BUNDLE") || take(t, path, "api.verify_certificate") ||
        take_variable(t, "SSL_CERT_FILE"))
        return;
    take_variable(t, "SSL_CERT_DIR");
}

void trust_clear(struct trust *t)
{
    free(t->file);
    free(t->folder);
    *t = (struct trust){0};
}
