"""Plays answers/*.calls on a server, and gives its answers with names for what no two runs share.

A file of calls is one story, told in order: each line `[name =] [~] endpoint [body] [.path]`, and lines that
begin with a space go on with the one before. `name` stands for the answer's id, or for what is at path, and `$name`
in later bodies for that; `$run` is a word that no other run on this server has. A body that is an array is sent as
application/json-lines. `{"$each": [...]}` in a body makes a call with each of these values. `~`: the order of what
the lists have is nobody's promise.

An answer is [endpoint, 200, data] or [endpoint, "code/subcode"]. In data, ids that the story knows are
`$name`, others `<id>`; times of today are `<now>`; members that are null are left out, as clients do not
tell them from missing ones.
"""

import datetime
import json
import pathlib
import re
import time
import typing
import uuid

from reeve_up import ApiError

FOLDER = pathlib.Path(__file__).parent / "answers"
LINE = re.compile(r"(?:(?P<name>\w+) = )?(?P<any>~ )?(?P<endpoint>[\w.]+/?[\w.]*)"
                  r"(?: (?P<body>[\[{].*[\]}]))?(?: \.(?P<path>[\w.]+))?")
ID = re.compile(r"\b[0-9a-f]{32}\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
TODAY = 2 * 86400
# Figures that depend on when a call came.
DURATIONS = {"active_duration", "running_time", "duration", "uptime"}
# Made up anew each time.
SECRETS = {"scroll_id": "<scroll>", "token": "<token>", "secret_key": "<secret>"}


class Call(typing.NamedTuple):
    name: str | None
    any_order: bool
    endpoint: str
    body: object
    path: str


def names():
    return sorted(path.stem for path in FOLDER.glob("*.calls"))


def lines(story):
    """The story's calls as text: comments gone, continuations joined."""
    found = []
    for line in (FOLDER / f"{story}.calls").read_text().splitlines():
        if line.startswith(" "):
            found[-1] += " " + line.strip()
        elif line and not line.startswith("#"):
            found.append(line)
    return found


def alternatives(body):
    """The bodies that a body with "$each" stands for."""
    if isinstance(body, dict) and "$each" in body:
        return body["$each"]
    members = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in members:
        choices = alternatives(value)
        if choices != [value]:
            return [_with(body, key, choice) for choice in choices]
    return [body]


def _with(body, key, value):
    changed = body.copy()
    changed[key] = value
    return changed


def calls(story):
    for line in lines(story):
        found = LINE.fullmatch(line)
        if not found:
            raise ValueError(f"{story}: no call: {line}")
        try:
            body = json.loads(found["body"] or "{}")
        except ValueError as error:
            raise ValueError(f"{story}: {error}: {line}") from None
        for each in alternatives(body):
            yield Call(found["name"], bool(found["any"]), found["endpoint"], each, found["path"] or "id")


def step_into(data, path):
    for step in path.split("."):
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


class Words:
    """What differs from run to run, and its names."""

    def __init__(self, api):
        user = api("users.get_current_user")["user"]
        self.run = "r" + uuid.uuid4().hex[:10]
        self.of_name = {"run": self.run}
        self.of_value = {self.run: "$run", user["id"]: "<user>", user["company"]["id"]: "<company>"}
        self.people = {user["name"]: "<user name>", user["company"]["name"]: "<company name>"}

    def bind(self, name, value):
        self.of_name[name] = value
        # Not a word that may be part of others, nor a number.
        if isinstance(value, str) and len(value) >= 16:
            self.of_value[value] = "$" + name

    def put(self, value):
        """A body of the story, its $names replaced."""
        if isinstance(value, str):
            whole = re.fullmatch(r"\$(\w+)", value)
            if whole and whole[1] in self.of_name:
                return self.of_name[whole[1]]
            return re.sub(r"\$(\w+)", lambda m: str(self.of_name.get(m[1], m[0])), value)
        if isinstance(value, dict):
            return {self.put(k): self.put(v) for k, v in value.items()}
        return [self.put(v) for v in value] if isinstance(value, list) else value

    def take(self, value, key=""):
        """An answer with names in it."""
        if isinstance(value, dict):
            # Other keys of this form are the hashes of metrics' names, the same every time.
            return {self.of_value.get(k, k): self.take(v, k) for k, v in value.items() if v is not None}
        if isinstance(value, list):
            return [self.take(v, key) for v in value]
        if isinstance(value, str):
            return self._text(value, key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return self._number(value, key)
        return value

    def _text(self, text, key):
        if text and key in SECRETS:
            return SECRETS[key]
        if key == "name" and text in self.people:
            return self.people[text]
        if text in self.of_value:
            return self.of_value[text]
        for value, name in (*self.of_value.items(), *self.people.items()):
            if len(value) >= 10:
                text = text.replace(value, name)
        return TIME.sub(_time, ID.sub("<id>", text))

    @staticmethod
    def _number(number, key):
        if key in DURATIONS:
            return "<duration>"
        for unit in (1, 1000):
            if abs(number / unit - time.time()) < TODAY:
                return "<now>" if unit == 1 else "<now ms>"
        return float(f"{number:.9g}") if isinstance(number, float) else number


def _time(found):
    """A time of today, in the form it has; others are what the story wrote."""
    text = found[0]
    bare = re.sub(r"(Z|\+00:00)$", "", text).replace(" ", "T")[:19]
    then = datetime.datetime.fromisoformat(bare).replace(tzinfo=datetime.timezone.utc)
    if abs(then.timestamp() - time.time()) > TODAY:
        return text
    form = re.sub(r"\d", "", text.replace(" ", "T"))
    return "<now>" if form == "--T::.+:" else f"<now {form}>"


def in_order(value):
    if isinstance(value, dict):
        return {k: in_order(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted(map(in_order, value), key=lambda v: json.dumps(v, sort_keys=True))
    return value


def play(story, api):
    """Yields (call, answer) for each call of the story."""
    words = Words(api)
    for call in calls(story):
        body = words.put(call.body)
        documents = {"lines": body} if isinstance(body, list) else {"body": body}
        try:
            data = api.send(call.endpoint, **documents)
        except ApiError as error:
            yield call, [call.endpoint, f"{error.code}/{error.subcode}"]
            continue
        if call.name:
            words.bind(call.name, step_into(data, call.path))
        data = words.take(data)
        yield call, [call.endpoint, 200, in_order(data) if call.any_order else data]


def recorded(story):
    with open(FOLDER / f"{story}.jsonl") as file:
        return [json.loads(line) for line in file]


def record(story, played):
    """One line a call, as ClearML's own server answered it."""
    answers = []
    for call, answer in played:
        if call.name and answer[1] != 200:
            raise ValueError(f"{story}: nothing to be called {call.name}: {answer} for {call.body}")
        answers.append(answer)
    (FOLDER / f"{story}.jsonl").write_text(
        "".join(json.dumps(answer, sort_keys=True, ensure_ascii=False) + "\n" for answer in answers))


def unlike(expected, got, path=""):
    """(path, what differs) for each place where two answers do."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(expected.keys() | got.keys()):
            where = f"{path}.{key}"
            if key not in got:
                yield where, f"{short(expected[key])} is missing"
            elif key not in expected:
                yield where, f"{short(got[key])} is too much"
            else:
                yield from unlike(expected[key], got[key], where)
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for i, (one, other) in enumerate(zip(expected, got)):
            yield from unlike(one, other, f"{path}.{i}")
    elif not same(expected, got):
        yield path, f"{short(got)} instead of {short(expected)}"


def same(one, other):
    """Elasticsearch keeps 32 bits of a figure."""
    if isinstance(one, float) or isinstance(other, float):
        numbers = all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in (one, other))
        return numbers and abs(one - other) <= 1e-6 * max(abs(one), abs(other))
    return type(one) is type(other) and one == other


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
