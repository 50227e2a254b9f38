"""Small projects in folders, the real command run on them, and warehouses compared."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from transformer.flows.build import build
from transformer.request import BuildOptions, Environment, Event, Report, Request

COMMAND = (sys.executable, "-m", "transformer")
# What says when and how a row came: it differs between two runs that did the same.
VOLATILE = frozenset(
    {"_loaded_at", "_batch", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_scd_id"}
)


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Writes the files of a project; texts are dedented."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return root


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment that holds nothing of this machine but what Python needs."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "PYTHONPATH", "LANG")}
    return {**kept, "COLUMNS": "120", **(extra or {})}


def transform(
    root: Path, *words: str, env: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Runs the command in the project's folder; with `check` it has to end well."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=root,
        env=environment(env),
        text=True,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def start(root: Path, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Starts the command and lets it run."""
    return subprocess.Popen(
        [*COMMAND, *words],
        cwd=root,
        env=environment(env),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a warehouse, opened as a BI tool would."""
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


def contents(path: Path) -> dict[str, tuple[tuple[str, ...], list[str]]]:
    """Every relation of a warehouse: its columns, and its rows as sorted text, without what is
    volatile and without the ledger."""
    made = {}
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.execute(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema not like '\\_transform%' escape '\\' order by all"
        ).fetchall()
        for schema, table in names:
            relation = f'"{schema}"."{table}"'
            columns = tuple(
                row[0]
                for row in con.execute(f"describe {relation}").fetchall()
                if row[0] not in VOLATILE
            )
            listed = ", ".join(f'"{c}"' for c in columns)
            rows = con.execute(f"select to_json(row({listed}))::varchar from {relation}").fetchall()
            made[f"{schema}.{table}"] = (columns, sorted(row[0] for row in rows))
    return made


@dataclass(slots=True)
class Bench:
    """A project that is built in this very process, again and again, at a clock of its own."""

    root: Path
    now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)
    env: dict[str, str] = field(default_factory=dict)
    # What was told while it was built.
    notices: list[str] = field(default_factory=list)

    def write(self, files: Mapping[str, str]) -> None:
        """Writes or changes files."""
        write(self.root, files)

    def build(self, *select: str, how: BuildOptions = BuildOptions(), **words: Any) -> Report:  # noqa: B008 - frozen
        """Builds; `words` are those of `Request`."""
        ask = Request(self.root, select=select, **words)
        outside = Environment(dict(self.env), clock=lambda: self.now)
        return build(ask, how, outside, self._hear)

    def _hear(self, event: Event) -> None:
        if event.kind == "notice":
            self.notices.append(event.label)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of what is published."""
        return query(self.root / "warehouse.duckdb", sql)


def done(report: Report) -> dict[str, str]:
    """How each step of a build ended, by its label."""
    return {outcome.label: outcome.status for outcome in report.results.outcomes}
