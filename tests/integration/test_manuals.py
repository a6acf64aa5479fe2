"""Help, manual pages and completion say the same: each option of --help is in the page and is completed, each option
of a page exists."""

import functools
import re
import subprocess

import pytest

from reeve_up import OUT, SLOW, clean_environment

MAN = OUT / "share/man"
# Named in a command's part of the page for what they are elsewhere.
ELSEWHERE = {}


def run(*args):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=60 * SLOW,
                          env=clean_environment())


@functools.cache
def commands():
    listed = run(OUT / "bin/reeve", "help").stdout
    return [name for name in re.findall(r"^  ([a-z][a-z-]*)  ", listed, re.M) if name not in ("version", "help")]


def options_of_help(*program):
    """As --help lists them: {"--queue", "-q"}."""
    done = run(*program, "--help")
    assert done.returncode == 0, done.stderr
    found = set()
    for letter, name in re.findall(r"^ +(?:(-\w), )?(--[a-z][a-z-]*)", done.stdout, re.M):
        found |= {letter, name} - {""}
    return found


def options_of_mdoc(text):
    """Those of `.Fl` macros, `Fl -a , -b` included."""
    found = set()
    for line in text.splitlines():
        if not line.startswith((".It", ".Fl", ".Op", ".Oo", ".Po", ".Pq", ".Oc")):
            continue
        for words in re.findall(r"\bFl (-?[A-Za-z][\w-]*(?: [,|] (?!Fl\b)-?[A-Za-z][\w-]*)*)", line):
            found |= {"-" + word for word in re.split(r" [,|] ", words)}
    return found


@functools.cache
def parts():
    """The part of reeve(1) that belongs to each command; those before the first command belong to all."""
    text = (MAN / "man1/reeve.1").read_text()
    every = re.search(r"^\.Ss Options of every command$(.*?)^\.Sh", text, re.M | re.S)[1]
    found = {"": every}
    depth, names = 0, []
    for line in text[text.index(".Sh STARTING"):text.index(".Sh ENVIRONMENT")].splitlines():
        depth += line.startswith(".Bl") - line.startswith(".El")
        head = re.match(r"\.It Cm ([a-z-]+)", line)
        if head and depth == 1:
            names = [head[1]] if names != [head[1]] else names
        for name in names:
            found[name] = found.get(name, "") + line + "\n"
    return found


@pytest.mark.parametrize("command", commands())
def test_command(command):
    helped = options_of_help(OUT / "bin/reeve", command)
    page = parts().get(command)
    assert page, f"reeve(1) has no part about {command}"
    written = options_of_mdoc(page)
    missing = helped - written - options_of_mdoc(parts()[""]) - {"--json"}
    assert not missing, f"options that reeve(1) does not have: {missing}"
    for option in written - helped - ELSEWHERE.get(command, set()):
        said = run(OUT / "bin/reeve", command, option + ("=1" if option.startswith("--") else ""), "--help")
        assert "unknown option" not in said.stderr, f"reeve(1): {command} {option}"


@pytest.mark.parametrize("program, page", [(OUT / "sbin/reeved", "man8/reeved.8"),
                                           (OUT / "libexec/reeve/reeve-server", "man8/reeve-server.8")])
def test_program(program, page):
    helped = options_of_help(program) | set(re.findall(r"--[a-z][a-z-]*", run(program, "--help").stdout))
    text = (MAN / page).read_text()
    written = options_of_mdoc(text)
    assert not helped - written - {"--help", "--version", "-h"}, page
    heads = options_of_mdoc("\n".join(line for line in text.splitlines() if re.match(r"\.(Op|It) Fl", line)))
    assert not heads - helped, page


def complete(*lines):
    """What bash offers for the last word of each."""
    script = OUT / "share/bash-completion/completions/reeve"
    done = run("bash", "-c", "\n".join(
        [f". {script}", f"PATH={OUT}/bin:$PATH",
         'try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _reeve; echo "${COMPREPLY[*]}"; }',
         *(f"try reeve {line}" for line in lines)]))
    assert done.stderr == ""
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_completion():
    """Every option of every command, and every command."""
    first, *rest = complete("''", *(f"{command} --" for command in commands()))
    assert first == {*commands(), "version", "help"}
    for command, offered in zip(commands(), rest, strict=True):
        assert offered == {o for o in options_of_help(OUT / "bin/reeve", command) if o.startswith("--")}


def test_completion_of_names(reeve):
    data = f"--data {reeve.data}"
    reeve.run("queue", "create", "another")
    task = reeve.shell("true", "--queue", "another")
    verbs, queues, renamed, tasks, moved, quotas = complete(
        "queue ''", f"enqueue {data} --queue ''", f"queue rename {data} anot", f"logs {data} {task[:8]}",
        f"queue move {data} {task[:8]}", "set x --unset mem")
    usage = run(OUT / "bin/reeve", "queue", "--help").stdout.splitlines()[0]
    assert verbs == set(re.findall(r"(?:queue|\|) ([a-z]+)", usage))
    assert queues == {"another", "default", "services"} and renamed == {"another"}
    assert tasks == {task} == moved and quotas == {"memory", "memory_swap", "memory_reservation"}
