"""Users, and acting as one of them; their preferences, and who was active where."""

import uuid

import pytest

from reeve_up import ApiError
from server_rig import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("users") / "data").start()
    server.company = server.call("users.get_current_user")["user"]["company"]["id"]
    yield server
    server.stop()


@pytest.fixture
def new_user(server):
    def make(**more):
        name = uuid.uuid4().hex
        return server.call("auth.create_user", {"name": name, "company": server.company, "email": f"{name}@x.y", **more})["id"]
    return make


def as_user(server, user, name, body=None, header="X-ClearML-Impersonate-As"):
    return server.call(name, body or {}, headers={header: user})


def refused(code, subcode, call, *args, **more):
    with pytest.raises(ApiError) as caught:
        call(*args, **more)
    assert (caught.value.code, caught.value.subcode) == (code, subcode)


def test_what_a_user_may_be(server, new_user):
    user = new_user(role="guest", given_name="G")
    found = server.call("users.get_by_id", {"user": user})["user"]
    assert (found["role"], found["given_name"], found["company"]) == ("guest", "G", server.company)
    assert server.call("auth.edit_user", {"user": user, "role": "user"})["updated"] == 1
    assert as_user(server, user, "users.get_current_user")["user"]["role"] == "user"
    assert as_user(server, user, "users.get_current_user", header="X-ClearML-Act-As")["user"]["role"] == "admin"
    refused(403, 20, as_user, server, user, "auth.create_user", {"name": "n", "company": server.company, "email": "e"})
    refused(403, 20, as_user, server, user, "auth.edit_user", {"user": user, "role": "admin"})
    refused(400, 301, server.call, "auth.edit_user", {"user": "nobody", "role": "user"})
    refused(400, 12, server.call, "auth.edit_user", {"user": user, "role": "root"})
    refused(400, 10, server.call, "auth.create_user", {"name": "n", "company": "other", "email": "e"})
    refused(400, 12, server.call, "auth.create_user", {"name": "n" * 200, "company": server.company, "email": "e"})


def test_acting_as_another(server, new_user):
    user = new_user()
    task = as_user(server, user, "tasks.create", {"name": "theirs", "type": "testing"})["id"]
    assert server.call("tasks.get_by_id", {"task": task})["task"]["user"] == user
    refused(400, 6, as_user, server, "nobody", "users.get_current_user")
    refused(400, 5, server.call, "users.get_current_user", {},
            headers={"X-ClearML-Impersonate-As": user, "X-ClearML-Act-As": user})
    keys = as_user(server, user, "auth.create_credentials")["credentials"]
    assert [k["access_key"] for k in as_user(server, user, "auth.get_credentials")["credentials"]] == [keys["access_key"]]
    assert keys["access_key"] not in [k["access_key"] for k in server.call("auth.get_credentials")["credentials"]]


def test_preferences_are_ones_own(server, new_user):
    one, other = new_user(), new_user()
    for change, wanted in (({"a": 0}, {"a": 0}), ({"s": {"x": 1, "y": 2}}, {"a": 0, "s": {"x": 1, "y": 2}}),
                           ({"s": None}, {"a": 0, "s": None})):
        as_user(server, one, "users.set_preferences", {"preferences": change})
        assert as_user(server, one, "users.get_preferences")["preferences"] == wanted
    assert as_user(server, one, "users.set_preferences", {"preferences": {"a": 0}})["updated"] == 0
    for wrong in ({"a.b": 1}, {"s": {"x.y": 1}}, {"$s": 1}, {"s": [{"$x": 1}]}):
        refused(400, 16, as_user, server, one, "users.set_preferences", {"preferences": wrong})
    assert as_user(server, other, "users.get_preferences")["preferences"] == {}


def test_active_users(server, new_user):
    idle, worker, modeller = (new_user() for _ in range(3))
    name = uuid.uuid4().hex
    above = server.call("projects.create", {"name": name, "description": ""})["id"]
    below = server.call("projects.create", {"name": f"{name}/below", "description": ""})["id"]
    as_user(server, worker, "tasks.create", {"name": "task", "type": "testing", "project": below})
    as_user(server, modeller, "models.create", {"name": "model", "uri": "file:///m"})
    ask = lambda **body: {u["id"] for u in server.call(
        "users.get_all_ex", {"id": [idle, worker, modeller], **body})["users"]}
    assert ask() == {idle, worker, modeller}
    assert ask(active_in_projects=[]) == {worker, modeller}
    assert ask(active_in_projects=[above]) == ask(active_in_projects=[below]) == {worker}
    assert ask(active_in_projects=["nothing"]) == set()
