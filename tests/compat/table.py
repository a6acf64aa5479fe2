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
        agents = {flow: row for flow, row in self.rows.items() if not all(v[0].isdigit() for v in row)}
        sdk = {flow: row for flow, row in self.rows.items() if flow not in agents}
        return "\n".join(table_of(rows) for rows in (sdk, agents) if rows)


def numbers(version):
    """Versions from the newest down, then agents by name."""
    return ([-int(n) for n in version.split(".")], "") if version[0].isdigit() else ([1], version)


def table_of(rows):
    versions = sorted({v for row in rows.values() for v in row}, key=numbers)
    lines = ["| flow | " + " | ".join(versions) + " |", "| --- |" + " --- |" * len(versions)]
    for flow, row in sorted(rows.items()):
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
