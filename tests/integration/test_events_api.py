"""events.*: what ClearML's clients and its web page read, page by page, of tasks and of models."""

import http.client
import itertools
import json
import urllib.parse

import pytest

from reeve_up import ApiError

SINGLE = -(2 ** 31)


def event(kind, task, iteration, metric="m", variant="v", **fields):
    return {"type": kind, "task": task, "iter": iteration, "metric": metric, "variant": variant,
            "timestamp": 1_600_000_000_000 + iteration, **fields}


def scalar(task, iteration, value=None, **fields):
    return event("training_stats_scalar", task, iteration, value=iteration if value is None else value, **fields)


def add(server, events):
    answer = server.call("events.add_batch", lines=events)
    assert (answer["added"], answer["errors"]) == (len(events), 0)


def fails(server, name, code, subcode, **body):
    with pytest.raises(ApiError) as caught:
        server.call(name, body)
    assert (caught.value.code, caught.value.subcode) == (code, subcode)


# ---- pages ----

def pages(server, name, first, of="events", **body):
    """All events over the pages of a scroll, and how many pages there were with something in them."""
    answer = server.call(name, {**body, **first})
    found, count = [], 0
    while answer[of]:
        found += answer[of] if of == "events" else [answer[of]]
        count += 1
        assert count < 1000
        answer = server.call(name, {**body, "scroll_id": answer["scroll_id"]})
    return found, count


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_task_events_page_through_many_series(server, order):
    task = server.task()
    events = [scalar(task, i, metric=f"m{i % 7}", variant=f"v{i % 3}") for i in range(500)]
    # Of one iteration more than a page.
    events += [scalar(task, 250, metric="many", variant=f"v{i}") for i in range(60)]
    add(server, events)
    found, count = pages(server, "events.get_task_events",
                         {"event_type": "training_stats_scalar", "order": order}, task=task, batch_size=50)
    iters = [e["iter"] for e in found]
    assert iters == sorted(iters, reverse=order == "desc")
    assert count == 12
    key = lambda e: (e["iter"], e["metric"], e["variant"])
    assert sorted(map(key, found)) == sorted(map(key, events))


def test_a_scroll_goes_on_with_what_it_began(server):
    task = server.task()
    add(server, [scalar(task, i, metric=metric) for metric in ("a", "b") for i in range(10)])
    add(server, [event("plot", task, 1, plot_str="{}")])
    found, _ = pages(server, "events.get_task_events",
                     {"event_type": "training_stats_scalar", "metrics": [{"metric": "b"}], "order": "desc"},
                     task=task, batch_size=3)
    assert [(e["metric"], e["iter"]) for e in found] == [("b", i) for i in range(9, -1, -1)]
    answer = server.call("events.get_task_events", {"task": task, "count_total": False})
    assert (answer["total"], answer["returned"]) == (None, 21)


def test_scalars_by_metric_come_newest_first(server):
    task = server.task()
    add(server, [scalar(task, i, metric=m) for m in ("a", "b") for i in range(1200)])
    found, count = pages(server, "events.get_scalar_metric_data", {}, task=task, metric="a")
    assert [e["iter"] for e in found] == list(range(1199, -1, -1)) and count == 3
    answer = server.call("events.get_scalar_metric_data", {"task": task, "metric": "a", "no_scroll": True})
    assert (answer["returned"], answer["total"], answer["scroll_id"]) == (500, 1200, None)


@pytest.mark.parametrize("key", ["iter", "timestamp"])
def test_raw_scalars(server, key):
    task = server.task()
    add(server, [scalar(task, i, i / 2, variant=v) for i in range(100) for v in ("a", "b")]
        + [scalar(task, SINGLE, 7, variant="a")])
    found, count = pages(server, "events.scalar_metrics_iter_raw", {"batch_size": 30, "count_total": True},
                         of="variants", task=task, metric={"metric": "m", "variants": ["a"]}, key=key)
    assert count == 4 and set(itertools.chain(*found)) == {"a"}
    x = list(itertools.chain(*(page["a"][key] for page in found)))
    y = list(itertools.chain(*(page["a"]["y"] for page in found)))
    iters = [SINGLE, *range(100)]
    assert x == (iters if key == "iter" else [1_600_000_000_000 + i for i in iters])
    assert y == [7, *(i / 2 for i in range(100))]


