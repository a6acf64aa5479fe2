# SPDX-License-Identifier: Apache-2.0
"""reeve-prepare with real parts: git repositories over file, smart HTTP with a password
and ssh; diffs made by git; interpreters that are there and that are not."""

import concurrent.futures
import os
import random
import shutil
import stat
import subprocess
import time

import pytest

from prepare_rig import (TASK, Rig, commit, git, http_server, make_repo, silent_server,
                         ssh_server, write)

HELLO = "import os, sys\nprint('hello', sys.argv[1:], os.getcwd())\n"
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
needs_sshd = pytest.mark.skipif(
    not (shutil.which("sshd") or os.path.exists("/usr/sbin/sshd")),
    reason="sshd (openssh-server) is not installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change owners")


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path / "rig", tmp_path / "home")


@pytest.fixture
def repo(tmp_path):
    return make_repo(tmp_path / "srv/repo.git", {"main.py": HELLO, "sub/deep.py": HELLO,
                                                 "data.txt": "1\n2\n3\n4\n5\n"})


def head(repo, rev="HEAD"):
    return git(repo, "rev-parse", rev).decode().strip()


# Scripts without a repository

def test_script_in_diff(rig):
    done = rig.run({"diff": HELLO, "entry_point": "a/run.py --x 'y z'"},
                   notes=["memory: 64 MiB (task)"])
    assert done.code == 0 and done.failure is None
    assert done.lines[0] == "memory: 64 MiB (task)"
    assert "Executing task id [%s]:" % TASK in done.lines
    assert "Running task id [%s]:" % TASK in done.lines
    assert "Environment setup completed successfully" in done.lines
    assert done.output.startswith("hello ['--x', 'y z'] ")
    assert done.status.split("\n") == ["step checkout", "step diff", "step environment",
                                       "step execute", ""]


def test_folder_of_a_script_is_kept_over_attempts_of_a_run(rig):
    script = {"diff": "echo x >> count; wc -l < count", "entry_point": "c.sh",
              "binary": "/bin/sh"}
    assert rig.run(script).output == "1\n"
    assert rig.run(script, attempt=2).output == "2\n"
    assert rig.run(script).output == "1\n"


def test_command_line(rig):
    done = rig.run({"binary": "printf", "entry_point": "'%s|' a 'b c' http://x:1/"})
    assert done.output == "a|b c|http://x:1/|"
    assert "WARNING" not in done.log


def test_shell_line(rig):
    done = rig.run({"binary": "bash", "entry_point": "-c 'echo $0 $1; exit 7' name arg"})
    assert (done.output, done.code) == ("name arg\n", 7)
    done = rig.run({"binary": "/bin/sh", "entry_point": "-c echo a; echo b"})
    assert done.output == "a\nb\n"


def test_other_python_falls_back_with_a_warning(rig):
    done = rig.run({"diff": "print('ran')", "entry_point": "x.py", "binary": "python3.2"})
    assert done.output == "ran\n"
    assert any("could not locate requested Python version python3.2" in line
               for line in done.lines)


def test_module(rig):
    done = rig.run({"entry_point": "-m json.tool --help", "binary": "python3"})
    assert done.code == 0 and "usage:" in done.output


def test_environment(rig):
    done = rig.run({"binary": "env"},
                   environ={"AGENT_SECRET": "x", "KEPT": "yes", "CLEARML_PROC_MASTER_ID": "1"},
                   env={"CLEARML_TASK_ID": TASK, "EMPTY": ""},
                   unset=["AGENT_SECRET", "CLEARML_PROC_MASTER_ID"],
                   sdk_config='api { web_server: "http://x" }')
    lines = done.output.splitlines()
    conf = rig.run_dir / "conf"
    assert {"CLEARML_TASK_ID=" + TASK, "EMPTY=", "KEPT=yes",
            "CLEARML_CONFIG_FILE=%s" % conf} <= set(lines)
    assert "AGENT_SECRET" not in done.output and "PROC_MASTER" not in done.output
    assert conf.read_text().startswith("api {")
    assert stat.S_IMODE(conf.stat().st_mode) == 0o600


