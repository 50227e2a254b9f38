"""A project that has not changed is not compiled again, and whatever changes is noticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

import transformer
from tests.projects import Bench, contents, environment, transform, write
from transformer.engines import duckdb as duckdb_engine
from transformer.errors import Mistakes
from transformer.project import inputs
from transformer.request import BuildOptions, DeferredRelation, Environment, Request
from transformer.workspace.codec import CachedNodes
from transformer.workspace.last_build import unchanged
from transformer.workspace.open import Opened, open_project

FILES = {
    "transform.yml": "name: shop\nvars: {least: 2}\n",
    "seeds/raw.csv": "id,name\n1,a\n2,b\n3,c\n",
    "macros/twice.sql": "{% macro twice(x) %}({{ x }} * 2){% endmacro %}",
    "models/a.sql": "select id, name from {{ ref('raw') }} where id >= {{ var('least') }}",
    "models/b.sql": "{{ config(materialized='table') }} select {{ twice('id') }} as id from a",
    "models/c.sql": "{{ config(materialized='table') }} select id from b\n",
    "models/inner.sql": "{{ config(materialized='ephemeral') }} select id from b",
    "models/d.sql": "select * from {{ ref('inner') }}",
    "models/all.yml": """
        version: 2
        models:
          - name: b
            columns:
              - {name: id, data_tests: [not_null, unique]}
        """,
}
HEAVY = ("jinja2", "sqlglot", "yaml", "duckdb", "polars", "pyarrow", "rich", "httpx")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write(FILES)
    return made


def opened(root: Path, env: dict[str, str] | None = None, **words: Any) -> Opened:
    return open_project(Request(root, **words), Environment(env or {}))


def told(root: Path) -> list[str]:
    """What is said while the project is opened."""
    lines: list[str] = []
    open_project(Request(root), Environment({}, say=lines.append))
    return lines


def is_remembered(made: Opened) -> bool:
    return isinstance(made.graph.nodes, CachedNodes)


def facts(made: Opened) -> dict[str, dict[str, Any]]:
    """Every node as plain values, whichever way it came."""
    names = next(iter(made.graph)).__dataclass_fields__
    return {node.id: {name: getattr(node, name) for name in names} for node in made.graph}


def test_what_is_remembered_is_what_was_compiled(bench: Bench) -> None:
    first = opened(bench.root)
    again = opened(bench.root)
    assert not is_remembered(first)
    assert is_remembered(again)
    assert facts(again) == facts(first)
    assert again.texts == first.texts


def test_the_edges_of_a_remembered_project_are_told_without_its_nodes(bench: Bench) -> None:
    opened(bench.root)
    text = "{{ config(materialized='table') }} select b.id, a.name from b join a using (id)"
    bench.write({"models/c.sql": text})
    changed = opened(bench.root).graph
    assert isinstance(changed.nodes, CachedNodes)
    before = set(changed.nodes.read)
    edges, below = dict(changed.edges()), changed.below_all(["model.shop.a"])
    assert set(changed.nodes.read) == before < set(changed.nodes)
    assert edges == {node.id: node.needs for node in changed}
    assert "model.shop.a" in edges["model.shop.c"]
    assert below == {"model.shop.a", *changed.below("model.shop.a")}


@pytest.mark.parametrize("words", [("ls",), ("build",)], ids=" ".join)
def test_a_project_that_has_not_changed_loads_nothing_that_reads_it(
    bench: Bench, words: tuple[str, ...]
) -> None:
    transform(bench.root, "build")
    script = (
        "import sys, json\n"
        "sys.argv = ['transform', *sys.argv[1:]]\n"
        "from transformer.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=bench.root,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr.splitlines()[-1]) == []


CHANGES: dict[str, Callable[[Path], object]] = {
    "a model": lambda root: write(root, {"models/c.sql": "select id + 1 as id from b"}),
    "a new model": lambda root: write(root, {"models/deep/e.sql": "select id from b"}),
    "a model that is gone": lambda root: (root / "models/d.sql").unlink(),
    "a macro": lambda root: write(
        root, {"macros/twice.sql": "{% macro twice(x) %}({{ x }} * 3){% endmacro %}"}
    ),
    "a description": lambda root: write(
        root, {"models/all.yml": "models: [{name: b, description: new}]"}
    ),
    "a seed": lambda root: write(root, {"seeds/raw.csv": "id,name\n1,z\n"}),
    "a new seed": lambda root: write(root, {"seeds/more.csv": "id\n1\n"}),
    "a variable": lambda root: write(root, {"transform.yml": "name: shop\nvars: {least: 1}\n"}),
    "a new check": lambda root: write(root, {"tests/none.sql": "select 1 from b where id < 0"}),
    "a folder of macros": lambda root: write(
        root, {"macros/more/m.sql": "{% macro m() %}1{% endmacro %}"}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_noticed(bench: Bench, change: str) -> None:
    opened(bench.root)
    before = facts(opened(bench.root))
    CHANGES[change](bench.root)
    after = opened(bench.root)
    (bench.root / ".transform").rename(bench.root / "forgotten")
    assert facts(after) == facts(opened(bench.root))
    if change != "a folder of macros":
        assert facts(after) != before


def test_a_file_of_the_same_size_written_at_once_is_noticed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock of the file system did not move on between two writings."""
    now = time.time_ns() + 10**12  # a moment that stays young

    def still(path: Path | str) -> inputs.Identity:
        try:
            found = Path(path).stat()
        except OSError:
            return inputs.ABSENT
        return found.st_size, now, now, 0

    monkeypatch.setattr(inputs, "identity", still)
    for number in range(5):
        bench.write({"models/c.sql": f"select id + {number} as id from b\n"})
        node = opened(bench.root).graph["model.shop.c"]
        assert f"+ {number} as id" in node.code
        assert is_remembered(opened(bench.root))


