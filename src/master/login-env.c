/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "master/login-env.h"

#include "base/alloc.h"

#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static char *variables[LOGIN_VARIABLES + 1];

static void add(int *n, const char *name, const char *value)
{
    if (!getenv(name) && value && value[0])
        variables[(*n)++] = xasprintf("%s=%s", name, value);
}

char *const *login_env(void)
{
    static bool known;
    const struct passwd *user = known ? NULL : getpwuid(geteuid());
    int n = 0;
    known = true;
    if (user) {
        add(&n, "HOME", user->pw_dir);
        add(&n, "USER", user->pw_name);
        add(&n, "LOGNAME", user->pw_name);
        add(&n, "SHELL", user->pw_shell);
    }
    return variables;
}
