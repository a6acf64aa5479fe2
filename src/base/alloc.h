/* alloc.h - allocation that does not fail, and ownership helpers
 *
 * Out of memory is not an error path: the process says so and aborts; whoever
 * supervises it starts it again, and what matters is on disk. Sizes that come from
 * outside are checked against a limit before they get here. */
#ifndef REEVE_ALLOC_H
#define REEVE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
/* Checks count * size for overflow. */
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

static inline void auto_free_cleanup(void *p)
{
    free(*(void **)p);
}
/* A local pointer that is freed when it leaves its scope. */
#define auto_free __attribute__((cleanup(auto_free_cleanup)))

/* Hands a pointer over: evaluates to it and leaves NULL behind. */
#define steal(pp)                                                                      \
    __extension__({                                                                    \
        __typeof__(pp) steal_pp_ = (pp);                                               \
        __typeof__(*steal_pp_) steal_p_ = *steal_pp_;                                  \
        *steal_pp_ = NULL;                                                             \
        steal_p_;                                                                      \
    })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