def test_variables_of_the_environment_count_when_they_are_asked_for(bench: Bench) -> None:
    bench.write({"models/c.sql": "select {{ env_var('WHICH', '0') }} as id from b"})
    opened(bench.root, {"WHICH": "1", "OTHER": "1"})
    assert is_remembered(opened(bench.root, {"WHICH": "1", "OTHER": "2"}))
    changed = opened(bench.root, {"WHICH": "2"})
    assert "select 2 as id" in changed.graph["model.shop.c"].code
    assert "select 0 as id" in opened(bench.root).graph["model.shop.c"].code


def test_vars_of_the_command_line_are_another_project(bench: Bench) -> None:
    opened(bench.root)
    other = opened(bench.root, vars={"least": 9})
    assert "id >= 9" in other.graph["model.shop.a"].code
    assert "id >= 2" in opened(bench.root).graph["model.shop.a"].code


@pytest.mark.parametrize("asked", ["run_started_at", "invocation_id", "modules.datetime.date"])
def test_what_means_something_else_each_time_is_not_remembered(bench: Bench, asked: str) -> None:
    bench.write({"models/c.sql": f"select '{{{{ {asked} }}}}' as id from b"})
    opened(bench.root)
    assert not is_remembered(opened(bench.root))


@pytest.mark.parametrize(
    "data", [b"", b"something else", b"transform trace 1\n", b"transform trace 1\n" + b"\xff" * 99]
)
def test_what_is_damaged_or_foreign_is_named_and_passed_over(bench: Bench, data: bytes) -> None:
    first = opened(bench.root)
    (path,) = (bench.root / ".transform").glob("trace-*")
    assert told(bench.root) == []
    path.write_bytes(data)
    assert told(bench.root) == [
        f"`.transform/{path.name}` cannot be read and is ignored: the project is compiled again"
    ]
    assert facts(opened(bench.root)) == facts(first)
    assert told(bench.root) == []


def test_only_the_newest_ways_of_asking_are_remembered(bench: Bench) -> None:
    bench.build()
    for least in range(12):
        opened(bench.root, vars={"least": least})
    folder = bench.root / ".transform"
    assert len(list(folder.glob("trace-*"))) == 8
    assert not list(folder.glob("standing-*"))  # that of the build, which is the oldest
    assert is_remembered(opened(bench.root, vars={"least": 11}))
    assert not is_remembered(opened(bench.root, vars={"least": 0}))


def test_nothing_is_said_where_nothing_was_written_down_yet(bench: Bench) -> None:
    assert told(bench.root) == []


def test_a_file_that_is_cut_short_is_passed_over(bench: Bench) -> None:
    first = opened(bench.root)
    (path,) = (bench.root / ".transform").glob("trace-*")
    whole = path.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 23)):
        path.write_bytes(whole[:length])
        assert facts(opened(bench.root)) == facts(first)


