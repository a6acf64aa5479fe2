/* proxy.h - which proxy the environment names for an address
 *
 * As Python's requests reads it, since ClearML's own clients go by that:
 * http_proxy, https_proxy, else all_proxy, and no_proxy, each in lower case or, if that
 * is missing, in upper case; an empty http_proxy means none. */
#ifndef REEVE_PROXY_H
#define REEVE_PROXY_H

/* The proxy's address, as it stands in the variable, for the caller to free; NULL: the
 * server is asked directly. */
char *proxy_for_url_dup(const char *url);

#endif
