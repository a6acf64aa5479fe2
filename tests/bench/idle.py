"""What idle services cost: memory and processor time with none, 1, 100, 1,000 and, in the end, 10,000 of them."""

import time

from rig import SUPERVISOR, Note, cpu_seconds, host, memory, peer, row, wait_until

IDLE = {"binary": "sleep", "entry_point": "infinity"}
STEPS = (1, 100, 1_000, 10_000)
QUICK = (1, 100)
SMOKE = (1, 10)
REACH_RSS = {1_000: 16, 10_000: 64}
MB = 1e6
NEEDED = 1_200_000  # bytes of each service, its own process and the kernel's share with it
ALONE = "clearml-agent starts one service in 5 to 10 s, and takes 50 MB for each"


def available():
    with open("/proc/meminfo", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


class Full(Note):
    """The host takes no more of them, and why."""


class Figures:
    """Of one host while it is given more and more to hold."""

    def __init__(self, reeve, options):
        self.reeve = reeve
        self.options = options
        self.seconds = 1 if options.smoke else 5 if options.quick else 20
        self.tasks = []
        self.master = reeve.pids("reeved")[0]
        self.supervisor_0 = memory(self.master)
        self.available_0 = available()

    def grow(self, count):
        """More of them, until so many run; launches a second."""
        missing = count - len(self.tasks)
        more = self.reeve.make(IDLE, missing)
        begin = time.monotonic()
        self.reeve.enqueue(more)
        self.tasks += more
        wait_until(lambda: self.running_or_full() >= count, 60 + count / 20, 0.5, f"{count} running services")
        spent = time.monotonic() - begin
        # What the start has left to do: workers to register, lines to send.
        time.sleep(1 if self.options.smoke else 5 + count / 1000)
        return missing / spent

    def running_or_full(self):
        status = self.reeve.json("status")
        if status["admission"]["closed"]:
            raise Full(status["admission"]["closed"])
        return status["running"]

    def no_more(self):
        """So many run then: those that wait still are not to follow."""
        self.reeve.run("drain")
        waiting = [task["id"] for task in self.reeve.times(self.tasks) if task["status"] == "queued"]
        for start in range(0, len(waiting), 500):
            self.reeve.client.data("tasks.dequeue_many", ids=waiting[start:start + 500])
        time.sleep(2)
        return self.reeve.running()

    def stop(self):
        """Seconds from an abort of all until none is left."""
        begin = time.monotonic()
        for start in range(0, len(self.tasks), 500):
            self.reeve.client.data("tasks.stop_many", ids=self.tasks[start:start + 500])
        wait_until(lambda: self.reeve.running() == 0, 60 + len(self.tasks) / 20, 0.5, "the end of the services")
        return time.monotonic() - begin

    def cpu(self):
        """Of one core: of the supervisor, and with the embedded server."""
        own, server = self.reeve.pids(*SUPERVISOR), self.reeve.pids("reeve-server", "reeve")
        begin, before = time.monotonic(), [sum(map(cpu_seconds, own)), sum(map(cpu_seconds, server))]
        time.sleep(self.seconds)
        spent = [sum(map(cpu_seconds, own)) - before[0], sum(map(cpu_seconds, server)) - before[1]]
        seconds = time.monotonic() - begin
        return 100 * spent[0] / seconds, 100 * sum(spent) / seconds

    def held(self, count):
        """Rows of what holding so many costs."""
        master, agents = self.reeve.pids("reeved")[0], self.reeve.pids("reeve-subagent")
        if master != self.master:
            raise Note(f"the master was started again before {count} services ran")
        if len(agents) != count:
            raise Note(f"{len(agents)} sub-agents, not {count}")
        pss = sum(map(memory, agents))
        yield row(f"master RSS with {count:,} services", REACH_RSS.get(count), memory(master, "Rss") / MB, "MB", alone=ALONE)
        yield row(f"sub-agent PSS with {count:,} services", 100 if count >= 100 else None, pss / count / 1e3, "kB",
                  note="clearml-agent's: of all that supervises a Python service", **peer(self.options, "memory"))
        yield row(f"supervisor PSS per service with {count:,}", None, (pss + memory(master) - self.supervisor_0) / count / 1e3, "kB",
                  note="sub-agents, and what the master grew by; without the program itself")
        own, all_of_it = self.cpu()
        yield row(f"CPU with {count:,} idle services", None, own, "% of a core", alone=ALONE)
        yield row(f"CPU with {count:,} idle services, embedded server included", 1 if count == 1_000 else None, all_of_it, "% of a core",
                  alone=ALONE)

    def step(self, count):
        """Rows of growing to so many, and of holding them. What is in the way of more ends the steps, and nothing else."""
        if available() < NEEDED * (count - len(self.tasks)):
            raise Note(f"{available() / MB:,.0f} MB are too little for {count:,} services")
        try:
            rate = self.grow(count)
        except Full:
            yield from self.held(self.no_more())
            raise
        if count > 1:
            yield row(f"launches while growing to {count:,} idle services", None, rate, "1/s", less_is_better=False)
        yield from self.held(count)

    def end(self):
        """Rows of what is left when the last step is done, or was not to be had."""
        count = self.no_more()
        yield row("idle services on one host", 10_000, count, "", less_is_better=False, alone=ALONE,
                  note="at once; as many as were asked for" if count == len(self.tasks) else f"of {len(self.tasks):,} that were asked for")
        if count >= 1000:
            yield row(f"memory of the whole host per service, of {count:,}", None, (self.available_0 - available()) / count / 1e3, "kB",
                      note="MemAvailable: the services themselves, kernel and server too")
        yield row(f"stop of {count:,} services", None, self.stop(), "s")


def measure(options):
    missing = None
    with host() as reeve:
        time.sleep(1 if options.smoke else 3)
        figures = Figures(reeve, options)
        yield row("master RSS, idle", 8, memory(figures.master, "Rss") / MB, "MB", **peer(options, "daemon"))
        yield row("CPU without a service, embedded server included", None, figures.cpu()[1], "% of a core")
        for count in [step for step in (SMOKE if options.smoke else QUICK if options.quick else STEPS) if step <= options.services]:
            try:
                yield from figures.step(count)
            except (Note, AssertionError) as error:
                missing = Note(f"{count:,} services: {error}")
                break
        yield from figures.end()
    if missing:
        raise missing
