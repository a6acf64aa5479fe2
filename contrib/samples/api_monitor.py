"""API monitor: measures how long the ClearML server takes to answer, for ever.

Standard library only, so that it runs wherever there is a Python. The server is the one that
the task's own configuration names.
"""

import os
import re
import statistics
import sys
import time
import urllib.request

EVERY = float(os.environ.get("MONITOR_EVERY", "0.5"))
REPORT = int(os.environ.get("MONITOR_REPORT", "10"))


def api_server():
    if os.environ.get("CLEARML_API_HOST"):
        return os.environ["CLEARML_API_HOST"].rstrip("/")
    with open(os.environ["CLEARML_CONFIG_FILE"], encoding="utf-8") as f:
        found = re.search(r"api_server\"?\s*[:=]\s*\"?([^\"\s,}]+)", f.read())
    if not found:
        sys.exit("no api_server in " + os.environ["CLEARML_CONFIG_FILE"])
    return found.group(1).rstrip("/")


def measure(url):
    """Milliseconds for one small request."""
    start = time.monotonic()
    request = urllib.request.Request(url + "/debug.ping", data=b"{}",
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        answer.read()
    return (time.monotonic() - start) * 1000


def main():
    url = api_server()
    print("watching", url)
    times, failures, total = [], 0, 0
    while True:
        try:
            times.append(measure(url))
        except OSError as error:
            failures += 1
            print("no answer:", error)
        total += 1
        if total % REPORT == 0 and times:
            print("%d requests, %d failed, last %d: median %.2f ms, max %.2f ms" %
                  (total, failures, len(times), statistics.median(times), max(times)))
            times = []
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
