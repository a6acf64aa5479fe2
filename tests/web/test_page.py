"""The page on the web port, in a real Chromium, on a real server.

Needs chromium, chromium-driver (Debian) and selenium (PyPI); says so if they are missing.
"""

import itertools
import math
import shutil
import time

import pytest

from server_rig import Server

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: pip install selenium")
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("chromium is missing: apt-get install chromium chromium-driver", allow_module_level=True)

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
         "--disable-background-networking --disable-component-update --disable-sync --window-size=1400,860")
HOSTILE = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>"


@pytest.fixture(scope="module")
def browser():
    options = Options()
    options.binary_location = CHROMIUM
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "data").start()
    yield server
    server.stop()


class Page:
    def __init__(self, browser, server):
        self.browser = browser
        self.server = server
        browser.get_log("browser")
        browser.get(server.endpoint["web"])
        browser.execute_script("sessionStorage.clear(); localStorage.clear()")
        browser.get(server.endpoint["web"])

    def login(self):
        self.find("#login-key").send_keys(self.server.endpoint["access_key"])
        self.find("#login-secret").send_keys(self.server.endpoint["secret_key"])
        self.find("#login button.primary").click()
        self.wait(lambda: self.find("#page").is_displayed(), "the page behind the login")
        return self

    def go(self, where):
        self.browser.execute_script("location.hash = arguments[0]", where)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText).join('\\n')", selector)

    def rows(self):
        """Rows in sight, from the top: [class, level, [texts]]."""
        return self.browser.execute_script("""
            return [...document.querySelectorAll('.space .row')]
              .sort((a, b) => a.getAttribute('aria-rowindex') - b.getAttribute('aria-rowindex'))
              .map((r) => [r.className, r.getAttribute('aria-level'), [...r.children].map((c) => c.innerText.trim())])""")

    def wait(self, check, what, timeout=20):
        return WebDriverWait(self.browser, timeout, 0.1).until(lambda _: check(), f"{what} did not come")

    def script(self, text, *args):
        return self.browser.execute_script(text, *args)

    def sound(self):
        """Nothing ran that came as data, and nothing was refused or failed."""
        assert self.script("return window.pwned") is None
        bad = [m for m in self.browser.get_log("browser") if m["level"] in ("SEVERE", "WARNING")]
        assert not bad, bad


@pytest.fixture
def page(browser, server):
    return Page(browser, server)


def report(server, worker, task=None, timestamp=None, **stats):
    server.call("workers.status_report", {
        "worker": worker, "task": task, "timestamp": timestamp or int(time.time() * 1000),
        "queues": None, "machine_stats": stats})


def running(server, name, master="host:cpu:0"):
    """A task that a sub-agent runs."""
    task = server.task(name)
    server.call("tasks.started", {"task": task})
    server.call("workers.register", {"worker": f"{master}:service:{task}", "timeout": 120})
    report(server, f"{master}:service:{task}", task, cpu_usage=[12.5], memory_used=64)
    return task


STAMPS = itertools.count(int(time.time() * 1000) - 3600000)  # strictly increasing, as reeve's are


def log(server, task, *messages, **fields):
    server.call("events.add_batch", lines=[
        {"type": "log", "task": task, "timestamp": next(STAMPS), "msg": m, **fields} for m in messages])


def test_policy_of_the_page(server):
    with server.api.opener.open(server.endpoint["web"]) as response:
        policy = response.headers["Content-Security-Policy"]
        body = response.read().decode()
    assert "default-src 'none'" in policy and "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script type=\"module\" src=" in body and "style=" not in body


def test_login(page, server):
    page.find("#login-key").send_keys("nobody")
    page.find("#login-secret").send_keys("wrong")
    page.find("#login button.primary").click()
    page.wait(lambda: page.text("#login-error"), "an error")
    assert not page.find("#page").is_displayed()
    page.find("#login-key").clear()
    page.find("#login-secret").clear()
    page.browser.get_log("browser")  # the refused request is told there
    page.login()
    assert page.script("return Object.keys(sessionStorage)") == ["reeve.token"]
    page.find("#logout").click()
    assert page.find("#login").is_displayed()
    assert page.script("return sessionStorage.length") == 0
    page.sound()


