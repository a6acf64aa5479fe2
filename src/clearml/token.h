/* token.h - a session token (JWT) and what its claims say
 *
 * The signature is the server's business: a client cannot check it and only reads what
 * helps it to work. Nothing in the claims is trusted beyond that. */
#ifndef REEVE_TOKEN_H
#define REEVE_TOKEN_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct token;

/* NULL with err if it is no JWT with an object as claims, or holds a byte that has no
 * place in a header. */
struct token *token_parse(const char *text, struct reeve_error *err);
/* Wipes it. NULL is fine. */
void token_free(struct token *t);

const char *token_text(const struct token *t);
/* "2.31"; "" if there is none, or nothing that looks like a version. */
const char *token_api_version(const struct token *t);
const char *token_user(const struct token *t); /* identity.user or "" */
bool token_has_extension(const struct token *t, const char *name);

/* When the server issued it, by its own clock; 0 if it does not say. */
int64_t token_issued_s(const struct token *t);

/* Seconds that it is good for, from now. fresh: it was issued a moment ago, so the
 * server's own times (exp - iat) count and this host's clock does not matter. 0 if it
 * is over; INT64_MAX if it never ends. */
int64_t token_seconds_left(const struct token *t, bool fresh, int64_t wall_ms);

#endif