SECRET = "opensesame-hunter"  # it does not look as if it were made by chance
SHORT = "q7Z"
SOURCE = """
    sources:
      - name: crm
        load: {kind: database, url: "URL"}
        tables: [{name: people, load: {table: people}}]
"""
# Where a secret may stand: what is written there, and what of it is none.
PLACES = {
    "a source, from the environment": (
        "models/crm.yml",
        SOURCE.replace("URL", "postgres://me:{{ env_var('TRANSFORM_SECRET_PG') }}@nowhere/db"),
        SOURCE.replace("URL", "postgres://nowhere/db"),
    ),
    "a source, in plain": (
        "models/crm.yml",
        SOURCE.replace("URL", f"postgres://me:{SECRET}@nowhere/db"),
        SOURCE.replace("URL", "postgres://nowhere/db"),
    ),
    "a description": (
        "models/all.yml",
        "models: [{name: c, description: \"{{ env_var('TRANSFORM_SECRET_PG') }}\"}]\n",
        "models: [{name: c, description: plain}]\n",
    ),
}


def left(root: Path) -> list[bytes]:
    """All that the tool has written in the project's folder."""
    return [p.read_bytes() for p in (root / ".transform").rglob("*") if p.is_file()]


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_never_written_down(bench: Bench, place: str) -> None:
    path, secret, plain = PLACES[place]
    bench.write({path: plain})
    assert not opened(bench.root).mistakes
    assert left(bench.root), "without a secret it is written down"
    assert is_remembered(opened(bench.root))
    bench.write({path: secret})
    for _ in range(2):
        opened(bench.root, {"TRANSFORM_SECRET_PG": SECRET})
    assert all(SECRET.encode() not in data for data in left(bench.root))


PROFILE = """
    shop:
      target: dev
      outputs:
        dev:
          type: duckdb
          path: shop.duckdb
"""
WORDS = {
    "attach": 'attach: [{path: "postgres://me:SECRET@nowhere/db", alias: crm}]',
    "attach options": "attach: [{path: x.db, alias: crm, options: {encryption_key: SECRET}}]",
    "secrets": "secrets: [{type: s3, name: lake, key_id: a, secret: SECRET}]",
    "secrets of other words": "secrets: [{type: http, name: web, extra_http_headers: SECRET}]",
    "settings": "settings: {s3_secret_access_key: SECRET}",
    "settings, shortly": f"settings: {{s3_secret_access_key: {SHORT}}}",
    "token": "motherduck_token: SECRET",
}


@pytest.mark.parametrize("word", WORDS)
def test_a_secret_of_a_profile_is_never_written_down(tmp_path: Path, word: str) -> None:
    files = {
        "dbt_project.yml": "name: shop\nversion: '1'\nprofile: shop\n",
        "models/a.sql": "select 1 as id",
    }
    write(tmp_path, {**files, "profiles.yml": PROFILE})
    opened(tmp_path, profiles_dir=tmp_path)
    assert left(tmp_path), "without a secret it is written down"
    written = WORDS[word].replace("SECRET", SECRET)
    write(tmp_path, {"profiles.yml": f"{PROFILE.rstrip()}\n          {written}\n"})
    for _ in range(2):
        assert not opened(tmp_path, profiles_dir=tmp_path).mistakes
    for secret in (SECRET, SHORT):
        assert all(secret.encode() not in data for data in left(tmp_path))


PATCHES = (
    "select id * 7 as id from b\n",
    "select b.id, a.name from b join a using (id)\n",
    "-- nothing but a comment\nselect id from b\n",
    "select id from {{ ref('inner') }}\n",
    "select {{ twice('id') }} as id from {{ ref('b') }}\n",
    "{{ config(materialized='view') }} select id from b\n",
    "select id from d\n",
)


@pytest.mark.parametrize("text", PATCHES)
def test_one_changed_model_is_compiled_as_if_all_were(bench: Bench, text: str) -> None:
    opened(bench.root)
    head = "" if "config" in text else "{{ config(materialized='table') }} "
    bench.write({"models/c.sql": head + text})
    after = facts(opened(bench.root))
    again = facts(opened(bench.root))
    (bench.root / ".transform").rename(bench.root / "forgotten")
    assert after == again == facts(opened(bench.root))


def test_a_changed_model_with_a_mistake_is_told_of_with_all_others(bench: Bench) -> None:
    opened(bench.root)
    bench.write({"models/c.sql": "select id from nowhere"})
    assert [m.what for m in opened(bench.root).mistakes] == [
        "there is no model, seed, source or CTE `nowhere`"
    ]


