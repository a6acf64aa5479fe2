/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/http-error.h"

#include <stdio.h>
#include <string.h>

/* The numbers are OpenSSL's (x509_vfy.h); another TLS library has none of them, and
 * curl's own words stand alone then. */
static const char *certificate_advice(long verify, const char *words)
{
    switch (verify) {
    case 2:
    case 18:
    case 19:
    case 20:
    case 21:
        return "no authority that is trusted here has signed its certificate; name the "
               "authority's file in api.verify_certificate or REQUESTS_CA_BUNDLE";
    case 9:
        return "its certificate is not valid yet; is this host's clock right?";
    case 10:
        return "its certificate has expired; renew it on the server, or is this host's "
               "clock wrong?";
    default:
        /* The name is compared by curl itself. */
        return strstr(words, "subject name") || strstr(words, "does not match")
                   ? "its certificate is for another name; call the server by a name "
                     "that the certificate has"
                   : NULL;
    }
}

static const char *tunnel_advice(const char *words)
{
    /* tinyproxy says 401 to a wrong password. */
    if (strstr(words, "response 407") || strstr(words, "response 401"))
        return "the proxy wants a user and a password: http://user:password@proxy:port "
               "in the proxy's variable";
    return strstr(words, "CONNECT") ? "the proxy lets no connection through" : NULL;
}

static const char *advice(const struct http_failure *f)
{
    const char *tunnel = f->proxied ? tunnel_advice(f->words) : NULL;
    if (tunnel)
        return tunnel;
    switch (f->code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return certificate_advice(f->verify, f->words);
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "the proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY has no address; mend "
               "the variable, or name the server in NO_PROXY";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the name has no address now; is api.api_server right?";
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: /* our own bound is on the rest: why_not */
        return f->proxied ? "is the proxy of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY up?"
                          : "is the server up, and is api.api_server right?";
    case CURLE_SSL_CONNECT_ERROR:
        return strstr(f->words, "wrong version number")
                   ? "it does not speak TLS there; http:// in place of https://?"
                   : NULL;
    default:
        return NULL;
    }
}

void http_error_text(const struct http_failure *f, const struct trust *trust,
                     char *text, size_t size)
{
    const char *words = f->words[0] ? f->words : curl_easy_strerror(f->code);
    const char *help = advice(f);
    if (f->code == CURLE_SSL_CACERT_BADFILE && trust->source)
        snprintf(text, size, "the certificates in %s, which %s names, cannot be read",
                 trust->file ? trust->file : trust->folder, trust->source);
    else if (help)
        snprintf(text, size, "%s (%s)", help, words);
    else
        snprintf(text, size, "%s", words);
}