def test_a_task_lists_its_first_series(server):
    task = server.task()
    names = [f"v{i}" for i in range(2100)]
    for part in (names[:1990], names[1980:]):
        add(server, [scalar(task, 1, variant=name) for name in part])
    metric, = server.call("tasks.get_by_id", {"task": task})["task"]["last_metrics"].values()
    assert {entry["variant"] for entry in metric.values()} == set(names[:2000])


def test_foreign_scrolls_are_refused(server):
    task = server.task()
    add(server, [scalar(task, 1)])
    answer = server.call("events.get_task_events", {"task": task})
    for scroll in ("x", "{}", '{"of":"events"}', '{"of":"events","at":[1,2]}', "[" * 5000):
        fails(server, "events.get_task_events", 400, 1104, task=task, scroll_id=scroll)
    fails(server, "events.get_multi_task_plots", 400, 1104, tasks=[task],
          scroll_id='{"of":"multi","at":["-1","0"],"request":{"metrics":[]}}')
    fails(server, "events.scalar_metrics_iter_raw", 400, 1104, task=task, metric={"metric": "m"},
          scroll_id=answer["scroll_id"])
    assert server.call("events.clear_scroll", {"scroll_id": answer["scroll_id"]}) == {}
    assert server.call("events.clear_scroll", {"scroll_id": "nonsense"}) == {}


# ---- histograms ----

def test_histogram_keeps_to_its_samples(server):
    task = server.task()
    add(server, [scalar(task, i) for i in range(0, 3000, 3)])
    whole = server.call("events.scalar_metrics_iter_histogram", {"task": task})["m"]["v"]
    assert whole == {"name": "v", "x": list(range(0, 3000, 3)), "y": list(range(0, 3000, 3))}
    few = server.call("events.scalar_metrics_iter_histogram", {"task": task, "samples": 10})["m"]["v"]
    assert few["x"] == list(range(0, 3000, 300))
    assert few["y"] == [start + 148.5 for start in few["x"]]


def test_series_of_like_length_share_their_interval(server):
    task = server.task()
    # 100 samples: intervals of 100 and 105 are less than a tenth apart, 150 stands alone.
    for variant, length in (("a", 10_000), ("b", 10_500), ("c", 15_000)):
        add(server, [scalar(task, i, variant=variant) for i in range(0, length, 50)])
    points = server.call("events.scalar_metrics_iter_histogram", {"task": task, "samples": 100})["m"]
    steps = {name: points[name]["x"][1] for name in "abc"}
    assert steps == {"a": 105, "b": 105, "c": 150}


def test_histograms_by_time_and_of_tasks(server):
    first, second = server.task("first"), server.task("second")
    for task in (first, second):
        add(server, [scalar(task, i, x_axis_label="Epochs") for i in range(3)])
    times = server.call("events.scalar_metrics_iter_histogram", {"task": first, "key": "timestamp"})["m"]["v"]
    assert times["x"] == [1_600_000_000_000 + i for i in range(3)] and times["x_axis_label"] == "Epochs"
    iso = server.call("events.scalar_metrics_iter_histogram", {"task": first, "key": "iso_time"})["m"]["v"]
    assert iso["x"][1] == "2020-09-13T12:26:40.001Z"
    many = server.call("events.multi_task_scalar_metrics_iter_histogram", {"tasks": [first, second]})["metrics"]
    assert {t: many["m"]["v"][t]["name"] for t in many["m"]["v"]} == {first: "first", second: "second"}
    fails(server, "events.scalar_metrics_iter_histogram", 400, 12, task=first, key="other")
    fails(server, "events.scalar_metrics_iter_histogram", 400, 12, task=first, samples=6001)
    fails(server, "events.multi_task_scalar_metrics_iter_histogram", 400, 12, tasks=[])
    fails(server, "events.multi_task_scalar_metrics_iter_histogram", 400, 101, tasks=[first, "nobody"])