def outside_of(bench: Bench) -> Environment:
    return Environment(dict(bench.env), clock=lambda: bench.now)


def certain(bench: Bench) -> bool:
    """Whether the files alone say that there is nothing to do."""
    return unchanged(Request(bench.root), BuildOptions(), outside_of(bench)) is not None


def test_a_build_with_nothing_to_do_says_what_one_that_plans_says(bench: Bench) -> None:
    bench.build()
    known = unchanged(Request(bench.root), BuildOptions(), outside_of(bench))
    assert known is not None
    planned = bench.build()
    assert not planned.plan.steps
    assert {(s.id, s.reason) for s in known.plan.skips} == {
        (s.id, s.reason) for s in planned.plan.skips
    }


def test_what_others_do_to_the_warehouse_is_looked_at(bench: Bench) -> None:
    bench.build()
    assert certain(bench)
    with duckdb.connect(str(bench.root / "warehouse.duckdb")) as con:
        con.execute("create table main.theirs as select 1 as x")
    assert not certain(bench)
    bench.build()
    assert certain(bench)
    (bench.root / "warehouse.duckdb").unlink()
    assert not certain(bench)
    assert len(bench.build().plan) > 3


@pytest.mark.parametrize(
    "said",
    [
        {"full_refresh": True},
        {"flags": {"WARN_ERROR": True}},
        {"select": ("c",)},
        {"exclude": ("c",)},
        {"deferred": {"model.shop.b": DeferredRelation("other", "main", "b")}},
    ],
    ids="".join,
)
def test_who_asks_for_more_or_less_than_a_whole_build_is_not_told_that_nothing_is_to_do(
    bench: Bench, said: dict[str, Any]
) -> None:
    bench.build()
    assert certain(bench)
    assert unchanged(Request(bench.root, **said), BuildOptions(), outside_of(bench)) is None


@pytest.mark.parametrize(
    "how", [BuildOptions(always=True), BuildOptions(retry_rejected=True)], ids=["run", "retry"]
)
def test_who_asks_for_work_is_not_told_that_nothing_is_to_do(
    bench: Bench, how: BuildOptions
) -> None:
    bench.build()
    assert unchanged(Request(bench.root), how, outside_of(bench)) is None


def test_a_verdict_that_time_changes_is_looked_at_when_its_time_has_come(bench: Bench) -> None:
    recent = "{recency: {field: at, datepart: day, interval: 3}}"
    bench.write(
        {
            "models/c.sql": "{{ config(materialized='table') }} select id, date '2025-12-31' as at"
            " from b",
            "models/c.yml": f"models: [{{name: c, data_tests: [{recent}]}}]\n",
        }
    )
    assert bench.build().ok
    bench.now += timedelta(days=1)
    assert certain(bench)
    bench.now += timedelta(days=1)
    assert not certain(bench)
    report = bench.build()
    assert not report.ok
    assert [step.reason for step in report.plan.steps] == ["time has passed"]


def test_a_query_that_asks_for_the_time_is_built_each_time(bench: Bench) -> None:
    bench.write({"models/c.sql": "{{ config(materialized='table') }} select now() as t from b"})
    bench.build()
    assert not certain(bench)
    assert [s.label for s in bench.build().plan.of("build")] == ["c"]


@pytest.mark.parametrize("home", ["", "~/"])
def test_a_file_that_a_query_names_is_watched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("HOME", str(bench.root))
    path = bench.root / "given.csv"
    name = f"{home}given.csv" if home else str(path)
    path.write_text("id\n1\n")
    bench.write({"models/c.sql": f"{{{{ config(materialized='table') }}}} select id from '{name}'"})
    bench.build()
    assert certain(bench)
    path.write_text("id\n1\n2\n")
    assert not certain(bench)
    report = bench.build()
    assert [s.label for s in report.plan.of("build")] == ["c"]
    assert bench.rows("select count(*) from c") == [(2,)]


def test_only_what_stands_on_a_changed_model_is_looked_at(bench: Bench) -> None:
    bench.build()
    bench.write({"models/b.sql": "{{ config(materialized='table') }} select id * 5 as id from a"})
    report = bench.build()
    assert [s.label for s in report.plan.of("build")] == ["b", "c", "d"]
    assert {s.label for s in report.plan.skips} >= {"raw", "a"}
    fresh = Bench(bench.root.parent / f"{bench.root.name}-full")
    fresh.write(FILES)
    fresh.write({"models/b.sql": "{{ config(materialized='table') }} select id * 5 as id from a"})
    fresh.build()
    live = "warehouse.duckdb"
    assert contents(bench.root / live) == contents(fresh.root / live)
    assert certain(bench)


