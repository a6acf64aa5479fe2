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
    Difference(".*", "", "what ClearML's server stumbles over (500) is the caller's mistake here",
               r"\S+ 400/\d+ instead of \S+ 500/\d+"),
    Difference(r".*\.get_(all|all_ex|by_id_ex|task_data)", r".*\.\d+\.id",
               "each document has its id, whatever fields were asked for", ".* is too much"),
    Difference(r"tasks\..*", r".*\.status_(reason|message)",
               "there from the start, since clients look into them unasked", '"" is too much'),
    Difference(r"queues\.get_all.*", r"\.queues\.\d+\.tags",
               "clearml-agent looks into the tags, whatever it asked for", r".* is too much"),
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
