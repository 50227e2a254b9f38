"""The output of commands: reports, plans, rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from transformer.cli.console import Console, age, facts_of, plural, size, table_lines
from transformer.cli.lines import Line
from transformer.steps import Outcome, Plan, Sample

_STRICT = "failed because of a warning (--warn-error)"

if TYPE_CHECKING:
    from transformer.artifacts.documents import SourceAge
    from transformer.flows.look import ShownRows
    from transformer.plan.select.resources import Resource
    from transformer.request import Report
    from transformer.sync.sync import SyncPreview


def show_report(report: Report, console: Console, command: str) -> None:
    """The report of a build: what failed, what was done, what was published."""
    if console.json:
        console.event("summary", **_summary(report))
        return
    if not report.plan.steps and report.published is None:
        console.say(_nothing_to_do(report, command))
        _earlier_failures(report, console)
        return
    for outcome in report.results.every():
        if outcome.bad or outcome.status == "warn":
            console.failure(outcome)
    for outcome in report.results.outcomes:
        if outcome.message == "kept" and report.since:
            console.say(f"{'kept':<10}{_kept(outcome, report.since)}")
    _skipped(report, console)
    _done(report, console)
    _unchanged(report, console)
    _published(report, console)
    if report.left_over:
        names = ", ".join(report.left_over)
        console.say(f"orphaned: {names}; no model builds it any more: transform clean --removed")
    quarantined = dict(report.quarantine)
    quarantined |= {o.label: n for o in report.results.outcomes
             if o.action == "activate" and (n := o.facts.get("quarantined", 0))}  # fmt: skip
    for name, count in sorted(quarantined.items()):
        verb = "is" if count == 1 else "are"
        console.say(
            f"{plural(count, 'row')} {verb} in quarantine: transform quarantine show {name}"
        )


def _summary(report: Report) -> dict[str, Any]:
    results = report.results
    return {
        "status": "ok" if report.ok else "failed",
        "steps": len(report.plan),
        "skipped": len(report.plan.skips),
        "models": results.count("build", "success"),
        "checks": results.count("check"),
        "failures": len(results.bad),
        "warnings": sum(o.status == "warn" for o in results.every()),
        "published": report.published.path if report.published else None,
        "quarantine": dict(report.quarantine),
        "seconds": round(results.seconds, 3),
    }


def _nothing_to_do(report: Report, command: str) -> str:
    kinds = Counter(skip.id.split(".")[0] for skip in report.plan.skips)
    names = {"model": "model", "source": "source", "activation": "activation", "test": "check"}
    shown = [plural(kinds[kind], word) for kind, word in names.items() if kinds[kind]]
    if command != "build" and not shown:
        return "nothing to do: nothing was selected"
    if not shown:
        return "nothing to do: the project is empty"
    verb = "is" if shown[0].startswith("1 ") and len(shown) == 1 else "are"
    return f"nothing to do: {', '.join(shown)} {verb} up to date"


def _kept(outcome: Outcome, since: datetime) -> str:
    """The older table that a failed step leaves in place."""
    has_rows = outcome.rows is not None and outcome.action != "load"
    rows = f" ({plural(outcome.rows or 0, 'row')})" if has_rows else ""
    return f"{outcome.label} as of {since:%Y-%m-%d %H:%M} UTC{rows}"


def _skipped(report: Report, console: Console) -> None:
    skipped = [o for o in report.results.outcomes if o.status == "skipped" and o.message]
    if not skipped:
        return
    kinds = Counter(o.action for o in skipped)
    nouns = {"build": "model", "activate": "activation", "check": "check", "snapshot": "snapshot",
             "seed": "seed", "load": "source", "freshness": "freshness check",
             "hook": "hook"}  # fmt: skip
    shown = ", ".join(plural(count, nouns[action]) for action, count in kinds.items())
    console.say(f"{'skipped':<10}{shown}: {skipped[0].message}")


def _unchanged(report: Report, console: Console) -> None:
    """Steps that were not run: unchanged, or their inputs turned out to be the same."""
    unchanged = [skip for skip in report.plan.skips if skip.reason == "unchanged"]
    same = [o for o in report.results.outcomes if o.status == "skipped" and not o.message]
    parts = [f"{len(unchanged):,} unchanged"] if unchanged else []
    if same:
        reader = "its" if len(same) == 1 else "their"
        parts.append(f"{len(same):,} with no change in {reader} inputs")
    if parts:
        console.say(f"{'reused':<10}{', '.join(parts)}")


def _done(report: Report, console: Console) -> None:
    """What was done, one line per kind of step, to keep CI logs short."""
    if console.lively:
        _checks(report.results.every(), console)
        return
    by: dict[str, list[Outcome]] = {}
    for outcome in report.results.outcomes:
        if outcome.status not in ("skipped",):
            by.setdefault(outcome.action, []).append(outcome)
    for action, verb, word in (
        ("load", "loaded", "source"),
        ("seed", "seeded", "seed"),
        ("build", "built", "model"),
        ("snapshot", "recorded", "snapshot"),
    ):
        if by.get(action):
            _line(console, verb, word, by[action])
    _checks(report.results.every(), console)
    for outcome in by.get("activate", ()):
        if not outcome.bad:
            facts = "   ".join(facts_of(outcome))
            console.say(f"activated {outcome.label} {facts}   {outcome.seconds:.1f} s")


def _line(console: Console, verb: str, word: str, outcomes: Sequence[Outcome]) -> None:
    good = [o for o in outcomes if not o.bad]
    if not good:
        return
    rows = sum(o.rows or 0 for o in good)
    quarantined = sum(o.facts.get("quarantined", 0) for o in good)
    parts = [f"{plural(len(good), word):<16}", plural(rows, "row") if rows else ""]
    parts.append(f"{quarantined:,} quarantined" if quarantined else "")
    seconds = sum(o.seconds for o in outcomes)
    console.say(f"{verb:<10}{'   '.join(p for p in parts if p)}   {seconds:.1f} s")


def _checks(outcomes: Any, console: Console) -> None:
    all_outcomes = list(outcomes)
    checks = [o for o in all_outcomes if o.action == "check" and o.status != "skipped"]
    if not checks:
        return
    scans = sum(bool(o.parts) and o.action != "check" for o in all_outcomes)
    alone = len(checks) - sum(len(o.parts) for o in all_outcomes)
    counts = Counter(o.status for o in checks)
    problems = [plural(counts["fail"] + counts["error"], "failure")] if counts["fail"] else []
    problems += [plural(counts["warn"], "warning")] if counts["warn"] else []
    shown = f"   {', '.join(problems)}" if problems else ""
    console.say(
        f"{'checked':<10}{plural(len(checks), 'check')} in {plural(scans + alone, 'scan')}{shown}"
    )


def _published(report: Report, console: Console) -> None:
    console.say()
    seconds = f"{report.results.seconds:.1f} s"
    publication = report.published
    if publication is None:
        since = f" of {report.since:%Y-%m-%d %H:%M} UTC" if report.since else ""
        status = (
            f"{report.path} is still the build{since}"
            if since
            else f"{report.path} does not exist yet"
        )
        console.say(Line.of(("not published", "bold red"), f": {status}   {seconds}"))
        _earlier_failures(report, console)
        failed = next((o for o in report.results.bad if o.action == "check"), None)
        if failed:
            name = failed.id.split(".", 2)[-1]
            console.say(f"see all rows: transform show --failures {name}")
        return
    if report.strict and report.results.warned:
        console.say(_STRICT)
    counts = f"{plural(publication.models, 'model')}, {plural(publication.rows, 'row')}"
    figures = f"{counts}, {size(publication.size)}"
    console.say(Line.of(("published", "bold"), f" {publication.path}   {figures}   {seconds}"))


def _earlier_failures(report: Report, console: Console) -> None:
    """Checks of earlier builds that still fail, if nothing fails now."""
    if report.strict and report.results.warned:
        console.say(_STRICT)
    elif report.standing and not report.results.bad:
        ended = "warned" if report.strict else "failed"
        console.say(f"{ended:<10}{', '.join(report.standing)} in an earlier build")


def show_plan(plan: Plan, console: Console) -> None:
    """Every step with its reason, and the number of skipped ones."""
    if console.json:
        for step in plan:
            console.event(
                "step", id=step.id, action=step.action, name=step.label, reason=step.reason
            )
        for text in plan.notices:
            console.event("notice", text=text)
        console.event("summary", steps=len(plan), skipped=len(plan.skips))
        return
    for text in plan.notices:
        console.say(text)
    for step in plan:
        console.data(f"{step.action:<10}{step.label:<36}{step.reason}")
    for action in ("build", "load", "check", "activate"):
        count = len(plan.of(action))
        if count:
            console.say(f"{count:>4} to {action}")
    console.say(f"{len(plan.skips):>4} unchanged")


def show_rows(sample: Sample, console: Console, empty: str = "no rows") -> None:
    """Prints rows to stdout, as a table or as JSON lines."""
    if console.json:
        for row in sample.rows:
            console.json_data(dict(zip(sample.columns, row, strict=True)))
        return
    if not sample.rows:
        console.say(empty)
    for line in table_lines(sample, most=len(sample.columns)):
        console.data(line.plain)


_LISTED = ("alias", "name", "source_name", "resource_type", "package_name", "depends_on", "tags",
           "config", "original_file_path", "unique_id")  # fmt: skip
_WITH_PREFIX = ("source", "exposure", "metric", "semantic_model", "saved_query", "unit_test")


def listed_as(thing: Resource, form: str) -> str:
    """A line of `ls`: the `name`, the `path`, or the `selector` that matches only this."""
    if form == "path":
        return thing.path
    if form == "name":
        name = thing.node.name if thing.kind == "source" and thing.node else thing.name
        return f"{name}.v{thing.version}" if thing.version else name
    if thing.kind not in _WITH_PREFIX:
        return ".".join(thing.fqn)
    own = thing.id.partition(".")[2] if thing.kind == "source" else f"{thing.package}.{thing.name}"
    return f"{thing.kind}:{own}"


def listed_facts(facts: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A line of `ls --output json`: the usual keys, or the requested ones (`a.b` is a path)."""
    if not keys:
        return {k: facts[k] for k in _LISTED if k in facts}
    selected: dict[str, Any] = {}
    for key in keys:
        value: Any = facts
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None or key in facts:
            selected[key] = value
    return selected


