"""The injector itself: it does to the call that was asked for what was asked for, and lets everything else alone."""

import subprocess
import sys

from injector import Injector, inject, read_report
from reeve_up import SLOW, alive, wait_until

OPEN_THREE = """
import sys
for name in sys.argv[1:]:
    try:
        print(open(name).read(), end="")
    except OSError as error:
        print(error.strerror)
"""


def run(report, *options, command):
    return subprocess.run([*inject(report, *options), "--", *command], capture_output=True, text=True,
                          timeout=60 * SLOW)


def test_the_call_that_was_counted_is_the_one_that_kills(tmp_path):
    """Before it is carried out, or after that."""
    command = ["sh", "-c", "echo one; echo two; echo three"]
    done = run(tmp_path / "r", "--count", "--calls", "write", command=command)
    calls = read_report(tmp_path / "r")
    assert done.returncode == 0 and [call[0] for call in calls] == ["1", "2", "3"], calls
    assert all(call[2:4] == ["main", "write"] for call in calls), calls
    done = run(tmp_path / "r", "--at", 2, "--calls", "write", command=command)
    assert (done.returncode, done.stdout) == (128 + 9, "one\n")
    done = run(tmp_path / "r", "--at", 2, "--when", "exit", "--calls", "write", command=command)
    assert (done.returncode, done.stdout) == (128 + 9, "one\ntwo\n")


def test_calls_that_fail_or_move_less(tmp_path):
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text(f"{file.name}\n")
    command = [sys.executable, "-c", OPEN_THREE, *files]
    options = ("--calls", "openat", "--path", f"{tmp_path}/", "--errno", "EMFILE")
    assert run(tmp_path / "r", *options, "--at", 2, command=command).stdout == "a\nToo many open files\nc\n"
    assert run(tmp_path / "r", *options, "--at", 2, "--times", 0, "--when", "exit", command=command).stdout == \
        "a\nToo many open files\nToo many open files\n"
    done = run(tmp_path / "r", "--after", f"openat:{files[0]}", "--calls", "read", "--short", 1, command=command)
    assert done.stdout == "a\nb\nc\n" and len(read_report(tmp_path / "r")) == 1


def test_only_the_program_that_was_named(tmp_path):
    """Below a command that goes on; and what is forked, before it executes something."""
    command = ["sh", "-c", "cat /dev/null; echo $?"]
    done = run(tmp_path / "r", "--program", "cat", "--calls", "openat", "--path", "/dev/null", command=command)
    assert (done.returncode, done.stdout) == (0, f"{128 + 9}\n")
    done = run(tmp_path / "r", "--forked", "--calls", "execve", command=command)
    assert (done.returncode, done.stdout) == (0, f"{128 + 9}\n")
    assert read_report(tmp_path / "r")[0][2] == "forked"


def test_one_is_killed_and_then_another(tmp_path):
    """Below a program that is only followed; what those do that come later is counted anew."""
    command = ["sh", "-c", "for i in 1 2 3; do env dd if=/dev/zero of=/dev/null bs=1 count=9 2>/dev/null; echo $?; done"]
    done = run(tmp_path / "r", "--program", "dd", "--through", "env", "--calls", "read", "--path", "/dev/zero", "--at", "5,2",
               command=command)
    assert done.stdout == f"{128 + 9}\n{128 + 9}\n0\n"
    assert [hit[0] for hit in read_report(tmp_path / "r")] == ["5", "2"]


def test_a_process_that_runs_already(tmp_path):
    """It is let go when it has not come to its call, and lives on; else only it ends, not its child."""
    victim = subprocess.Popen(["sh", "-c", "sleep 100 >/dev/null & echo $!; while read line; do echo $line; done"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child = int(victim.stdout.readline())

    def says(word):
        victim.stdin.write(f"{word}\n")
        victim.stdin.flush()
        return victim.stdout.readline() == f"{word}\n"

    injector = Injector(tmp_path / "r", victim.pid, "--calls", "write", "--at", 3)
    assert says("one") and says("two")
    assert injector.let_go() == 3 and says("three")
    injector = Injector(tmp_path / "r", victim.pid, "--calls", "write", "--at", 2)
    assert says("four") and not says("five")
    wait_until(injector.done, what="the end of the injector")
    assert victim.wait(60 * SLOW) == -9 and alive(child)
    subprocess.run(["kill", str(child)], check=True)
    victim.stdin.close()
    victim.stdout.close()