def test_metrics_narrow_every_answer(server):
    task = server.task()
    add(server, [scalar(task, SINGLE, 1, metric=m, variant=v) for m in "ab" for v in "xy"])
    ask = lambda metrics: sorted(
        (v["metric"], v["variant"]) for t in server.call(
            "events.get_task_single_value_metrics", {"tasks": [task], "metrics": metrics})["tasks"]
        for v in t["values"])
    assert ask([]) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert ask([{"metric": "a"}, {"metric": "b", "variants": ["y", "z"]}]) == [("a", "x"), ("a", "y"), ("b", "y")]
    assert ask([{"metric": "c"}]) == []
    for metrics in ([{}], ["a"], [{"metric": 1}], [{"metric": "a", "variants": "x"}],
                    [{"metric": "a", "variants": [1]}]):
        fails(server, "events.get_task_single_value_metrics", 400, 12, tasks=[task], metrics=metrics)


# ---- last values ----

def test_last_metrics_gather_over_batches(server):
    task = server.task()
    add(server, [scalar(task, i, v) for i, v in ((1, 5), (2, -3), (3, 9))])
    add(server, [scalar(task, 4, 4, x_axis_label="Steps"), scalar(task, 2, 100)])
    metrics = server.call("tasks.get_by_id", {"task": task})["task"]["last_metrics"]
    last = next(iter(next(iter(metrics.values())).values()))
    assert {k: last[k] for k in last if k not in ("metric", "variant")} == {
        "value": 4, "min_value": -3, "min_value_iteration": 2, "max_value": 100, "max_value_iteration": 2,
        "first_value": 5, "first_value_iteration": 1, "count": 5, "mean_value": 23, "x_axis_label": "Steps"}
    latest = server.call("events.get_task_latest_scalar_values", {"task": task})
    assert latest["last_iter"] == 4 and latest["metrics"][0]["variants"][0]["last_value"] == 4


# ---- models ----

def test_events_of_models(server):
    model = server.call("models.create", {"name": "model", "uri": "file:///m", "ready": False})["id"]
    task = server.task()
    events = [scalar(model, i, i, model_event=True) for i in range(3)]
    events.append(event("plot", None, 3, plot_str="{}", model_event=True, model=model))
    add(server, events + [scalar(task, 1)])
    histogram = server.call("events.scalar_metrics_iter_histogram", {"task": model, "model_events": True})
    assert histogram["m"]["v"]["y"] == [0, 1, 2]
    fails(server, "events.scalar_metrics_iter_histogram", 400, 101, task=model)
    fails(server, "events.scalar_metrics_iter_histogram", 400, 201, task=task, model_events=True)
    plots = server.call("events.get_task_plots", {"task": model, "model_events": True})["plots"]
    assert [(p["task"], p["iter"], p["model_event"]) for p in plots] == [(model, 3, True)]
    stored = server.call("models.get_by_id", {"model": model})["model"]
    assert stored["last_iteration"] == 3
    assert next(iter(next(iter(stored["last_metrics"].values())).values()))["max_value"] == 2
    assert server.call("events.delete_for_model", {"model": model})["deleted"] == 4
    assert server.call("events.scalar_metrics_iter_histogram", {"task": model, "model_events": True}) == {}


def test_events_of_models_that_are_refused(server):
    model = server.call("models.create", {"name": "model", "uri": "file:///m"})["id"]
    task = server.task()
    for wrong in ({"type": "log", "msg": "x", "task": model, "model_event": True}, scalar(model, 1, model_event=True),
                  scalar("nobody", 1, model_event=True)):
        with pytest.raises(ApiError) as caught:
            server.call("events.add", wrong)
        assert (caught.value.code, caught.value.subcode) == (400, 131)
    add(server, [scalar(model, 1, model_event=True, allow_locked=True)])
    for line in (scalar(task, 1, model_event=True), scalar(task, 1, allow_locked=True)):
        with pytest.raises(ApiError) as caught:
            server.call("events.add_batch", lines=[scalar(task, 1), line])
        assert (caught.value.code, caught.value.subcode) == (400, 12)
    fails(server, "events.delete_for_model", 400, 201, model=model)
    fails(server, "events.delete_for_model", 400, 201, model="nobody")
    assert server.call("events.delete_for_model", {"model": model, "allow_locked": True})["deleted"] == 1


# ---- images ----

def image(task, iteration, url, **fields):
    return event("training_debug_image", task, iteration, url=url, **fields)


