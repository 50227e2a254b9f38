"""Snapshots of dbt projects whose query is known only when they run."""

from __future__ import annotations

from pathlib import Path

from tests.dbt.test_build import project, rows, run

ASKS = """
    {% snapshot kept %}
      {{ config(target_schema='snaps', unique_key='id', strategy='check', check_cols='all') }}
      select {% for each in adapter.get_columns_in_relation(ref('raw_orders')) -%}
        {{ each.quoted }}{{ ", " if not loop.last }}
      {%- endfor %} from {{ ref('raw_orders') }}
    {% endsnapshot %}
"""


def test_a_snapshot_may_ask_the_warehouse_in_its_query(tmp_path: Path) -> None:
    root = project(tmp_path, **{"snapshots/kept.sql": ASKS})
    run(root, "build")
    assert rows(root, "select count(*) from snaps.kept") == [(3,)]
    assert not run(root, "build").plan.steps
    seed = root / "seeds" / "raw_orders.csv"
    lines = [line.strip() for line in seed.read_text().split()]
    lines[1] = "1,ann,2024-01-01,11"
    seed.write_text("\n".join([f"{lines[0]},note", *(f"{line},x" for line in lines[1:])]))
    run(root, "build")
    # A column that came is recorded, and every row has changed with it.
    held = "select id, amount, note from snaps.kept where dbt_valid_to is null order by id"
    assert rows(root, held) == [(1, 11, "x"), (2, 20, "x"), (3, 30, "x")]
    assert rows(root, "select count(*) from snaps.kept where dbt_valid_to is not null") == [(3,)]


def test_a_snapshot_of_a_model_that_asks_the_warehouse_takes_in_its_columns(
    tmp_path: Path,
) -> None:
    files = {
        "models/asks.sql": """
            {{ config(materialized='table') }}
            {% set most = run_query('select max(id) from ' ~ ref('raw_orders')).columns[0][0] %}
            select id, amount, {{ most }} as most from {{ ref('raw_orders') }}
        """,
        "snapshots/kept.yml": """
            snapshots:
              - name: kept
                relation: ref('asks')
                config: {strategy: check, check_cols: [amount], unique_key: id}
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "select id, most from kept order by id") == [(1, 3), (2, 3), (3, 3)]
    asks = root / "models" / "asks.sql"
    asks.write_text(asks.read_text().replace("as most from", "as most, 'n' as new from"))
    seed = root / "seeds" / "raw_orders.csv"
    seed.write_text(seed.read_text().replace(",30", ",31"))
    run(root, "build")
    found = "select id, amount, new from kept where dbt_valid_to is null order by id"
    assert rows(root, found) == [(1, 10, None), (2, 20, None), (3, 31, "n")]


def test_templates_know_folders_and_files_from_the_package(tmp_path: Path) -> None:
    files = {
        "models/marts/where_am_i.sql": """
            {{ config(materialized='table') }}
            select '{{ model.fqn | join(".") }}' as fqn, '{{ model.path }}' as path
        """,
    }
    root = project(tmp_path, **files)
    run(root, "run", "where_am_i")
    assert rows(root, "select fqn from main_marts.where_am_i") == [("shop.marts.where_am_i",)]
