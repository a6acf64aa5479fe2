/* cgroup-file.h - the small text files of cgroupfs, without allocation */
#ifndef REEVE_CGROUP_FILE_H
#define REEVE_CGROUP_FILE_H

#include <stdint.h>
#include <sys/types.h>

/* Writes value to dir/name, in one write(2), as the kernel wants it. Async-signal-safe.
 * 0, or -1 with errno. */
int cgroup_file_write(const char *dir, const char *name, const char *value);
int cgroup_file_write_at(int dirfd, const char *name, const char *value);
/* Reads dir/name into out, always terminated; what does not fit is cut. Returns the
 * length, or -1 with errno and out empty. */
ssize_t cgroup_file_read(const char *dir, const char *name, char *out, size_t size);
/* The number at the start of dir/name; missing if the file or the number is missing, or
 * it says "max". Numbers above INT64_MAX are INT64_MAX. */
int64_t cgroup_file_number(const char *dir, const char *name, int64_t missing);
/* The number after "key " at the start of a line of text, or missing. */
int64_t cgroup_text_number(const char *text, const char *key, int64_t missing);

#endif
