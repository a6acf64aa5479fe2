/* hosts.h - the three addresses of a ClearML server, from those that are known */
#ifndef REEVE_HOSTS_H
#define REEVE_HOSTS_H

#include "base/error.h"

struct hosts {
    char *api, *web, *files; /* URLs without a slash at the end, or NULL */
};

void hosts_free(struct hosts *h);
/* What somebody wrote as a URL: the scheme as clearml-agent guesses it (http with a
 * port, else https), no slash at the end. To be freed by the caller; NULL with err for
 * what is no http or https URL. */
char *host_url_dup(const char *text, struct reeve_error *err);
/* Fills in what is missing, by the names and ports that ClearML's servers have: app.,
 * api. and files., 8080, 8008 and 8081 (clearml-agent, commands/config.py). A member to
 * which no rule leads stays NULL. */
void hosts_complete(struct hosts *h);

#endif
