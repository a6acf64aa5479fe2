"""The table flow by flow, version by version: passed, or why not."""


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, flow, version, outcome):
        """A failure stands, whatever comes after it."""
        row = self.rows.setdefault(flow, {})
        if version not in row or outcome.startswith("failed"):
            row[version] = outcome

    def text(self):
        versions = sorted({v for row in self.rows.values() for v in row},
                          key=lambda v: [int(n) for n in v.split(".")], reverse=True)
        lines = ["| flow | " + " | ".join(versions) + " |", "| --- |" + " --- |" * len(versions)]
        for flow, row in sorted(self.rows.items()):
            cells = [row.get(v, "not run").replace("|", "\\|") for v in versions]
            lines.append(f"| {flow} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def outcome_of(report):
    """In a few words; None for a phase of a test that says nothing."""
    if report.skipped:
        return "skipped: " + str(report.longrepr[2]).removeprefix("Skipped: ")
    if report.failed:
        words = str(report.longrepr).strip().splitlines() or [""]
        marked = [w[1:].strip() for w in words if w.startswith("E ")] or words[-1:]
        return "failed: " + " ... ".join(dict.fromkeys((marked[0], marked[-1])))[:200]
    return "passed" if report.when == "call" else None
