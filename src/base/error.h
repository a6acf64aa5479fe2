/* error.h - why a call failed, as one line for a person */
#ifndef REEVE_ERROR_H
#define REEVE_ERROR_H

/* Filled by the callee when it returns failure; code is an errno value, or 0 where none
 * fits. The text is lower case, names the operation and the object, and has no newline.
 * Every function takes NULL for "not interested". */
struct reeve_error {
    int code;
    char text[256];
};

/* Sets the text and, if code is not 0, appends ": " and strerror(code). Returns -1, so
 * that a failing function ends in `return reeve_error_set(err, errno, "open %s",
 * path);` */
int reeve_error_set(struct reeve_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " before what is there already; keeps the code. Returns -1. */
int reeve_error_wrap(struct reeve_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
