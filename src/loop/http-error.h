/* http-error.h - what curl reports, as a line that says what to do about it */
#ifndef REEVE_HTTP_ERROR_H
#define REEVE_HTTP_ERROR_H

#include "loop/trust.h"

#include <curl/curl.h>
#include <stddef.h>

struct http_failure {
    CURLcode code;
    long verify;       /* CURLINFO_SSL_VERIFYRESULT: OpenSSL's X509_V_ERR_... */
    const char *words; /* curl's own; "": none */
    bool proxied;      /* the request goes through a proxy */
};

/* Writes one line, cut to size. */
void http_error_text(const struct http_failure *f, const struct trust *trust,
                     char *text, size_t size);

#endif
