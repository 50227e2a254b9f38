"""What comes, changes or goes while a build runs is what that build has not seen: the next one
does the rest, and the plan says so.

Edits happen at a given event of a build. What the next build leaves is compared with a warehouse
that was built once, when all the files were there.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.projects import contents, query, start, transform, write
from transformer.errors import TransformError
from transformer.flows.build import build
from transformer.flows.plan import preview
from transformer.request import BuildOptions, Environment, Event, Report, Request
from transformer.workspace.last_build import unchanged

Edit = Callable[[Path], object]
FILES = {
    "transform.yml": "name: shop\n",
    "data/in/a.csv": "id,n\n1,10\n2,20\n",
    "data/rates.csv": "rate\n3\n",
    "seeds/codes.csv": "code\nx\ny\n",
    "macros/twice.sql": "{% macro twice(x) %}({{ x }} * 2){% endmacro %}",
    "models/sources.yml": """
        sources:
          - name: shop
            tables:
              - {name: sales, load: {kind: files, path: "data/in/*.csv"}}
    """,
    "models/sums.sql": """
        {{ config(materialized='table') }}
        select sum({{ twice('n') }}) as n from {{ source('shop', 'sales') }}
    """,
    "models/rated.sql": """
        {{ config(materialized='table') }}
        select n * rate as n from {{ ref('sums') }}, read_csv('data/rates.csv')
    """,
    "models/rates.sql": "select * from read_csv('data/rates.csv')",
    "models/held.sql": "{{ config(materialized='table') }} select rate from rates",
    "models/last.sql": """
        {{ config(materialized='table') }}
        select code, n from {{ ref('codes') }}, {{ ref('rated') }}
    """,
}
MODES = ("append", "replace")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = write(tmp_path / "here", FILES)
    monkeypatch.chdir(made)
    return made


def built(root: Path, edit: Edit | None = None, at: tuple[str, str] = ("end", "last")) -> Report:
    """A build as the command makes it, with an edit at the event."""
    done: list[str] = []

    def hear(event: Event) -> None:
        if edit and not done and event.kind == at[0] and event.label.endswith(at[1]):
            done.append("")
            edit(root)

    ask, how, outside = Request(root), BuildOptions(), Environment({})
    report = unchanged(ask, how, outside) or build(ask, how, outside, hear)
    assert done or not edit, "the edit was never made"
    return report


def agrees_with_a_full_build(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = root.with_name("fresh")
    left_out = shutil.ignore_patterns("*.duckdb*", ".transform", "target")
    shutil.copytree(root, fresh, ignore=left_out)
    with monkeypatch.context() as there:
        there.chdir(fresh)
        built(fresh)
    assert contents(root / "warehouse.duckdb") == contents(fresh / "warehouse.duckdb")


def the_rest_is_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next build does what the plan says, and then nothing is left to do."""
    planned = {step.id for step in preview(Request(root), Environment({}))[1]}
    report = built(root)
    assert report.ok
    assert {step.id for step in report.plan} == planned
    agrees_with_a_full_build(root, monkeypatch)
    assert not preview(Request(root), Environment({}))[1].steps
    assert not built(root).plan.steps


EDITS: dict[str, Edit] = {
    "a raw file comes": lambda root: (root / "data/in/b.csv").write_text("id,n\n7,70\n"),
    "a raw file changes": lambda root: (root / "data/in/a.csv").write_text("id,n\n1,11\n"),
    "a file in SQL changes": lambda root: (root / "data/rates.csv").write_text("rate\n5\n"),
    "a seed changes": lambda root: (root / "seeds/codes.csv").write_text("code\nz\n"),
    "a model changes": lambda root: (root / "models/sums.sql").write_text("select 4 as n"),
    "a model comes": lambda root: (root / "models/more.sql").write_text("from last"),
    "a model goes": lambda root: (root / "models/held.sql").unlink(),
    "a macro changes": lambda root: (root / "macros/twice.sql").write_text(
        "{% macro twice(x) %}({{ x }} * 4){% endmacro %}"
    ),
    "YAML changes": lambda root: (root / "models/x.yml").write_text(
        "models: [{name: rates, config: {materialized: table}}]"
    ),
}
# Before the load, between the models, when the last of them has ended.
MOMENTS = (("begin", "sales"), ("end", "sums"), ("end", "last"))


@pytest.mark.parametrize("moment", MOMENTS, ids=" ".join)
@pytest.mark.parametrize("what", EDITS)
def test_what_happens_during_a_build_is_work_for_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch, what: str, moment: tuple[str, str]
) -> None:
    report = built(root, EDITS[what], moment)
    if what == "a seed changes" and moment == ("begin", "sales"):  # it is read after that
        assert "changed during the build" in str([o.error for o in report.results.bad])
    else:
        assert report.ok
    if what == "a model goes":  # its relation stays, as ever
        assert built(root).ok
        assert not built(root).plan.steps
        return
    the_rest_is_done(root, monkeypatch)