def test_nothing_of_ours_is_open_in_the_task(rig):
    done = rig.run({"binary": "ls", "entry_point": "-l /proc/self/fd"},
                   git={"user": "u", "pass": "s3cret"})
    assert "memfd" not in done.output
    assert "s3cret" not in done.log + done.status
    assert len([line for line in done.output.splitlines() if " -> " in line]) == 4


def test_requirements_are_named(rig):
    done = rig.run({"diff": "pass", "entry_point": "x.py", "requirements": {
        "pip": "# Python 3.11\n\nclearml == 1.16\nnumpy  # why\n", "org_pip": "old"}})
    assert "python requirements are not installed by this version: clearml == 1.16, numpy" \
        in done.lines
    done = rig.run({"diff": "pass", "entry_point": "x.py", "requirements": {"pip": ""}})
    assert "requirements" not in done.log


# Bad input

@pytest.mark.parametrize("script,step,text", [
    ({}, "execute", "no entry point"),
    ({"entry_point": "gone.py", "diff": ""}, "execute", "gone.py"),
    ({"binary": "no-such-program", "entry_point": "x"}, "environment", "no-such-program"),
    ({"repository": "ext::sh -c true", "entry_point": "x"}, "clone", "no URL"),
    ({"repository": "ftp://host/x", "entry_point": "x"}, "clone", "no URL"),
    ({"repository": "/no/such/repository", "entry_point": "x"}, "clone", "/no/such"),
    ({"repository": "https://127.0.0.1:1/r.git", "entry_point": "x"}, "clone", "refused"),
    ({"repository": "https://u:s3cret@127.0.0.1:1/r", "entry_point": "x"}, "clone",
     "refused"),
    ({"repository": "https://u:s3c/ret@127.0.0.1:1/r", "entry_point": "x"}, "clone", ""),
    ({"entry_point": "bad\x1b[2J\nname", "diff": ""}, "execute", "bad\\x1b[2J\\x0aname"),
])
def test_bad_input(rig, script, step, text):
    done = rig.run(script)
    assert done.code == 1
    assert done.failure[0] == step and text in done.failure[1]
    assert [line for line in done.lines if line.startswith("reeve: %s failed: " % step)]
    assert "s3cret" not in done.log + done.status and "s3c/ret" not in done.log + done.status
    assert "\x1b" not in done.log + done.status


def test_script_of_20_mb(rig):
    done = rig.run({"diff": "x" * (20 << 20), "entry_point": "x.py"})
    assert done.code == 1 and "too large" in done.failure[1]


@pytest.mark.parametrize("text", ["", "{", "[]", "{\"version\": 1}", "\0"])
def test_specification_is_no_json(rig, text):
    done = rig.run_text(text)
    assert done.code == 1 and done.failure[0] == "environment"


# Repositories

@needs_git
@pytest.mark.parametrize("form", ["commit", "short", "tag", "annotated", "branch", "none",
                                  "commit is a branch"])
def test_what_is_checked_out(rig, repo, form):
    first = head(repo)
    git(repo, "tag", "light")
    git(repo, "tag", "-a", "-m", "m", "annotated")
    git(repo, "checkout", "-q", "-b", "feature/x")
    write(repo / "main.py", "print('feature')\n")
    second = commit(repo)
    git(repo, "checkout", "-q", "main")
    script, expected = {
        "commit": ({"version_num": second, "branch": "main"}, second),
        "short": ({"version_num": second[:7]}, second),
        "tag": ({"tag": "light", "branch": "feature/x"}, first),
        "annotated": ({"tag": "annotated"}, first),
        "branch": ({"branch": "feature/x"}, second),
        "none": ({}, first),
        "commit is a branch": ({"version_num": "feature/x"}, second),
    }[form]
    done = rig.run({"repository": "file://%s" % repo, "entry_point": "main.py", **script})
    assert done.code == 0, done.log
    tree = rig.state / "work/repo"
    assert head(tree) == expected
    assert git(tree, "status", "--porcelain") == b""
    assert head(tree, "origin/feature/x") == second
    assert "commit: %s" % expected in done.lines


