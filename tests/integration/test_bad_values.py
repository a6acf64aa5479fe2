"""Wrong values, field by field: refused with the code and subcode of ClearML's own server.

bad_values.jsonl has what a ClearML Server 2.0.0 answered, one line a field: for each of VALUES in turn,
in the place of that field of an otherwise sound request. $names are documents made for the one request.
Where that server says 500, ours says anything but that.
"""

import json
import pathlib
import uuid

import pytest

from reeve_up import ApiError

ABSENT = object()
VALUES = [None, True, 5, -1, 1.5, 1e300, 2**63, "", "x", "x" * 100000, [], {}, [5], [None], ["x"], {"a": 1}, [[]], [{}],
          ABSENT]
FIELDS = [json.loads(line) for line in
          pathlib.Path(__file__).with_name("bad_values.jsonl").read_text().splitlines()]
# Not as ClearML answers, and why: (endpoint, field, the values), * for any.
RUBBISH = ["", "x", "x" * 100000, {}, {"a": 1}]
DIFFERENCES = [
    # A pattern of 100,000 characters: PCRE2 takes half as many, MongoDB a third.
    ("*", ("name", "basename", "description", "pattern", "task_name"), ["x" * 100000]),
    # Integers that no double is: refused rather than rounded.
    ("*", ("page", "page_size"), [1e300, 2**63]),
    # Told beforehand what creating would say.
    ("tasks.validate", "*", VALUES),
    # ClearML stores it, and its clients then fail on the document.
    ("tasks.update", ("created",), VALUES),
    ("tasks.edit", ("type",), RUBBISH),
    ("tasks.edit", ("container",), [{"a": 1}]),
    ("tasks.edit", ("tags", "system_tags"), RUBBISH), ("tasks.update", ("tags", "system_tags"), RUBBISH),
    ("projects.update", ("tags", "system_tags"), RUBBISH),
    # An empty object for a string is no string.
    ("*", "*", [[{}]]),
]


@pytest.fixture(scope="module")
def project(server):
    return server.call("projects.create", {"name": "bad values"})["id"]


class Documents:
    """What the $names of a request stand for, made when first asked for."""

    def __init__(self, server, project):
        self.server, self.project, self.made = server, project, {}

    def make(self, name):
        if name == "$name":
            return "bad values/" + uuid.uuid4().hex
        more = {"$task": {"type": "controller", "project": self.project}, "$report": {"project": self.project},
                "$model": {"uri": "file:///m", "project": self.project}}
        title = "bad values/" + uuid.uuid4().hex if name in ("$project", "$queue") else "bad values"
        return self.server.call(f"{name[1:]}s.create", {"name": title, **more.get(name, {})})["id"]

    def fill(self, value):
        if isinstance(value, str) and value.startswith("$"):
            if value not in self.made:
                self.made[value] = self.make(value)
            return self.made[value]
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        return value


def answer(server, endpoint, request):
    try:
        server.call(endpoint, request)
    except ApiError as error:
        return f"{error.code}/{error.subcode}"
    except json.JSONDecodeError:
        return "200"
    return "200"


def listed(endpoint, field, value):
    return any(of in ("*", endpoint) and (fields == "*" or field in fields) and
               any(value is v or (type(value) is type(v) and value == v) for v in values)
               for of, fields, values in DIFFERENCES)


@pytest.mark.parametrize("case", FIELDS, ids=[f"{f['endpoint']} {f['field']}" for f in FIELDS])
def test_values(server, project, case):
    wrong, documents = [], Documents(server, project)
    for value, expected in zip(VALUES, case["codes"].split(), strict=True):
        if ".get_" not in case["endpoint"]:
            documents = Documents(server, project)  # what changes is not used again
        request = documents.fill(case["base"])
        request[case["field"]] = value
        if value is ABSENT:
            del request[case["field"]]
        code = answer(server, case["endpoint"], request)
        same = code[0] != "5" if expected[0] == "5" else code == expected
        if not same and (code[0] == "5" or not listed(case["endpoint"], case["field"], value)):
            shown = "absent" if value is ABSENT else json.dumps(value)[:40]
            wrong.append(f"{shown}: {code} instead of {expected}")
    assert not wrong, "\n".join(wrong)
