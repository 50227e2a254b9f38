"""Whatever is edited, a build that does only what is needed gives what a full one gives.

A small random project is edited again and again. After each round the warehouse is compared with
that of the same project built in an empty folder: every relation, its columns, their types, its
rows, and the verdict of every check. A second build then has nothing to do. What can be told
beforehand to need no work gets none.

`MINIMAL_EDITS` says how many edits the long run makes, `MINIMAL_SEED` which ones.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.changing import Changing
from tests.projects import Bench
from transformer.errors import Mistakes, TransformError
from transformer.flows.build import build
from transformer.flows.plan import preview
from transformer.request import BuildOptions, Environment, Event, Report, Request
from transformer.steps import EVERYTHING, Action

EDITS = int(os.environ.get("MINIMAL_EDITS", "10000"))
SEED = int(os.environ.get("MINIMAL_SEED", "1"))
Relation = tuple[tuple[tuple[str, str], ...], list[str]]


@contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory, where there is one: thousands of builds wait for no disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a name of its own is made in it
    made = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None)
    try:
        yield Path(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Held:
    """What a warehouse holds of a project."""

    relations: dict[str, Relation]
    verdicts: dict[str, tuple[str, int | None]]


def held(root: Path, names: list[str]) -> Held:
    """The relations of these names with types and rows, and how the checks ended."""
    relations: dict[str, Relation] = {}
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as con:
        for name in names:
            described = con.execute(f'describe from "main"."{name}"').fetchall()
            columns = tuple((str(c[0]), str(c[1])) for c in described)
            try:
                rows = sorted(map(repr, con.execute(f'from "main"."{name}"').fetchall()))
            except duckdb.Error as error:
                rows = [type(error).__name__]  # a view over values that it cannot cast
            relations[name] = columns, rows
        verdicts = con.execute(
            "select id, status, failures from _transform.nodes where kind = 'check'"
        ).fetchall()
    return Held(relations, {row[0]: (row[1], row[2]) for row in verdicts})


@dataclass(slots=True)
class Story:
    """A project, its warehouse, and what was done to it."""

    root: Path
    seed: int
    chance: random.Random = field(init=False)
    project: Changing = field(init=False)
    told: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    known: Held | None = None
    # The texts of models when they were last compared.
    texts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.root.mkdir(parents=True)
        self.project = Changing(self.chance, self.root / "numbers.csv")
        self.project.write_data()
        self.project.start()
        self.project.write(self.here)

    @property
    def here(self) -> Path:
        return self.root / "here"

    def build(self, *select: str, always: bool = False, **words: Any) -> Report | None:
        """Builds, or runs the models `always`; None where the project is refused. In some stories
        steps go on at the same time."""
        actions: frozenset[Action] = frozenset({"build"}) if always else EVERYTHING
        how = BuildOptions(
            actions=actions, always=always, threads=3 if self.seed % 4 == 3 else None
        )
        self.project.write(self.here)
        try:
            return Bench(self.here).build(*select, how=how, **words)
        except Mistakes as refused:
            self.told.append(f"    refused: {refused.errors[0]}")
            return None

    def round(self) -> None:
        """Some edits, perhaps a build of a part, then all, compared."""
        quiet = self.known is not None and self.chance.random() < 0.2
        for _ in range(self.chance.randint(1, 6)):
            self.told.append(self.project.touch_up() if quiet else self.project.change())
            self.counts["edits"] += 1
            if not quiet and self.chance.random() < 0.12:
                self.part()
            if not quiet and self.chance.random() < 0.08:
                self.meanwhile()
        self.compare(quiet=quiet)

    def part(self) -> None:
        """A build of something else than all that is needed."""
        name = self.project.selector(self.chance.choice(self.project.names()))
        kind = self.chance.choice(["select", "select", "below", "run", "refresh", "models"])
        self.told.append(f"  {kind} {name}")
        made = {
            "select": lambda: self.build(name),
            "below": lambda: self.build(f"{name}+"),
            "run": lambda: self.build(name, command="run", always=True),
            "models": lambda: self.build(command="run", always=True),
            "refresh": lambda: self.build(full_refresh=True),
        }[kind]()
        self.counts[kind] += 1
        self.known = None if made is None or made.plan.steps else self.known

    def meanwhile(self) -> None:
        """A build of all, in the middle of which files change: raw ones, those that SQL names, and
        the project's own. The next one has to do the rest, whatever became of this one."""
        at = self.chance.randrange(6)
        self.project.write(self.here)

        def hear(event: Event) -> None:
            nonlocal at
            at -= event.kind in ("begin", "end")
            if at != -1 or event.kind == "notice":
                return
            for _ in range(self.chance.randint(1, 3)):
                edit = self.chance.choice((Changing.file, Changing.raw_file, Changing.change))
                self.told.append(f"    meanwhile: {edit(self.project)}")
                self.counts["edits"] += 1
            self.project.write_files(self.here)
            self.counts["meanwhile"] += 1

        self.told.append("  a build, and meanwhile:")
        try:
            build(Request(self.here), BuildOptions(), Environment({}), hear)
        except TransformError as refused:
            self.told.append(f"    refused: {refused}")
        self.known = None

    def compare(self, *, quiet: bool) -> None:
        """The minimal build against a full one."""
        report = self.build()
        wanted = self.known if quiet else self.anew()
        if wanted is None:
            assert report is None or not report.ok, self.story("only the full build fails")
            self.counts["failed"] += 1
            self.known = None
            self.told.append(self.project.mend())
            self.project.settle()
            return
        assert report is not None, self.story("only the minimal build is refused")
        assert report.ok, self.story(f"only the minimal build fails: {report.results.bad}")
        found = held(self.here, list(wanted.relations))
        self.same(found, wanted)
        self.counts["compared"] += 1
        for outcome in report.results.outcomes:
            self.counts[f"{outcome.action} {outcome.status}"] += 1
        again = preview(Request(self.here), Environment({}))[1]
        assert not again.steps, self.story(f"done again: {[(s.id, s.reason) for s in again]}")
        if quiet:
            assert not report.plan.steps, self.story(f"{[(s.id, s.reason) for s in report.plan]}")
            self.counts["quiet"] += 1
        self.known = found

    def same(self, found: Held, wanted: Held) -> None:
        for name, (columns, rows) in wanted.relations.items():
            assert found.relations[name][0] == columns, self.story(f"columns of {name}")
            if found.relations[name][1] != rows:
                pytest.fail(self.story(f"{name}: {found.relations[name][1]} is not {rows}"))
        verdicts = {i: v for i, v in found.verdicts.items() if i in wanted.verdicts}
        assert verdicts == wanted.verdicts, self.story(f"{verdicts} is not {wanted.verdicts}")

    def anew(self) -> Held | None:
        """What a full build in an empty folder gives; None where it fails."""
        place = self.root / "anew"
        shutil.rmtree(place, ignore_errors=True)
        self.project.write(place)
        try:
            report = Bench(place).build()
        except Mistakes:
            return None
        names = ["landed", *(n for n in self.project.names() if self.project.is_made(n))]
        return held(place, names) if report.ok else None

    def story(self, what: str) -> str:
        """All that is needed to see what happened."""
        files = "\n".join(f"--- {name}\n{text}" for name, text in self.project.files().items())
        done = "\n".join(self.told[-12:])
        return f"{what}\nseed {self.seed}, round {self.counts['compared']}\n{done}\n{files}"