def test_another_version_of_the_engine_builds_everything(bench: Bench) -> None:
    bench.build()
    with duckdb.connect(str(bench.root / "warehouse.duckdb")) as con:
        con.execute("update _transform.meta set value = 'DuckDB 0.1' where key = 'engine'")
    report = bench.build()
    assert {s.reason for s in report.plan.of("build")} == {"it was built by DuckDB 0.1"}
    assert len(report.plan.of("build")) == 4
    assert not bench.build().plan.steps


def unfinished(bench: Bench) -> list[str]:
    """What is in the builder's folder."""
    return sorted(p.name for p in (bench.root / ".transform" / "warehouse.duckdb").iterdir())


def test_a_changed_model_is_planned_on_the_copy_that_is_built_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.build()
    bench.write({"models/c.sql": "{{ config(materialized='table') }} select id + 1 as id from b\n"})
    connected, paths = duckdb_engine.connect, []

    def noted(path: Path, *args: Any, **words: Any) -> Any:
        paths.append((path, bool(words.get("read_only"))))
        return connected(path, *args, **words)

    monkeypatch.setattr(duckdb_engine, "connect", noted)
    assert bench.build().ok
    private = bench.root / ".transform" / "warehouse.duckdb" / "warehouse.duckdb"
    # Once to be planned and built in, then as its readers will.
    assert [reading for path, reading in paths if path == private] == [False, True]
    assert bench.rows("select sum(id) from c") == [(12,)]


def test_an_edit_that_needs_no_build_leaves_the_file_and_no_copy(bench: Bench) -> None:
    bench.build()
    live = bench.root / "warehouse.duckdb"
    before = live.stat()
    bench.write({"models/c.sql": FILES["models/c.sql"] + "-- but for this\n"})
    report = bench.build()
    assert not report.plan.steps
    assert report.published is None
    assert (live.stat().st_ino, live.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert unfinished(bench) == ["lock"]
    assert (
        unchanged(Request(bench.root), BuildOptions(), Environment({}, clock=lambda: bench.now))
        is not None
    )


def test_a_mistake_in_a_changed_model_leaves_the_file_and_no_copy(bench: Bench) -> None:
    bench.build()
    before = (bench.root / "warehouse.duckdb").stat().st_ino
    bench.write({"models/c.sql": "select idd from b"})
    with pytest.raises(Mistakes) as caught:
        bench.build()
    assert "idd" in caught.value.errors[0].what
    assert (bench.root / "warehouse.duckdb").stat().st_ino == before
    assert unfinished(bench) == ["lock"]
    bench.write({"models/c.sql": "{{ config(materialized='table') }} select id + 2 as id from b\n"})
    report = bench.build()
    assert report.ok
    assert not report.resumed
    assert bench.rows("select sum(id) from c") == [(14,)]


def test_a_build_of_a_changed_model_that_fails_is_gone_on_with(bench: Bench) -> None:
    bench.build()
    bench.write({"models/b.sql": "{{ config(materialized='table') }} select error('no') as id"})
    assert not bench.build().ok
    assert "warehouse.duckdb" in unfinished(bench)
    bench.write({"models/b.sql": FILES["models/b.sql"]})
    report = bench.build()
    assert report.ok
    assert report.resumed


def test_another_form_of_the_tool_compiles_again(tmp_path: Path) -> None:
    package = Path(transformer.__file__).parent
    shutil.copytree(package, tmp_path / "tool" / "transformer")
    root = write(
        tmp_path / "shop",
        {
            "transform.yml": "name: shop\ntargets: {dev: {path: warehouse.duckdb}}\n",
            "models/a.sql": "select 1 as id",
        },
    )

    def traces() -> int:
        transform(root, "ls", env={"PYTHONPATH": str(tmp_path / "tool")})
        return len(list((root / ".transform").glob("trace-*")))

    assert [traces(), traces()] == [1, 1]
    os.utime(tmp_path / "tool" / "transformer" / "compile" / "sql" / "tokens.py", (1, 1))
    assert traces() == 2