@needs_git
@pytest.mark.parametrize("script,text", [
    ({"version_num": "0" * 40}, "commit %s does not exist" % ("0" * 40)),
    ({"version_num": "abcdef0"}, "commit abcdef0 does not exist"),
    ({"tag": "v9"}, "tag v9 does not exist"),
    ({"branch": "gone"}, "branch gone does not exist"),
    ({"branch": "../../HEAD"}, "does not exist"),
    ({"branch": "a\nb"}, "a\\x0ab does not exist"),
])
def test_what_does_not_exist(rig, repo, script, text):
    done = rig.run({"repository": str(repo), "entry_point": "main.py", **script})
    assert done.code == 1
    assert done.failure[0] == "clone" and text in done.failure[1]


@needs_git
def test_cache_is_asked_first(rig, repo):
    script = {"repository": str(repo), "version_num": head(repo), "entry_point": "main.py"}
    assert "cloning: " in rig.run(script).log
    repo.rename(repo.with_name("moved"))
    done = rig.run(script)
    assert done.code == 0 and "cloning" not in done.log and "pulling" not in done.log
    # A name may have moved, so it has to be asked for; what we have survives the failure.
    done = rig.run({**script, "version_num": "", "branch": "main"})
    assert done.code == 1 and done.failure[0] == "clone"
    assert rig.run(script).code == 0


@needs_git
def test_cache_follows_the_remote(rig, repo):
    script = {"repository": str(repo), "branch": "main", "entry_point": "main.py"}
    assert rig.run(script).code == 0
    write(repo / "main.py", "print('second')\n")
    commit(repo)
    # A folder of branches where a branch was.
    git(repo, "branch", "topic")
    again = rig.run(script)
    assert again.code == 0, again.log
    assert again.output == "second\n"
    git(repo, "branch", "-D", "topic")
    git(repo, "branch", "topic/one")
    done = rig.run({**script, "branch": "topic/one"})
    assert done.output == "second\n", done.log


@needs_git
@pytest.mark.parametrize("harm", ["objects", "packs", "refs", "all"])
def test_damaged_cache_is_made_anew(rig, repo, harm):
    script = {"repository": str(repo), "version_num": head(repo), "entry_point": "main.py"}
    assert rig.run(script).code == 0
    (cached,) = (rig.cache / "git").glob("*.git")
    if harm == "objects":
        shutil.rmtree(cached / "objects")
    elif harm == "packs":
        for path in (cached / "objects").rglob("*"):
            if path.is_file():
                path.chmod(0o600)
                path.write_bytes(b"\0" * path.stat().st_size)
    elif harm == "refs":
        for path in [*cached.glob("objects/pack/*"), *cached.glob("refs/*")]:
            path.unlink() if path.is_file() else shutil.rmtree(path)
        (cached / "refs").rmdir()
    else:
        shutil.rmtree(cached)
        cached.write_text("no repository")
    done = rig.run(script)
    assert done.code == 0, done.log
    assert "made anew" in done.log
    assert list((rig.cache / "git").glob("*.bad"))


@needs_git
@needs_root
def test_cache_of_another_user(rig, repo):
    (rig.cache / "git").mkdir(parents=True)
    os.chown(rig.cache / "git", 12345, 12345)
    done = rig.run({"repository": str(repo), "entry_point": "main.py"})
    assert done.code == 1 and "belongs to another user" in done.failure[1]


