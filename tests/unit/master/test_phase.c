/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "base/alloc.h"
#include "master/phase.h"

#include <string.h>

/* Every cell of the table, written out a second time and independently: rows are
 * phases, a text names the next phase for each event in the order of RUN_EVENTS, "."
 * for ignored. */
static const struct {
    enum phase phase;
    const char *next[RUN_EVENT_COUNT];
} expected[] = {
    /*                   LAUNCH      STARTED      EXECUTED   STOP        ENDED     LOST
       RESTART    FINAL       DUE         DRAINED      REPORTED */
    {PHASE_CLAIMED,
     {"starting", ".", ".", "exited", "exited", ".", ".", ".", ".", ".", "."}},
    {PHASE_STARTING,
     {".", "preparing", "running", "stopping", "exited", "starting", ".", ".", ".", ".",
      "."}},
    {PHASE_PREPARING,
     {".", ".", "running", "stopping", "exited", "preparing", ".", ".", ".", ".", "."}},
    {PHASE_RUNNING,
     {".", ".", ".", "stopping", "exited", "running", ".", ".", ".", ".", "."}},
    {PHASE_STOPPING,
     {".", "stopping", ".", "stopping", "exited", "stopping", ".", ".", ".", ".", "."}},
    {PHASE_EXITED,
     {".", ".", ".", ".", ".", ".", "backoff", "draining", ".", ".", "."}},
    {PHASE_BACKOFF,
     {".", ".", ".", "exited", ".", ".", ".", ".", "starting", ".", "."}},
    {PHASE_DRAINING, {".", ".", ".", ".", ".", ".", ".", ".", ".", "reporting", "."}},
    {PHASE_REPORTING, {".", ".", ".", ".", ".", ".", ".", ".", ".", ".", "gone"}},
    {PHASE_GONE, {".", ".", ".", ".", ".", ".", ".", ".", ".", ".", "."}},
};

static void test_every_cell(void **state)
{
    assert_int_equal(ARRAY_SIZE(expected), PHASE_COUNT);
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        for (int e = 0; e < RUN_EVENT_COUNT; e++) {
            const struct transition *t =
                phase_transition(expected[i].phase, (enum run_event)e);
            const char *next = expected[i].next[e];
            if (strcmp(next, ".") == 0) {
                assert_false(t->known);
            } else {
                assert_true(t->known);
                assert_string_equal(phase_name(t->next), next);
            }
        }
    }
}

static void test_actions(void **state)
{
    static const struct {
        enum phase phase;
        enum run_event event;
        enum run_action action;
    } cells[] = {
        {PHASE_CLAIMED, RUN_EVENT_LAUNCH, ACTION_LAUNCH},
        {PHASE_CLAIMED, RUN_EVENT_STOP, ACTION_JUDGE},
        {PHASE_CLAIMED, RUN_EVENT_ENDED, ACTION_JUDGE},
        {PHASE_STARTING, RUN_EVENT_STOP, ACTION_STOP},
        {PHASE_STARTING, RUN_EVENT_LOST, ACTION_RECOVER},
        {PHASE_PREPARING, RUN_EVENT_EXECUTED, ACTION_NOTE_RUNNING},
        {PHASE_PREPARING, RUN_EVENT_LOST, ACTION_RECOVER},
        {PHASE_RUNNING, RUN_EVENT_STOP, ACTION_STOP},
        {PHASE_RUNNING, RUN_EVENT_ENDED, ACTION_JUDGE},
        {PHASE_RUNNING, RUN_EVENT_LOST, ACTION_RECOVER},
        {PHASE_STOPPING, RUN_EVENT_STARTED, ACTION_STOP},
        {PHASE_STOPPING, RUN_EVENT_ENDED, ACTION_JUDGE},
        {PHASE_STOPPING, RUN_EVENT_LOST, ACTION_RECOVER},
        {PHASE_EXITED, RUN_EVENT_RESTART, ACTION_WAIT},
        {PHASE_EXITED, RUN_EVENT_FINAL, ACTION_DRAIN},
        {PHASE_BACKOFF, RUN_EVENT_DUE, ACTION_LAUNCH},
        {PHASE_BACKOFF, RUN_EVENT_STOP, ACTION_JUDGE},
        {PHASE_DRAINING, RUN_EVENT_DRAINED, ACTION_REPORT},
        {PHASE_REPORTING, RUN_EVENT_REPORTED, ACTION_REMOVE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
        assert_int_equal(phase_transition(cells[i].phase, cells[i].event)->action,
                         cells[i].action);
}

/* From every phase an end can be reached: no run is stuck by the table itself. */
static void test_every_phase_reaches_gone(void **state)
{
    for (int start = 0; start < PHASE_COUNT; start++) {
        unsigned seen = 1u << start, before = 0;
        while (seen != before) {
            before = seen;
            for (int p = 0; p < PHASE_COUNT; p++)
                for (int e = 0; e < RUN_EVENT_COUNT; e++) {
                    const struct transition *t =
                        phase_transition((enum phase)p, (enum run_event)e);
                    if (seen & 1u << p && t->known)
                        seen |= 1u << t->next;
                }
        }
        assert_true(seen & 1u << PHASE_GONE);
    }
}

static void test_names(void **state)
{
    for (int p = 0; p < PHASE_COUNT; p++)
        assert_int_equal(phase_parse(phase_name((enum phase)p)), p);
    assert_int_equal(phase_parse("dancing"), -1);
    for (int e = 0; e < RUN_EVENT_COUNT; e++)
        assert_non_null(run_event_name((enum run_event)e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cell),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_every_phase_reaches_gone),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
