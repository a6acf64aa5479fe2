"""Where reeve and clearml-agent differ, flow by flow, with the reason.

A flow hands what it saw to `agent.differs(name, seen)`. So what is not listed here fails, and what is listed and gone
fails as well.
"""

# name: what reeve does, what clearml-agent 3.0.3 does, and why reeve does not do the same.
OF_AGENTS = {
    **{f"status_reason of {number}": {
        "reeve": word, "official": f"worker execution exit code {number}",
        "why": "one vocabulary of reasons, that tells exits, signals, time-outs and memory apart"}
       for number, word in ((3, "exit:3"), (1, "exit:1"), (-9, "signal:9"), (-6, "signal:6"))},
    "status_reason of a success": {
        "reeve": "exit:0", "official": "worker execution done",
        "why": "the same vocabulary"},
    "status_reason of an abort": {
        "reeve": "aborted", "official": "task was stopped by tasks.stop",
        "why": "the same vocabulary"},
    "the host in the task's runtime": {
        "reeve": False, "official": True,
        "why": "a call for each run that nothing reads; the worker's name begins with the host"},
    "a whole script's folder": {
        "reeve": "completed", "official": "failed",
        "why": "reeve makes the folder that the entry point names; clearml-agent writes the script into none"},
    "status_reason of changes that do not apply": {
        "reeve": "setup:diff", "official": "worker execution exit code 1",
        "why": "what failed before the task's own code says so, and at which step"},
    "keys in the payload's configuration": {
        "reeve": (False, False), "official": (True, True),
        "why": "the payload gets the hosts and the sdk section, neither the agent's keys nor its own settings"},
    "a token in the payload's environment": {
        "reeve": True, "official": False,
        "why": "and in place of the keys a token that ends"},
    "each task has a worker of its own": {
        "reeve": True, "official": False,
        "why": "as clearml-agent in services mode: its figures are the task's, not the host's"},
    "a task whose agent is ended": {
        "reeve": ("stopped", "aborted"), "official": ("stopped", "user abort"),
        "why": "the same vocabulary"},
    "requirements": {
        "reeve": "iniconfig is None", "official": "iniconfig is 2.0.0",
        "why": "environments come with a later version; until then one line says what was not installed"},
    "the log file stays": {
        "reeve": True, "official": False,
        "why": "clearml-agent removes the file of --log-file once the server has its lines"},
}

# The same, for what shows only now and then: lists of what may be seen.
AT_TIMES = {
    "the end of the log stands last": {
        "reeve": [True], "official": [True, False],
        "why": "clearml-agent dates lines by their number in a flush, so that the end may get an earlier time"},
    "status_reason of a missing commit": {
        "reeve": ["setup:clone"], "official": ["failed cloning repository", "worker execution exit code 1"],
        "why": "one vocabulary; clearml-agent's task process and its daemon both set a status, and either is last"},
}