def test_login_with_a_token(page, server):
    page.find("#login summary").click()
    page.find("#login-token").send_keys(server.token)
    page.find("#login button.primary").click()
    page.wait(lambda: page.find("#page").is_displayed(), "the page")
    # A token that is no longer good leads back.
    page.script("sessionStorage.setItem('reeve.token', 'x.y.z')")
    page.browser.refresh()
    page.wait(lambda: "expired" in page.text("#login-error"), "the way back to the login")


def test_workers_with_their_subagents(page, server):
    queue = server.queue("services")
    server.call("workers.register", {"worker": "host:cpu:0", "queues": [queue]})
    now = int(time.time())
    for i in range(20):
        report(server, "host:cpu:0", timestamp=(now - 30 * i) * 1000, cpu_usage=[50], memory_used=2048,
               network_rx=1, network_tx=2, disk_read=0.5, gpu_usage=[80, 40])
    first = running(server, HOSTILE)
    running(server, "second")
    page.login()
    page.wait(lambda: len(page.rows()) == 3, "three rows")
    rows = page.rows()
    assert [r[1] for r in rows] == ["1", "2", "2"]
    assert rows[0][2][0].endswith("host:cpu:0") and rows[0][2][2] == "services"
    assert "2 running" in rows[0][2][1]
    assert sorted(r[2][1] for r in rows[1:]) == sorted([HOSTILE, "second"])
    assert any(first in r[2][0] for r in rows[1:])
    page.wait(lambda: page.rows()[0][2][3] == "50 %", "the master's CPU")
    assert page.rows()[0][2][4] == "2.0 GiB"
    assert page.rows()[0][2][5] == "3.0 MiB/s"
    assert page.rows()[0][2][7] == "60 %"
    assert sorted(r[2][3] for r in page.rows()[1:]) == ["13 %", "13 %"]
    assert page.wait(lambda: painted(page, ".row.master canvas"), "the small graph")
    # Live: one comes, and one goes.
    third = running(server, "third")
    page.wait(lambda: any(r[2][1] == "third" for r in page.rows()), "the third")
    server.call("workers.unregister", {"worker": f"host:cpu:0:service:{third}"})
    page.wait(lambda: len(page.rows()) == 3, "the third's end")
    page.sound()


def painted(page, selector):
    return page.script("""
        const c = document.querySelector(arguments[0]);
        if (!c || !c.width) return false;
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)""", selector)


def test_keys(page, server):
    server.call("workers.register", {"worker": "host:cpu:0"})
    task = running(server, "by keyboard")
    page.login()
    page.wait(lambda: len(page.rows()) == 2, "rows")
    page.find(".row[aria-rowindex='2']").click()  # the master folds
    page.wait(lambda: len(page.rows()) == 1, "the fold")
    page.find(".row[aria-rowindex='2']").send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: len(page.rows()) == 2, "the unfolding")
    page.find(".row[aria-rowindex='2']").send_keys(Keys.ARROW_DOWN)
    assert page.script("return document.activeElement.getAttribute('aria-rowindex')") == "3"
    page.browser.switch_to.active_element.send_keys(Keys.ENTER)
    page.wait(lambda: page.script("return location.hash") == f"#/task/{task}", "the task")
    page.sound()


def test_queues(page, server):
    queue = server.queue("services")
    tasks = [server.task(f"waiting {i}") for i in range(3)]
    for task in tasks:
        server.call("tasks.enqueue", {"task": task, "queue": queue})
    page.login()
    page.go("#/queues")
    page.wait(lambda: any(r[2][0].endswith("services") for r in page.rows()), "the queue")
    rows = page.rows()
    at = next(i for i, r in enumerate(rows) if r[2][0].endswith("services"))
    assert rows[at][2][1] == "3"
    assert [r[2][:2] for r in rows[at + 1:at + 4]] == [[f"waiting {i}", f"#{i + 1}"] for i in range(3)]
    server.call("tasks.dequeue", {"task": tasks[0]})
    page.wait(lambda: page.rows()[at][2][1] == "2", "the shorter queue")
    page.sound()


