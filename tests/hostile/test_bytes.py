"""A file of a project, one of whose bytes or parts is another: the tool does its work or names a
mistake. It is never its own fault, and never a traceback."""

from __future__ import annotations

import gzip
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cache
from pathlib import Path

import duckdb
import openpyxl
import pytest

from tests import forked
from tests.projects import environment

NATIVE = {
    "transform.yml": """\
name: shop
vars: {least: 1, day: 2024-01-01}
models: {staging: {+materialized: view, +tags: [nightly]}}
targets:
  dev: {path: warehouse.duckdb, threads: 1, publish: {mode: gated}}
""",
    ".env": "TOKEN=a-long-secret-token\nPLACE=data\n",
    "models/_all.yml": """\
sources:
  - name: crm
    load: {kind: files}
    tables:
      - name: people
        load: {path: "data/people.csv", mode: merge, key: id}
        columns: [{name: id, data_type: BIGINT, data_tests: [unique, not_null]}]
      - {name: events, load: {path: "data/events.ndjson", mode: append}}
      - {name: orders, load: {path: "data/orders.csv", cursor: at, mode: append}}
models:
  - name: everyone
    description: "People, and what they spent"
    columns:
      - {name: id, data_tests: [{relationships: {to: "source('crm', 'people')", field: id}}]}
      - {name: kind, data_tests: [{accepted_values: {values: [a, b], severity: warn}}]}
snapshots:
  - name: names
    relation: ref('everyone')
    config: {unique_key: id, strategy: check, check_cols: [name]}
activations:
  - {name: out, model: everyone, key: id, mode: mirror, to: {kind: files, path: exports/out.csv}}
""",
    "models/staging/people.sql": """\
{{ config(materialized='view') }}
-- a comment; with 'quotes'
select id, trim(name) as name, {{ kind('name') }} as kind from {{ source('crm', 'people') }}
{% if var('least') > 0 %} where id >= {{ var('least') }} {% endif %}
""",
    "models/everyone.sql": """\
{{ config(materialized='incremental', unique_key='id', tags=["t"]) }}
with spent as (
  select person, sum(amount)::decimal(12, 2) as amount from {{ source('crm', 'orders') }} group by 1
)
select p.id, p.name, p.kind, s.amount, '{{ env_var("PLACE", "x") }}' as place
from {{ ref('people') }} p left join spent s on s.person = p.id
{% if is_incremental() %} where p.id not in (select id from {{ this }}) {% endif %}
""",
    "models/scored.py": """\
def model(transform):
    people = transform.ref("everyone")
    return people.select("id", "name")
""",
    "macros/kind.sql": """\
{% macro kind(column) -%} case when {{ column }} < 'm' then 'a' else 'b' end {%- endmacro %}
""",
    "seeds/kinds.csv": 'kind,said\na,"first, of two"\nb,second\n',
    "tests/none_lost.sql": """\
select id from {{ ref('people') }} except select id from {{ ref('everyone') }}
""",
    "data/people.csv": "id,name,since\n1,ann,2024-01-01\n2,bob,\n3,\"eve, or not\",2024-02-01\n",
    "data/events.ndjson": '{"id": 1, "at": "2024-01-01T00:00:00Z", "more": {"a": [1, 2.5]}}\n' * 3,
    "data/orders.csv": "id,person,amount,at\n1,1,5.5,7\n2,2,7,8\n",
}  # fmt: skip
DBT = {
    "dbt_project.yml": """\
name: shop
version: "1.0"
profile: shop
models: {shop: {+materialized: table, staging: {+materialized: view}}}
vars: {least: 1}
""",
    "profiles.yml": """\
shop: {target: dev, outputs: {dev: {type: duckdb, path: w.duckdb, threads: 1}}}
""",
    "packages.yml": "packages: [{local: more}]\n",
    "more/dbt_project.yml": 'name: more\nversion: "1.0"\n',
    "more/macros/m.sql": "{% macro twice(a) %}{{ a }} * 2{% endmacro %}\n",
    "models/schema.yml": """\
version: 2
models:
  - name: m
    columns: [{name: id, tests: [unique, {accepted_values: {values: [1, 2], quote: false}}]}]
unit_tests:
  - name: doubles
    model: m
    given: [{input: ref('s'), rows: [{id: 1}]}]
    expect: {rows: [{id: 1, two: 2}]}
""",
    "models/m.sql": "select id, {{ more.twice('id') }} as two from {{ ref('s') }}\n",
    "seeds/s.csv": "id\n1\n2\n",
    "snapshots/n.sql": """\
{% snapshot n %}
{{ config(unique_key='id', strategy='check', check_cols='all', target_schema='main') }}
select * from {{ ref('m') }}{% endsnapshot %}
""",
    "analyses/a.sql": "select count(*) from {{ ref('m') }}\n",
}  # fmt: skip
PROJECTS = {"native": NATIVE, "dbt": DBT}
# Files of data, each in a project of its own.
DATA = {
    "packed.csv.gz": '{name: files, load: {kind: files, path: "data/packed.csv.gz"}}',
    "prices.parquet": '{name: files, load: {kind: files, path: "data/prices.parquet"}}',
    "sheet.xlsx": '{name: files, load: {kind: files, path: "data/sheet.xlsx", sheet: First}}',
    "shop.sqlite": """\
{name: orders, load:
  {kind: database, url: "sqlite:data/shop.sqlite", mode: merge, key: id, cursor: at}}
""",
}
Case = tuple[str, str, int]
EVERY: list[tuple[str, str]] = [
    *((kind, name) for kind, files in PROJECTS.items() for name in files),
    *((name, f"data/{name}") for name in DATA),
]


