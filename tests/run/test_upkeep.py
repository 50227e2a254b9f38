"""What a build looks after beside its steps: comments, files that views read, what is left over."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.projects import query, transform, write

DESCRIBED = {
    "models/kept.sql": "{{ config(materialized='table') }} select 1 as id, 'a' as name",
    "models/seen.sql": "select id from kept",
    "models/_all.yml": """
        models:
          - name: kept
            description: All that is kept
            columns: [{name: id, description: The key}]
          - name: seen
            description: What is seen
            columns: [{name: id, description: The key}]
    """,
}
SAID = """
    select table_name as t, '' as c, comment from duckdb_tables() where schema_name = 'main'
    union all select view_name, '', comment from duckdb_views() where not internal
    union all select table_name, column_name, comment from duckdb_columns()
    where schema_name = 'main' and not internal and comment is not null
    order by 1, 2
"""


def said(path: Path) -> dict[tuple[str, str], str]:
    return {(table, column): text for table, column, text in query(path, SAID)}


def test_a_new_description_reaches_the_comment_and_builds_nothing(tmp_path: Path) -> None:
    root = write(tmp_path, DESCRIBED)
    path = root / "warehouse.duckdb"
    transform(root, "build")
    made = query(path, "select id, version, noted_at from _transform.nodes order by id")
    new = DESCRIBED["models/_all.yml"].replace("All that", "It's all that")
    write(root, {"models/_all.yml": new.replace("The key", "The key of a row")})
    done = transform(root, "build")
    assert "published" in done.stderr
    assert said(path) == {
        ("kept", ""): "It's all that is kept",
        ("kept", "id"): "The key of a row",
        ("seen", ""): "What is seen",
        ("seen", "id"): "The key of a row",
    }
    assert query(path, "select id, version, noted_at from _transform.nodes order by id") == made
    assert "nothing to do" in transform(root, "build").stderr


def test_an_extract_has_the_comments(tmp_path: Path) -> None:
    shown = "targets: {dev: {path: warehouse.duckdb, publish: {models: [kept, seen]}}}"
    root = write(tmp_path, {**DESCRIBED, "transform.yml": shown})
    transform(root, "build")
    first = said(root / "warehouse.duckdb")
    assert first == said(root / "warehouse.full.duckdb")
    assert first["seen", "id"] == "The key"
    new = DESCRIBED["models/_all.yml"].replace("What is seen", "Seen")
    write(root, {"models/_all.yml": new})
    transform(root, "build")
    assert said(root / "warehouse.duckdb")["seen", ""] == "Seen"


@pytest.mark.parametrize(
    "query_",
    ["select * from read_csv('in/x.csv')", "from 'in/*.csv'",
     "select * from read_csv(['in/x.csv'], header = true)"],
)  # fmt: skip
def test_a_view_over_a_relative_file_is_kept_as_a_table(tmp_path: Path, query_: str) -> None:
    root = write(tmp_path, {"models/m.sql": query_, "in/x.csv": "id\n1\n2\n"})
    done = transform(root, "build")
    assert "warning: `m` is built as a table: a view over `in/" in done.stderr
    assert query(root / "warehouse.duckdb", "select count(*) from m") == [(2,)]
    write(root, {"in/x.csv": "id\n1\n2\n3\n"})
    transform(root, "build")
    assert query(root / "warehouse.duckdb", "select count(*) from m") == [(3,)]
    assert "nothing to do" in transform(root, "build").stderr


def test_a_view_over_an_absolute_file_or_a_mere_name_is_a_view(tmp_path: Path) -> None:
    far = tmp_path / "x.csv"
    far.write_text("id\n1\n")
    root = write(
        tmp_path / "project",
        {
            "models/far.sql": f"select * from read_csv('{far}')",
            "models/name.sql": "select 'x.csv' as file",
        },
    )
    done = transform(root, "build")
    assert "warning" not in done.stderr
    kinds = query(
        root / "warehouse.duckdb", "select view_name from duckdb_views() where not internal"
    )
    assert {name for (name,) in kinds} == {"far", "name"}


GONE = {
    "models/kept.sql": "{{ config(materialized='table') }} select 1 as id",
    "models/gone.sql": "{{ config(materialized='table', schema='old') }} select 2 as id",
    "models/gone_view.sql": "select 3 as id",
    "models/taken.sql": "{{ config(materialized='table') }} select 4 as id",
    "seeds/letters.csv": "a\nx\n",
    "models/_s.yml": """
        snapshots:
          - name: history
            relation: ref('kept')
            config: {unique_key: id, strategy: check, check_cols: all}
    """,
}


def without(root: Path) -> None:
    """The project without most of its nodes; a table of someone else's has one's name, and
    another stands beside."""
    for name in ("gone", "gone_view", "taken", "_s"):
        next(root.glob(f"models/{name}.*")).unlink()
    (root / "seeds/letters.csv").unlink()
    with duckdb.connect(str(root / "warehouse.duckdb")) as con:
        con.execute("create table foreign_one as select 9 as id")
        con.execute("create or replace table taken as select 'theirs' as mine")


def names(root: Path) -> set[str]:
    found = query(
        root / "warehouse.duckdb",
        "select table_name from information_schema.tables where table_schema not like '\\_%'"
        " escape '\\'",
    )
    return {name for (name,) in found}


def test_clean_drops_what_models_that_are_gone_have_left(tmp_path: Path) -> None:
    root = write(tmp_path, GONE)
    transform(root, "build")
    without(root)
    transform(root, "build")
    assert names(root) >= {"gone", "gone_view", "letters", "history"}
    done = transform(root, "clean", "--removed")
    assert "removed main.gone_view, main.letters, old.gone" in done.stderr
    assert names(root) == {"kept", "history", "foreign_one", "taken"}
    assert "nothing to remove" in transform(root, "clean", "--removed").stderr
    assert "nothing to do" in transform(root, "build").stderr


def test_a_build_drops_them_where_the_project_says_so(tmp_path: Path) -> None:
    root = write(tmp_path, {**GONE, "transform.yml": "removed_models: drop"})
    transform(root, "build")
    without(root)
    transform(root, "run", "--select", "kept")
    assert "gone" in names(root)
    transform(root, "build")
    assert names(root) == {"kept", "history", "foreign_one", "taken"}


def test_nothing_is_dropped_while_the_project_cannot_be_read(tmp_path: Path) -> None:
    root = write(tmp_path, GONE)
    transform(root, "build")
    write(root, {"models/kept.sql": "select {{ nothing_of_this_name }} as id"})
    (root / "models/gone.sql").unlink()
    assert transform(root, "clean", "--removed", check=False).returncode == 1
    assert "gone" in names(root)


OBJECTS = """
    import polars as pl

    class Thing:
        pass

    def model(project):
        print("said aloud")
        odd = pl.Series("odd", {values}, dtype=pl.Object)
        return pl.DataFrame({{"id": [1, 2]}}).with_columns(odd)
