"""How values look in a terminal. The only printer: everything shown passes through here, with
secrets masked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from os import environ
from typing import TYPE_CHECKING, Any, TextIO

from msgspec import Struct, field

from transformer.cli.lines import Line
from transformer.errors import Mistakes, TransformError, Where
from transformer.redaction import redacted, redacted_line, redacted_value
from transformer.steps import Outcome, Sample

if TYPE_CHECKING:
    from rich.console import Console as Terminal
    from rich.progress import Progress

_VERBS = {
    "load": "loaded",
    "freshness": "fresh",
    "seed": "seeded",
    "build": "built",
    "snapshot": "recorded",
    "check": "checked",
    "activate": "activated",
    "hook": "ran",
}
_DOING = {
    "load": "loading",
    "freshness": "checking",
    "seed": "seeding",
    "build": "building",
    "snapshot": "recording",
    "check": "checking",
    "activate": "activating",
    "hook": "running",
}
_STYLES = {"success": "green", "warn": "yellow", "fail": "red", "error": "red", "skipped": "dim"}
# Control characters: escapes in data, file names or answers are displayed, not executed.
_CONTROL = re.compile(r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Console(Struct):
    """Prints data to `out` and everything else to `err`. `secrets` never appear in either."""

    out: TextIO
    err: TextIO
    secrets: set[str] = field(default_factory=set)
    json: bool = False
    verbose: bool = False
    color: bool | None = None
    # The options that commands share, as they were given in this call.
    options: Mapping[str, Any] = {}
    _terminal: Terminal | None = None
    _blank: bool = True

    @property
    def terminal(self) -> Terminal | None:
        """rich's view of `err`, if that is a terminal; otherwise None, since loading rich takes as
        long as many commands."""
        if self._terminal is None and self._draws:
            from rich.console import Console as Terminal

            plain = None if self.color is None else not self.color
            self._terminal = Terminal(
                file=self.err, highlight=False, no_color=plain, soft_wrap=True, emoji=False
            )
        return self._terminal

    @property
    def _draws(self) -> bool:
        forced = self.color or environ.get("FORCE_COLOR") or environ.get("TTY_COMPATIBLE")
        return bool(forced) or self.err.isatty()

    @property
    def lively(self) -> bool:
        """Whether to show a line per step and a progress bar."""
        terminal = self.terminal
        return self.verbose or (terminal is not None and terminal.is_terminal)

    def redact(self, text: str) -> str:
        """The text without secrets and control characters."""
        return _CONTROL.sub(_shown, redacted(text, self.secrets))

    def data(self, text: str) -> None:
        """Prints a line of data to stdout."""
        _write(self.out, self.redact(text) + "\n")

    def json_data(self, value: Any, indent: int | None = None) -> None:
        """Prints a value as JSON to stdout. Secrets are masked before it is encoded."""
        clean = redacted_value(value, self.secrets, str)
        _write(self.out, json.dumps(clean, indent=indent) + "\n")

    def say(self, text: str | Line = "", style: str = "") -> None:
        """Prints a message line to stderr; never two blank lines in a row."""
        shown = text if isinstance(text, Line) else Line(text, style=style)
        if self._blank and not shown.plain:
            return
        self._blank = not shown.plain
        clean = self.redact(shown.plain)
        terminal = self.terminal
        if terminal is None:
            _write(self.err, f"{clean}\n")
            return
        from rich.text import Text

        drawn = Text.assemble(*shown.pieces) if clean == shown.plain else Text(clean, style=style)
        terminal.print(drawn)

    def event(self, kind: str, **facts: Any) -> None:
        """Prints a JSON object on one line to stdout."""
        self.json_data({"event": kind, **facts})

    def error(self, error: BaseException) -> None:
        """Prints an error, or every one of several, with its place."""
        if isinstance(error, Mistakes):
            for mistake in error.errors:
                self.error(mistake)
                if not self.json:
                    self.say()
            count = plural(len(error.errors), "error")
            if self.json:
                self.event("summary", status="error", errors=len(error.errors), state=error.state)
            else:
                self.say(f"{count}, {error.state}", "bold")
        elif isinstance(error, TransformError):
            self._print_error(error)
        else:
            self.say(f"error: {type(error).__name__}: {error}", "red")

    def _print_error(self, error: TransformError) -> None:
        if self.json:
            where = error.where
            place = (
                {"path": where.path, "line": where.line, "column": where.column} if where else {}
            )
            self.event("error", what=error.what, hint=error.hint, **place)
            return
        self.say(Line.of(("error", "bold red"), ": ", self.redact(error.what)))
        for line in place_lines(error.where, error.detail):
            self.say(line)
        for line in (shown for place in error.beside for shown in place_lines(place, ())):
            self.say(line)
        if error.hint:
            self.say(Line.of("  ", ("hint", "cyan"), f": {self.redact(error.hint)}"))

    def outcome(self, outcome: Outcome) -> None:
        """Prints a finished step on one line."""
        verb = {"fail": "failed", "error": "failed", "skipped": "skipped"}.get(
            outcome.status, _VERBS[outcome.action]
        )
        if outcome.status == "skipped" and not outcome.message:
            verb = "same"
        line = Line.of((f"{verb:<10}", _STYLES[outcome.status]), f"{outcome.label:<28}")
        line.append("  ".join(facts_of(outcome)))
        line.append(f"  {outcome.seconds:.1f} s", "dim")
        self.say(line)

    def failure(self, outcome: Outcome) -> None:
        """Prints a failed or warning check with its rows, or a step's error."""
        if outcome.error is not None:
            self.say()
            self.error(outcome.error)
            self.say()
            return
        if outcome.action not in ("check", "freshness"):
            return
        word = "failed" if outcome.bad else "warning"
        style = "red" if outcome.bad else "yellow"
        self.say(Line.of((f"{word:<10}", style), f"{outcome.label:<32} {counted(outcome)}"))
        for row in table_lines(outcome.sample, indent=10):
            self.say(row)

    def watch(self) -> StepPrinter:
        """A printer of build events."""
        return StepPrinter(self)


