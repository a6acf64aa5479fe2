/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "base/digest.h"

#include <nettle/base16.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>

static const char *hex(const uint8_t *digest, size_t n, char *out)
{
    base16_encode_update(out, n, digest);
    out[BASE16_ENCODE_LENGTH(n)] = '\0';
    return out;
}

const char *md5_hex(const void *data, size_t n, char out[MD5_HEX_SIZE])
{
    struct md5_ctx context;
    uint8_t digest[MD5_DIGEST_SIZE];
    md5_init(&context);
    md5_update(&context, n, data);
    md5_digest(&context, sizeof digest, digest);
    return hex(digest, sizeof digest, out);
}

const char *sha256_hex(const void *data, size_t n, char out[SHA256_HEX_SIZE])
{
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    sha256_update(&context, n, data);
    sha256_digest(&context, sizeof digest, digest);
    return hex(digest, sizeof digest, out);
}
