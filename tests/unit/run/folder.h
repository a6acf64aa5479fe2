/* folder.h - a fresh folder for each test, removed afterwards */
#ifndef REEVE_TEST_FOLDER_H
#define REEVE_TEST_FOLDER_H

#include "base/alloc.h"
#include "base/file.h"

static inline int folder_setup(void **state)
{
    char *dir = xstrdup("/tmp/reeve-unit-XXXXXX");
    *state = dir;
    return mkdtemp(dir) ? 0 : -1;
}

static inline int folder_teardown(void **state)
{
    int result = dir_remove_tree(*state, NULL);
    free(*state);
    return result;
}

#endif
