"""`dbt_project.yml`, `profiles.yml` and variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.project_dbt.lab import PROFILE, PROJECT, clean, load, model
from tests.projects import write
from transformer.errors import Mistakes, UsageError
from transformer.project.form import is_dbt_project

MODEL = {"models/staging/orders.sql": "select 1 as id"}


@pytest.mark.parametrize(
    ("files", "is_one"),
    [
        ({"dbt_project.yml": PROJECT}, True),
        ({"dbt_project.yml": PROJECT, "transform.yml": "name: x"}, False),
        ({"models/x.sql": "select 1"}, False),
    ],
)
def test_a_dbt_project_is_told_by_its_file(
    tmp_path: Path, files: dict[str, str], is_one: bool
) -> None:
    assert is_dbt_project(write(tmp_path, files)) is is_one


def test_a_project_has_the_name_version_and_paths_of_its_file(tmp_path: Path) -> None:
    project = clean(
        tmp_path,
        {
            "dbt_project.yml": PROJECT
            + "source-paths: [sql]\ndata-paths: [csv]\ntarget-path: out\n",
            "sql/a/b/orders.sql": "select 1",
            "csv/people.csv": "id\n1\n",
            "macros/m.sql": "{% macro m() %}{% endmacro %}",
            "tests/none_negative.sql": "select 1 where false",
            "tests/generic/positive.sql": "{% test positive(model) %}select 1{% endtest %}",
            "analyses/look.sql": "select 2",
        },
    )
    assert (project.name, project.open, project.target_path) == ("shop", True, "out")
    assert [(m.name, m.path, m.fqn) for m in project.models] == [
        ("orders", "sql/a/b/orders.sql", ("a", "b", "orders"))
    ]
    assert [(s.name, s.path, bool(s.digest)) for s in project.seeds] == [
        ("people", "csv/people.csv", True)
    ]
    own = [file.path for file in project.macros if file.package != "dbt"]
    assert own == ["macros/m.sql", "tests/generic/positive.sql"]
    assert [check.name for check in project.sql_checks] == ["none_negative"]
    assert [each.name for each in project.analyses] == ["look"]


def test_the_target_is_that_of_the_profile(tmp_path: Path) -> None:
    target = clean(tmp_path, MODEL).target
    assert (target.name, target.type, target.path, target.schema) == (
        "dev",
        "duckdb",
        "shop.duckdb",
        "main",
    )
    assert (target.catalog, target.threads, target.profile) == ("shop", 1, "shop")
    assert (target.publish.mode, target.publish.keep_failed) == ("always", True)
    assert target.words["database"] == "shop"


@pytest.mark.parametrize(
    ("request_", "name", "threads"),
    [
        ({"target": "prod"}, "prod", 8),
        ({"target": "prod", "threads": 2}, "prod", 2),
        ({"env": {"DBT_TARGET": "prod"}}, "prod", 8),
        ({"profile": "other"}, "default", 1),
        ({"env": {"DBT_PROFILE": "other"}}, "default", 1),
    ],
)
def test_the_command_line_and_the_environment_choose_the_target(
    tmp_path: Path, request_: dict[str, Any], name: str, threads: int
) -> None:
    more = "\n    other:\n      outputs:\n        default: {type: duckdb, path: o.duckdb}\n"
    project = clean(tmp_path, {**MODEL, "profiles.yml": PROFILE.rstrip() + more}, **request_)
    assert (project.target.name, project.target.threads) == (name, threads)


def test_profiles_are_looked_for_in_the_named_folder_the_project_and_the_home(
    tmp_path: Path,
) -> None:
    def profile(path: str) -> str:
        return f"shop: {{target: dev, outputs: {{dev: {{type: duckdb, path: {path}}}}}}}"

    home, named = tmp_path / "home", tmp_path / "named"
    write(tmp_path, {"home/.dbt/profiles.yml": profile("home.db")})
    write(tmp_path, {"named/profiles.yml": profile("named.db")})
    files = {**MODEL, "profiles.yml": profile("own.db")}
    env = {"HOME": str(home)}
    root = tmp_path / "project"
    assert clean(root, files, env=env).target.path == "own.db"
    by_env = {**env, "DBT_PROFILES_DIR": str(named)}
    assert clean(root, files, env=by_env).target.path == "named.db"
    assert clean(root, files, env=by_env, profiles_dir=root).target.path == "own.db"
    (root / "profiles.yml").unlink()
    write(root, {"dbt_project.yml": PROJECT})
    with pytest.raises(UsageError, match=r"no `profiles\.yml`"):
        load(root, {"profiles.yml": ""}, profiles_dir=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"target": "prd"}, "has no target `prd`"),
        ({"profile": "shopp"}, "no profile `shopp`"),
        ({"target": "cloud"}, "adapter `snowflake`; only DuckDB is supported"),
    ],
)
def test_a_profile_target_or_adapter_that_is_not_there_is_a_wrong_question(
    tmp_path: Path, request_: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as wrong:
        load(tmp_path, MODEL, **request_)
    assert wrong.value.hint
    assert "hunter2" not in f"{wrong.value} {wrong.value.where!r}"


def test_everything_of_a_duckdb_profile_is_read_and_no_secret_is_shown(tmp_path: Path) -> None:
    profile = """
        shop:
          outputs:
            default:
              type: duckdb
              path: "{{ env_var('WAREHOUSE', 'data') }}/live.duckdb"
              extensions: [httpfs, {name: h3, repo: community}]
              settings: {s3_secret_access_key: hunter2hunter2, memory_limit: 1GB}
              attach: [{path: "postgres://u:hunter2hunter2@host/db", alias: pg, type: postgres}]
              secrets: [{type: s3, key_id: k, secret: hunter2hunter2}]
              user: ana
              password: hunter2hunter2
              plugins: [{module: excel}]
        """
    project = clean(tmp_path, {**MODEL, "profiles.yml": profile})
    target = project.target
    assert (target.path, target.catalog) == ("data/live.duckdb", "live")
    assert target.extensions == ("httpfs", "h3 from community")
    assert target.settings["memory_limit"] == "1GB"
    assert target.attach[0]["alias"] == "pg"
    assert target.secrets[0]["secret"] == "hunter2hunter2"
    assert target.words["user"] == "ana"
    assert "hunter2" not in repr(target)
    assert "hunter2" not in repr(dict(target.words))
    assert any("`plugins`" in said for said in project.notices)


def test_a_warehouse_in_memory_becomes_a_file(tmp_path: Path) -> None:
    profile = "shop: {outputs: {default: {type: duckdb}}}"
    project = clean(tmp_path, {**MODEL, "profiles.yml": profile})
    assert (project.target.path, project.target.catalog) == ("target/memory.duckdb", "memory")
    assert any("in memory" in said for said in project.notices)


@pytest.mark.parametrize("name", ["plain.duckdb", "memory.db", "a.b.duckdb", ".hidden.duckdb"])
def test_a_warehouse_is_called_as_duckdb_calls_a_file(tmp_path: Path, name: str) -> None:
    with duckdb.connect(str(tmp_path / name)) as con:
        (catalog,) = con.execute("select current_database()").fetchone() or ("",)
    profile = f"shop: {{outputs: {{default: {{type: duckdb, path: {name}}}}}}}"
    project = clean(tmp_path / "project", {**MODEL, "profiles.yml": profile})
    assert project.target.catalog == catalog


@pytest.mark.parametrize("name", ["path: temp.duckdb", "path: x.duckdb, database: system"])
def test_names_that_duckdb_keeps_are_refused(tmp_path: Path, name: str) -> None:
    profile = f"shop: {{outputs: {{default: {{type: duckdb, {name}}}}}}}"
    with pytest.raises(UsageError, match="DuckDB reserves this name"):
        load(tmp_path, {**MODEL, "profiles.yml": profile})


def test_a_project_file_that_is_no_yaml_is_one_mistake(tmp_path: Path) -> None:
    with pytest.raises(Mistakes) as wrong:
        load(tmp_path, {"dbt_project.yml": "name: [shop\n"})
    assert wrong.value.errors[0].where is not None


def test_variables_of_the_command_line_beat_those_of_the_project(tmp_path: Path) -> None:
    settings = PROJECT + "vars:\n  day: monday\n  city: Rome\n  shop: {city: Oslo}\n"
    files = {**MODEL, "dbt_project.yml": settings, "vars.yml": "vars: {sea: calm}\n"}
    project = clean(tmp_path, files, vars={"day": "friday"})
    known = project.vars
    assert (known["day"], known["city"], known["sea"]) == ("friday", "Oslo", "calm")


TREE = """
    name: shop
    profile: shop
    models:
      +tags: all
      +meta: {a: 1}
      +post-hook: "select '{{ this }}'"
      shop:
        materialized: view
        staging:
          +materialized: table
          +tags: [stage]
          +meta: {b: 2}
          post-hook: ["select 2", {sql: select 3, transaction: false}]
          +schema: null
          orders:
            +full_refresh: "{{ var('again', false) }}"
            +enabled: "{{ target.name != 'prod' }}"
      elsewhere:
        +materialized: incremental
    """


def test_configuration_by_folder_is_laid_over_that_of_the_folders_above(tmp_path: Path) -> None:
    files = {**MODEL, "models/top.sql": "select 1", "dbt_project.yml": TREE}
    project = clean(tmp_path, files, vars={"again": True})
    assert model(project, "top").config["materialized"] == "view"
    config = model(project, "orders").config
    assert config["materialized"] == "table"
    assert config["tags"] == ("all", "stage")
    assert config["meta"] == {"a": 1, "b": 2}
    assert config["schema"] is None
    assert config["full_refresh"] is True
    assert config["post_hook"] == (
        "select '{{ this }}'",
        "select 2",
        {"sql": "select 3", "transaction": False},
    )


def test_a_model_switched_off_for_a_target_is_left_out(tmp_path: Path) -> None:
    project = clean(tmp_path, {**MODEL, "dbt_project.yml": TREE}, target="prod")
    assert not project.models
    assert project.disabled == ("orders",)


def test_a_model_whose_file_may_switch_it_on_is_kept(tmp_path: Path) -> None:
    settings = PROJECT + "models: {shop: {+enabled: false}}\n"
    files = {"models/a.sql": "{{ config(enabled=true) }} select 1", "models/b.sql": "select 1"}
    project = clean(tmp_path, {"dbt_project.yml": settings, **files})
    assert [m.name for m in project.models] == ["a"]


def test_hooks_and_dispatch_of_the_project_are_read_and_not_filled_in(tmp_path: Path) -> None:
    settings = PROJECT + (
        'on-run-start: "create schema if not exists {{ target.schema }}"\n'
        "on-run-end: ['select 1', 'select 2']\n"
        "dispatch:\n  - {macro_namespace: dbt_utils, search_order: [shop, dbt_utils]}\n"
    )
    project = clean(tmp_path, {**MODEL, "dbt_project.yml": settings})
    assert [hook.text for hook in project.on_run_start] == [
        "create schema if not exists {{ target.schema }}"
    ]
    assert [hook.where.line for hook in project.on_run_end] == [5, 5]
    assert project.dispatch == {"dbt_utils": ("shop", "dbt_utils")}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ('">=1.0.0"', False),
        ('[">=1.6.0", "<2.0.0"]', False),
        ('">=1.3.0,<1.8.0"', True),
        ('"<1.11.5"', False),
        ('">=2.0.0"', True),
    ],
)
def test_a_project_for_another_dbt_is_read_and_told(
    tmp_path: Path, wanted: str, told: bool
) -> None:
    settings = PROJECT + f"require-dbt-version: {wanted}\n"
    project = clean(tmp_path, {**MODEL, "dbt_project.yml": settings})
    assert bool(project.notices) is told


def test_a_misspelt_configuration_is_told_once_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    settings = PROJECT + "models: {+materialised: table, +snowflake_flavour: hot}\n"
    project = clean(tmp_path, {**MODEL, "dbt_project.yml": settings})
    assert len(project.notices) == 1
    assert "`materialized`" in project.notices[0]


def test_selectors_are_kept_by_name(tmp_path: Path) -> None:
    text = "selectors:\n  - name: nightly\n    definition: {method: tag, value: nightly}\n"
    project = clean(tmp_path, {**MODEL, "selectors.yml": text})
    assert project.selectors["nightly"]["definition"] == {"method": "tag", "value": "nightly"}


def test_files_that_dbtignore_names_are_passed_over(tmp_path: Path) -> None:
    files = {**MODEL, "models/old/a.sql": "select 1", "models/b_draft.sql": "select 1"}
    project = clean(tmp_path, {**files, ".dbtignore": "models/old/\n*_draft.sql\n"})
    assert [m.name for m in project.models] == ["orders"]


def test_an_undefined_word_is_a_mistake_at_its_place(tmp_path: Path) -> None:
    settings = PROJECT + "models:\n  +schema: \"{{ var('nowhere') }}\"\n"
    project = load(tmp_path, {**MODEL, "dbt_project.yml": settings})
    (wrong,) = project.mistakes
    assert "`nowhere`" in wrong.what
    assert wrong.where is not None
    assert (wrong.where.path, wrong.where.line) == ("dbt_project.yml", 5)