@needs_git
def test_cache_that_others_can_write(rig, repo):
    (rig.cache / "git").mkdir(parents=True)
    (rig.cache / "git").chmod(0o777)
    done = rig.run({"repository": str(repo), "entry_point": "main.py"})
    assert done.code == 1 and "written by other users" in done.failure[1]


@needs_git
def test_attempts_start_from_a_clean_tree(rig, repo):
    script = {"repository": str(repo), "binary": "/bin/sh",
              "entry_point": "-c 'cat data.txt | wc -l; echo x > data.txt; echo y > new; ls'"}
    first = rig.run(script)
    second = rig.run(script, attempt=2)
    assert first.output == second.output and first.output.startswith("5\n")


@needs_git
def test_working_dir_and_python_path(rig, repo):
    write(repo / "sub/show.py", "import os\nprint(os.getcwd(), os.environ['PYTHONPATH'])\n")
    commit(repo)
    tree = str(rig.state / "work/repo")
    done = rig.run({"repository": str(repo), "working_dir": "sub", "entry_point": "show.py"},
                   env={"PYTHONPATH": "/mine"})
    assert done.output == "%s/sub /mine:%s/sub\n" % (tree, tree)
    done = rig.run({"repository": str(repo), "entry_point": "sub/show.py"})
    assert done.output == "%s %s:%s/sub\n" % (tree, tree, tree)
    done = rig.run({"repository": str(repo), "entry_point": "show.py:sub"})
    assert done.output.startswith("%s/sub " % tree)


@needs_git
@pytest.mark.parametrize("script,step", [
    ({"working_dir": "../..", "entry_point": "main.py"}, "checkout"),
    ({"working_dir": "/etc", "entry_point": "main.py"}, "checkout"),
    ({"working_dir": "out", "entry_point": "main.py"}, "checkout"),
    ({"working_dir": "gone", "entry_point": "main.py"}, "checkout"),
    ({"working_dir": "main.py", "entry_point": "main.py"}, "checkout"),
    ({"entry_point": "../../../../../../etc/passwd"}, "execute"),
    ({"entry_point": "/etc/passwd"}, "execute"),
    ({"entry_point": "out/passwd"}, "execute"),
    ({"entry_point": "gone.py"}, "execute"),
])
def test_paths_stay_in_the_checkout(rig, repo, script, step):
    os.symlink("/etc", repo / "out")
    commit(repo)
    done = rig.run({"repository": str(repo), **script})
    assert done.code == 1 and done.failure[0] == step, done.log
    name = script.get("working_dir") or script["entry_point"]
    assert name in done.failure[1]


@needs_git
def test_script_in_a_repository(rig, repo):
    done = rig.run({"repository": str(repo), "diff": "print('from the diff')\n",
                    "working_dir": "sub", "entry_point": "new.py"})
    assert done.output == "from the diff\n"
    done = rig.run({"repository": str(repo), "diff": "print('from the diff')\n",
                    "entry_point": "main.py"})
    assert done.output.startswith("hello")


@needs_git
def test_tree_in_place_of_another_kind(rig, repo):
    (rig.state / "work").mkdir()
    os.symlink("/etc", rig.state / "work/repo")
    done = rig.run({"repository": str(repo), "entry_point": "main.py"})
    assert done.code == 1 or not os.path.islink(rig.state / "work/repo")
    assert not os.path.exists("/etc/main.py")


@needs_git
def test_two_runs_share_one_cache(rig, repo, tmp_path):
    runs = [Rig(tmp_path / ("run%d" % i), tmp_path / "home") for i in range(6)]
    for r in runs:
        r.cache = rig.cache
    script = {"repository": str(repo), "branch": "main", "entry_point": "main.py"}
    with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
        done = list(pool.map(lambda r: r.run(script), runs))
    assert [d.code for d in done] == [0] * len(runs)
    assert sum("cloning: " in d.log for d in done) == 1
    assert len(list((rig.cache / "git").glob("*.git"))) == 1


