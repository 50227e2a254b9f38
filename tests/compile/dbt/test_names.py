"""Every macro that dbt has is there, or a call of it fails by name; the guide lists which are not.

`data/macros_of_dbt.txt` holds the names of the macros and tests in the sources of dbt-core 1.12 and
dbt-duckdb 1.11, materializations left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.dbt.test_build import project, run
from transformer.compile.dbt.making import DBT_MACROS
from transformer.compile.jinja.environment import _DBT_MACROS, LenientUndefined
from transformer.compile.jinja.macros import BUILT_IN, read_library
from transformer.project.dbt.load import BUILTIN
from transformer.project.values import MacroFile

NAMES = set((Path(__file__).parent / "data" / "macros_of_dbt.txt").read_text().split())
GUIDE = (Path(__file__).parents[3] / "docs" / "dbt" / "coming-from-dbt.md").read_text()
FILES = [MacroFile(f"dbt/{p.name}", p.read_text("utf-8"), BUILT_IN) for p in BUILTIN.glob("*.sql")]
LIBRARY, _ = read_library(FILES, undefined=LenientUndefined)
ABSENT = NAMES - set(LIBRARY.packages[BUILT_IN]) - _DBT_MACROS


def test_the_guide_lists_the_macros_that_are_not_there() -> None:
    section = GUIDE.partition("## Macros of dbt that are not there")[2].partition("\n## ")[0]
    listed = re.findall(r"`(\w+)`", section.partition("These are not:")[2])
    assert sorted(listed) == sorted(ABSENT)


@pytest.mark.parametrize("form", ["dbt.{}()", "{}()"])
def test_a_call_of_a_macro_that_is_not_there_fails_by_name(tmp_path: Path, form: str) -> None:
    files = {
        f"models/absent_{at}.sql": f"select 1 as a {{{{ {form.format(name)} if execute }}}}"
        for at, name in enumerate(sorted(ABSENT))
    }
    root = project(tmp_path, **files)
    report = run(root, "run", "absent_*", ok=False)
    failed = {outcome.id: str(outcome.error) for outcome in report.results.bad}
    assert len(failed) == len(ABSENT)
    for at, name in enumerate(sorted(ABSENT)):
        assert f"`{name}`" in failed[f"model.shop.absent_{at}"]


def test_what_makes_relations_in_dbt_is_known_by_names_that_dbt_has() -> None:
    bases = {re.sub(r"^(default|duckdb)__", "", name) for name in NAMES}
    assert {re.sub(r"^(default|duckdb)__", "", name) for name in DBT_MACROS} <= bases
