"""Where the embedded server answers otherwise than ClearML's own, and why."""

import re
import typing

import replay


class Difference(typing.NamedTuple):
    """story, endpoint and path are patterns; path is that of the member of the answer, empty for the
    code, and what is the difference in words."""
    endpoint: str
    path: str
    why: str
    what: str = ".*"
    story: str = ".*"

    def covers(self, story, endpoint, path, what):
        return bool(re.fullmatch(self.story, story) and re.fullmatch(self.endpoint, endpoint) and
                    re.fullmatch(self.path, path) and re.fullmatch(self.what, what, re.DOTALL))


LISTED = [
    # Of every service.
    Difference(".*", "", "what ClearML's server stumbles over (500) is the caller's mistake here",
               r"\S+ 400/\d+ instead of \S+ 500/\d+"),
    Difference(r".*\.get_(all|all_ex|by_id_ex|task_data)", r".*\.\d+\.id",
               "each document has its id, whatever fields were asked for", ".* is too much"),
    # Tasks.
    Difference(r".*", r"\.tasks?(\.\d+)?\.status_(reason|message)",
               "there from the start, since clients look into them unasked", '"" is too much'),
    Difference(r"tasks\.edit", "", "ClearML's server keeps what it then cannot read again: a task of "
               "an unknown type, tags that are no list, a hyper parameter without a name",
               r"tasks.edit 400/\d+ instead of tasks.edit 200"),
    Difference(r"tasks\.edit", r"\.fields\.(hyperparams|configuration)\..*",
               "the names that the path gives are filled in", ".* is too much"),
    Difference(r"tasks\.edit", r"\.fields\.tags", "tags are a set", r'\["a", "b"\] instead of .*'),
    Difference(r"tasks\.(edit|get_all)", "", "members of a wrong type in a part of a task are left out",
               r"\S+ 200 instead of \S+ 500/\d+"),
    Difference(r"tasks\.update", r"(\.fields\.(created|last_change|last_changed_by)|\.updated)?",
               "`created` can be set, as the schema has it; ClearML's server drops it in silence"),
    Difference(r"tasks\.get_by_id", r"\.task\.created", "it was set before", story="tasks-edit"),
    Difference(r"tasks\.update_batch", r"\.updated",
               "of two changes of one task in a batch ClearML's server forgets the first"),
    Difference(r"tasks\.get_by_id", r"\.task\.name", "the change that it forgot", story="tasks-edit"),
    Difference(r"tasks\.get_by_id", r"\.task\.hyperparams\.Args",
               "overrides of a clone by their old name are kept; ClearML's server loses them", ".* is too much"),
    Difference(r"tasks\.enqueue", r"\.fields\.enqueue_status",
               "the status before, which a dequeue goes back to; ClearML's answer names the new one"),
    Difference(r"tasks\.get_all", r"\.tasks", "where a scroll stands is in its id, so that an old id "
               "goes back", story="tasks-query"),
    Difference(r"tasks\.get_all_ex", r"\.tasks\.\d+\.parent\.project",
               "a reference's reference is not followed", ".* is missing"),
    # Events.
    Difference(r"tasks\.get_by_id", r"\.task\.metric_stats\..*",
               "no client reads metric_stats, and ClearML's server keeps those of the last batch alone",
               ".* is missing"),
    Difference(r"tasks\.get_by_id", r"\.task\.last_metrics\..*_value_iteration",
               "the iteration of a value is named, even if it is 0", "0 is too much"),
    Difference(r"tasks\.publish", r"\.fields\.output", "only what was set is named"),
    Difference(r"events\.(get_task_log|get_task_events|add)", "", "taken, where Elasticsearch stumbles",
               r"\S+ 200 instead of \S+ 500/\d+"),
    Difference(r"v2.1/events\.debug_images", r"\.(images|returned|scroll_id|total)",
               "iters counts for each metric, as in later versions of the call"),
    # Projects, reports.
    Difference(r"projects\.update", r"\.fields\.(name|basename)",
               "a name that is set is named with its last part, an empty one is not set"),
    Difference(r"reports\.get_all_ex", r"\.tasks\.\d+\.report(_assets)?",
               "the text comes if it was asked for, or if nothing was"),
    Difference(r"reports\.delete", "", "a published report goes by force alone, as a task does"),
    # Queues.
    Difference(r"queues\.(get_by_id|get_all_ex)", r"\.queues?(\.\d+)?\.\w+",
               "max_task_entries shortens the entries; ClearML's server loses the other members then",
               story="queues"),
    Difference(r"queues\.get_all_ex", r"\.queues\.\d+\.company", "the company's id alone"),
    Difference(r"(queues|projects|tasks)\.get_all", "", "fields that no such document has are passed over",
               r"\S+ 200 instead of \S+ 400/14"),
    Difference(r"queues\.move_task_forward", "", "null is no count", r"\S+ 200 instead of \S+ 500/0"),
    # Models.
    Difference(r"models\.(update|get_by_id)", r"\.(fields|model)\.created", "a model's `created` stays"),
    Difference(r"(models\.edit|v2.1/models\.update_for_task)", r"\.fields\.(ui_cache|last_update)",
               "only what was set is named"),
    # Users, workers, the server.
    Difference(r"users\.get_current_user", r"\.(getting_started|settings|user)(\.\w+)?",
               "one user, the administrator, of this server alone"),
    Difference(r"users\.update", "", "a user that is not there cannot be changed"),
    Difference(r"auth\.edit_credentials", "", "a label can be changed", r"\S+ 200 instead of \S+ 500/0"),
    Difference(r"auth\.login", "", "a token that is over before it starts is refused", ".* 400/12 .*"),
    Difference(r"(auth\.(validate_token|get_token_for_user|create_user)|server\.config)", "",
               "the one user may do all that there is to do", ".* instead of .* 403/20"),
    Difference(r"login\.supported_modes", r"\.server_errors\..*", "there is no Elasticsearch"),
    Difference(r"server\.info", r"\.build", "another server"),
    Difference(r"workers\.register", "", "a worker has a name", ".* 400/1001 instead of .* 200"),
    Difference(r"workers\.(status_report|get_metric_keys)", "", "figures of a wrong type are left out, "
               "others are there at once", r"\S+ 200 instead of \S+ 400/\d+"),
    Difference(r"workers\.get_stats", r"\.workers", "figures have the time at which they came"),
]


class Found(typing.NamedTuple):
    unlisted: list  # of lines of text
    used: set  # of indices into LISTED


def sort_out(story, expected, got):
    """expected: answers; got: (call, answer) in the same order."""
    found = Found([], set())
    if len(expected) != len(got):
        found.unlisted.append(f"{len(got)} answers instead of {len(expected)}: record anew")
    for right, (call, answer) in zip(expected, got):
        for path, what in _unlike(right, answer):
            covered = {i for i, d in enumerate(LISTED) if d.covers(story, call.endpoint, path, what)}
            found.used.update(covered)
            if not covered:
                found.unlisted.append(f"{call.endpoint} {replay.short(call.body)}: {path or 'code'}: {what}")
    return found


def _unlike(right, answer):
    if right[:2] != answer[:2]:
        yield "", f"{answer[0]} {answer[1]} instead of {right[0]} {right[1]}"
    elif len(right) > 2:
        yield from replay.unlike(right[2], answer[2])
