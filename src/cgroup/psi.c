/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "cgroup/psi.h"

#include "cgroup/cgroup-file.h"
#include "cgroup/cgroup-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *psi_name(enum psi_resource r)
{
    static const char *const names[PSI_COUNT] = {"cpu", "memory", "io"};
    return names[r];
}

static bool parse_line(const char *text, const char *word, struct psi_line *out)
{
    const char *line = strstr(text, word);
    return line &&
           sscanf(line + strlen(word), " avg10=%lf avg60=%lf avg300=%lf total=%" SCNu64,
                  &out->avg10, &out->avg60, &out->avg300, &out->total_usec) == 4;
}

bool psi_parse(const char *text, struct psi *out)
{
    *out = (struct psi){0};
    out->known = parse_line(text, "some", &out->some);
    /* CPU has had no "full" before Linux 5.13. */
    if (!parse_line(text, "full", &out->full))
        out->full = (struct psi_line){0};
    return out->known;
}

bool psi_read_host(enum psi_resource r, struct psi *out)
{
    char text[256];
    cgroup_file_read("/proc/pressure", psi_name(r), text, sizeof text);
    return psi_parse(text, out);
}

bool cgroup_read_psi(struct cgroup_host *host, const char *path, enum psi_resource r,
                     struct psi *out)
{
    char dir[CGROUP_PATH_MAX], file[32], text[256] = "";
    snprintf(file, sizeof file, "%s.pressure", psi_name(r));
    if (host->unified[0] && cgroup_path_format(dir, host->unified, path, NULL) == 0)
        cgroup_file_read(dir, file, text, sizeof text);
    return psi_parse(text, out);
}
