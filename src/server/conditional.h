/* conditional.h - HTTP's conditions and ranges of a file, from the headers' texts */
#ifndef REEVE_SERVER_CONDITIONAL_H
#define REEVE_SERVER_CONDITIONAL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum range { RANGE_ALL, RANGE_PART, RANGE_BAD };

/* "bytes=first-last", "bytes=first-", "bytes=-count" of a file of this size. Of several
 * ranges, or of what is no range at all, the whole file is meant, as HTTP allows. */
enum range conditional_range(const char *header, uint64_t size, uint64_t *offset,
                             uint64_t *n);
/* True if the client has this version: none_match is If-None-Match (a list, weak tags
 * and * too), which counts alone; since is If-Modified-Since. Both may be NULL. */
bool conditional_known(const char *none_match, const char *since, const char *etag,
                       time_t modified);
/* False if If-Range names another version than this one, by its tag or its date. */
bool conditional_same(const char *if_range, const char *etag, time_t modified);

#endif
