/* SPDX-License-Identifier: Apache-2.0 */
/* A sub-agent under a master of a later version, as after `reeve upgrade`: it does what
 * it understands, and passes over the rest. This program is built with another
 * MESSAGE_VERSION, and its START has a field that nobody knows. */
#include "../unit.h"

#include "driver.h"

static void send_unknown(struct driver *d)
{
    message_begin(&d->out, (enum message_type)4000, 7);
    message_add_text(&d->out, (enum message_tag)40001, "?");
    message_add_u64(&d->out, TAG_ATTEMPT, 1);
    driver_send(d, -1);
}

static void test_master_of_a_later_version(void **state)
{
    struct driver *d = *state;
    driver_begin(d);
    send_unknown(d);
    driver_start(d, &(struct start){.script = "exec 4>&-; echo one; exec sleep 1000"});
    driver_expect(d, MESSAGE_RUNNING);
    assert_true(driver_wait_log(d, "one\n"));
    send_unknown(d);
    driver_note(d, "a note");
    assert_true(driver_wait_log(d, "a note\n"));
    driver_unlisten(d);
    driver_listen(d);
    driver_accept(d);
    assert_int_equal(driver_u64(d, TAG_PHASE, 99), AGENT_RUNNING);
    assert_int_not_equal(message_get_version(&d->in), MESSAGE_VERSION);
    send_unknown(d);
    driver_stop(d, 0);
    driver_expect(d, MESSAGE_EXITED);
    assert_int_equal(driver_u64(d, TAG_EXIT_SIGNAL, 99), 9);
    driver_ack(d, 1);
    driver_quit(d);
    assert_int_equal(driver_wait_agent(d), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_master_of_a_later_version, driver_setup,
                                        driver_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
