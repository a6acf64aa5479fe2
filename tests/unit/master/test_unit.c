/* SPDX-License-Identifier: Apache-2.0 */
/* Which unit of systemd's a process is in, by the text of /proc/PID/cgroup. */
#include "config.h"

#include "master/unit.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_found(void **state)
{
    static const struct {
        const char *text, *name; /* name NULL: none */
        bool user;
    } cases[] = {
        {"0::/system.slice/reeved.service\n", "reeved.service", false},
        {"0::/system.slice/reeved.service/reeve/master\n", "reeved.service", false},
        {"0::/system.slice/system-reeve.slice/reeve@a.service\n", "reeve@a.service",
         false},
        {"0::/user.slice/user-1.slice/user@1.service/app.slice/r.service\n",
         "r.service", true},
        /* v1 and hybrid: systemd's hierarchy is the named one. */
        {"3:cpu:/other.service\n1:name=systemd:/system.slice/a.service\n0::/\n",
         "a.service", false},
        {"1:name=systemd:/user.slice/session-1.scope\n0::/b.service\n", NULL, false},
        {"9:pids:/x\n0::/system.slice/c.service\n", "c.service", false},
        {"0::/user.slice/user-1.slice/session-2.scope\n", NULL, false},
        {"0::/user.slice/user@1.service/init.scope\n", NULL, false},
        {"0::/\n", NULL, false},
        {"0::/.service/services\n", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char name[64] = "";
        bool user = false;
        bool found = unit_of_cgroups(cases[i].text, name, sizeof name, &user);
        assert_int_equal(found, cases[i].name != NULL);
        if (found) {
            assert_string_equal(name, cases[i].name);
            assert_int_equal(user, cases[i].user);
        }
    }
}

static void test_name_too_long(void **state)
{
    char name[8];
    bool user;
    assert_false(unit_of_cgroups("0::/toolong.service\n", name, sizeof name, &user));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_name_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
