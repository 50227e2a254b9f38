"""Writes the table of the documentation from what pytest left: `figures.py suite.xml`."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from tests.dbt_suite.reasons import EXCLUDED, NOT_OURS, OPEN, WEAKER

HEAD = """# Conformance

dbt's own suite for adapters (`dbt-tests-adapter`), run against `transform`: `make dbt-suite`.
Its fixtures make a dbt project and a profile for DuckDB; where a test would call dbt, our command
is called, in a process of its own, and what the test reads of results is read from
`target/run_results.json` and `target/manifest.json`. dbt-duckdb's adapter prepares the warehouse
and compares relations. Overrides are those that any adapter makes (types, target, words of SQL
that DuckDB does not have); each says why.
"""


def counted(path: Path) -> dict[str, dict[str, bool]]:
    """Whether each test passed, by class."""
    made: dict[str, dict[str, bool]] = defaultdict(dict)
    for case in ElementTree.parse(path).getroot().iter("testcase"):  # noqa: S314 - our own file
        name = case.attrib["classname"].rpartition(".")[2]
        bad = any(part.tag in ("failure", "error") for part in case)
        # A test whose teardown fails is told of twice.
        made[name][case.attrib["name"]] = made[name].get(case.attrib["name"], True) and not bad
    return made


def page(found: dict[str, dict[str, bool]]) -> str:
    """The page: totals, classes, failures with reasons, what is left out and why."""
    every = {f"{c}::{t}": ok for c, tests in found.items() for t, ok in tests.items()}
    aside = {name for name in every if _why(name, NOT_OURS)}
    ours = {name: ok for name, ok in every.items() if name not in aside}
    passed = sum(ours.values())
    share = 100 * passed / max(1, len(ours))
    lines = [
        HEAD,
        "| | passed | of |",
        "|---|---|---|",
        f"| all tests | {sum(every.values())} | {len(every)} |",
        (f"| without those that do not count (below) | {passed} ({share:.1f} %) | {len(ours)} |"),
        "",
        "## Failures",
        "",
        "| test | reason |",
        "|---|---|",
    ]
    for name, ok in sorted(every.items()):
        if not ok:
            reason = _why(name, NOT_OURS) or _why(name, OPEN) or "to be looked at"
            lines.append(f"| `{name}` | {reason} |")
    lines += ["", "## Left out", "", "| class | reason |", "|---|---|"]
    lines += [f"| `{name}` | {reason} |" for name, reason in EXCLUDED.items()]
    lines += ["", "## Where a test is not the suite's own", "", "| test | how |", "|---|---|"]
    lines += [f"| {name} | {reason} |" for name, reason in WEAKER.items()]
    lines += ["", "## By class", "", "| class | passed | of |", "|---|---|---|"]
    for name, tests in sorted(found.items()):
        lines.append(f"| `{name}` | {sum(tests.values())} | {len(tests)} |")
    return "\n".join(lines) + "\n"


def _why(name: str, reasons: dict[str, str]) -> str:
    return next((why for part, why in reasons.items() if name.startswith(part)), "")


if __name__ == "__main__":
    sys.stdout.write(page(counted(Path(sys.argv[1]))))