@pytest.mark.parametrize("what", EDITS)
def test_the_same_holds_where_only_a_part_is_looked_at(
    root: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    built(root)
    (root / "models/aside.sql").write_text("select 1 as one")
    built(root)
    (root / "models/aside.sql").write_text("select 2 as one")
    assert built(root, EDITS[what], ("end", "aside")).ok
    if what != "a model goes":
        the_rest_is_done(root, monkeypatch)


@pytest.mark.parametrize("mode", MODES)
def test_a_raw_file_that_goes_during_a_build_is_missed_by_the_next(root: Path, mode: str) -> None:
    text = FILES["models/sources.yml"].replace("path:", f"mode: {mode}, path:")
    write(root, {"models/sources.yml": text, "data/in/b.csv": "id,n\n7,70\n"})
    assert built(root, lambda root: (root / "data/in/b.csv").unlink()).ok
    planned = preview(Request(root), Environment({}))[1]
    report = built(root)
    assert [step.id for step in planned] == [step.id for step in report.plan]
    rows = query(root / "warehouse.duckdb", "select count(*) from shop.sales")
    assert rows == [(2 if mode == "replace" else 3,)]


def test_names_with_brackets_and_hidden_files_are_watched_too(root: Path) -> None:
    write(
        root,
        {
            "data/in[1].csv": "id,n\n1,10\n",
            "models/sources.yml": FILES["models/sources.yml"].replace("in/*.csv", "in[1].csv"),
            "models/hidden.sql": "select count(*) as n from read_csv('data/many/*.csv')",
            "models/held.sql": "{{ config(materialized='table') }} from hidden",
            "data/many/a.csv": "a\n1\n",
        },
    )
    built(root)
    assert not built(root).plan.steps
    (root / "data/in[1].csv").write_text("id,n\n1,10\n2,20\n")
    (root / "data/many/.b.csv").write_text("a\n2\n")
    built(root)
    live = root / "warehouse.duckdb"
    assert query(live, "select count(*) from shop.sales") == [(2,)]
    assert query(live, "select n from held") == query(live, "select n from hidden")


def test_a_seed_that_is_another_while_it_is_read_does_not_land(root: Path) -> None:
    """It is what it was, when the next build looks."""
    built(root)
    path, text = root / "seeds/codes.csv", FILES["seeds/codes.csv"] + "z\n"
    path.write_text(text)
    report = built(root, lambda _: path.write_text("code\nq\n"), ("begin", "codes"))
    assert [str(o.error) for o in report.results.bad if o.error]
    path.write_text(text)
    assert built(root).ok
    rows = query(root / "warehouse.duckdb", "select code from codes order by 1")
    assert rows == [("x",), ("y",), ("z",)]


def test_a_python_model_that_is_another_while_it_is_called_is_not_built(root: Path) -> None:
    path = root / "models/py.py"
    text = "import polars\ndef model(project):\n    return polars.DataFrame({'n': [1]})\n"
    path.write_text(text)
    changed = text.replace("[1]", "[2]")
    report = built(root, lambda _: path.write_text(changed), ("begin", "py"))
    assert "changed during the build" in str([o.error for o in report.results.bad])
    path.write_text(text)
    assert built(root).ok
    assert query(root / "warehouse.duckdb", "select n from py") == [(1,)]


def test_a_writer_between_plan_and_copy_is_noticed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a copy holds has to be what was planned from."""
    from transformer.warehouse import file, publication

    built(root)
    (root / "data/in/b.csv").write_text("id,n\n7,70\n")
    plain = file.copy

    def copy(*words: object) -> bool:
        with duckdb.connect(str(root / "warehouse.duckdb")) as con:
            con.execute("create table theirs as select 7 as n")
        return plain(*words)  # type: ignore[arg-type]

    with monkeypatch.context() as there:
        there.setattr(publication, "copy", copy)
        with pytest.raises(TransformError, match="changed by someone else"):
            built(root)
    built(root)
    live = root / "warehouse.duckdb"
    assert query(live, "select theirs.n, sums.n from theirs, sums") == [(7, 200)]


def test_a_writer_right_after_publication_is_noticed_by_the_next_build(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is noted of the file is what was published, not what is there by then."""
    from transformer.flows import execution

    def leave(*_: object) -> None:
        with duckdb.connect(str(root / "warehouse.duckdb")) as con:
            con.execute("drop table sums")

    with monkeypatch.context() as there:
        there.setattr(execution, "write_artifacts", leave)
        built(root)
    built(root)
    assert query(root / "warehouse.duckdb", "select n from sums") == [(60,)]


def test_a_file_that_arrives_while_the_command_builds_is_loaded_by_the_next(
    tmp_path: Path,
) -> None:
    slow = "{{ config(materialized='table') }} select sum(a.i * b.i % 7) as n"
    slow += " from range(20000) a(i), range(20000) b(i)"
    root = write(tmp_path, {**FILES, "models/slow.sql": slow})
    process = start(root, "build", "--threads", "1")
    until = time.monotonic() + 30
    while not (root / ".transform/warehouse.duckdb/warehouse.duckdb").exists():
        assert time.monotonic() < until
        time.sleep(0.005)
    (root / "data/in/b.csv").write_text("id,n\n7,70\n")
    process.communicate(timeout=120)
    assert process.returncode == 0
    transform(root, "build")
    assert query(root / "warehouse.duckdb", "select count(*) from shop.sales") == [(3,)]
    assert "nothing to do" in transform(root, "build").stderr