def show_found(tables: Sequence[ShownRows], console: Console) -> None:
    """Prints rows as tables, with headings if there are several."""
    for table in tables:
        if len(tables) > 1:
            console.say(f"{table.name}:")
        rows = tuple(tuple("" if v is None else str(v) for v in row) for row in table.rows)
        show_rows(Sample(tuple(table.columns), rows), console)


def show_values(tables: Iterable[ShownRows], console: Console) -> None:
    """Prints rows as JSON, in the format of `dbt show --output json`."""
    for table in tables:
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        console.json_data({"node": table.name, "show": rows}, indent=2)


def show_ages(sources: Iterable[SourceAge], console: Console) -> None:
    """Prints the age of sources, one per line."""
    for source in sources:
        shown = source.error or ("no rows" if source.newest is None else age(int(source.age)))
        console.say(f"{source.status:<10}{source.name:<36}{shown}")


def show_preview(name: str, preview: SyncPreview, console: Console) -> None:
    """Prints what an activation would send: counts, and sample rows of each class."""
    counts = {k: getattr(preview, k) for k in ("added", "changed", "removed", "unchanged")}
    if console.json:
        samples = {kind: list(rows) for kind, rows in preview.samples.items()}
        console.event("preview", name=name, **counts, refused=preview.refused, samples=samples)
        return
    figures = f"+{preview.added:,} ~{preview.changed:,} −{preview.removed:,}"
    console.data(f"{name}   {figures}   {preview.unchanged:,} unchanged")
    if preview.refused:
        console.data(f"  refused: {preview.refused}")
    if preview.quarantined:
        console.data(f"  {plural(preview.quarantined, 'row')} in quarantine")
    for kind, rows in preview.samples.items():
        for row in rows:
            shown = json.dumps(row["after"] or row["before"], default=str)
            console.data(f"  {kind:<8} {json.dumps(row['key'], default=str)}  {shown[:160]}")