def test_images_whose_files_are_used_again(server):
    task = server.task()
    add(server, [image(task, i, f"u{i % 4}") for i in range(10)])
    sample = server.call("events.get_debug_image_sample", {"task": task, "metric": "m", "variant": "v"})
    assert (sample["event"]["iter"], sample["min_iteration"], sample["max_iteration"]) == (9, 6, 9)
    # What is older was written over.
    seen = [9]
    while True:
        sample = server.call("events.next_debug_image_sample", {"task": task, "scroll_id": sample["scroll_id"]})
        if sample["event"] is None:
            break
        seen.append(sample["event"]["iter"])
    assert seen == [9, 8, 7, 6]
    old = server.call("events.get_debug_image_sample", {"task": task, "metric": "m", "variant": "v", "iteration": 3})
    assert (old["event"], old["min_iteration"]) == (None, 6)


def walk(server, name, task, start, **step):
    """Where the viewer comes to, until there is no more; then where it is."""
    sample, seen = start, []
    while True:
        sample = server.call(f"events.next_{name}_sample", {"task": task, "scroll_id": sample["scroll_id"], **step})
        shown = sample["event"] if name == "debug_image" else (sample["events"] or [None])[0]
        if shown is None:
            return seen, sample
        seen.append((shown["iter"], shown["metric"], shown["variant"]))
        assert len(seen) < 100


@pytest.mark.parametrize("current", [True, False])
def test_image_viewer_walks(server, current):
    task = server.task()
    places = [(i, m, v) for i in (1, 2, 3) for m in "ab" for v in "xy"]
    add(server, [image(task, i, f"{i}{m}{v}", metric=m, variant=v) for i, m, v in places])
    start = server.call("events.get_debug_image_sample", {
        "task": task, "metric": "a", "variant": "y", "iteration": 2, "navigate_current_metric": current})
    wanted = [p for p in places if p[1] == "a" or not current]
    at = wanted.index((2, "a", "y"))
    forward, end = walk(server, "debug_image", task, start, navigate_earlier=False)
    assert forward == wanted[at + 1:]
    back, _ = walk(server, "debug_image", task, end)
    assert back == wanted[-2::-1]
    jumps, _ = walk(server, "debug_image", task, start, navigate_earlier=False, next_iteration=True)
    assert [j[0] for j in jumps] == [2, 3]
    fails(server, "events.next_debug_image_sample", 400, 1104, task=task, scroll_id="x")
    fails(server, "events.next_debug_image_sample", 400, 1104, task=server.task(), scroll_id=end["scroll_id"])


def test_images_by_iteration_go_back_and_forth(server):
    task = server.task()
    add(server, [image(task, i, f"u{i}", variant=v) for i in range(20) for v in "xy"])
    body = {"metrics": [{"task": task, "metric": "m"}], "iters": 8}
    iters = lambda a: [i["iter"] for i in a["metrics"][0]["iterations"]]
    page = server.call("events.debug_images", body)
    assert iters(page) == list(range(19, 11, -1)) and len(page["metrics"][0]["iterations"][0]["events"]) == 2
    page = server.call("events.debug_images", {**body, "scroll_id": page["scroll_id"]})
    assert iters(page) == list(range(11, 3, -1))
    page = server.call("events.debug_images", {**body, "scroll_id": page["scroll_id"], "navigate_earlier": False})
    assert iters(page) == list(range(19, 11, -1))
    page = server.call("events.debug_images", {**body, "scroll_id": "unknown"})
    assert iters(page) == list(range(19, 11, -1))
    fails(server, "events.debug_images", 400, 101, metrics=[{"task": "nobody"}])
    fails(server, "events.debug_images", 400, 12, metrics=[])


# ---- plots ----

def plot(task, iteration, text="{}", **fields):
    return event("plot", task, iteration, plot_str=text, **fields)