def test_tasks(page, server):
    running(server, "running one")
    failed = server.task(HOSTILE)
    server.call("tasks.started", {"task": failed})
    server.call("tasks.failed", {"task": failed, "status_reason": "oom", "status_message": "limit 64 MiB"})
    page.login()
    page.go("#/tasks")
    page.wait(lambda: len(page.rows()) == 2, "both tasks")
    by_name = {r[2][0]: r[2] for r in page.rows()}
    assert by_name["running one"][2] == "in progress"
    assert by_name["running one"][3].startswith("host:cpu:0:service:")
    assert by_name[HOSTILE][2] == "failed"
    assert by_name[HOSTILE][6] == "oom: limit 64 MiB"
    page.find("#view").send_keys("/")
    page.browser.switch_to.active_element.send_keys("onerror=")
    page.wait(lambda: [r[2][0] for r in page.rows()] == [HOSTILE], "what was looked for")
    page.find("#view input[type=search]").clear()
    page.find("#view input[type=search]").send_keys(failed[:8])
    page.wait(lambda: len(page.rows()) == 1, "the id")
    page.find(".space .row .end").click()
    page.wait(lambda: page.text("#view h1") == HOSTILE, "the task's own view")
    page.sound()


def test_attempts(page, server):
    """Which attempt a task is at, why the last one ended, when the next one starts."""
    task = running(server, "restarted")
    runtime = {"reeve.attempt": 3, "reeve.last_reason": HOSTILE, "reeve.next_start": "2999-01-02T03:04:05.000Z"}
    server.call("tasks.edit", {"task": task, "force": True, "runtime": runtime})
    page.login()
    page.go("#/tasks")
    page.wait(lambda: page.rows() and page.rows()[0][2][6].startswith(f"attempt 3, the last one ended: {HOSTILE}, next start 2999-"),
              "its attempt")
    page.go(f"#/task/{task}")
    page.wait(lambda: f"3, the last one ended: {HOSTILE}, next start 2999-" in page.text("#view .facts"), "the fact")
    server.call("tasks.failed", {"task": task, "status_reason": "exit:7"})
    page.wait(lambda: "next start" not in page.text("#view .facts"), "its end")
    page.sound()


def test_log_is_followed(page, server):
    task = running(server, "talks")
    log(server, task, *[f"line {i}\n" for i in range(500)])
    log(server, task, HOSTILE, "\x1b[31mred\x1b[0m \x07bell", level="ERROR")
    page.login()
    page.go(f"#/task/{task}")
    page.wait(lambda: "red \u2407bell" in page.text(".log"), "the end of the log")
    assert HOSTILE in page.text(".log")
    assert page.find(".log .event.error")

    def at_end():
        return page.script("const l = document.querySelector('.log');"
                           "return l.scrollHeight - l.clientHeight - l.scrollTop < 5")
    page.wait(at_end, "the scroll to the end")
    log(server, task, "news from the task")
    page.wait(lambda: "news from the task" in page.text(".log"), "the new line")
    page.wait(at_end, "the scroll to the new end")
    # Who scrolls up is left alone.
    page.script("document.querySelector('.log').scrollTop -= 300")
    page.wait(lambda: not page.find(".tools input").is_selected(), "the end of following")
    log(server, task, "more news")
    page.wait(lambda: "more news" in page.text(".log"), "more news")
    assert not at_end()
    # Earlier lines, each once and in order.
    while page.find(".log-pane > button").is_displayed():
        before = page.script("return document.querySelectorAll('.event').length")
        page.find(".log-pane > button").click()
        page.wait(lambda: page.script("return document.querySelectorAll('.event').length") > before, "earlier lines")
    lines = page.script("return [...document.querySelectorAll('.event pre')].map((e) => e.textContent)")
    assert lines[:500] == [f"line {i}" for i in range(500)]
    assert len(lines) == 504
    # A reset empties it.
    server.call("tasks.reset", {"task": task, "force": True})
    log(server, task, "a new life")
    page.wait(lambda: page.script("return [...document.querySelectorAll('.event pre')].map((e) => e.textContent)")
              == ["a new life"], "the new log")
    page.sound()


