"""Endpoints that the SDK or the agent could call and that the embedded server does not have, with the reason.

test_endpoints.py holds it against what the packages can call and what the server says that it has: the list is
exact. None of these is in ClearML's open-source server 2.0.0 either.
"""

HYPER_DATASETS = "HyperDatasets, a paid part of ClearML"
OWN_TESTS = "of ClearML's own tests; its server has no more than debug.ping"


def of(reason, service, actions):
    return {f"{service}.{action}": reason for action in actions.split()}


NOT_IMPLEMENTED = {
    **of(HYPER_DATASETS, "datasets", """
        commit_version create create_version delete delete_frames delete_version get_all get_by_id get_by_name
        get_label_keywords_for_running_task get_schema get_schema_keys get_snippets get_source_ids get_sources
        get_stats get_tags get_versions move publish_and_create_child_version publish_version save_frames update
        update_frames update_version"""),
    **of(HYPER_DATASETS, "dataviews", """
        archive_many create delete delete_many get_all get_by_id move publish publish_many unarchive_many
        update"""),
    **of(HYPER_DATASETS, "frames", """
        clear_get_next_state download_for_dataview get_by_id get_by_ids get_count get_count_for_dataview
        get_count_for_dataview_id get_next get_next_for_dataview get_next_for_dataview_and_context_id
        get_next_for_dataview_id get_snippets_for_dataview get_snippets_for_dataview2
        get_snippets_query_for_dataview get_source_ids_for_dataview get_with_projection
        prepare_download_for_dataview"""),
    **of(OWN_TESTS, "debug", "apiex ex ping_auth"),
    "async.result": "asks after an answer of 202, which only the hosted server gives",
    "routers.get_routes": "the application gateway, a paid part of ClearML",
    "tasks.share": "sharing beyond the company, of the hosted server only",
    "users.get_vaults": "configuration vaults, a paid part of ClearML: both ask, and go on without",
}
