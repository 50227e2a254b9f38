"""External models of dbt projects: where their files stand, how they are written and read back.

What is expected follows the sources of dbt-duckdb 1.11, and what it gave for models like these.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import transform
from transformer.compile.dbt.external import file_of
from transformer.errors import RenderError

QUERY = "select 7 as n, '007' as code union all select 8, '008'"
PROFILE = """
    shop:
      target: dev
      outputs:
        dev: {type: duckdb, path: warehouse.duckdb, external_root: out}
"""
NUMBER, TEXT = ("BIGINT", "VARCHAR"), ("VARCHAR", "VARCHAR")


def built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, query: str = QUERY
) -> Path:
    text = f"{{{{ config(materialized='external', {options}) }}}} {query}"
    root = project(tmp_path, **{"models/sent.sql": text, "profiles.yml": PROFILE})
    (root / "out").mkdir()
    monkeypatch.chdir(root)  # the view reads a relative path
    run(root, "build", "sent")
    return root


def types(root: Path) -> tuple[str, ...]:
    found = rows(root, "select column_type from (describe sent)")
    return tuple(kind for (kind,) in found)


@pytest.mark.parametrize(
    ("options", "file", "expected"),
    [
        ("tags=['x']", "sent.parquet", ("INTEGER", "VARCHAR")),
        ("format='csv'", "sent.csv", NUMBER),
        ("format='csv', csv_read_options={'all_varchar': true}", "sent.csv", TEXT),
        ("format='csv', csv_read_options={'types': {'n': 'SMALLINT'}}", "sent.csv",
         ("SMALLINT", "VARCHAR")),
        ("format='csv', options={'format': 'parquet'}", "sent.csv", NUMBER),
        ("format='json', json_read_options={'columns': {'n': 'UTINYINT', 'code': 'VARCHAR'}}",
         "sent.json", ("UTINYINT", "VARCHAR")),
        ("parquet_read_options={'filename': true}", "sent.parquet",
         ("INTEGER", "VARCHAR", "VARCHAR")),
        ("location='out/x.tsv2', format='csv', delimiter='|', csv_read_options={'delim': '|'}",
         "x.tsv2", NUMBER),
        ("location='out/bare', delimiter=';'", "bare", NUMBER),
        ("location='out/bare'", "bare", ("INTEGER", "VARCHAR")),
        ("location='out/UP.CSV.GZ'", "UP.CSV.GZ", NUMBER),
        ("location='out/zipped', options={'format': 'csv', 'compression': 'gzip'}", "zipped",
         NUMBER),
        ("options={'partition_by': 'code'}", "sent/code=007/data_0.parquet", None),
        ("format='csv', options={'partition_by': 'code, n', 'write_partition_columns': true}",
         "sent/code=008/n=8/data_0.csv", None),
        ("location='out/several', options={'per_thread_output': true}",
         "several/data_0.parquet", None),
    ],
)  # fmt: skip
def test_an_external_model_is_the_file_that_dbt_writes_and_reads(
    options: str,
    file: str,
    expected: tuple[str, ...] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = built(tmp_path, monkeypatch, options)
    assert (root / "out" / file).is_file()
    assert rows(root, "select count(*), sum(n::int) from sent") == [(2, 15)]
    assert expected is None or types(root) == expected


def test_a_file_whose_ending_says_so_is_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = "location='out/a.csv.gz', options={'null': 'NIL', 'quote': '~'}"
    root = built(tmp_path, monkeypatch, options, "select 1 as n, null as b, 'NIL' as c")
    with gzip.open(root / "out/a.csv.gz", "rt") as file:
        assert file.read() == "n,b,c\n1,NIL,~NIL~\n"


@pytest.mark.parametrize("options", ["format='xlsx'", "location='out/a.dat'"])
def test_a_format_that_cannot_be_read_back_is_refused(options: str, tmp_path: Path) -> None:
    text = f"{{{{ config(materialized='external', {options}) }}}} {QUERY}"
    root = project(tmp_path, **{"models/sent.sql": text, "profiles.yml": PROFILE})
    (root / "out").mkdir()
    done = transform(root, "build", "--select", "sent", check=False)
    assert done.returncode == 1
    assert "is not a format of external models\n  models/sent.sql:1" in done.stderr
    assert not list((root / "out").iterdir())


@pytest.mark.parametrize(
    ("options", "file", "held"),
    [
        ("format='json'", "sent.json", '{"n":null,"code":null}'),
        ("format='json', options={'array': true}", "sent.json", None),
        ("options={'partition_by': 'code', 'overwrite': true}",
         "sent/code=__HIVE_DEFAULT_PARTITION__/data_0.parquet", None),
        ("format='csv', options={'partition_by': ['n'], 'overwrite': true}",
         "sent/n=__HIVE_DEFAULT_PARTITION__/data_0.csv", None),
    ],
)  # fmt: skip
def test_a_file_that_could_not_be_read_without_rows_holds_one_of_nulls_that_nobody_sees(
    options: str, file: str, held: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = "select * from (select 7 as n, '007' as code) where false"
    root = built(tmp_path, monkeypatch, options, empty)
    assert rows(root, "select count(*), list(n) from sent") == [(0, None)]
    assert held is None or (root / "out" / file).read_text().strip() == held
    assert (root / "out" / file).is_file()
    text = f"{{{{ config(materialized='external', {options}) }}}} {QUERY} order by n desc"
    (root / "models" / "sent.sql").write_text(text)
    run(root, "build", "sent")
    assert [str(n) for (n,) in rows(root, "select n from sent order by n")] == ["7", "8"]
    (root / "models" / "sent.sql").write_text(text + " nulls last limit 0")
    run(root, "build", "sent")
    assert rows(root, "select count(*) from sent") == [(0,)]


def test_a_row_of_nulls_that_the_query_gives_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "select null::integer as n, null::varchar as code"
    root = built(tmp_path, monkeypatch, "format='json'", query)
    assert rows(root, "select count(*) from sent") == [(1,)]


def test_rows_of_a_json_file_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "select n::integer as n, 'x' as code from range(5000) t(n) order by hash(n)"
    root = built(tmp_path, monkeypatch, "format='json'", query)
    expected = [n for (n,) in duckdb.sql(f"select n from ({query})").fetchall()]
    assert [n for (n,) in rows(root, "select n from sent")] == expected


def test_a_python_model_may_write_a_file_without_rows(tmp_path: Path) -> None:
    text = """
        def model(dbt, session):
            dbt.config(materialized="external", format="json")
            return session.sql("select 1 as a, 'x' as b limit 0")
    """
    root = project(tmp_path, **{"models/sent.py": text, "profiles.yml": PROFILE})
    (root / "out").mkdir()
    done = transform(root, "build", "--select", "sent")
    assert "built" in done.stderr + done.stdout


@pytest.mark.parametrize("written", [{"options": "x"}, {"parquet_read_options": ["x"]}])
def test_options_that_are_no_mapping_are_refused(written: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="is not a mapping"):
        file_of(written, "sent", ".")


def test_templates_see_the_folder_of_the_profile(tmp_path: Path) -> None:
    text = "select '{{ adapter.external_root() }}' as a"
    root = project(tmp_path, **{"models/sent.sql": text, "profiles.yml": PROFILE})
    transform(root, "build", "--select", "sent")
    assert rows(root, "select a from sent") == [("out",)]
