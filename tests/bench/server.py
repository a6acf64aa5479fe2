"""The embedded server's requests a second and their latency, by wrk over loopback.

    server.py [--tasks N] [--queued N] [--seconds S] [--connections N]... [--json]

For each call and number of connections: requests a second, the 50th and 99th percentile of the latency, and what was
answered with an error. The tasks are created and enqueued through the API, by wrk too. REEVE_OUT names the install prefix.
The load takes one thread of the same machine.
"""

import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from server_rig import Server  # noqa: E402

# What every script ends with: wrk's own summary as one line of JSON.
DONE = """
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format('\\nRESULT {"requests": %d, "us": %d, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}\\n',
        summary.requests, summary.duration, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""

CREATE = """
local n = 0
function request()
    n = n + 1
    return wrk.format("POST", "/tasks.create", nil, '{"name": "task ' .. n ..
        '", "type": "service", "script": {"binary": "sh", "entry_point": "-c true"}}')
end
local out = io.open("%(ids)s", "a")
local made = 0
function response(status, headers, body)
    local id = body:match('"data":{"id":"(%%x+)"')
    if id then
        out:write(id, "\\n")
        made = made + 1
        if made %% 100 == 0 then out:flush() end
    end
end
"""

GET_BY_ID = """
local ids = {}
for id in io.lines("%(ids)s") do ids[#ids + 1] = id end
function request()
    return wrk.format("POST", "/tasks.get_by_id", nil, '{"task": "' .. ids[math.random(#ids)] .. '"}')
end
"""

ADD_BATCH = """
local ids = {}
for id in io.lines("%(ids)s") do ids[#ids + 1] = id end
local time = %(now)d
wrk.headers["Content-Type"] = "application/json-lines"
function request()
    local lines, task = {}, ids[math.random(#ids)]
    for i = 1, 10 do
        time = time + 1
        lines[i] = '{"type": "log", "task": "' .. task .. '", "level": "info", "worker": "bench", "timestamp": ' ..
            string.format("%%d", time) .. ', "msg": "a line of the log that is about as long as such lines are, number ' .. i .. '"}'
    end
    return wrk.format("POST", "/events.add_batch", nil, table.concat(lines, "\\n"))
end
"""

GET_NEXT_TASK = """
local body = '{"queue": "%(queue)s"}'
function request() return wrk.format("POST", "/queues.get_next_task", nil, body) end
"""

PING = """
function request() return wrk.format("POST", "/debug.ping", nil, "{}") end
"""


class Bench:
    def __init__(self, folder, server):
        self.folder = pathlib.Path(folder)
        self.server = server
        self.ids = self.folder / "ids"
        self.queue = server.queue("bench")

    def wrk(self, script, connections, seconds, until=None):
        """Runs wrk for so long, or until that is true."""
        path = self.folder / "script.lua"
        # The token is in the script, not in an argument that others could read.
        path.write_text(f'wrk.headers["Authorization"] = "Bearer {self.server.token}"\n'
                        'wrk.headers["Content-Type"] = "application/json"\n'
                        + script % {"ids": self.ids, "queue": self.queue, "now": time.time() * 1000}
                        + DONE)
        path.chmod(0o600)
        process = subprocess.Popen(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--latency", "--timeout", "30s",
                                    "-s", path, self.server.endpoint["api"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while until and process.poll() is None:
            if until():
                process.send_signal(signal.SIGINT)
                break
            time.sleep(0.02)
        out, _ = process.communicate()
        line = [x for x in out.splitlines() if x.startswith("RESULT ")]
        if not line:
            raise SystemExit(f"wrk said: {out}")
        result = json.loads(line[0][len("RESULT "):])
        result["per_second"] = result.pop("requests") / (result.pop("us") / 1e6)
        return result

    def seed(self, tasks):
        self.ids.write_text("")
        start = time.monotonic()
        self.wrk(CREATE, 64, 3600, lambda: self.ids.stat().st_size >= tasks * 33)
        return self.ids.stat().st_size / 33 / (time.monotonic() - start)

    def fill(self, queued):
        """Enqueues the first of the tasks, as many as are missing from the queue."""
        missing = queued - self.waiting()
        with open(self.ids, encoding="ascii") as lines:
            ids = [line.strip() for _, line in zip(range(queued), lines)]
        for start in range(0, queued, 500):
            if missing <= 0:
                break
            part = ids[start:start + 500]
            done = self.server.call("tasks.enqueue_many", {"ids": part, "queue": self.queue})
            if not done["succeeded"]:  # popped by an earlier round: to be put back
                self.server.call("tasks.reset_many", {"ids": part, "force": True})
                done = self.server.call("tasks.enqueue_many", {"ids": part, "queue": self.queue})
            missing -= len(done["succeeded"])

    def waiting(self):
        return self.server.call("queues.get_num_entries", {"queue": self.queue})["num"]


def measure(bench, options):
    for connections in options.connections:
        yield "debug.ping", connections, bench.wrk(PING, connections, options.seconds)
        yield "tasks.get_by_id", connections, bench.wrk(GET_BY_ID, connections, options.seconds)
        yield "events.add_batch, 10 lines", connections, bench.wrk(ADD_BATCH, connections, options.seconds)
        bench.fill(options.queued)
        result = bench.wrk(GET_NEXT_TASK, connections, min(options.seconds, 3))
        if not bench.waiting():
            result["note"] = "the queue ran dry"
        yield "queues.get_next_task", connections, result


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=100000, help="in the store (default 100000)")
    parser.add_argument("--queued", type=int, help="of them in the queue (default: all, 100000 at most)")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (default 5)")
    parser.add_argument("--connections", type=int, action="append", help="may be repeated (default 8 and 64)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.queued is None:
        options.queued = min(options.tasks, 100000)
    if not 0 < options.queued <= options.tasks:
        parser.error("--queued is more than --tasks")
    options.connections = options.connections or [8, 64]
    return options


def main():
    options = arguments()
    if not shutil.which("wrk"):
        raise SystemExit("server.py: needs wrk (apt-get install wrk)")
    with tempfile.TemporaryDirectory(prefix="reeve-bench-") as folder:
        server = Server(pathlib.Path(folder) / "server").start()
        try:
            bench = Bench(folder, server)
            created = bench.seed(options.tasks)
            if not options.json:
                print(f"{options.tasks} tasks created ({created:.0f}/s), {options.queued} of them queued")
                print(f"{'call':28}{'connections':>12}{'req/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'errors':>8}")
            rows = []
            for call, connections, result in measure(bench, options):
                rows.append({"call": call, "connections": connections, **result})
                if not options.json:
                    print(f"{call:28}{connections:12}{result['per_second']:10.0f}{result['p50_ms']:9.2f}"
                          f"{result['p99_ms']:9.2f}{result['refused'] + result['broken']:8} {result.get('note', '')}", flush=True)
            if options.json:
                print(json.dumps({"tasks": options.tasks, "queued": options.queued, "created_per_second": created, "calls": rows}))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
