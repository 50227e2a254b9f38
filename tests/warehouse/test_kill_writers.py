"""Builds that are killed and writers that are killed, at any instant and in every mode of
publication: what others committed stays, and the next build ends where an undisturbed one does."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.projects import contents, query, start, transform, write
from tests.servers import receiver
from tests.warehouse.test_kill import EVENTS, FILES, first_data, more_data

PUBLISH = {
    "gated": "{mode: gated}",
    "always": "{mode: always}",
    "in place": "{mode: in_place}",
    "some models": "{models: [spend]}",
}
# Commits a row, says so, and ends: in the file, or in its log only.
WRITER = """
import duckdb, os, sys
con = duckdb.connect(sys.argv[1])
con.execute("create table if not exists theirs (n int)")
con.execute("insert into theirs values (" + sys.argv[2] + ")")
print("committed", flush=True)
os.kill(os.getpid(), 9) if sys.argv[3] == "killed" else con.close()
"""
ACTS = ("kill", "writer", "writer, kill", "kill, writer", "writer, kill, writer")


@dataclass(frozen=True)
class World:
    """A project that nobody has built yet, and what comes of it where nothing is disturbed."""

    seed: int
    base: Path
    file: str
    expected: dict[str, object]
    sent: dict[object, object]


def file_of(publish: str) -> str:
    """The file that builds begin from."""
    return "warehouse.full.duckdb" if publish == "some models" else "warehouse.duckdb"


@pytest.fixture(scope="module", params=PUBLISH)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    publish = str(request.param)
    home = tmp_path_factory.mktemp("quiet")
    settings = f"""
        name: shop
        targets:
          dev: {{path: warehouse.duckdb, threads: 2, publish: {PUBLISH[publish]}}}
    """
    base, place = write(home / "base", {**FILES, "transform.yml": settings}), home / "place"
    first_data(base)
    shutil.copytree(base, place)
    with receiver() as there:
        there.key = "contact_id"
        env = {"URL": there.url}
        transform(place, "build", env=env)
        more_data(place)
        transform(place, "build", env=env)
        return World(
            [*PUBLISH].index(publish), base, file_of(publish), outcome(place), dict(there.rows)
        )


def outcome(place: Path) -> dict[str, object]:
    """What the files of the project hold, without what others wrote, and which there are."""
    made = {
        path.name: {k: v for k, v in contents(path).items() if "theirs" not in k}
        for path in place.glob("warehouse*.duckdb")
        if "sync" not in path.name
    }
    room = place / ".transform"
    return {
        **made,
        "out": (place / "out" / "spend.csv").read_text(),
        "left": sorted(
            str(p.relative_to(room))
            for p in room.rglob("*")
            if p.is_file() and not p.name.startswith("trace-")
        ),
        "logs": sorted(p.name for p in place.glob("*.wal*")),
    }


def writes(file: Path, number: int, how: str) -> bool:
    """Another process writes a row; whether it was committed."""
    words = [sys.executable, "-c", WRITER, str(file), str(number), how]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return "committed" in done.stdout


def disturbed(world: World, place: Path, chance: random.Random) -> str:
    """One disturbed build, and those after it; what was done."""
    shutil.copytree(world.base, place)
    file, committed = place / world.file, []
    with receiver() as there:
        there.key = "contact_id"
        env = {"URL": there.url}
        transform(place, "build", env=env)
        more_data(place)
        process = start(place, "build", "--json", env=env)
        assert process.stdout is not None
        wanted, act, where = chance.randrange(EVENTS), chance.choice(ACTS), "the end"
        for number, line in enumerate(process.stdout):
            where = line[:60]
            if number >= wanted:
                break
        time.sleep(chance.uniform(0.0, 0.03))
        for number, each in enumerate(act.split(", ")):
            if each == "kill":
                process.kill()
                process.wait()
            elif writes(file, number, chance.choice(("killed", "clean"))):
                committed.append(number)
        said = f"{act} {committed} at {where}"
        process.communicate()
        builds = [transform(place, "build", env=env, check=False) for _ in range(2)]
        assert builds[-1].returncode == 0, f"{said}\n{builds[0].stderr}\n{builds[1].stderr}"
        if committed:
            there_now = query(file, "select n from theirs order by n")
            assert there_now == [(n,) for n in committed], said
        assert outcome(place) == world.expected, said
        assert dict(there.rows) == world.sent, said
    return said


def sweep(world: World, home: Path, numbers: range) -> Iterator[str]:
    for number in numbers:
        yield disturbed(world, home / f"try_{number}", random.Random(number))
        shutil.rmtree(home / f"try_{number}")


def test_what_others_committed_stays_wherever_builds_and_writers_are_killed(
    world: World, tmp_path: Path
) -> None:
    for said in sweep(world, tmp_path, range(world.seed, world.seed + 1)):
        print(said)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(5))
def test_builds_and_writers_are_killed_a_hundred_times(
    world: World, tmp_path: Path, part: int
) -> None:
    begin = 1000 + 20 * part
    assert len(list(sweep(world, tmp_path, range(begin, begin + 20)))) == 20
