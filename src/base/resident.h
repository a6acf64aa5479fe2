/* resident.h - memory that a program needed for its start alone */
#ifndef REEVE_RESIDENT_H
#define REEVE_RESIDENT_H

/* Gives back what is free on the heap, and the pages of code that are in memory: what
 * runs on is there again at once, out of the page cache; what the libraries' own start
 * took (a TLS library alone has megabytes of it) stays away. */
void resident_trim(void);

#endif