def _write(stream: TextIO, text: str) -> None:
    """Writes text, escaping what the stream cannot encode. A closed pipe is ignored, so that the
    work continues."""
    with suppress(BrokenPipeError):
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _shown(control: re.Match[str]) -> str:
    return f"\\x{ord(control[0]):02x}"


class StepPrinter:
    """Prints a line for every finished step, with a progress bar at the bottom."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.task: Any = None
        # Steps finish on several threads.
        self.guard = threading.Lock()

    def __enter__(self) -> StepPrinter:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, event: Any) -> None:
        """Prints one event."""
        with self.guard:
            if event.kind == "notice":
                self.console.say(event.label)
                return
            if event.total > 1 and (bar := self._started()):
                self._move(bar, event)
            if event.outcome is not None:
                self._ended(event)

    def _started(self) -> Progress | None:
        """The bar, from the first step on; None where there is no terminal."""
        terminal = self.console.terminal
        if self.bar or terminal is None or not terminal.is_terminal or self.console.json:
            return self.bar
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            console=terminal,
            transient=True,
        )
        self.bar.start()
        return self.bar

    def _move(self, bar: Progress, event: Any) -> None:
        text = f"{_DOING[event.action]:<11}{event.label[:36]:<36}"
        if self.task is None:
            self.task = bar.add_task(text, total=event.total)
        bar.update(self.task, description=text, completed=event.done, total=event.total)

    def _ended(self, event: Any) -> None:
        if self.console.json:
            for outcome in (event.outcome, *event.outcome.parts):
                self.console.event("step", **as_json(outcome))
        elif self.console.lively and event.outcome.action != "check":
            self.console.outcome(event.outcome)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON."""
    facts: dict[str, Any] = {
        "id": outcome.id,
        "action": outcome.action,
        "name": outcome.label,
        "status": outcome.status,
        "seconds": round(outcome.seconds, 3),
    }
    if outcome.rows is not None:
        facts["rows"] = outcome.rows
    facts |= dict(outcome.facts)
    if outcome.message:
        facts["message"] = outcome.message
    if isinstance(outcome.error, TransformError):
        facts["error"] = str(outcome.error)
    return facts


