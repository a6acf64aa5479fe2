/* trust.h - whose certificates a server may show
 *
 * By the first of: no check at all, if that is configured; REQUESTS_CA_BUNDLE, then
 * CURL_CA_BUNDLE (both win over a configured file, as in Python's requests, by which
 * ClearML's own clients go); the configured file; SSL_CERT_FILE, SSL_CERT_DIR; the
 * system's. */
#ifndef REEVE_TRUST_H
#define REEVE_TRUST_H

#include <stdbool.h>

struct trust {
    bool verify;
    char *file, *folder; /* of authorities; both NULL: the system's */
    const char *source;  /* who named them; NULL: nobody */
};

/* path: the configured file or folder; NULL: none. */
void trust_choose(struct trust *t, bool verify, const char *path);
void trust_clear(struct trust *t);

#endif
