"""Where dbt and the tool must count alike: columns of contracts, failures, lists of values."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run
from tests.projects import transform
from transformer.errors import Mistakes
from transformer.project.dbt.configs import IDLE, KNOWN

CONTRACT = """
    models:
      - name: kept
        config: {contract: {enforced: true}}
        columns:
          - {name: id, data_type: integer}
          - {name: Label, data_type: varchar}
"""


@pytest.mark.parametrize("kind", ["table", "incremental"])
def test_an_enforced_contract_orders_the_columns(kind: str, tmp_path: Path) -> None:
    files = {
        "models/kept.yml": CONTRACT,
        "models/kept.sql": f"{{{{ config(materialized='{kind}') }}}} select 'x' as label, 1 as id",
        "models/pair.sql": "select * from {{ ref('kept') }} union all select 2, 'y'",
    }
    root = project(tmp_path, **files)
    run(root, "build", "+pair")
    assert rows(root, "select id, label from pair order by id") == [(1, "x"), (2, "y")]
    turned = CONTRACT.replace(
        "{name: id, data_type: integer}", "{name: Label, data_type: varchar}", 1
    )
    head, _, _ = turned.rpartition("- {name: Label")
    (root / "models/kept.yml").write_text(
        "\n".join(line[4:] for line in f"{head}- {{name: id, data_type: integer}}".splitlines())
    )
    (root / "models/pair.sql").write_text("select * from {{ ref('kept') }} union all select 'y', 2")
    run(root, "build", "+pair", full_refresh=True)
    assert rows(root, "select id, label from pair order by id") == [(1, "x"), (2, "y")]


def test_the_order_of_a_view_stays_that_of_its_query(tmp_path: Path) -> None:
    files = {"models/kept.yml": CONTRACT, "models/kept.sql": "select 'x' as label, 1 as id"}
    root = project(tmp_path, **files)
    run(root, "build", "kept")
    assert rows(root, "select * from kept") == [("x", 1)]


COUNTED = """
    models:
      - name: kept
        columns:
          - name: k
            data_tests:
              - unique: {config: {fail_calc: sum(n_records), severity: warn}}
              - not_null: {config: {fail_calc: 40 + count(*), severity: warn}}
              - accepted_values:
                  arguments: {values: [1, 2], quote: false}
                  config: {fail_calc: max(n_records), severity: warn}
              - relationships:
                  arguments: {to: ref('known'), field: k}
                  config: {fail_calc: count(distinct from_field), severity: warn}
