"""Property files: models and their versions, seeds, snapshots, sources, descriptions."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.project_dbt.lab import PROFILE, PROJECT, clean, load, model, names

ORDERS = {"models/orders.sql": "select 1 as id"}


def test_what_a_property_file_says_of_a_model_is_read(tmp_path: Path) -> None:
    text = """
        version: 2
        models:
          - name: orders
            description: "{{ doc('orders') }} Really."
            access: public
            tags: core
            config:
              materialized: "{{ 'table' if target.name == 'dev' else 'view' }}"
              tags: [daily]
              meta: {owner: ana}
              pre-hook: "select '{{ this }}'"
            constraints: [{type: primary_key, columns: [id]}]
            columns:
              - name: id
                data_type: integer
                quote: true
                description: The key
                meta: {a: 1}
                config: {tags: [pii], meta: {b: 2}}
                constraints: [{type: not_null}]
        """
    docs = "{% docs orders %}\nOne row for an order.\n{% enddocs %}"
    project = clean(tmp_path, {**ORDERS, "models/_.yml": text, "models/d.md": docs})
    orders = model(project, "orders")
    assert orders.described.description == "One row for an order. Really."
    assert orders.config["materialized"] == "table"
    assert orders.config["tags"] == ("core", "daily")
    assert orders.config["access"] == "public"
    assert orders.config["pre_hook"] == ("select '{{ this }}'",)
    assert orders.described.meta == {"owner": "ana"}
    assert orders.described.constraints == ({"type": "primary_key", "columns": ["id"]},)
    (column,) = orders.described.columns
    assert (column.name, column.data_type, column.quote) == ("id", "integer", True)
    assert (column.tags, dict(column.meta)) == (("pii",), {"a": 1, "b": 2})
    assert column.constraints == ({"type": "not_null"},)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("\"{{ var('n', 3) }}\"", 3),
        ("\"{{ var('n', '3') }}\"", "3"),
        ("\"{{ var('n', ['a']) }}\"", ["a"]),
        ('"{{ target.threads }}"', 1),
        ("\"{{ target.name == 'dev' }}\"", True),
        ('"x {{ 1 }}"', "x 1"),
        ("\"{{ env_var('SHOP', 'none') }}\"", "none"),
    ],
)
def test_a_value_that_is_one_expression_keeps_its_type(
    tmp_path: Path, written: str, value: object
) -> None:
    text = f"models: [{{name: orders, config: {{meta: {{x: {written}}}}}}}]"
    project = clean(tmp_path, {**ORDERS, "models/_.yml": text})
    assert model(project, "orders").described.meta == {"x": value}


def test_each_version_of_a_model_has_its_file_its_table_and_its_columns(tmp_path: Path) -> None:
    text = """
        models:
          - name: orders
            latest_version: 2
            config: {materialized: table}
            columns:
              - {name: id, data_tests: [unique]}
              - {name: old}
            versions:
              - v: 1
                defined_in: first_orders
                columns:
                  - include: all
              - v: 2
                config: {alias: orders}
                columns:
                  - include: all
                    exclude: [old]
                  - name: new
        """
    files = {"models/first_orders.sql": "select 1", "models/orders_v2.sql": "select 2"}
    project = clean(tmp_path, {**files, "models/_.yml": text})
    first, second = model(project, "orders", "1"), model(project, "orders", "2")
    assert (first.latest, second.latest) == (False, True)
    assert (first.config["alias"], second.config["alias"]) == ("orders_v1", "orders")
    assert (first.path, first.fqn) == ("models/first_orders.sql", ("orders", "v1"))
    assert [c.name for c in first.described.columns] == ["id", "old"]
    assert [c.name for c in second.described.columns] == ["id", "new"]
    assert names(project) == {"unique_orders_v1_id", "unique_orders_v2_id"}


def test_the_highest_version_is_the_latest_unless_it_is_said(tmp_path: Path) -> None:
    text = "models: [{name: a, versions: [{v: 9}, {v: 10}]}]"
    files = {"models/a_v9.sql": "select 9", "models/a.v10.sql": "select 10"}
    project = clean(tmp_path, {**files, "models/_.yml": text})
    assert model(project, "a", "10").latest
    assert not model(project, "a", "9").latest


def test_seeds_have_their_configuration(tmp_path: Path) -> None:
    settings = PROJECT + "seeds: {shop: {+column_types: {id: bigint}, off: {+enabled: false}}}\n"
    files = {
        "dbt_project.yml": settings,
        "seeds/people.csv": "id,name\n1,Ana\n",
        "seeds/off.csv": "id\n1\n",
        "seeds/_.yml": "seeds: [{name: people, config: {column_types: {name: text}}}]",
    }
    project = clean(tmp_path, files)
    (people,) = project.seeds
    assert people.config["column_types"] == {"id": "bigint", "name": "text"}
    assert project.disabled == ("off",)


SNAPSHOTS = {
    "snapshots/orders.sql": """
        {# {% snapshot not_this_one %} {% endsnapshot %} #}

        {% snapshot orders_history %}
            {{ config(strategy='check', unique_key='id', check_cols='all') }}
            select * from {{ ref('orders') }}
        {% endsnapshot %}
        """,
    "snapshots/_.yml": """
        snapshots:
          - name: orders_history
            description: As it was
            columns: [{name: id, data_tests: [not_null]}]
          - name: plain
            relation: source('raw', 'orders')
            config: {unique_key: id, strategy: timestamp, updated_at: at}
        """,
}


def test_snapshots_are_blocks_or_entries(tmp_path: Path) -> None:
    project = clean(tmp_path, {**ORDERS, **SNAPSHOTS})
    block, entry = project.snapshots
    assert (block.name, block.relation, block.fqn) == (
        "orders_history",
        "",
        ("orders", "orders_history"),
    )
    assert (block.where.line, block.where.column) == (3, 13)
    assert block.described.description == "As it was"
    # The body stands on the lines that it has in the file.
    assert "config(strategy='check'" in block.text.splitlines()[3]
    assert (entry.name, entry.relation, entry.text) == ("plain", "source('raw', 'orders')", "")
    assert entry.config["unique_key"] == "id"
    assert names(project) == {"not_null_orders_history_id"}


def test_sources_have_what_stands_above_them(tmp_path: Path) -> None:
    text = """
        sources:
          - name: raw
            database: "{{ target.database }}"
            schema: "{{ var('raw_schema', 'lake') }}"
            loader: airbyte
            tags: [raw]
            loaded_at_field: at
            freshness: {warn_after: {count: 12, period: hour}, filter: "at > 1"}
            tables:
              - name: orders
                identifier: "ORDERS_{{ target.name }}"
                config: {freshness: {error_after: {count: 1, period: day}}}
                columns: [{name: id, tests: [unique]}]
              - name: never_stale
                freshness: null
                tags: wide
              - name: gone
                config: {enabled: "{{ var('with_off', false) }}"}
          - name: other
            database: lake
            tables: [{name: people}]
        """
    project = clean(tmp_path, {**ORDERS, "models/_.yml": text})
    orders, still, people = project.sources
    assert (orders.schema, orders.identifier, orders.database) == ("lake", "ORDERS_dev", "")
    assert orders.freshness is not None
    assert (orders.freshness.warn_after, orders.freshness.error_after) == (43200, 86400)
    assert (orders.freshness.field, orders.freshness.filter) == ("at", "at > 1")
    assert (still.freshness, still.tags) == (None, ("raw", "wide"))
    assert (people.schema, people.database) == ("other", "lake")
    assert project.disabled == ("raw.gone",)
    assert names(project) == {"source_unique_raw_orders_id"}


@pytest.mark.parametrize(
    ("where", "location", "reads"),
    [
        ("source", "data/{name}.csv", "'data/people.csv'"),
        ("source", "read_parquet('x/{identifier}_{schema}.parquet')",
         "read_parquet('x/people_files.parquet')"),
        ("table", "'quoted.csv'", "'quoted.csv'"),
        ("config", "s3://b/{name}/*.parquet", "'s3://b/people/*.parquet'"),
    ],
)  # fmt: skip
def test_a_source_may_be_files(tmp_path: Path, where: str, location: str, reads: str) -> None:
    said = f'meta: {{external_location: "{location}"}}'
    config = f'config: {{external_location: "{location}"}}'
    lines = {"source": said, "config": config}
    text = (
        f"sources:\n- name: files\n  {lines.get(where, 'loader: x')}\n  tables:\n  - name: people\n"
        + (f"    {said}\n" if where == "table" else "")
    )
    project = clean(tmp_path, {**ORDERS, "models/_.yml": text})
    assert project.sources[0].reads == reads


def test_what_is_not_acted_on_is_kept_as_it_is_written(tmp_path: Path) -> None:
    text = """
        exposures:
          - {name: board, type: dashboard, depends_on: ["ref('orders')"]}
          - {name: gone, type: dashboard, config: {enabled: false}}
        groups: [{name: team, owner: {name: ana}}]
        macros: [{name: m, arguments: [{name: a, type: string}]}]
        unit_tests:
          - {name: adds, model: orders, given: [], expect: {rows: [{id: 1}]}}
        metrics: [{name: total, filter: "{{ Dimension('x__y') }} = 1"}]
        """
    project = clean(tmp_path, {**ORDERS, "models/_.yml": text})
    kept = {(each.kind, each.name): each.content for each in project.artifact_only}
    assert set(kept) == {
        ("exposure", "board"),
        ("group", "team"),
        ("macro", "m"),
        ("unit_test", "adds"),
        ("metric", "total"),
    }
    assert kept["metric", "total"]["filter"] == "{{ Dimension('x__y') }} = 1"


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("models: [", "this is not YAML", 1),
        ("models: {name: orders}", "`models` must be a list", 1),
        ("models:\n  - description: x\n", "has no `name`", 2),
        ("models:\n  - name: orders\n  - name: orders\n", "described twice", 3),
        ("models:\n  - name: orders\n    data_tests: [[unique]]\n", "a test must be a name", 3),
        ("models:\n  - name: orders\n    config: {schema: \"{{ var('x') }}\"}\n", "`x`", 3),
    ],
)
def test_mistakes_in_property_files_are_noted_at_their_place(
    tmp_path: Path, text: str, said: str, line: int
) -> None:
    project = load(tmp_path, {**ORDERS, "models/_.yml": text})
    (wrong,) = project.mistakes
    assert said in wrong.what
    assert wrong.where is not None
    assert (wrong.where.path, wrong.where.line) == ("models/_.yml", line)
    assert project.models


def test_unknown_keys_and_unmatched_names_are_told_and_no_mistakes(tmp_path: Path) -> None:
    text = "modles: []\nmodels:\n  - name: ordrs\n  - {name: orders, grain: day}\n"
    project = clean(tmp_path, {**ORDERS, "models/_.yml": text})
    assert any("did you mean `models`?" in said for said in project.notices)
    assert any("no model `ordrs`" in said for said in project.notices)


def test_property_files_may_lie_in_any_folder_with_either_ending(tmp_path: Path) -> None:
    files = {
        **ORDERS,
        "profiles.yml": PROFILE,
        "seeds/deep/a.yaml": "models: [{name: orders, description: From afar}]",
    }
    assert model(clean(tmp_path, files), "orders").described.description == "From afar"


def test_of_a_key_that_stands_twice_the_last_value_counts_and_it_is_told(tmp_path: Path) -> None:
    yml = "models:\n  - name: orders\n    description: one\n    description: two\n"
    project = load(tmp_path, {"models/orders.sql": "select 1 as id", "models/s.yml": yml})
    assert project.models[0].described.description == "two"
    told = "the key `description` appears twice (models/s.yml:4): the last one counts"
    assert told in project.notices
    assert not project.mistakes


def test_a_seeds_digest_is_what_dbts_manifest_has(tmp_path: Path) -> None:
    project = load(tmp_path, {"seeds/a.csv": "id\n1\n"})
    assert project.seeds[0].digest == hashlib.sha256(b"id\n1").hexdigest()