# Servers

@needs_git
def test_http(rig, repo):
    with http_server(repo.parent) as server:
        done = rig.run({"repository": server.url + "/repo.git", "entry_point": "main.py"})
    assert done.code == 0, done.log


@needs_git
@pytest.mark.parametrize("how", ["configured", "configured for host", "in the URL", "one of several",
                                 "by the begin of the address"])
def test_http_with_password(rig, repo, how):
    with http_server(repo.parent, login="me:s3cret/pass") as server:
        url = server.url + "/repo.git"
        identity = {"user": "me", "pass": "s3cret/pass"}
        if how == "configured for host":
            identity["host"] = "127.0.0.1"
        elif how == "in the URL":
            url = url.replace("://", "://me:s3cret%2Fpass@")
            identity = {"user": "other", "pass": "wr0ng"}
        elif how == "one of several":
            identity = {"user": "other", "pass": "wr0ng", "extra_credentials": [
                {"user": "x", "pass": "wr0ng", "host": "elsewhere.example"}, {**identity, "host": "127.0.0.1"}]}
        elif how == "by the begin of the address":
            identity = {**identity, "host": url.removesuffix("po.git"), "host_match_prefix": True}
        done = rig.run({"repository": url, "entry_point": "main.py"}, git=identity)
    assert done.code == 0, done.log
    assert "s3cret" not in done.log + done.status
    for path in [*rig.cache.rglob("*"), *rig.state.rglob("*")]:
        if path.is_file():
            assert b"s3cret" not in path.read_bytes(), path


@needs_git
@pytest.mark.parametrize("identity,text", [
    ({}, "asks for a user and a password"),
    ({"user": "me", "pass": "wr0ng"}, "refused the user and password"),
    ({"user": "me", "pass": "s3cret", "host": "elsewhere.example"},
     "asks for a user and a password"),
    ({"user": "me", "pass": "s3cret", "host": "http://127.0.0", "host_match_prefix": True},
     "asks for a user and a password"),
])
def test_http_password_refused_or_withheld(rig, repo, identity, text):
    with http_server(repo.parent, login="me:s3cret") as server:
        done = rig.run({"repository": server.url + "/repo.git", "entry_point": "main.py"},
                       git=identity)
        sent = [a for _, a in server.seen if a]
    assert done.code == 1 and done.failure[0] == "clone" and text in done.failure[1]
    assert bool(sent) == (identity.get("pass") == "wr0ng")
    assert "wr0ng" not in done.log + done.status


@needs_git
def test_password_does_not_follow_a_redirect(rig, repo):
    with http_server(repo.parent, login="me:s3cret") as target:
        with http_server(repo.parent, redirect=target.url.replace("127.0.0.1", "localhost")) \
                as source:
            done = rig.run({"repository": source.url + "/repo.git",
                            "entry_point": "main.py"},
                           git={"user": "me", "pass": "s3cret"})
            assert not [a for _, a in target.seen if a]
    assert done.code == 1


@needs_git
def test_commit_that_no_branch_leads_to(rig, repo):
    write(repo / "main.py", "print('lost')\n")
    lost = commit(repo)
    git(repo, "reset", "-q", "--hard", "HEAD~1")
    with http_server(repo.parent) as server:
        done = rig.run({"repository": server.url + "/repo.git", "version_num": lost,
                        "entry_point": "main.py"})
    assert done.output == "lost\n", done.log


@needs_git
@pytest.mark.parametrize("scheme", ["http", "https", "git", "ssh"])
def test_silent_server(rig, scheme):
    with silent_server() as port:
        start = time.monotonic()
        done = rig.run({"repository": "%s://127.0.0.1:%d/r.git" % (scheme, port),
                        "entry_point": "x"}, environ={"REEVE_GIT_TIMEOUT_MS": "500"})
    assert done.code == 1 and done.failure[0] == "clone"
    assert "no answer" in done.failure[1]
    assert time.monotonic() - start < 15


