"""What begins a new version of a record, and of what types its moments are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import Bench, done

LOADED = {
    "transform.yml": "name: shop\n",
    "models/raw.yml": """
        sources:
          - name: raw
            tables:
              - {name: items, load: {kind: files, path: data/items.csv}}
    """,
    "models/kept.yml": """
        snapshots:
          - name: kept
            relation: ref('all_items')
            config: {unique_key: sku, strategy: check, check_cols: all}
    """,
}


@pytest.mark.parametrize("query", ["select * from raw.items", "select *, price * 2 as x from i"])
def test_another_load_of_the_same_row_is_no_change(query: str, tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    head = "with i as (from raw.items) " if " i" in query else ""
    bench.write({**LOADED, "models/all_items.sql": head + query})
    for price in (1, 2, 2, 3):
        bench.write({"data/items.csv": f"sku,price\nfig,{price}\nnut,7\n"})
        bench.build()
    assert bench.rows("select sku, count(*) from kept group by all order by all") == [
        ("fig", 3),
        ("nut", 1),
    ]


def test_a_column_of_the_loader_that_is_named_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    kept = LOADED["models/kept.yml"].replace("check_cols: all", "check_cols: [_source]")
    bench.write({**LOADED, "models/kept.yml": kept, "models/all_items.sql": "from raw.items"})
    moved = LOADED["models/raw.yml"].replace("items.csv", "other.csv")
    bench.write({"data/items.csv": "sku\nfig\n", "data/other.csv": "sku\nfig\n"})
    bench.build()
    bench.write({"models/raw.yml": moved})
    bench.build()
    assert bench.rows("select count(*) from kept") == [(2,)]


def block(config: str, query: str) -> str:
    head = f"{{{{ config(target_schema='s', {config}) }}}}"
    return f"{{% snapshot kept %}}{head}{query}{{% endsnapshot %}}"


@pytest.mark.parametrize("key", ["['a', 'b']", "['b', 'a']", "'b'"])
@pytest.mark.parametrize("deletes", ["ignore", "invalidate", "new_record"])
def test_a_null_in_a_key_is_the_same_key_again(key: str, deletes: str, tmp_path: Path) -> None:
    config = f"unique_key={key}, strategy='check', check_cols=['v'], hard_deletes='{deletes}'"
    query = "select 'x' as a, null::int as b, {{ var('v', 1) }} as v"
    root = project(tmp_path, **{"snapshots/kept.sql": block(config, query)})
    for value in (1, 1, 2, 2):
        run(root, "build", vars={"v": value})
    held = "select v, dbt_valid_to is null from s.kept order by v"
    assert rows(root, held) == [(1, False), (2, True)]


@pytest.mark.parametrize(
    ("kind", "first", "later"),
    [
        ("integer", "10", "12"),
        ("decimal(12,3)", "10.125", "10.5"),
        ("date", "'2024-01-31'", "'2024-03-01'"),
        ("timestamptz", "'2024-01-31 10:00:00+02'", "'2024-01-31 11:00:00+02'"),
    ],
)
@pytest.mark.parametrize("strategy", ["strategy='timestamp'", "strategy='check', check_cols=['v']"])
def test_moments_have_the_type_of_updated_at(
    kind: str, first: str, later: str, strategy: str, tmp_path: Path
) -> None:
    query = f"select 1 as id, {{{{ var('v') }}}} as v, cast({{{{ var('u') }}}} as {kind}) as u"
    config = f"unique_key='id', updated_at='u', {strategy}"
    below = "select max(dbt_valid_from) as newest from {{ ref('kept') }}"
    root = project(
        tmp_path, **{"snapshots/kept.sql": block(config, query), "models/below.sql": below}
    )
    for value, moment in ((1, first), (2, later)):
        run(root, "build", vars={"v": value, "u": moment})
    held = "select dbt_valid_from = u, dbt_updated_at = u, typeof(dbt_valid_from) = typeof(u)"
    assert rows(root, f"{held} from s.kept") == [(True, True, True)] * 2
    ended = f"select dbt_valid_to = cast({later} as {kind}) from s.kept order by v"
    assert rows(root, ended) == [(True,), (None,)]


def test_a_number_for_updated_at_cannot_say_when_a_row_was_gone(tmp_path: Path) -> None:
    config = "unique_key='id', strategy='timestamp', updated_at='n', hard_deletes='invalidate'"
    root = project(tmp_path, **{"snapshots/kept.sql": block(config, "select 1 as id, 5 as n")})
    report = run(root, "build", ok=False)
    assert done(report)["kept"] == "error"
    (error,) = [o.error for o in report.results.outcomes if o.error]
    assert "`n` of the snapshot `kept` is INTEGER" in str(error)
