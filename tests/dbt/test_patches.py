"""What a property file says of a node that lies in another package, compared with dbt's rules."""

from __future__ import annotations

from pathlib import Path

from tests.dbt.test_build import project, rows, run

PACKAGE = {
    "dbt_packages/lib/dbt_project.yml": """
        name: lib
        version: "1.0"
        models: {lib: {+materialized: view}}
    """,
    "packages.yml": "packages: [{local: dbt_packages/lib}]",
    "dbt_packages/lib/seeds/codes.csv": """
        code,label
        1,x
    """,
    "dbt_packages/lib/models/listed.sql": "select code, label from {{ ref('codes') }}",
}
OF_LIB = """
    seeds:
      - name: codes
        config: {column_types: {code: smallint}}
        columns: [{name: code, data_tests: [unique]}]
    models:
      - name: listed
        description: from afar
        config: {materialized: table, alias: enlisted}
"""
OF_SHOP = """
    seeds:
      - name: raw_orders
        config: {column_types: {amount: double}}
    models:
      - name: stg_orders
        config: {materialized: table}
        columns: [{name: id, data_tests: [not_null]}]
"""


def kinds(root: Path) -> dict[str, str]:
    sql = "select table_name, table_type from information_schema.tables where table_schema = 'main'"
    return dict(rows(root, sql))


def test_the_project_configures_the_nodes_of_a_package(tmp_path: Path) -> None:
    root = project(tmp_path, **PACKAGE, **{"models/lib.yml": OF_LIB})
    report = run(root, "build")
    assert rows(root, "select typeof(code), code from enlisted") == [("SMALLINT", 1)]
    assert kinds(root)["enlisted"] == "BASE TABLE"
    assert "unique codes.code" in {each.label for each in report.results.every()}


def test_a_package_configures_the_nodes_of_the_project(tmp_path: Path) -> None:
    root = project(tmp_path, **PACKAGE, **{"dbt_packages/lib/models/shop.yml": OF_SHOP})
    run(root, "build")
    assert rows(root, "select distinct typeof(amount) from raw_orders") == [("DOUBLE",)]
    assert kinds(root)["stg_orders"] == "BASE TABLE"


def test_the_package_itself_is_asked_first(tmp_path: Path) -> None:
    own = "seeds: [{name: codes, config: {column_types: {code: integer}}}]"
    more = {"dbt_packages/lib/seeds/codes.yml": own, "seeds/codes.yml": own}
    afar = {"seeds/codes.yml": "seeds: [{name: codes, columns: [{name: code}]}]"}
    root = project(tmp_path, **{**PACKAGE, **more, **afar})
    run(root, "build", "codes")
    assert rows(root, "select typeof(code) from codes") == [("INTEGER",)]


def test_a_tree_of_the_project_that_says_it_gives_way(tmp_path: Path) -> None:
    root = project(tmp_path, **PACKAGE, **{"models/lib.yml": OF_LIB})
    file = root / "dbt_project.yml"
    tree = "seeds: {lib: {codes: {+column_types: {code: bigint, label: text}}}}"
    file.write_text(f"{file.read_text()}\n{tree}\n")
    run(root, "build", "codes")
    assert rows(root, "select typeof(code) from codes") == [("SMALLINT",)]


def test_a_tree_of_the_project_beats_what_a_package_says(tmp_path: Path) -> None:
    root = project(tmp_path, **PACKAGE, **{"dbt_packages/lib/models/shop.yml": OF_SHOP})
    file = root / "dbt_project.yml"
    tree = "seeds: {shop: {raw_orders: {+column_types: {amount: bigint}}}}"
    file.write_text(f"{file.read_text()}\n{tree}\n")
    run(root, "build", "raw_orders")
    assert rows(root, "select distinct typeof(amount) from raw_orders") == [("BIGINT",)]


def test_a_node_that_is_off_in_the_package_leaves_its_name_to_the_project(tmp_path: Path) -> None:
    own = "seeds: [{name: codes, config: {column_types: {code: hugeint}}}]"
    more = {"dbt_packages/lib/seeds/codes.yml": own, "seeds/codes.csv": "code\n5\n"}
    root = project(tmp_path, **{**PACKAGE, **more})
    file = root / "dbt_project.yml"
    file.write_text(f"{file.read_text()}\nseeds: {{lib: {{codes: {{+enabled: false}}}}}}\n")
    run(root, "build", "codes")
    assert rows(root, "select typeof(code) from codes") == [("HUGEINT",)]


def test_a_seed_is_switched_off_from_another_package(tmp_path: Path) -> None:
    off = "seeds: [{name: codes, config: {enabled: false}}]"
    more = {"seeds/codes.yml": off, "dbt_packages/lib/models/listed.sql": "select 1 as a"}
    root = project(tmp_path, **{**PACKAGE, **more})
    run(root, "build")
    assert "codes" not in kinds(root)


def test_an_entry_of_another_kind_gives_its_tests_only(tmp_path: Path) -> None:
    yml = """
        models:
          - name: raw_orders
            config: {alias: elsewhere, column_types: {amount: double}}
            columns: [{name: id, data_tests: [unique]}]
    """
    root = project(tmp_path, **{"models/raw.yml": yml})
    report = run(root, "build")
    assert rows(root, "select distinct typeof(amount) from raw_orders") == [("INTEGER",)]
    assert "unique raw_orders.id" in {each.label for each in report.results.every()}
