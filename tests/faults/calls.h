/* calls.h - the system calls that the injector knows by name */
#ifndef REEVE_FAULTS_CALLS_H
#define REEVE_FAULTS_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* What is known of a system call; NONE where it has no such argument. */
struct call {
    const char *name;
    uint16_t number;
    int8_t path;   /* the argument that is a path; the last one where there are two */
    int8_t fd;     /* the argument that is a descriptor */
    int8_t length; /* the argument that bounds how many bytes are moved */
    bool effect;   /* it changes something that outlives the process, or takes it */
};
enum { NONE = -1 };

/* NULL if it is none of those in the table. */
const struct call *call_by_number(uint64_t number);

#define CALL_NUMBERS 1024
struct call_set {
    bool has[CALL_NUMBERS];
    bool all;
};

/* words: names with commas between; %effects are all that have an effect. 0, or -1 with
 * the word that nobody knows in unknown (to be freed). */
int call_set_parse(struct call_set *set, const char *words, char **unknown);
bool call_set_has(const struct call_set *set, uint64_t number);

#endif
