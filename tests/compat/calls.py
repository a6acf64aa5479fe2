"""What the flows call, from the embedded server's call log, and which refusals are in order.

The SDK swallows many an error: a flow may well end as it should while a call of it was refused. So each
call that the SDK, a task or reeve made while a test ran has to have been answered with 200, or to be
listed here. The tests' own calls, which name no worker, are not looked at.
"""

import collections
import json

# (endpoint, code, subcode, part of the text): why a client may get that.
EXPECTED = {
    ("queues.get_by_id", 400, 701, "Invalid queue id"):
        "the SDK takes the name of a queue for an id first, and looks for the name then",
    ("models.delete", 400, 201, "Invalid model id"):
        "the SDK deletes a task's output models after the task, which took them along",
}


def reason(call):
    """Why this refusal is in order, or None."""
    for (endpoint, code, subcode, text), why in EXPECTED.items():
        if (call["endpoint"], call["code"], call["subcode"]) == (endpoint, code, subcode) and \
                text in call.get("error", ""):
            return why
    return None


def refused(calls, also=()):
    """One line for each sort of refusal that is neither listed nor among `also`, the test's own
    (endpoint, code, subcode, why)."""
    own = {tuple(words[:3]) for words in also}
    bad = collections.Counter(
        f"{c['endpoint']} v{c['version']}: {c['code']}/{c['subcode']} {c.get('error', '')}"
        for c in calls if c["code"] != 200 and not reason(c)
        and (c["endpoint"], c["code"], c["subcode"]) not in own)
    return [f"{n} x {text}" for text, n in bad.most_common()]


class CallLog:
    """reeve-server's --call-log, read bit by bit."""

    def __init__(self, path):
        self.path = path
        self.offset = 0

    def take(self):
        """The calls of clients since the last look."""
        try:
            with open(self.path, "rb") as log:
                log.seek(self.offset)
                text = log.read()
        except FileNotFoundError:
            return []
        # The last line may be half written.
        whole = text[:text.rfind(b"\n") + 1]
        self.offset += len(whole)
        return [call for call in map(json.loads, whole.splitlines()) if call["worker"]]


class Summary:
    """Test by test, which endpoints its clients called, and how often."""

    def __init__(self):
        self.tests = {}

    def add(self, test, calls):
        self.tests.setdefault(test, collections.Counter()).update(call["endpoint"] for call in calls)

    def text(self):
        return "".join(json.dumps({"test": test, "calls": dict(sorted(counts.items()))}) + "\n"
                       for test, counts in self.tests.items())