@needs_git
@needs_sshd
def test_ssh(rig, repo, tmp_path):
    with ssh_server(tmp_path / "sshd", rig.home) as url:
        script = {"repository": "%s%s" % (url, repo), "entry_point": "main.py"}
        done = rig.run(script)
        assert done.code == 0, done.log
        known = rig.home / ".ssh/known_hosts"
        right = known.read_text()
        other = tmp_path / "other"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)],
                       check=True)
        for text in ("", " ".join([right.split()[0], *other.with_suffix(".pub")
                                   .read_text().split()[:2]]) + "\n"):
            known.write_text(text)
            done = rig.run(script)
            assert done.code == 1 and "known_hosts" in done.failure[1], done.log
        known.write_text(right)
        (rig.home / ".ssh/id_ed25519").unlink()
        done = rig.run(script)
        assert done.code == 1 and "none of our ssh keys" in done.failure[1], done.log


@needs_git
@needs_sshd
def test_ssh_agent(rig, repo, tmp_path):
    with ssh_server(tmp_path / "sshd", rig.home) as url:
        socket_path = tmp_path / "agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)],
                                 stdout=subprocess.DEVNULL)
        try:
            env = {"SSH_AUTH_SOCK": str(socket_path)}
            deadline = time.monotonic() + 10
            while not socket_path.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            key = rig.home / ".ssh/id_ed25519"
            subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, **env}, check=True)
            key.unlink()
            done = rig.run({"repository": "%s%s" % (url, repo), "entry_point": "main.py"},
                           environ=env)
        finally:
            agent.terminate()
            agent.wait(10)
    assert done.code == 0, done.log


@needs_git
def test_ssh_url_with_password_goes_over_https(rig):
    done = rig.run({"repository": "git@127.0.0.1:org/r.git", "entry_point": "x"},
                   git={"user": "me", "pass": "s3cret", "host": "127.0.0.1"})
    assert "https url 'https://127.0.0.1/org/r.git'" in done.log
    assert done.failure[0] == "clone" and "https://127.0.0.1/org/r.git" in done.failure[1]


# Submodules

@needs_git
def test_submodules(rig, tmp_path):
    leaf = make_repo(tmp_path / "srv/leaf", {"leaf.txt": "leaf\n"})
    lib = make_repo(tmp_path / "srv/lib", {"lib.txt": "lib\n"})
    git(lib, "submodule", "add", "-q", str(leaf), "deep/leaf")
    commit(lib)
    top = make_repo(tmp_path / "srv/top", {"main.py": "print(open('l/lib.txt').read() + "
                                           "open('l/deep/leaf/leaf.txt').read())\n"})
    git(top, "submodule", "add", "-q", "../lib", "l")
    sha = commit(top)
    write(lib / "lib.txt", "newer\n")
    commit(lib)
    done = rig.run({"repository": str(top), "version_num": sha, "entry_point": "main.py"})
    assert done.output == "lib\nleaf\n\n", done.log
    with http_server(tmp_path / "srv") as server:
        # leaf's absolute path is a file of this host: not for a remote repository.
        done = rig.run({"repository": server.url + "/top", "version_num": sha,
                        "entry_point": "main.py"})
        assert done.code == 1 and "names a file of this host" in done.failure[1], done.log
        git(lib, "reset", "-q", "--hard", "HEAD~2")
        done = rig.run({"repository": server.url + "/lib", "entry_point": "lib.txt",
                        "binary": "cat"})
        assert done.output == "lib\n", done.log


