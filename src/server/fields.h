/* fields.h - a request checked against its endpoint's table of fields, before the
 * handler sees it
 *
 * The rules are those of ClearML's request classes (apiserver/apimodels, jsonmodels),
 * down to what Python takes for an integer, a truth or an empty list. */
#ifndef REEVE_SERVER_FIELDS_H
#define REEVE_SERVER_FIELDS_H

#include "server/call.h"

/* Checks an object of the request and converts what ClearML converts: 0, or -1 after
 * failing the call with 400/12. */
int fields_check(struct call *call, cJSON *object, const struct field *fields);

#endif