def make_data(path: Path) -> None:
    if path.name == "packed.csv.gz":
        path.write_bytes(gzip.compress(b"id,a\n1,x\n2,y\n" * 20, mtime=0))
    elif path.name == "prices.parquet":
        with duckdb.connect() as con:
            con.execute(
                "copy (select range as id, range::decimal(9, 2) as price, 'x' || range as name"
                f" from range(50)) to '{path}'"
            )
    elif path.name == "sheet.xlsx":
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.title = "First"
        for row in (["id", "day"], [1, "2024-01-01"], [2, 3.5]):
            sheet.append(row)
        book.save(path)
    else:
        with closing(sqlite3.connect(path)) as con2, con2:
            con2.execute("create table orders (id integer, amount real, at integer)")
            con2.executemany("insert into orders values (?, ?, 7)", [(1, 5), (2, 7)])


@cache
def base(kind: str) -> Path:
    """The project, whole; it is copied for each case."""
    root = Path(tempfile.mkdtemp(prefix="whole_")) / "project"
    files = PROJECTS.get(kind) or {
        "models/_all.yml": f"sources: [{{name: s, tables: [{DATA[kind]}]}}]\n",
        "models/m.sql": f"select * from s.{'orders' if 'sqlite' in kind else 'files'}\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    if kind in DATA:
        (root / "data").mkdir()
        make_data(root / "data" / kind)
    return root


# Bytes that mean something to one of the readers.
_TELLING = b"\0\t\n\r \"'#%&*,-./:;<=>?@[\\]`{|}~\x1b\x7f\x80\xa0\xc3\xff0aA"


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with one thing changed."""
    at = chance.randrange(len(content) + 1)
    to = min(len(content), at + chance.choice((1, 1, 1, 2, 5, 20, 200)))
    part = content[at:to]
    others = [
        bytes([chance.choice(_TELLING)]),
        bytes([chance.choice(_TELLING)]) + part,
        chance.randbytes(len(part) or 1),
        bytes(each ^ (1 << chance.randrange(8)) for each in part),
        b"",
        part * chance.choice((2, 3, 50)),
        part[::-1],
        part.swapcase(),
    ]
    new = content[:at] + chance.choice(others) + content[to:]
    return new[: chance.randrange(len(new) + 1)] if chance.random() < 0.05 else new


def cases(each: int) -> Iterator[Case]:
    return ((kind, name, number) for kind, name in EVERY for number in range(each))


def said(free: forked.Servers, case: Case) -> tuple[int, str]:
    """Exit code and words of the builds of the project with this mutation: at first, and where a
    whole one was built before."""
    kind, name, number = case
    home = Path(tempfile.mkdtemp())
    try:
        root = home / "project"
        shutil.copytree(base(kind), root)
        chance = random.Random(f"{kind} {name} {number}")
        if number % 4 == 0:
            forked.run(free, ["build"], root, environment({"HOME": str(home)}))
        content = (root / name).read_bytes()
        (root / name).write_bytes(mutated(content, chance))
        words = [["build"], ["ls"], ["plan"], ["compile"]][0 if number % 5 else number // 5 % 4]
        return forked.run(free, words, root, environment({"HOME": str(home)}))
    finally:
        shutil.rmtree(home)


def never_its_own_fault(tried: list[Case]) -> None:
    with forked.servers(2) as free, ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda case: said(free, case), tried)
        for case, (code, words) in zip(tried, answers, strict=True):
            shown = f"{case}\n{words[-3000:]}"
            assert code in (0, 1, 2 if case[0] == "dbt" else 1), shown  # dbt's code of a mistake
            assert "bug in the tool" not in words, shown
            assert "Traceback" not in words, shown
            assert code == 0 or "error" in words or "failed" in words, shown
            assert "\x1b" not in words, shown


def test_whole_projects_of_these_tests_build() -> None:
    with forked.servers(1) as free:
        for kind in (*PROJECTS, *DATA):
            words = forked.run(free, ["build"], base(kind), environment())
            assert words[0] == 0, words[1]
            for left in ("target", ".transform", "exports"):
                shutil.rmtree(base(kind) / left, ignore_errors=True)
            for file in base(kind).glob("*.duckdb"):
                file.unlink()


def test_some_changes_of_bytes_are_never_its_own_fault() -> None:
    never_its_own_fault(random.Random(7).sample(list(cases(1000)), 15))


@pytest.mark.soak
def test_a_thousand_changes_of_each_file_are_never_its_own_fault() -> None:
    never_its_own_fault(list(cases(1000)))
