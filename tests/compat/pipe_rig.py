"""What tests of tasks that others run look at: their ends, their logs, their parts."""

import urllib.error
import urllib.request

from reeve_up import wait_until

ENDS = ("completed", "failed", "stopped", "closed", "published")


def ended(server, task, timeout=600):
    """The task, once it has ended."""
    return wait_until(lambda: (t := server.api("tasks.get_by_id", task=task)["task"])["status"] in ENDS
                      and t, timeout, 0.2, f"the end of {task}")


def log_of(server, task):
    events = server.api("events.get_task_log", task=task, batch_size=5000, order="asc",
                        navigate_earlier=False)["events"]
    return "".join(e["msg"] + "\n" for e in events)


def artifacts(task):
    return {a["key"]: a for a in task["execution"].get("artifacts", [])}


def project_id(server, name):
    return server.api("projects.create", name=name)["id"]


def tasks_in(server, project, **query):
    """The tasks of a project by its name, oldest first; none if there is no such project."""
    found = server.api("projects.get_all", name=f"^{project}$", search_hidden=True)["projects"]
    return found and server.api("tasks.get_all", project=[p["id"] for p in found], search_hidden=True,
                                order_by=["created"], **query)["tasks"]


def status_of(server, url):
    """What the file server answers to whoever has the keys."""
    token = server.api.token or server.api.login()
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    try:
        with server.api.opener.open(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