"""


def test_what_a_test_counts_is_its_fail_calc(tmp_path: Path) -> None:
    values = ", ".join(f"({v})" for v in ("1", "1", "2", "7", "7", "7", "8", "null"))
    files = {
        "models/kept.yml": COUNTED,
        "models/kept.sql": f"select * from (values {values}) v(k)",
        "models/known.sql": "select 1 as k union all select 2",
    }
    root = project(tmp_path, **files)
    report = run(root, "build", "kept", "known")
    found = {o.label.split(" ")[0]: o.facts.get("failures") for o in report.results.every()}
    counts = {kind: found[kind] for kind in ("unique", "not_null", "accepted_values")}
    assert counts == {"unique": 5, "not_null": 41, "accepted_values": 3}
    assert found["relationships"] == 2


@pytest.mark.parametrize(
    "values", ["\"{{ var('kinds') }}\"", "\"{{ ['a', 'b'] }}\"", "[\"{{ var('one') }}\", b]"]
)
def test_values_of_a_variable_are_a_list(values: str, tmp_path: Path) -> None:
    yml = f"""
        models:
          - name: kept
            columns:
              - name: k
                data_tests: [{{accepted_values: {{arguments: {{values: {values}}}}}}}]
    """
    root = project(tmp_path, **{"models/kept.yml": yml, "models/kept.sql": "select 'a' as k"})
    run(root, "build", "kept", vars={"kinds": ["a", "b"], "one": "a"})
    (root / "models/kept.sql").write_text("select '[' as k")
    run(root, "build", "kept", vars={"kinds": ["a", "b"], "one": "a"}, ok=False)


# What dbt-core 1.12 and dbt-duckdb 1.11 read of a model's, seed's or snapshot's configuration:
# the fields of dbt's own classes, and what the adapter's macros and Python ask for.
OF_DBT = """
access alias as_of_datetime as_of_version batch_size begin check_cols column_types
concurrent_batches contract csv_read_options database dbt_valid_to_current delimiter docs enabled
error_if event_time fail_calc fast format freshness full_refresh glue_database glue_register grants
group hard_deletes iceberg_table incremental_predicates incremental_strategy
invalidate_hard_deletes json_read_options latest_version_pointer limit loaded_at_field
loaded_at_query location lookback materialized merge_clauses merge_exclude_columns
merge_insert_condition merge_on_using_columns merge_returning_columns merge_update_columns
merge_update_condition merge_update_set_expressions meta on_configuration_change on_error
on_schema_change options overrides packages parquet_read_options parameters partition_by
partition_columns partitioned_by persist_docs plugin post_hook pre_hook predicates quote_columns
quoting save_mode schema severity snapshot_meta_column_names sorted_by sql_header static_analysis
store_failures store_failures_as strategy submission_method tags target_database target_schema
unique_key updated_at warn_if where
"""


def test_every_option_that_dbt_knows_is_known() -> None:
    assert set(OF_DBT.split()) - KNOWN <= {"overrides", "parameters"}


@pytest.mark.parametrize("key", sorted(IDLE))
def test_an_option_without_effect_is_named(key: str, tmp_path: Path) -> None:
    text = f"{{{{ config({key}='x') }}}} select 1 as a"
    root = project(tmp_path, **{"models/kept.sql": text})
    said = transform(root, "build", "--select", "kept").stderr
    assert f"`{key}` in `models/kept.sql` has no effect here" in said


def test_a_variable_is_rendered_where_it_is_used(tmp_path: Path) -> None:
    text = """
        select {{ var('two') }} as a, count(*) as n, '{{ var('braces', '{{ x }}') }}' as b
        from {{ var('of') }}
    """
    root = project(tmp_path, **{"models/kept.sql": text})
    given = {"two": "{{ var('one') + 1 }}", "one": 1, "of": "{{ ref('raw_orders') }}"}
    run(root, "build", "+kept", vars=given)
    assert rows(root, "from kept") == [(2, 3, "{{ x }}")]


def test_a_variable_that_holds_itself_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path, **{"models/kept.sql": "select {{ var('me') }} as a"})
    with pytest.raises(Mistakes):
        run(root, "build", "kept", vars={"me": "{{ var('me') }}"})


def test_a_text_is_rendered_in_place(tmp_path: Path) -> None:
    text = """
        {% set of = render("{{ ref('raw_orders') }}") %}
        select count(*) + {{ context['render']("{{ 2 * 3 }}") }} as a from {{ of }}
    """
    root = project(tmp_path, **{"models/kept.sql": text})
    run(root, "build", "+kept")
    assert rows(root, "from kept") == [(9,)]


@pytest.mark.parametrize("name", ["where", "tests", "description"])
def test_types_of_columns_are_rendered_whatever_the_columns_name(name: str, tmp_path: Path) -> None:
    yml = f"""
        seeds:
          - name: listed
            config:
              column_types: {{a: "{{{{ 'small' ~ 'int' }}}}", {name}: "{{{{ var('kind') }}}}"}}
    """
    files = {"seeds/listed.csv": f"a,{name}\n1,2\n", "seeds/listed.yml": yml}
    root = project(tmp_path, **files)
    run(root, "build", "listed", vars={"kind": "double"})
    found = rows(root, f'select typeof(a), typeof("{name}") from listed')
    assert found == [("SMALLINT", "DOUBLE")]