@needs_git
@pytest.mark.parametrize("url", ["ext::sh -c 'touch owned'", "-oProxyCommand=x:y", ""])
def test_submodule_with_a_bad_url(rig, repo, url):
    sub = make_repo(repo.parent / "sub", {"x": "x"})
    git(repo, "submodule", "add", "-q", str(sub), "m")
    git(repo, "config", "-f", ".gitmodules", "submodule.m.url", url)
    commit(repo)
    done = rig.run({"repository": str(repo), "entry_point": "main.py"})
    assert done.code == 1 and done.failure[0] == "checkout" and "submodule m" in \
        done.failure[1], done.log


@needs_git
def test_submodule_path_through_a_link(rig, repo, tmp_path):
    sub = make_repo(repo.parent / "sub", {"owned": "x"})
    outside = tmp_path / "outside"
    outside.mkdir()
    sha = head(sub)
    os.symlink(outside, repo / "link")
    git(repo, "add", "-A")
    write(repo / ".gitmodules", '[submodule "a"]\n path = link/sub\n url = %s\n' % sub)
    git(repo, "add", ".gitmodules")
    git(repo, "update-index", "--add", "--cacheinfo", "160000,%s,other/sub" % sha)
    git(repo, "commit", "-q", "-m", "x")
    rig.run({"repository": str(repo), "entry_point": "main.py"})
    assert not list(outside.iterdir())


# Diffs, against git itself

def tree_of(path):
    out = {}
    for p in sorted(path.rglob("*")):
        name = p.relative_to(path)
        if name.parts[0] == ".git" or (p.is_dir() and not p.is_symlink()):
            continue
        if p.is_symlink():
            out[str(name)] = ("link", os.readlink(p))
        else:
            out[str(name)] = (bool(p.stat().st_mode & 0o100), p.read_bytes())
    return out


def change_at_random(rng, repo):
    files = [p for p in repo.rglob("*") if p.is_file() and not p.is_symlink()
             and ".git" not in p.relative_to(repo).parts]
    for p in rng.sample(files, min(len(files), rng.randint(1, 5))):
        what = rng.random()
        if what < 0.08:
            p.unlink()
        elif what < 0.16:
            p.rename(p.with_name("moved %d" % rng.randrange(1000)))
        elif what < 0.22:
            p.chmod(p.stat().st_mode ^ 0o111)
        elif what < 0.28:
            p.write_bytes(bytes(rng.randrange(256) for _ in range(rng.randrange(300))))
        else:
            lines = p.read_bytes().split(b"\n")
            for _ in range(rng.randint(1, 6)):
                i = rng.randrange(len(lines) + 1)
                if rng.random() < 0.4 and lines:
                    del lines[i:i + rng.randint(1, 3)]
                else:
                    lines[i:i] = [rng.choice([b"", b"x", b"new \xc3\xa4", b"\ttab", b"y\r"])
                                  for _ in range(rng.randint(1, 3))]
            p.write_bytes(b"\n".join(lines))
    if rng.random() < 0.5:
        write(repo / ("new/%s" % rng.choice(["plain", "with blank", "t\tab", 'q"uote', "ä"])),
              rng.choice([b"", b"a\n", b"no newline", b"a\r\nb\r\n"]))
    if rng.random() < 0.2:
        os.symlink("data.txt", repo / ("link%d" % rng.randrange(1000)))


@needs_git
@pytest.mark.parametrize("options", [
    ["--binary"], ["--binary", "-U0"], ["--binary", "-M", "-C", "-C"],
    ["--binary", "--full-index", "-U1", "--no-renames"],
    ["--binary", "-B", "-M"], ["--binary", "--submodule=diff"],
    ["--binary", "--src-prefix=i/", "--dst-prefix=w/"], ["--binary", "--patience", "-U10"]])
