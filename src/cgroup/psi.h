/* psi.h - pressure: how much of the time somebody waited for CPU, memory or IO
 *
 * The kernel's pressure stall information: /proc/pressure/NAME of the host,
 * NAME.pressure of a group in the unified tree, on hybrid hosts as well. A kernel may
 * have it turned off (psi=0), or for a group (cgroup.pressure). */
#ifndef REEVE_PSI_H
#define REEVE_PSI_H

#include <stdbool.h>
#include <stdint.h>

enum psi_resource { PSI_CPU, PSI_MEMORY, PSI_IO, PSI_COUNT };

struct psi_line {
    double avg10, avg60, avg300; /* per cent of the last seconds */
    uint64_t total_usec;
};

struct psi {
    bool known;
    struct psi_line some; /* at least one task waited */
    struct psi_line full; /* all of them did; zeros where the kernel does not say */
};

/* "cpu", "memory", "io" */
const char *psi_name(enum psi_resource r);
/* False, and out unknown, where it is not there or can't be read. */
bool psi_parse(const char *text, struct psi *out);
bool psi_read_host(enum psi_resource r, struct psi *out);

#endif