"""


@pytest.mark.parametrize("values", ["[Thing(), Thing()]", "[1, 'a']", "[{1}, None]"])
def test_a_column_of_python_objects_is_an_error_with_its_name(tmp_path: Path, values: str) -> None:
    root = write(tmp_path, {"models/m.py": OBJECTS.format(values=values)})
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert "the column `odd` contains Python objects" in done.stderr
    assert "models/m.py:6" in done.stderr


def test_what_a_python_model_prints_is_no_data(tmp_path: Path) -> None:
    files = {
        f"models/m{n}.py": f"""
            import sys
            def model(project):
                print("said aloud {n}")
                sys.stdout.write("and written {n}\\n")
                import polars as pl
                return pl.DataFrame({{"id": [{n}]}})
        """
        for n in range(3)
    }
    root = write(tmp_path, files)
    done = transform(root, "build", "--json", "--threads", "3")
    assert all(line.startswith("{") for line in done.stdout.splitlines())
    assert all(f"said aloud {n}" in done.stderr for n in range(3))
    assert all(f"and written {n}" in done.stderr for n in range(3))


def test_a_library_that_panics_is_an_error_of_the_model(tmp_path: Path) -> None:
    text = """
        import polars as pl
        def model(project):
            from datetime import date
            days = pl.Series("day", [2**31 - 1], dtype=pl.Int32).cast(pl.Date)
            pl.DataFrame({"day": days}).write_csv()
    """
    root = write(tmp_path, {"models/m.py": text})
    done = transform(root, "build", check=False)
    assert done.returncode == 1
    assert "error: PanicException" in done.stderr
    assert "models/m.py:5" in done.stderr
    assert "Traceback" not in done.stderr
