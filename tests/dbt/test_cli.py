"""The command line as CI files call it: commands, options, exit codes, artifacts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import duckdb
import pytest

from tests.projects import query, start, transform, write

FILES = {
    "dbt_project.yml": """
        name: shop
        version: '1.0'
        profile: shop
        clean-targets: [target, logs]
        models: {shop: {+materialized: table}}
    """,
    "profiles.yml": """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: shop.duckdb}
            prod: {type: duckdb, path: shop.duckdb, schema: prod}
    """,
    "seeds/countries.csv": "id,name\n1,NL\n2,DE\n",
    "models/stg.sql": "select * from {{ ref('countries') }} where id <= {{ var('most', 9) }}",
    "models/orders.sql": "select id, name from {{ ref('stg') }}",
    "models/late.sql": "select * from {{ source('raw', 'events') }}",
    "models/all.yml": """
        sources:
          - name: raw
            schema: main
            tables:
              - name: events
                loaded_at_field: loaded
                freshness: {warn_after: {count: 1, period: hour}}
        models:
          - name: orders
            columns:
              - name: id
                data_tests: [{accepted_values: {values: [1, 2], config: {severity: warn}}}]
        exposures:
          - {name: wall, type: dashboard, owner: {name: Ann}, depends_on: [ref('orders')]}
    """,
    "tests/named.sql": "select * from {{ ref('orders') }} where name is null",
    "macros/all.sql": """
        {% macro note(who='nobody', wrong=false) %}
          {% if wrong %}{{ exceptions.raise_compiler_error('it is wrong') }}{% endif %}
          {% do run_query("create or replace table noted as select '" ~ who ~ "' as who") %}
          {{ log('noted ' ~ who, info=true) }}
        {% endmacro %}
    """,
    "selectors.yml": """
        selectors:
          - {name: nightly, definition: {method: fqn, value: orders, parents: true}}
    """,
}


def project(root: Path, files: Mapping[str, str] | None = None) -> Path:
    made = write(root, {**FILES, **(files or {})})
    with duckdb.connect(str(made / "shop.duckdb")) as con:
        con.execute("create or replace table events as select 1 as id, now() as loaded")
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = project(tmp_path_factory.mktemp("built"))
    transform(root, "--no-use-colors", "build", "--threads", "2", "--no-partial-parse")
    return root


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "shop"))


def lines(root: Path, *words: str) -> list[str]:
    return transform(root, *words).stdout.splitlines()


def artifact(root: Path, name: str) -> Any:
    return json.loads((root / "target" / name).read_text())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ls --resource-type model", ["shop.late", "shop.orders", "shop.stg"]),
        ("list --output name -s stg+ --exclude exposure:wall test_type:data", ["orders", "stg"]),
        ("ls --output path -s countries late", ["models/late.sql", "seeds/countries.csv"]),
        ("ls -s source:* exposure:*", ["exposure:shop.wall", "source:shop.raw.events"]),
        ("ls --selector nightly --resource-type model seed --output name",
         ["orders", "stg", "countries"]),
        ("ls --output json --output-keys name config.materialized -s stg",
         ['{"name": "stg", "config.materialized": "table"}']),
    ],
)  # fmt: skip
def test_ls_lists_in_every_form(built: Path, words: str, expected: list[str]) -> None:
    assert lines(built, *words.split()) == expected


def test_what_selects_nothing_is_said_and_is_no_failure(built: Path) -> None:
    done = transform(built, "run", "--select", "nothing")
    assert "The selection criterion 'nothing' does not match any enabled nodes" in done.stderr


def test_compile_show_and_parse(shop: Path) -> None:
    assert transform(shop, "compile", "-s", "orders").stdout.startswith("select id, name from")
    assert (shop / "target/compiled/shop/models/orders.sql").exists()
    inline = transform(shop, "compile", "--inline", "select * from {{ ref('stg') }}").stdout
    assert inline == 'select * from "main"."stg"\n'
    shown = transform(shop, "show", "--select", "orders", "--limit", "1", "--output", "json")
    assert json.loads(shown.stdout) == {"node": "orders", "show": [{"id": 1, "name": "NL"}]}
    assert transform(shop, "show", "--inline", "select 1 as a", "--limit", "-1").stdout == "a\n1\n"
    shutil.rmtree(shop / "target")
    transform(shop, "parse", "--target", "prod")
    assert artifact(shop, "manifest.json")["nodes"]["model.shop.stg"]["schema"] == "prod"


def test_target_path_and_the_environment(shop: Path) -> None:
    transform(shop, "parse", "--target-path", "out")
    assert (shop / "out/manifest.json").exists()
    done = transform(shop, "run", "-s", "nothing", env={"DBT_INDIRECT_SELECTION": "x"}, check=False)
    assert done.returncode == 2
    elsewhere = shop.parent
    env = {"DBT_PROJECT_DIR": str(shop)}
    assert transform(elsewhere, "ls", "-s", "stg", env=env).stdout == "shop.stg\n"


def test_quiet_says_failures_only(shop: Path) -> None:
    assert not transform(shop, "run", "--quiet").stderr
    write(shop, {"models/orders.sql": "select 1/'x'::int as id"})
    failed = transform(shop, "-q", "run", check=False)
    assert failed.returncode == 1
    assert "models/orders.sql" in failed.stderr


def test_a_warning_is_a_failure_where_that_is_asked_for(shop: Path) -> None:
    write(shop, {"seeds/countries.csv": "id,name\n3,FR\n"})
    assert transform(shop, "build").returncode == 0
    done = transform(shop, "--warn-error", "test", "-s", "orders", check=False)
    assert done.returncode == 1
    assert "--warn-error" in done.stderr


def test_run_operation_calls_a_macro_and_publishes_what_it_did(shop: Path) -> None:
    done = transform(shop, "run-operation", "note", "--args", "{who: me}")
    assert "noted me" in done.stdout + done.stderr
    assert query(shop / "shop.duckdb", "select who from noted") == [("me",)]
    failed = transform(shop, "run-operation", "note", "--args", "wrong: true", check=False)
    assert (failed.returncode, "it is wrong" in failed.stderr) == (1, True)
    assert query(shop / "shop.duckdb", "select who from noted") == [("me",)]
    assert transform(shop, "run-operation", "nte", check=False).returncode == 1
    assert transform(shop, "run-operation", "note", "--args", "[1]", check=False).returncode == 2


def test_source_freshness_tells_ages_and_fails_when_one_is_too_old(shop: Path) -> None:
    assert transform(shop, "source", "freshness").returncode == 0
    assert artifact(shop, "sources.json")["results"][0]["status"] == "pass"
    with duckdb.connect(str(shop / "shop.duckdb")) as con:
        con.execute("update events set loaded = now() - interval 2 hour")
    assert transform(shop, "source", "freshness", "-s", "raw").returncode == 0
    assert artifact(shop, "sources.json")["results"][0]["status"] == "warn"
    text = FILES["models/all.yml"].replace("{warn_after", "{error_after")
    write(shop, {"models/all.yml": text})
    assert transform(shop, "source", "freshness", check=False).returncode == 1
    write(
        shop, {"models/all.yml": text.replace("loaded_at_field: loaded", "loaded_at_field: gone")}
    )
    assert transform(shop, "source", "freshness", check=False).returncode == 1
    assert artifact(shop, "sources.json")["results"][0]["status"] == "runtime error"


def test_docs_are_generated_and_served(shop: Path) -> None:
    transform(shop, "docs", "generate")
    node = artifact(shop, "catalog.json")["nodes"]["model.shop.orders"]
    assert [(c["name"], c["index"]) for c in node["columns"].values()] == [("id", 1), ("name", 2)]
    assert node["metadata"]["database"] == "shop"
    serving = start(shop, "docs", "serve", "--port", "0")
    try:
        assert serving.stderr is not None
        assert "no `index.html`" in serving.stderr.readline()
        address = serving.stderr.readline().split()[1]
        with urlopen(f"{address}/catalog.json") as answer:
            assert "model.shop.orders" in json.load(answer)["nodes"]
    finally:
        serving.terminate()
        serving.wait()
        for stream in (serving.stdout, serving.stderr):
            if stream:
                stream.close()


def test_clean_removes_the_targets_and_spares_the_warehouse(shop: Path) -> None:
    (shop / "logs").mkdir()
    transform(shop, "clean")
    assert not (shop / "target").exists()
    assert not (shop / "logs").exists()
    assert (shop / "shop.duckdb").exists()
    bad = FILES["dbt_project.yml"].replace("[target, logs]", "['../x']")
    write(shop, {"dbt_project.yml": bad})
    assert transform(shop, "clean", check=False).returncode == 2
    write(shop, {"dbt_project.yml": bad.replace("'../x'", "models")})
    assert transform(shop, "clean", check=False).returncode == 2
    assert (shop / "models").exists()


def test_debug_says_when_there_is_no_such_profile(shop: Path) -> None:
    assert "shop.duckdb" in transform(shop, "debug", "--profiles-dir", ".").stdout
    assert transform(shop, "debug", "--profile", "none", check=False).returncode == 1


def test_deps_without_packages(shop: Path) -> None:
    assert "no packages" in transform(shop, "deps").stderr


def test_state_tells_what_was_changed(shop: Path) -> None:
    shutil.copytree(shop / "target", shop / "before")
    words = ("ls", "--output", "name", "--state", "before", "--resource-type", "model", "seed")
    assert not lines(shop, *words, "-s", "state:modified")
    write(shop, {"models/orders.sql": "select 1 as id, 'x' as name"})
    write(shop, {"models/extra.sql": "select 1 as id"})
    assert lines(shop, *words, "-s", "state:modified") == ["extra", "orders"]
    assert lines(shop, *words, "-s", "state:new") == ["extra"]
    assert lines(shop, *words, "-s", "state:modified,state:old") == ["orders"]
    write(shop, {"macros/all.sql": "{% macro note() %}{% endmacro %}"})
    assert lines(shop, *words, "-s", "state:unmodified") == ["late", "stg", "countries"]
    assert transform(shop, "ls", "-s", "state:new", "--state", "no", check=False).returncode == 2


def test_a_build_takes_what_the_selection_means(shop: Path) -> None:
    def ran(*words: str) -> set[str]:
        transform(shop, *words)
        found = artifact(shop, "run_results.json")["results"]
        return {each["unique_id"].split(".")[2] for each in found}

    assert ran("run", "--selector", "nightly") == {"orders", "stg"}
    assert ran("run", "--resource-type", "model", "-s", "stg") == {"stg"}
    assert ran("run", "-s", "path:models", "--exclude", "late") == {"orders", "stg"}


def test_retry_does_again_what_failed_with_the_same_command(shop: Path) -> None:
    assert "no failures" in transform(shop, "retry").stderr
    write(shop, {"models/stg.sql": "select 'x'::int as id, {{ var('n') }} as name"})
    assert transform(shop, "run", "--vars", "{n: 1}", check=False).returncode == 1
    write(shop, {"models/stg.sql": "select 1 as id, {{ var('n') }} as name"})
    transform(shop, "retry")
    results = artifact(shop, "run_results.json")
    assert {each["unique_id"] for each in results["results"]} == {
        "model.shop.orders",
        "model.shop.stg",
    }
    assert results["args"]["which"] == "run"
    assert query(shop / "shop.duckdb", "select name from orders") == [(1,)]
    (shop / "target/run_results.json").unlink()
    assert transform(shop, "retry", check=False).returncode == 2


def test_clone_copies_what_another_target_has(shop: Path) -> None:
    shutil.copytree(shop / "target", shop / "before")
    done = transform(shop, "clone", "--target", "prod", "--state", "before", "-s", "orders")
    assert "cloned orders" in done.stderr
    assert query(shop / "shop.duckdb", "select count(*) from prod.orders") == [(2,)]
    again = transform(shop, "clone", "--target", "prod", "--state", "before", "-s", "orders")
    assert "nothing to clone" in again.stderr
    path = shop / "before/manifest.json"
    path.write_text(path.read_text().replace('"database": "shop"', '"database": "far"'))
    away = transform(
        shop, "clone", "-t", "prod", "--state", "before", "-s", "stg", "--full-refresh", check=False
    )
    assert (away.returncode, "cannot be reached" in away.stderr) == (2, True)
    assert transform(shop, "clone", check=False).returncode == 2


def test_artifacts_keep_to_the_published_schemas(shop: Path) -> None:
    parser = pytest.importorskip("dbt_artifacts_parser.parser")
    transform(shop, "docs", "generate")
    transform(shop, "source", "freshness")
    transform(shop, "build")
    parser.parse_manifest_v12(artifact(shop, "manifest.json"))
    parser.parse_run_results_v6(artifact(shop, "run_results.json"))
    parser.parse_catalog_v1(artifact(shop, "catalog.json"))
    parser.parse_sources_v3(artifact(shop, "sources.json"))


def test_deferred_references_lead_to_where_another_run_built_them(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "dbt_project.yml": "name: far\nversion: '1'\nprofile: far\n",
            "profiles.yml": f"""
                far:
                  target: dev
                  outputs:
                    prod: {{type: duckdb, path: prod.duckdb, schema: live}}
                    dev:
                      type: duckdb
                      path: dev.duckdb
                      attach: [{{path: '{tmp_path}/prod.duckdb', read_only: true}}]
            """,
            "models/base.sql": "{{ config(materialized='table') }} select 7 as x",
            "models/top.sql": """
                {{ config(materialized='table') }} select x + 1 as x from {{ ref('base') }}
            """,
        },
    )
    transform(root, "build", "--target", "prod")
    state = root / "before"
    (root / "target").rename(state)
    failed = transform(root, "build", "--select", "top", check=False)
    assert failed.returncode == 1
    transform(root, "build", "--select", "top", "--defer", "--state", "before")
    assert query(root / "dev.duckdb", "from top") == [(8,)]


def test_compile_and_run_leave_the_sql_by_files(shop: Path) -> None:
    write(
        shop,
        {
            "models/asks.sql": """
                {{ config(materialized='view') }}
                {% set n = run_query('select 7').columns[0][0] %} select {{ n }} as n
            """,
            "models/s.yml": "models: [{name: asks, columns: [{name: n, data_tests: [unique]}]}]",
        },
    )
    shutil.rmtree(shop / "target")
    transform(shop, "compile")
    compiled = shop / "target/compiled/shop/models"
    assert (compiled / "asks.sql").read_text().strip() == "select 7 as n"
    assert not (shop / "target/run").exists()
    shutil.rmtree(shop / "target")
    transform(shop, "build")
    assert (compiled / "asks.sql").read_text().strip() == "select 7 as n"
    ran = shop / "target/run/shop/models"
    assert (ran / "asks.sql").read_text().startswith('create or replace view "main"."asks" as')
    assert "select" in (compiled / "s.yml/unique_asks_n.sql").read_text()
    assert "count" in (ran / "s.yml/unique_asks_n.sql").read_text()
    entries = artifact(shop, "run_results.json")["results"]
    code = {each["unique_id"]: each["compiled_code"] for each in entries}
    assert code["model.shop.asks"].strip() == "select 7 as n"


def test_compile_changes_nothing_and_says_what_would(shop: Path) -> None:
    asks = "{% do run_query('drop table countries') %} select 1 as n"
    write(shop, {"models/drops.sql": asks})
    said = transform(shop, "compile").stderr
    assert "`drops` changes the warehouse while it renders: view it after a run" in said
    assert query(shop / "shop.duckdb", "select count(*) from countries") == [(2,)]


def test_show_takes_ephemeral_models_headers_and_what_asks_the_warehouse(shop: Path) -> None:
    write(
        shop,
        {
            "models/thin.sql": "{{ config(materialized='ephemeral') }} select id + 1 as b from "
            "{{ ref('stg') }}",
            "models/headed.sql": "{% call set_sql_header(config) %}with v as (select 1 as x)"
            "{% endcall %} select x from v",
            "models/macroed.sql": "{{ config(materialized='table', sql_header="
            "'create or replace temp macro plus(a) as a + 1;') }} select plus(1) as two",
        },
    )
    inline = "{{ config(materialized='ephemeral') }} select max(b) as b from {{ ref('thin') }}"
    assert transform(shop, "show", "--inline", inline).stdout == "b\n3\n"
    asks = "select {{ run_query('select 5').columns[0][0] }} as five"
    assert transform(shop, "show", "--inline", asks).stdout == "five\n5\n"
    assert transform(shop, "compile", "--inline", asks).stdout == "select 5 as five\n"
    assert transform(shop, "show", "--select", "headed").stdout == "x\n1\n"
    assert transform(shop, "show", "--inline", "select 1 as a limit 1").stdout == "a\n1\n"
    transform(shop, "run", "-s", "macroed")
    assert query(shop / "shop.duckdb", "select two from macroed") == [(2,)]


def test_docs_generate_copies_assets_and_keeps_what_the_environment_says(shop: Path) -> None:
    write(shop, {"pictures/p.txt": "p"})
    settings = (shop / "dbt_project.yml").read_text()
    (shop / "dbt_project.yml").write_text(f"{settings}\nasset-paths: [pictures, none]\n")
    shutil.rmtree(shop / "target")
    transform(shop, "docs", "generate", "--no-compile", env={"DBT_ENV_CUSTOM_ENV_team": "data"})
    assert not (shop / "target/manifest.json").exists()
    assert artifact(shop, "catalog.json")["metadata"]["env"] == {"team": "data"}
    assert (shop / "target/pictures/p.txt").read_text() == "p"
    transform(shop, "docs", "generate")
    assert (shop / "target/manifest.json").exists()


def test_seed_shows_rows_when_it_is_asked_to(shop: Path) -> None:
    write(shop, {"seeds/few.csv": "a,b\n1,x\n"})
    done = transform(shop, "seed", "-s", "few", "--show")
    assert done.stdout == "a  b\n1  x\n"


def test_comparing_with_the_folder_that_is_written_to_is_told_of(shop: Path) -> None:
    words = "The state and target directories are the same: 'target'"
    assert words in transform(shop, "ls", "-s", "state:modified", "--state", "target").stderr
    assert transform(shop, "clone", "--state", "target", check=False).returncode == 2


def test_unit_tests_are_found_by_name(shop: Path) -> None:
    text = """
        unit_tests:
          - name: counts_two
            model: orders
            given: [{input: ref('stg'), rows: [{id: 1}, {id: 2}]}]
            expect: {rows: [{n: 2}]}
    """
    write(shop, {"models/units.yml": text})
    found = transform(shop, "ls", "-s", "test_name:counts_*").stdout
    assert found == "unit_test:shop.counts_two\n"


def test_a_query_may_say_when_a_source_was_loaded(shop: Path) -> None:
    text = (shop / "models/all.yml").read_text()
    asks = "loaded_at_query: select max(loaded) - interval 2 hour from {{ this }}"
    (shop / "models/all.yml").write_text(text.replace("loaded_at_field: loaded", asks))
    transform(shop, "source", "freshness")
    (found,) = artifact(shop, "sources.json")["results"]
    assert (found["status"], 7200 <= found["max_loaded_at_time_ago_in_s"] < 9000) == ("warn", True)


def test_what_templates_tell_the_user_is_shown(shop: Path) -> None:
    text = """
        {{ config(materialized='view') }}
        {{ log('seen once', info=true) }}{{ log('not shown') }}{% do print('printed') %}
        {% if not execute %}{{ log('while it is read', info=true) }}{% endif %}
        {% do exceptions.warn('take care') %}
        select 1 as a
    """
    write(shop, {"models/talks.sql": text})
    said = transform(shop, "run", "-s", "talks").stderr.splitlines()
    assert [
        line for line in said if line in ("seen once", "not shown", "printed", "take care")
    ] == [
        "seen once",
        "printed",
        "take care",
    ]


def test_analyses_are_compiled_listed_and_never_run(shop: Path) -> None:
    write(
        shop,
        {
            "analyses/deep/how_many.sql": "select count(*) as n from {{ ref('orders') }}",
            "analyses/asks.sql": "select {{ run_query('select 4').columns[0][0] }} as four",
            "analyses/all.yml": "analyses: [{name: how_many, description: counts}]",
        },
    )
    shutil.rmtree(shop / "target")
    transform(shop, "compile")
    compiled = shop / "target/compiled/shop/analyses"
    assert '"orders"' in (compiled / "deep/how_many.sql").read_text()
    assert (compiled / "asks.sql").read_text().strip() == "select 4 as four"
    assert lines(shop, "ls", "--resource-type", "analysis") == [
        "shop.analysis.asks",
        "shop.analysis.deep.how_many",
    ]
    node = artifact(shop, "manifest.json")["nodes"]["analysis.shop.how_many"]
    assert node["depends_on"]["nodes"] == ["model.shop.orders"]
    assert (node["resource_type"], node["description"]) == ("analysis", "counts")
    transform(shop, "build")
    ran = {each["unique_id"] for each in artifact(shop, "run_results.json")["results"]}
    assert not [i for i in ran if i.startswith("analysis.")]
    assert transform(shop, "show", "-s", "how_many").stdout == "n\n2\n"
    parser = pytest.importorskip("dbt_artifacts_parser.parser")
    parser.parse_manifest_v12(artifact(shop, "manifest.json"))
