"""Every endpoint that the SDK's and the agent's packages can call is there, or listed with a reason."""

import endpoints
from not_implemented import NOT_IMPLEMENTED, NOT_YET


def test_endpoints_of_the_packages(server):
    wanted = endpoints.callable_endpoints()
    # What the flows rest on, or the packages were not read.
    assert {"tasks.get_by_id", "events.add_batch", "queues.get_next_task", "workers.status_report",
            "users.get_vaults"} <= set(wanted) and len(wanted) > 150
    lacking = set(endpoints.missing(server.api, wanted)) - set(NOT_YET)
    if server.is_embedded:
        assert lacking == set(NOT_IMPLEMENTED)
    else:
        assert lacking <= set(NOT_IMPLEMENTED)
    assert all(NOT_IMPLEMENTED.values())
