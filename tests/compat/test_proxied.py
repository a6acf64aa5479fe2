"""Behind nginx, as people put it before their server: everything below one address, each part on a path."""

import pytest

import servers
from nginx import BASE, Nginx, needs_nginx
from pipe_rig import artifacts, tasks_in

FILES = "/clearml/files"
pytestmark = [needs_nginx, pytest.mark.slow]


@pytest.fixture
def proxied(sdk, served, tmp_path):
    """The SDK with a clearml.conf that knows nginx alone."""
    endpoint = served.reeve.endpoint
    # The SDK posts its files to the very address, without a slash at its end.
    nginx = Nginx(tmp_path / "nginx", endpoint["api"], server=f"""
        location = {FILES} {{ proxy_pass {endpoint["files"]}/; client_max_body_size 100m; }}
        location {FILES}/ {{ proxy_pass {endpoint["files"]}/; }}""")
    text = (served.reeve.data / "clearml.conf").read_text()
    host = nginx.url.removesuffix(BASE)
    for there, here in ((endpoint["api"], nginx.url), (endpoint["files"], host + FILES)):
        assert there in text
        text = text.replace(there, here)
    server = servers.Server(tmp_path / "behind", text)
    server.nginx = nginx
    yield type(sdk)(sdk.version, server, sdk.flows)
    nginx.stop()


def paths(proxied):
    return proxied.server.nginx.access.read_text()


def test_pipeline(proxied, served, project):
    done = proxied.run("pipeline_functions", "--project", project)
    assert done.json["successful"]
    total = served.api("tasks.get_by_id", task=done.json["steps"]["total"])["task"]
    host = proxied.server.nginx.url.removesuffix(BASE)
    assert artifacts(total)["sum"]["uri"].startswith(f"{host}{FILES}/")
    assert f"POST {FILES} HTTP" in paths(proxied) and "/tasks.create HTTP" in paths(proxied)


def test_dataset(proxied, served, project, tmp_path):
    """Uploaded and downloaded through nginx, names that are not ASCII included."""
    found = proxied.run("dataset", "--project", project, cwd=tmp_path).json
    assert found["copy"] == {"a.txt": "a", "sub/b.txt": "b"}
    assert found["child copy"] == {"a.txt": "changed", "c é.txt": "c"}
    assert f"GET {FILES}/" in paths(proxied)


def test_reports(proxied, served, project, tmp_path):
    """Written and read back."""
    task = proxied.run("report", project, cwd=tmp_path).json["task"]
    found = proxied.run("read_back", task, cwd=tmp_path).json
    assert found["iteration"] == 29 and "printed é" in found["console"]
    assert found["scalars"]["loss"]["train"]["y"] == [1 / (i + 1) for i in range(30)]
    assert [t["id"] for t in tasks_in(served, project)] == [task]