@pytest.mark.parametrize("current", [True, False])
def test_plot_viewer_walks(server, current):
    task = server.task()
    add(server, [plot(task, i, metric=m, variant=v) for i in (1, 2) for m in "ab" for v in "yx"])
    sample = server.call("events.get_plot_sample", {"task": task, "metric": "a", "navigate_current_metric": current})
    assert [(e["iter"], e["variant"]) for e in sample["events"]] == [(2, "x"), (2, "y")]
    assert (sample["min_iteration"], sample["max_iteration"]) == (1, 2)
    back, _ = walk(server, "plot", task, sample)
    assert [b[:2] for b in back] == ([(1, "a")] if current else [(1, "b"), (1, "a")])
    empty = server.call("events.get_plot_sample", {"task": task, "metric": "none"})
    assert (empty["events"], empty["min_iteration"], empty["max_iteration"]) == ([], None, None)
    fails(server, "events.get_plot_sample", 400, 1104, task=task, metric="b", scroll_id=sample["scroll_id"],
          navigate_current_metric=not current)


def test_plots_of_tasks_page_by_page(server):
    tasks = [server.task(f"plots{i}") for i in range(3)]
    for task in tasks:
        add(server, [plot(task, 1, metric=f"m{i}") for i in range(600)])
    found, scroll, count = {}, None, 0
    while True:
        answer = server.call("events.get_multi_task_plots", {"tasks": tasks, **({"scroll_id": scroll} if scroll else {})})
        for metric, variants in answer["plots"].items():
            for task, iters in variants["v"].items():
                found.setdefault(task, []).append(metric)
                assert iters["1"]["name"] == f"plots{tasks.index(task)}" and len(iters["1"]["plots"]) == 1
        scroll = answer["scroll_id"]
        if not answer["plots"]:
            break
        count += 1
    assert count == 2 and {t: len(set(m)) for t, m in found.items()} == {t: 600 for t in tasks}


def test_last_plots_are_a_metrics(server):
    """As there: of a metric's variants those of its last iteration alone."""
    task = server.task()
    add(server, [plot(task, 1, variant="old"), plot(task, 5, variant="new"), plot(task, 2, metric="other")])
    ask = lambda **body: server.call("events.get_multi_task_plots", {"tasks": [task], **body})["plots"]
    names = lambda plots: sorted((m, v) for m in plots for v in plots[m])
    assert names(ask()) == [("m", "new"), ("other", "v")]
    assert names(ask(iters=2)) == [("m", "new"), ("m", "old"), ("other", "v")]
    assert names(ask(last_iters_per_task_metric=False)) == [("m", "new")]
    assert names(ask(metrics=[{"metric": "other"}])) == [("other", "v")]
    assert [p["variant"] for p in server.call("events.get_task_plots", {"task": task})["plots"]] == ["new", "old", "v"]


# ---- logs ----

def test_logs_with_metrics(server):
    task = server.task()
    lines = [{"type": "log", "task": task, "msg": f"line {i}", "timestamp": 1000 + i} for i in range(4)]
    lines[1]["metric"], lines[2]["metric"], lines[2]["variant"] = "a", "b", "x"
    add(server, lines)
    ask = lambda metrics: [e["msg"] for e in server.call(
        "events.get_task_log", {"task": task, "order": "asc", "metrics": metrics})["events"]]
    assert ask([]) == ["line 0", "line 1", "line 2", "line 3"]
    assert ask([{"metric": "a"}, {"metric": "b", "variants": ["x"]}]) == ["line 1", "line 2"]
    assert ask([{"metric": ""}]) == ["line 0", "line 3"]
    metrics = server.call("events.get_task_metrics", {"tasks": [task], "event_type": "log"})["metrics"]
    assert metrics == [{"task": task, "metrics": ["a", "b"]}]
    clear = lambda **body: server.call("events.clear_task_log", {"task": task, **body})["deleted"]
    assert clear(include_metrics=["a"], exclude_metrics=["a"]) == 0
    assert clear(include_metrics=["a"]) == 1
    assert clear(exclude_metrics=["b"]) == 2
    assert clear() == 1
    fails(server, "events.clear_task_log", 400, 12, task=task, include_metrics="a")


# ---- wrong events ----

WRONG = [
    {"type": 5}, {"type": None}, {"type": "nothing"}, {"metric": 5}, {"metric": {"a": 1}}, {"variant": [1]},
    {"value": "x"}, {"value": {}}, {"value": True}, {"value": "1e999"}, {"iter": "x"}, {"iter": {}}, {"iter": 2 ** 64},
    {"iter": "9" * 400}, {"timestamp": "x"}, {"timestamp": []}, {"worker": {}}, {"key": ["k"]}, {"task": "nobody"},
    {"task": None}, {"task": 5}]


