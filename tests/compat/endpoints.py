"""Which endpoints the installed SDK and agent can call, and which of them a server has.

usage: endpoints.py CLEARML.CONF    (the server's; prints the ones that it has not, and the sums)
"""

import pathlib
import re
import subprocess
import sys

import versions

SERVICE = re.compile(r'^    _service = "(\w+)"$', re.M)
ACTION = re.compile(r'^    _action = "(\w+)"$', re.M)
# Calls that the packages make without a class for them: session.send_request(service, action).
REQUEST = re.compile(r"""send_request\(\s*(?:service=)?["'](\w+)["'],\s*(?:action=)?["']([\w.]+)["']""")


def package_folder(python, name):
    code = f"import importlib.util; print(importlib.util.find_spec({name!r}).submodule_search_locations[0])"
    return pathlib.Path(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True,
                                       timeout=120).stdout.strip())


def endpoints_of(folder):
    """Of all API versions that the package knows."""
    found = set()
    for path in folder.rglob("*.py"):
        text = path.read_text(errors="replace")
        if "backend_api/services/" in path.as_posix():
            found |= {f"{service}.{action}" for service, action in zip(SERVICE.findall(text), ACTION.findall(text))}
        found |= {f"{service}.{action}" for service, action in REQUEST.findall(text)}
    return found


def callable_endpoints():
    """What the SDKs' and the agent's packages can call: an endpoint, and who calls it."""
    packages = {f"clearml {v}": (versions.python_of(v), "clearml") for v in (versions.NEWEST, versions.FLOOR)}
    packages[f"clearml-agent {versions.AGENT}"] = versions.agent_python(), "clearml_agent"
    found = {}
    for name, (python, package) in packages.items():
        for endpoint in endpoints_of(package_folder(python, package)):
            found.setdefault(endpoint, []).append(name)
    return found


def missing(api, wanted):
    """Those among them that the server does not have."""
    return sorted(set(wanted) - set(api("server.endpoints")["endpoints"]))


if __name__ == "__main__":
    import tempfile

    import servers
    with tempfile.TemporaryDirectory() as folder:
        given = servers.GivenServer(folder, sys.argv[1])
        wanted = callable_endpoints()
        lacking = missing(given.api, wanted)
    for endpoint in lacking:
        print(f"{endpoint}: {', '.join(wanted[endpoint])}")
    print(f"{len(wanted)} can be called, {len(wanted) - len(lacking)} are there, {len(lacking)} are not")