def test_figures(page, server):
    task = running(server, "measures")
    lines = [{"type": "training_stats_scalar", "task": task, "iter": i, "metric": "latency", "variant": v,
              "value": math.sin(i / 10 + j) + 2} for i in range(100) for j, v in enumerate(("p50", HOSTILE))]
    lines.append({"type": "training_stats_scalar", "task": task, "iter": -2**31, "metric": "Summary",
                  "variant": "best", "value": 0.125})
    server.call("events.add_batch", lines=lines)
    page.login()
    page.go(f"#/task/{task}")
    page.wait(lambda: page.all("#tab-log[aria-selected=true]"), "the task")
    page.find("#tab-log").send_keys(Keys.ARROW_RIGHT)
    page.wait(lambda: painted(page, ".chart"), "the graph")
    assert "latency" in page.text("figcaption")
    legend = page.text(".legend")
    assert "p50" in legend and HOSTILE in legend
    last = math.sin(99 / 10) + 2
    assert f"{last:.5g}" in legend
    assert "best" in page.text(".figures-pane .facts") and "0.125" in page.text(".figures-pane .facts")
    page.sound()


def test_the_address_that_clients_print(page, server):
    task = running(server, "linked")
    page.login()
    page.browser.get(f"{server.endpoint['web']}/projects/{'0' * 32}/experiments/{task}/output/log")
    page.wait(lambda: page.text("#view h1") == "linked", "the task")


def test_light_and_dark(page, server):
    page.login()
    back = "return getComputedStyle(document.body).backgroundColor"
    light = page.script(back)
    page.find("#theme").click()
    assert page.script(back) != light
    page.browser.refresh()
    page.wait(lambda: page.find("#page").is_displayed(), "the page")
    assert page.script(back) != light


def test_a_server_that_goes_is_told_and_found_again(page, server):
    server.call("workers.register", {"worker": "host:cpu:0"})
    page.login()
    page.wait(lambda: page.rows(), "rows")
    page.script("window.realFetch = fetch; window.fetch = () => Promise.reject(new TypeError('gone'))")
    page.wait(lambda: page.find("#connection").get_attribute("class") == "broken", "the bad news")
    assert page.rows()  # what was known stays
    page.script("window.fetch = window.realFetch")
    page.wait(lambda: page.find("#connection").get_attribute("class") == "well", "the good news", 40)


def test_a_thousand_workers_stay_smooth(page, server):
    now = int(time.time() * 1000)
    server.call("workers.register", {"worker": "host:cpu:0"})
    for i in range(1000):
        server.call("workers.status_report", {"worker": f"host:cpu:0:service:{i:032x}", "timestamp": now,
                                              "machine_stats": {"cpu_usage": [i % 100 + 1], "memory_used": 10}})
    page.login()
    page.wait(lambda: "1000 sub-agents" in page.text(".bar"), "the thousand", 30)
    page.wait(lambda: page.rows()[1][2][3], "figures")
    assert page.script("return document.querySelectorAll('.space .row').length") < 80
    frames = page.browser.execute_async_script("""
        const done = arguments[arguments.length - 1], table = document.querySelector('.table'), times = [];
        let last = performance.now();
        const step = () => {
          const now = performance.now();
          times.push(now - last);
          last = now;
          table.scrollTop += 120;
          if (times.length < 120) requestAnimationFrame(step); else done(times);
        };
        requestAnimationFrame(step);""")
    frames.sort()
    print(f"frames while scrolling: median {frames[60]:.1f} ms, 95th percentile {frames[114]:.1f} ms")
    assert len(frames) == 120
    page.wait(lambda: any(r[2][3] for r in page.rows()[5:15]), "figures of what came into sight")
    page.script("document.querySelector('.table').scrollTop = 1e9")
    page.wait(lambda: any(f"{999:032x}" in r[2][0] for r in page.rows()), "the last")
    page.sound()