def test_wrong_events_leave_the_others(server):
    """As there: what is wrong is counted and told, the rest is stored."""
    task = server.task()
    lines = [scalar(task, 0)]
    for i, wrong in enumerate(WRONG, 1):
        lines += [{**scalar(task, 1000 + i), **wrong}, scalar(task, i)]
    answer = server.call("events.add_batch", lines=lines)
    assert (answer["added"], answer["errors"]) == (len(WRONG) + 1, len(WRONG))
    assert sum(answer["errors_info"].values()) == len(WRONG)
    histogram = server.call("events.scalar_metrics_iter_histogram", {"task": task})
    assert histogram["m"]["v"]["x"] == list(range(len(WRONG) + 1))


@pytest.mark.parametrize("wrong", WRONG, ids=[str(w)[:30] for w in WRONG])
def test_nothing_but_wrong_events(server, wrong):
    with pytest.raises(ApiError) as caught:
        server.call("events.add", {**scalar(server.task(), 1), **wrong})
    assert (caught.value.code, caught.value.subcode) == (400, 131)


def test_odd_events_are_kept_as_they_came(server):
    task = server.task()
    odd = "\u0001 \u2028 \U0001f600 \\ \" \ufffd" + "x" * 100_000
    add(server, [event("log", task, 1, metric=None, variant=None, msg=odd, level=5, worker="w"),
                 event("plot", task, -5, metric="p" * 1000, plot_str=odd),
                 scalar(task, 2 ** 52, 1.7976931348623157e308, metric=""),
                 {**scalar(task, 7, "0.5", metric=None, variant="x"), "iter": "7"}])
    log = server.call("events.get_task_log", {"task": task})["events"][0]
    assert (log["msg"], log["level"], log["metric"], log["iter"]) == (odd, "5", "", 1)
    plots = server.call("events.get_task_plots", {"task": task})["plots"]
    assert [(p["iter"], p["plot_str"], p["plot_len"], p["metric"]) for p in plots] == [
        (-5, odd, len(odd), "p" * 1000)]
    metrics = server.call("events.scalar_metrics_iter_histogram", {"task": task})[""]
    assert metrics["v"]["x"] == [2 ** 52] and metrics["v"]["y"] == [1.7976931348623157e308]
    assert (metrics["x"]["x"], metrics["x"]["y"]) == ([7], [0.5])
    assert server.call("tasks.get_by_id", {"task": task})["task"]["last_iteration"] == 2 ** 52


def raw(server, name, body):
    """An answer that is no envelope."""
    url = urllib.parse.urlsplit(server.endpoint["api"])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    connection.request("POST", f"/{name}", json.dumps(body), {"Authorization": f"Bearer {server.token}"})
    return connection, connection.getresponse()


def test_log_is_downloaded_while_it_is_read(server):
    task = server.task()
    lines = [{"type": "log", "task": task, "timestamp": 1000 + i // 7, "level": "INFO", "worker": "w",
              "msg": f"line {i} {'x' * 500}"} for i in range(4000)]
    for start in range(0, len(lines), 1000):
        add(server, lines[start:start + 1000])
    _, answer = raw(server, "events.download_task_log", {
        "task": task, "line_type": "text", "line_format": "{timestamp} {level} {{{worker}}} {msg}"})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="task_{task}.log"'
    assert answer.read().decode().splitlines() == [f"{l['timestamp']} INFO {{w}} {l['msg']}" for l in lines]
    _, answer = raw(server, "events.download_task_log", {"task": task})
    assert [json.loads(line)["msg"] for line in answer.read().splitlines()] == [l["msg"] for l in lines]
    # One that goes away in the middle.
    connection, answer = raw(server, "events.download_task_log", {"task": task})
    assert answer.read(1000)
    connection.close()
    assert server.call("events.get_task_log", {"task": task})["total"] == len(lines)
    _, answer = raw(server, "events.download_task_log", {"task": server.task()})
    assert answer.status == 200 and answer.read() == b""
    for wrong in ("{nothing}", "{", "}"):
        fails(server, "events.download_task_log", 400, 16, task=task, line_type="text", line_format=wrong)
    fails(server, "events.download_task_log", 400, 101, task="nobody")