def test_diffs_as_git_makes_them(rig, tmp_path, options):
    """Random changes of a repository: what reeve-prepare makes of git's diff is what was
    there when it was taken."""
    rng = random.Random(" ".join(options))
    text = "".join("line %d\n" % (i % 7) for i in range(40))
    repo = make_repo(tmp_path / "r", {
        "main.sh": "exit 0\n", "data.txt": text, "dir/a.py": text, "dir/b c.py": text,
        "dir/empty": "", "crlf.txt": text.replace("\n", "\r\n"), "last": text + "end",
        "bin": bytes(range(256)) * 4, "dir/ä": text})
    os.chmod(repo / "main.sh", 0o755)
    base = commit(repo)
    for round_number in range(12):
        git(repo, "reset", "-q", "--hard", base)
        git(repo, "clean", "-q", "-fdx")
        change_at_random(rng, repo)
        write(repo / "main.sh", "exit 0\n")
        os.chmod(repo / "main.sh", 0o755)
        git(repo, "add", "-A")
        diff = git(repo, "diff", "--cached", *options)
        try:
            diff = diff.decode()
        except UnicodeDecodeError:
            continue
        if not diff:
            continue
        done = rig.run({"repository": str(repo), "version_num": base, "diff": diff,
                        "binary": "sh", "entry_point": "main.sh"})
        assert done.code == 0, "round %d\n%s\n%s" % (round_number, done.log, diff)
        assert tree_of(rig.state / "work/r") == tree_of(repo), diff


@needs_git
def test_diff_of_a_submodule(rig, repo, tmp_path):
    lib = make_repo(tmp_path / "srv/lib", {"lib.txt": "one\ntwo\n"})
    git(repo, "submodule", "add", "-q", str(lib), "lib")
    base = commit(repo)
    write(repo / "lib/lib.txt", "one\nchanged\n")
    diff = git(repo, "diff", "--submodule=diff", "HEAD").decode()
    assert diff.startswith("Submodule lib contains modified content\n")
    done = rig.run({"repository": str(repo), "version_num": base, "diff": diff,
                    "binary": "cat", "entry_point": "lib/lib.txt"})
    assert done.output == "one\nchanged\n", done.log


@needs_git
def test_diff_with_line_ends_by_attributes(rig, repo):
    write(repo / ".gitattributes", "*.bat text eol=crlf\n")
    write(repo / "x.bat", "a\r\nb\r\nc\r\n")
    base = commit(repo)
    git(repo, "rm", "-q", "--cached", "-r", ".")
    git(repo, "reset", "-q", "--hard")
    write(repo / "x.bat", "a\r\nB\r\nc\r\n")
    diff = git(repo, "diff").decode()
    assert "\r" not in diff
    done = rig.run({"repository": str(repo), "version_num": base, "diff": diff,
                    "entry_point": "main.py"})
    assert done.code == 0, done.log
    assert (rig.state / "work/repo/x.bat").read_bytes() == b"a\r\nB\r\nc\r\n"


@needs_git
@pytest.mark.parametrize("diff,text", [
    ("diff --git a/data.txt b/data.txt\n--- a/data.txt\n+++ b/data.txt\n"
     "@@ -1,2 +1,2 @@\n 1\n-nine\n+9\n", "data.txt: hunk 1 (@@ -1,2 +1,2 @@) does not fit"),
    ("diff --git a/gone b/gone\n--- a/gone\n+++ b/gone\n@@ -1 +1 @@\n-a\n+b\n",
     "gone: there is no such file"),
    ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1 @@\n-a\n", "hunk ends early"),
    ("diff --git a/../../x b/../../x\nnew file mode 100644\n--- /dev/null\n"
     "+++ b/../../x\n@@ -0,0 +1 @@\n+x\n", "leads out of the checkout"),
    ("diff nothing at all\n", "no file in the diff"),
    ("diff --git a/b b/b\nindex 1..2\nGIT binary patch\nliteral 5\nnonsense\n\n", "b: "),
])
def test_diff_that_does_not_apply(rig, repo, diff, text):
    done = rig.run({"repository": str(repo), "entry_point": "main.py", "diff": diff})
    assert done.code == 1
    assert done.failure[0] == "diff" and text in done.failure[1], done.failure
    assert "reeve: diff failed: " in done.log
