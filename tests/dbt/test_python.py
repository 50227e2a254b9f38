"""Python models of dbt projects: how they are made, and what they miss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dbt.test_build import project, results, rows, run, said

SETTINGS = """
    name: shop
    profile: shop
    models: {shop: {seen: {+materialized: view}, none: {+materialized: ephemeral}}}
"""
ROWS = "    return session.sql('select 7 as n')\n"


@pytest.mark.parametrize("folder", ["seen", "none"])
def test_a_folder_does_not_say_how_a_python_model_is_made(tmp_path: Path, folder: str) -> None:
    root = project(
        tmp_path,
        **{
            "dbt_project.yml": SETTINGS,
            f"models/{folder}/made.py": "def model(dbt, session):\n" + ROWS,
        },
    )
    run(root, "run", "made")
    assert rows(root, "select table_type from information_schema.tables"
                      " where table_name = 'made'") == [("BASE TABLE",)]  # fmt: skip
    assert rows(root, "from made") == [(7,)]


@pytest.mark.parametrize(
    ("own", "properties"),
    [("    dbt.config(materialized='view')\n", ""), ("", "materialized: view")],
)
def test_a_python_model_that_asks_to_be_a_view_fails_by_name(
    tmp_path: Path, own: str, properties: str
) -> None:
    root = project(
        tmp_path,
        **{
            "models/made.py": f"def model(dbt, session):\n{own}{ROWS}",
            "models/made.yml": f"models: [{{name: made, config: {{{properties}}}}}]",
            "models/other.sql": "select 1 as n",
        },
    )
    report = run(root, "build", ok=False)
    assert "cannot be materialized as `view`" in said(report)
    assert results(root)["model.shop.other"] == "success"


def test_a_missing_library_is_named_with_what_to_do(tmp_path: Path) -> None:
    text = "import no_such_library.inner\ndef model(dbt, session):\n" + ROWS
    root = project(tmp_path, **{"models/made.py": text})
    report = run(root, "build", ok=False)
    assert "install the package that provides `no_such_library`" in said(report)
    assert "models/made.py:1" in said(report)
