"""The embedded server alone, by wrk over loopback: requests a second, and what a pull takes of a short and of a long queue.

The first tasks are created and enqueued through the API; of a long queue the rest are copies of one of them, made in the
stopped server's own tables. The load takes one thread of the same machine.
"""

import contextlib
import json
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

from rig import Calls, Note, percentile, row
from server_rig import Server

SECONDS = 5
CONNECTIONS = 64
SHORT = 1_000
PULLS = 400
SEEDED = 10_000
POPS = 15_000  # a second or two of them
ALONE = "clearml-agent is no server; ClearML's own needs Elasticsearch, MongoDB and Redis, which are not here"

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
        self.client = Calls(server.endpoint)

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
            raise Note(f"wrk said: {out}")
        result = json.loads(line[0][len("RESULT "):])
        result["per_second"] = result.pop("requests") / (result.pop("us") / 1e6)
        return result

    def seed(self, tasks):
        self.ids.write_text("")
        start = time.monotonic()
        self.wrk(CREATE, 64, 3600, lambda: self.ids.stat().st_size >= tasks * 33)
        return self.ids.stat().st_size / 33 / (time.monotonic() - start)

    def enqueue(self, count):
        """The first of the tasks."""
        with open(self.ids, encoding="ascii") as lines:
            ids = [line.strip() for _, line in zip(range(count), lines)]
        for start in range(0, count, 500):
            self.server.call("tasks.enqueue_many", {"ids": ids[start:start + 500], "queue": self.queue})

    def lengthen(self, queued):
        """Until so many are queued, by copies of the queue's first task."""
        self.client.close()
        self.server.stop()
        with contextlib.closing(sqlite3.connect(self.server.data / "reeve.db")) as db, db:
            copy_head(db, self.queue, queued)
        self.server.start()
        self.client = Calls(self.server.endpoint)
        if self.waiting() != queued:
            raise Note(f"{self.waiting()} are queued, not {queued}")

    def waiting(self):
        return self.server.call("queues.get_num_entries", {"queue": self.queue})["num"]


def pulls(bench, count):
    """ms of each of so many pulls, one at a time."""
    spent = []
    for _ in range(count):
        begin = time.perf_counter()
        bench.client.data("queues.get_next_task", queue=bench.queue)
        spent.append(1000 * (time.perf_counter() - begin))
    return spent


def copy_head(db, queue, queued):
    """Copies the task at the head of a queue, with all that stands in the tables of its number, and appends them."""
    (have,) = db.execute("SELECT count(*) FROM queue_entries WHERE queue = ?", [queue]).fetchone()
    head, added = db.execute("SELECT task, added FROM queue_entries WHERE queue = ? ORDER BY place LIMIT 1", [queue]).fetchone()
    (number,) = db.execute("SELECT n FROM tasks WHERE id = ?", [head]).fetchone()
    (last,) = db.execute("SELECT max(n) FROM tasks").fetchone()
    db.execute("CREATE TEMP TABLE copies AS WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < ?)"
               " SELECT i + ? AS n, lower(hex(randomblob(16))) AS id FROM k", [queued - have, last])
    for table in ("tasks", "task_bodies", "task_metrics"):
        columns = [column[1] for column in db.execute(f"PRAGMA table_info({table})")]
        values = [f"copies.{name}" if name in ("n", "id") else f"{table}.{name}" for name in columns]
        db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM {table}, copies WHERE {table}.n = ?", [number])
    db.execute("INSERT INTO queue_entries (queue, place, task, added) SELECT ?, (SELECT max(place) FROM queue_entries WHERE queue = ?)"
               " + (copies.n - ?) * 16777216, copies.id, ? FROM copies", [queue, queue, last, added])
    db.execute("UPDATE queues SET length = ?, added_s = added_s + ? WHERE id = ?", [queued, (queued - have) * (added // 1000), queue])


def measure_pulls(bench, queued, reach):
    spent = pulls(bench, PULLS)
    for share in (50, 99):
        yield row(f"pull with {queued:,} queued, p{share}", reach if share == 50 else None, percentile(spent, share), "ms",
                  note=f"of {PULLS}, one after the other", alone=ALONE)


def measure_calls(bench, seconds):
    yield "debug.ping", bench.wrk(PING, CONNECTIONS, seconds)
    yield "tasks.get_by_id", bench.wrk(GET_BY_ID, CONNECTIONS, seconds)
    yield "events.add_batch, 10 lines each", bench.wrk(ADD_BATCH, CONNECTIONS, seconds)
    if bench.waiting() < POPS:
        return
    result = bench.wrk(GET_NEXT_TASK, CONNECTIONS, max(1, seconds // 2))
    if not bench.waiting():
        raise Note("the queue ran dry")
    yield "queues.get_next_task", result


def measure(options):
    if not shutil.which("wrk"):
        raise Note("needs wrk (apt-get install wrk)")
    with tempfile.TemporaryDirectory(prefix="reeve-bench-") as folder:
        server = Server(pathlib.Path(folder) / "server").start()
        try:
            bench = Bench(folder, server)
            yield row("server: tasks created", None, bench.seed(min(SEEDED, options.tasks)), "1/s", less_is_better=False, alone=ALONE)
            bench.enqueue(SHORT + PULLS)
            short = list(measure_pulls(bench, SHORT, None))
            yield from short
            bench.lengthen(options.tasks)
            # Flat: as long as with few.
            yield from measure_pulls(bench, options.tasks, short[0]["reeve"])
            for call, result in measure_calls(bench, 1 if options.smoke else 2 if options.quick else SECONDS):
                if result["refused"] + result["broken"]:
                    raise Note(f"{call}: {result['refused']} answers of error, {result['broken']} without an answer")
                yield row(f"server: {call}", 30_000 if call in ("debug.ping", "tasks.get_by_id") else None, result["per_second"], "1/s",
                          less_is_better=False, alone=ALONE, note=f"{CONNECTIONS} connections, p99 {result['p99_ms']:.1f} ms")
        finally:
            server.stop()