def facts_of(outcome: Outcome) -> list[str]:
    """The figures of a step, formatted."""
    facts = outcome.facts
    parts = []
    if outcome.action == "activate" and facts:
        parts.append(f"→ {outcome.message}")
        parts.append(f"+{facts['added']:,} ~{facts['changed']:,} −{facts['removed']:,}")
        if facts.get("rejected"):
            parts.append(f"{facts['rejected']:,} rejected")
        return parts
    if outcome.rows is not None:
        parts.append(plural(outcome.rows, "row"))
    if facts.get("quarantined"):
        parts.append(f"{facts['quarantined']:,} quarantined")
    if outcome.action == "freshness" and "age" in facts:
        parts.append(f"newest row {age(facts['age'])} old")
    if outcome.message and outcome.message != "kept":
        parts.append(outcome.message)
    return parts


def counted(outcome: Outcome) -> str:
    """The result of a check, such as `3 of 1,190 rows`."""
    failures = outcome.facts.get("failures", 0)
    if outcome.action == "freshness":
        return (
            f"newest row {age(outcome.facts['age'])} old" if outcome.facts else "there are no rows"
        )
    if outcome.rows:
        return f"{failures:,} of {plural(outcome.rows, 'row')}"
    return plural(failures, "row")


def age(seconds: int) -> str:
    """A duration in its largest fitting unit."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return plural(seconds // size, unit)
    return plural(seconds, "second")


def plural(number: int, what: str) -> str:
    """`1 row`, `1,204 rows`."""
    if number == 1:
        return f"1 {what}"
    ies = what[-1] == "y" and what[-2] not in "aeiou"
    return f"{number:,} {what[:-1]}ies" if ies else f"{number:,} {what}s"


def size(number: int) -> str:
    """A number of bytes in its largest fitting unit."""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def place_lines(where: Where | None, detail: Sequence[str]) -> list[Line]:
    """The place of an error: path, source line, a caret, and details."""
    lines: list[Line] = []
    extra = list(detail)
    if where is not None:
        lines.append(Line(f"  {where}", style="dim"))
        if where.text.strip():
            number = str(where.line)
            shown = redacted_line(where.text.replace("\t", " ").rstrip())
            lines.append(Line(f"  {number:>4} | {shown[:200]}"))
            if where.column:
                width = max(1, min(where.width, len(shown) - where.column + 1))
                caret = "^" * width + (f" {extra.pop(0)}" if extra else "")
                lines.append(Line.of("       | ", " " * (where.column - 1), (caret, "red")))
    lines += [Line(f"       {line}", style="dim") for line in extra]
    return lines


def table_lines(sample: Sample, indent: int = 0, most: int = 6) -> list[Line]:
    """Rows as an aligned table; long values are truncated, columns beyond `most` omitted."""
    if not sample.rows:
        return []
    names = sample.columns[:most]
    rows = [[_short(value) for value in row[:most]] for row in sample.rows]
    widths = [max(len(str(cell)) for cell in column) for column in zip(names, *rows, strict=True)]
    pad = " " * indent
    lines = [Line(pad + _row(names, widths), style="bold")]
    lines += [Line(pad + _row(row, widths)) for row in rows]
    if len(sample.columns) > most:
        lines.append(Line(f"{pad}… and {plural(len(sample.columns) - most, 'more column')}", "dim"))
    return lines


def _row(cells: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{c:<{w}}" for c, w in zip(cells, widths, strict=True)).rstrip()


def _short(value: str, most: int = 40) -> str:
    flat = value.replace("\n", " ")
    return flat if len(flat) <= most else flat[: most - 1] + "…"
