"""serving.* as clearml-serving and the web page call it, and the storage settings."""

import time

import pytest

from reeve_up import ApiError


def fails(server, name, code, subcode, **body):
    with pytest.raises(ApiError) as caught:
        server.call(name, body)
    assert (caught.value.code, caught.value.subcode) == (code, subcode)


def container(name, url, **more):
    return {"container_id": name, "endpoint_name": "end", "model_name": "net", "endpoint_url": url, **more}


def report(server, name, url, factor):
    server.call("serving.container_status_report", container(
        name, url, uptime_sec=10 * factor, requests_num=100 * factor, requests_min=factor, latency_ms=20 * factor,
        machine_stats={"cpu_usage": [10, 30], "memory_used": 1024, "memory_free": 1024}))


def test_endpoints_of_containers(server):
    url = "http://one"
    reference = [{"type": "model", "value": "m1"}]
    server.call("serving.register_container", container("loading", None, input_size=9_000_000))
    server.call("serving.register_container", container("a", url, reference=reference, timeout=100))
    report(server, "a", url, 1)
    report(server, "b", url, 2)
    endpoint = next(e for e in server.call("serving.get_endpoints")["endpoints"] if e["url"] == url)
    assert {k: endpoint[k] for k in endpoint if k != "last_update"} == {
        "endpoint": "end", "model": "net", "url": url, "instances": 2, "uptime_sec": 20, "requests": 300,
        "requests_min": 1.5, "latency_ms": 30}
    details = server.call("serving.get_endpoint_details", {"endpoint_url": url})
    assert details["uptime_sec"] == 20
    by_id = {i["id"]: (i["requests"], i["latency_ms"], i["cpu_count"], i["gpu_count"], i["reference"])
             for i in details["instances"]}
    # What a report does not repeat is gone, as there.
    assert by_id == {"a": (100, 20, 2, 0, []), "b": (200, 40, 2, 0, [])}
    loading = server.call("serving.get_loading_instances")["instances"]
    assert [(i["id"], i["input_size"]) for i in loading] == [("loading", "9000000")]
    for name in ("a", "b", "loading", "nobody"):
        server.call("serving.unregister_container", {"container_id": name})
    assert not [e for e in server.call("serving.get_endpoints")["endpoints"] if e["url"] == url]
    fails(server, "serving.get_endpoint_details", 400, 1052, endpoint_url=url)


def history(server, url, **more):
    now = int(time.time())
    return server.call("serving.get_endpoint_metrics_history", {
        "endpoint_url": url, "from_date": now - 1000, "to_date": now + 100, "interval": 1, **more})


def test_charts(server):
    url = "http://two"
    report(server, "a", url, 1)
    report(server, "b", url, 2)
    chart = history(server, url)
    assert chart["computed_interval"] == 40 and chart["total"]["title"] == "Number of Requests"
    dates = chart["total"]["dates"]
    # Two if the reports came in two intervals.
    assert 1 <= len(dates) <= 2 and all(d % 40_000 == 0 for d in dates)
    values = {name: instance["values"] for name, instance in chart["instances"].items()}
    assert max(values["a"]) == 100 and max(values["b"]) == 200
    assert chart["total"]["values"] == [a + b for a, b in zip(values["a"], values["b"])]
    assert all(instance["dates"] == dates for instance in chart["instances"].values())
    load = history(server, url, metric_type="cpu_util", instance_charts=False)
    # Over the whole time, with nothing where nobody said anything.
    assert max(load["total"]["values"]) == 20 and len(load["total"]["dates"]) > 20 and load["instances"] == {}
    memory = history(server, url, metric_type="ram_total")
    assert max(max(i["values"]) for i in memory["instances"].values()) == 2
    assert history(server, "http://nobody")["total"]["dates"] == []


def test_wrong_values_of_serving(server):
    for more in ({"timeout": 0}, {"timeout": 1 << 60}, {"tags": "x"}, {"model_source": 5}, {"uptime_sec": "x"},
                 {"reference": [{}]}, {"reference": [{"type": "other", "value": "x"}]}, {"container_id": 5},
                 {"model_name": None}):
        fails(server, "serving.register_container", 400, 12, **{**container("w", "http://w"), **more})
    fails(server, "serving.container_status_report", 400, 12, **container("w", None))
    fails(server, "serving.container_status_report", 400, 12, **container("w", "http://w", machine_stats=5))
    ask = {"endpoint_url": "u", "from_date": 0, "to_date": 10, "interval": 1}
    fails(server, "serving.get_endpoint_metrics_history", 400, 16, **{**ask, "from_date": 10})
    for more in ({"interval": 0}, {"metric_type": "other"}, {"to_date": 1e10}, {"to_date": 1e300}):
        fails(server, "serving.get_endpoint_metrics_history", 400, 12, **{**ask, **more})


def test_storage_settings(server):
    settings = lambda: server.call("storage.get_settings")["settings"]
    assert settings()["aws"] == {"use_credentials_chain": False, "buckets": []}
    assert server.call("storage.reset_settings", {"keys": ["aws"]}) == {"updated": 0}
    assert server.call("storage.set_settings", {
        "aws": {"key": "k", "secret": "s", "other": 1, "buckets": [{"bucket": "b", "secure": False}]},
        "google": {"credentials_json": '{"a": 1}'}}) == {"updated": 1}
    assert settings()["aws"] == {"key": "k", "secret": "s", "use_credentials_chain": False, "buckets": [
        {"bucket": "b", "multipart": True, "secure": False, "verify": True, "use_credentials_chain": False}]}
    assert settings()["google"]["credentials_json"] == '{"a": 1}' and settings()["last_update"]
    assert server.call("storage.set_settings", {"azure": {"containers": [{"account_name": "n"}]}}) == {"updated": 1}
    assert settings()["azure"]["containers"] == [{"account_name": "n"}] and settings()["aws"]["key"] == "k"
    assert server.call("storage.reset_settings", {"keys": ["aws", "google"]}) == {"updated": 1}
    assert settings()["aws"]["buckets"] == [] and settings()["azure"]["containers"]
    for wrong in ({}, {"aws": 5}, {"aws": {"key": 5}}, {"aws": {"buckets": {}}}, {"aws": {"buckets": [5]}},
                  {"aws": {"use_credentials_chain": "x"}}, {"google": {"credentials_json": "{"}},
                  {"azure": {"containers": [{"account_key": "k" * 2_000_000}]}}):
        fails(server, "storage.set_settings", 400, 12, **wrong)
    fails(server, "storage.reset_settings", 400, 12, keys=["other"])