def stories(edits: int, first: int, rounds: int) -> Counter[str]:
    """Stories until so many edits are made; what they came to."""
    counts: Counter[str] = Counter()
    number = first
    while counts["edits"] < edits:
        with folder() as root:
            story = Story(root / "story", number)
            story.compare(quiet=False)
            for _ in range(rounds):
                story.round()
            counts += story.counts
        counts["stories"] += 1
        number += 1
    return counts


def in_vain(counts: Counter[str]) -> list[str]:
    """What is to be tested and did not happen often enough."""
    happened = {
        "build skipped": counts["build skipped"] > counts["compared"] // 20,
        "build success": counts["build success"] > counts["compared"] // 2,
        "failed": counts["failed"] < counts["compared"],
        "quiet": counts["quiet"] > counts["compared"] // 20,
        "meanwhile": bool(counts["meanwhile"]),
    }
    return [name for name, enough in happened.items() if not enough]


def not_in_vain(counts: Counter[str]) -> None:
    assert not in_vain(counts), counts


@pytest.mark.parametrize("first", [100, 204, 211])
def test_a_minimal_build_gives_what_a_full_one_gives(first: int) -> None:
    """Each case tells one story; where too little happens in it, some more."""
    counts = stories(1, first, rounds=8)
    for more in range(1, 4):
        if in_vain(counts):
            counts += stories(1, 1000 * more + first, rounds=8)
    not_in_vain(counts)


@pytest.mark.soak
def test_ten_thousand_edits() -> None:
    counts = stories(EDITS, SEED * 100_000, rounds=25)
    print(dict(counts))
    not_in_vain(counts)
