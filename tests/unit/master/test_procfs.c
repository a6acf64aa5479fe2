/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "master/procfs.h"

#include <string.h>

static void test_cpu(void **state)
{
    struct procfs_cpu c;
    assert_true(procfs_cpu("cpu  100 20 30 1000 50 6 4 10 70 7\ncpu0 1 2 3 4\n", &c));
    /* user nice system irq softirq steal; guest is in user already */
    assert_int_equal(c.busy, 170);
    assert_int_equal(c.idle, 1050);
    assert_true(procfs_cpu("cpu 1 2 3 4\n", &c));
    assert_int_equal(c.busy, 6);
    assert_false(procfs_cpu("", &c));
    assert_false(procfs_cpu("cpu0 1 2 3 4\nintr 5\n", &c));
    assert_false(procfs_cpu("cpu 1 2\n", &c));
}

static void test_memory(void **state)
{
    struct procfs_memory m;
    assert_true(procfs_memory("MemTotal:  1000 kB\nMemFree:  300 kB\n"
                              "MemAvailable:  550 kB\nBuffers:  50 kB\n"
                              "Cached:  200 kB\nSwapCached:  77 kB\n"
                              "SReclaimable:  25 kB\n",
                              &m));
    assert_int_equal(m.total, 1000 * 1024);
    assert_int_equal(m.available, 550 * 1024);
    assert_int_equal(m.used, 425 * 1024);
    /* Figures that do not fit (lxcfs): never below nothing. */
    assert_true(procfs_memory("MemTotal: 10 kB\nMemFree: 4 kB\nCached: 900 kB\n", &m));
    assert_int_equal(m.used, 6 * 1024);
    assert_int_equal(m.available, 4 * 1024);
    assert_false(procfs_memory("", &m));
    assert_false(procfs_memory("MemTotal: x\nMemFree: 1 kB\n", &m));
    assert_false(
        procfs_memory("MemTotal: 99999999999999999999 kB\nMemFree: 1 kB\n", &m));
}

static void test_network(void **state)
{
    struct procfs_traffic t;
    procfs_network(
        "Inter-|   Receive                            |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes "
        "packets errs drop fifo colls carrier compressed\n"
        "    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0\n"
        "  eth0: 100 1 0 0 0 0 0 0 7 2 0 0 0 0 0 0\n"
        "wlan0:200 1 0 0 0 0 0 0 8 2 0 0 0 0 0 0\n"
        "broken: 9 9\n",
        &t);
    assert_int_equal(t.in, 300);
    assert_int_equal(t.out, 15);
    procfs_network("", &t);
    assert_int_equal(t.in, 0);
}

static bool is_sda(void *arg, const char *name)
{
    return !strcmp(name, "sda") || !strcmp(name, "nvme0n1");
}

static void test_disks(void **state)
{
    struct procfs_traffic t;
    procfs_disks("   8  0 sda 10 1 100 5 20 2 200 6 0 7 8 0 0 0 0 0 0\n"
                 "   8  1 sda1 10 1 90 5 20 2 190 6 0 7 8 0 0 0 0 0 0\n"
                 " 259  0 nvme0n1 1 1 1 1 1 1 2 1 0 1 1\n"
                 " 253  0 dm-0 10 1 100 5 20 2 200 6 0 7 8\n"
                 "nonsense\n",
                 is_sda, NULL, &t);
    assert_int_equal(t.in, 101 * 512);
    assert_int_equal(t.out, 202 * 512);
}

static const char mounts[] =
    "22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "23 22 0:22 / /home rw shared:2 - nfs4 server:/home rw\n"
    "24 23 0:23 / /home/my\\040dir rw - xfs /dev/sdb rw\n"
    "25 22 0:24 / /mnt rw - ext4 /dev/sdc rw\n"
    "26 22 0:25 / /mnt rw - fuse.sshfs me@there: rw\n"
    "27 22 0:26 / /data rw master:1 propagate_from:2 - zfs pool/data rw\n"
    "broken line\n";

static void test_is_local(void **state)
{
    assert_true(procfs_is_local(mounts, "/root"));
    assert_true(procfs_is_local(mounts, "/"));
    assert_true(procfs_is_local(mounts, "/homes/x"));
    assert_false(procfs_is_local(mounts, "/home"));
    assert_false(procfs_is_local(mounts, "/home/user"));
    assert_true(procfs_is_local(mounts, "/home/my dir/x"));
    assert_true(procfs_is_local(mounts, "/data/x"));
    /* Mounted over: the later one counts. */
    assert_false(procfs_is_local(mounts, "/mnt/x"));
    assert_false(procfs_is_local("", "/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpu),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_network),  cmocka_unit_test(test_disks),
        cmocka_unit_test(test_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
