/* envelope.h - what came back from a ClearML API server: its answer, or something else
 *
 * {"meta": {"result_code", "result_subcode", "result_msg", ...}, "data": {...}} */
#ifndef REEVE_ENVELOPE_H
#define REEVE_ENVELOPE_H

#include <cjson/cJSON.h>
#include <stddef.h>

enum envelope_kind {
    ENVELOPE_OK,      /* HTTP and result code 200, data an object */
    ENVELOPE_REFUSED, /* result code 4xx: the server said no and changed nothing */
    ENVELOPE_FAILED,  /* result code 500 and above: it may have got half-way */
    ENVELOPE_FOREIGN  /* not ClearML's: HTML, half a document, wrong types, a proxy's */
};

struct envelope {
    enum envelope_kind kind;
    int code, subcode;  /* 0 if foreign */
    char message[1024]; /* one line: result_msg, or what is wrong with the answer */
    cJSON *data;        /* of ENVELOPE_OK; the caller's */
};

/* Never fails: whatever arrives is one of the four. body needs no NUL. */
void envelope_decode(int status, const char *body, size_t n, struct envelope *out);
void envelope_free(struct envelope *e);

#endif
