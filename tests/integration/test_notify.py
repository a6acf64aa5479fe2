"""What systemd is told by reeved (sd_notify), and that it tells nobody else's."""

import os
import re
import signal
import socket

import pytest

from reeve_up import SLOW, wait_until


@pytest.fixture
def notices(tmp_path):
    """The socket that a manager of services listens on; call it for the next notice that matches."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(30 * SLOW)

        def next_of(pattern):
            while True:
                text = s.recv(4096).decode()
                if re.fullmatch(pattern, text):
                    return text
                assert text == "WATCHDOG=1", text
        yield next_of


def test_notices(make_rig, notices, tmp_path):
    rig = make_rig(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000", "WATCHDOG_OF": "mine"})
    rig.master.start()
    ready = f"READY=1\nMAINPID={rig.master.process.pid}"
    notices(ready)
    task = rig.enqueue("env; echo line 1")
    rig.wait(task)
    assert "NOTIFY_SOCKET" not in rig.text(task) and "WATCHDOG_USEC" not in rig.text(task)
    assert "WATCHDOG_OF=mine" in rig.text(task).splitlines()
    notices("WATCHDOG=1")
    assert rig.master.control(cmd="upgrade")["ok"]
    notices(r"RELOADING=1\nMONOTONIC_USEC=\d{3,}")
    notices(ready)
    notices("WATCHDOG=1")
    wait_until(lambda: rig.master.control(cmd="status")["ok"], what="the upgraded master")
    rig.master.process.send_signal(signal.SIGTERM)
    notices("STOPPING=1")
    # As timeout(1) does; what it has begun to take down it takes down.
    for _ in range(100):
        rig.master.process.send_signal(signal.SIGTERM)
    assert rig.master.process.wait(60 * SLOW) == 0


def test_a_child_of_a_service_is_silent(make_rig, tmp_path):
    """Its parent is the service, as `reeve up` may be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        rig = make_rig(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "SYSTEMD_EXEC_PID": str(os.getpid())})
        rig.master.start()
        assert rig.master.stop() == 0
        s.setblocking(False)
        with pytest.raises(BlockingIOError):
            s.recv(4096)
