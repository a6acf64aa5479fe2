/* url.h - the parts of an http or https address
 *
 * scheme://user@host:port/path, each part as it stands in the text and borrowed from
 * it. Nothing is decoded. */
#ifndef REEVE_URL_H
#define REEVE_URL_H

#include <stdbool.h>
#include <stddef.h>

struct url_part {
    const char *text; /* not terminated */
    size_t n;
};

struct url {
    struct url_part scheme, user, host, port, path;
};

/* Parts that are missing have no length: user and port without @ and colon, host
 * without an IPv6 address's brackets. path is all the rest, with query. Of a text
 * without a scheme the host comes first. */
void url_split(const char *text, struct url *out);
bool url_part_is(struct url_part part, const char *text); /* in any case of letters */
bool url_same_part(struct url_part a, struct url_part b); /* in any case of letters */

#endif
