"""`run_dbt` of dbt's test suite, answered by our own command in a process of its own.

DuckDB lets one process write a file: the connections of the suite are closed before each call.
What the suite reads of results is read from the artifacts that the command leaves.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.adapters.factory import FACTORY
from dbt.artifacts.schemas.catalog import CatalogArtifact
from dbt.cli.exceptions import DbtUsageException
from dbt.exceptions import ParsingError
from dbt_common.exceptions import CompilationError, DbtDatabaseError

COMMAND = (sys.executable, "-m", "tests.dbt_suite.command")
ROOT = Path(__file__).parents[2]
# The command's clock, when a test says what time it is.
CLOCK = "DBT_SUITE_CLOCK"
_COMMANDS = frozenset(
    [
        "build",
        "run",
        "seed",
        "test",
        "snapshot",
        "compile",
        "list",
        "ls",
        "show",
        "docs",
        "deps",
        "debug",
        "clean",
        "parse",
        "clone",
        "retry",
        "source",
        "run-operation",
    ]
)
_frozen: list[datetime] = []


class Refused(ParsingError, CompilationError, DbtDatabaseError, DbtUsageException):  # noqa: N818
    """Our command ended before anything was done. It has no classes of dbt's for that: this is
    all of them; a test looks at the text as well."""

    def __init__(self, text: str) -> None:
        Exception.__init__(self, text)
        self.msg = self.message = text
        self.node = None
        self.stack: list[Any] = []

    def __str__(self) -> str:
        return self.msg


class Seen(dict[str, Any]):
    """A mapping of an artifact, its keys as attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def seen(value: Any) -> Any:
    """The value of an artifact, to be read as dbt's objects are."""
    if isinstance(value, Mapping):
        return Seen({str(key): seen(each) for key, each in value.items()})
    return [seen(each) for each in value] if isinstance(value, list) else value


class Results(list[Any]):
    """The results of a call, as a list and as an object."""

    def __init__(self, results: Sequence[Any], more: Mapping[str, Any]) -> None:
        super().__init__(results)
        self.results = list(results)
        self.args = Seen(more.get("args") or {})
        self.elapsed_time = more.get("elapsed_time")


@dataclass(frozen=True)
class Called:
    """What a call of the command came to."""

    words: tuple[str, ...]
    code: int
    out: str
    errors: str
    left: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.out + self.errors

    @property
    def command(self) -> str:
        return next((word for word in self.words if word in _COMMANDS), "")

    def result(self) -> Any:
        """What dbt's function would give back. Raises Refused when nothing was done."""
        if self.command in ("list", "ls"):
            return self.out.split()
        if self.command == "docs" and "catalog.json" in self.left:
            return CatalogArtifact.from_dict(_artifact("catalog.json"))
        if self.command == "show" and self.code == 0:
            return _shown(self.out, self.words)
        if "run_results.json" in self.left:
            return _results()
        if self.code and self.command != "debug":
            raise Refused(self.text)
        return self.code == 0


def run_dbt(
    args: list[Any] | None = None, expect_pass: bool | None = True, callbacks: Any = None
) -> Any:
    """Calls our command with the words that dbt's would be called with."""
    return _judged(called(args), expect_pass)


def run_dbt_and_capture(args: list[Any] | None = None, expect_pass: bool | None = True) -> Any:
    """The same, and what was said."""
    call = called(args)
    return _judged(call, expect_pass), call.text


def _judged(call: Called, expect_pass: bool | None) -> Any:
    result = call.result()
    if expect_pass is not None:
        assert (call.code == 0) == expect_pass, f"it ended with {call.code}\n{call.text}"
    return result


def called(args: list[Any] | None) -> Called:
    """Runs the command where the project is."""
    words = tuple(str(word) for word in (args or ["run"]))
    let_go()
    before = _moments()
    done = subprocess.run(
        [*COMMAND, *words],
        env={**os.environ, **_clock(), "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    print(f"\n$ transform {' '.join(words)}\n{done.stdout}{done.stderr}", end="")
    for adapter in FACTORY.adapters.values():  # as after a call of dbt's own
        adapter.connections.set_connection_name("after")
    left = tuple(name for name, moment in _moments().items() if before.get(name) != moment)
    return Called(words, done.returncode, done.stdout, done.stderr, left)


def let_go() -> None:
    """Closes the suite's own connections: another process is about to write."""
    for adapter in FACTORY.adapters.values():
        adapter.connections.cleanup_all()
        adapter.cache.clear()
    DuckDBConnectionManager.close_all_connections()


@contextmanager
def patch_microbatch_end_time(text: str) -> Iterator[None]:
    """What time it is for the command."""
    _frozen.append(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC))
    try:
        yield
    finally:
        _frozen.pop()


def _clock() -> dict[str, str]:
    if _frozen:
        return {CLOCK: _frozen[-1].isoformat()}
    if datetime.__module__ != "datetime" or type(datetime).__name__ == "FakeDatetimeMeta":
        return {CLOCK: datetime.now(UTC).isoformat()}
    return {}


def _target() -> Path:
    return Path(os.environ.get("DBT_TARGET_PATH", "target"))


def _moments() -> dict[str, int]:
    folder = _target()
    return {each.name: each.stat().st_mtime_ns for each in folder.glob("*.json")}


def _artifact(name: str) -> Any:
    return json.loads((_target() / name).read_text())


def _results() -> Results:
    written = _artifact("run_results.json")
    nodes = _nodes()
    made = []
    for each in written["results"]:
        node = Seen(nodes.get(each["unique_id"], {"unique_id": each["unique_id"]}))
        code = {"compiled_code": each.get("compiled_code"), "compiled": each.get("compiled")}
        made.append(Seen({**each, "node": Seen({**node, **code})}))
    return Results(made, written)


def _nodes() -> dict[str, Any]:
    manifest = _artifact("manifest.json")
    found: dict[str, Any] = {}
    for part in ("nodes", "sources", "unit_tests", "functions"):
        found |= manifest.get(part) or {}
    return {key: seen(each) for key, each in found.items()}


def _shown(out: str, words: tuple[str, ...]) -> Results:
    """The rows that `show` wrote: a line each, under that of the names."""
    rows = out.splitlines()[1:]
    limit = int(words[words.index("--limit") + 1]) if "--limit" in words else 5
    return Results([Seen({"agate_table": rows, "node": Seen({})})], {"args": {"limit": limit}})


def get_manifest(project_root: Any) -> Any:
    """The manifest, from the file that every tool reads."""
    path = Path(str(project_root)) / "target" / "manifest.json"
    return seen(json.loads(path.read_text())) if path.exists() else None


PATCHES: Mapping[str, Callable[..., Any]] = {
    "run_dbt": run_dbt,
    "run_dbt_and_capture": run_dbt_and_capture,
    "get_manifest": get_manifest,
    "patch_microbatch_end_time": patch_microbatch_end_time,
}
