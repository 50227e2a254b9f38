"""What queries call: user-defined functions and table functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run
from transformer.errors import Mistakes

SPECS = """
    functions:
      - name: doubled
        description: twice as much
        arguments: [{name: price, data_type: float}]
        returns: {data_type: float}
      - name: times
        arguments:
          - {name: price, data_type: float}
          - {name: factor, data_type: float, default_value: 3}
        returns: {data_type: integer}
"""
FILES = {
    "functions/doubled.sql": "select price * 2",
    "functions/times.sql": "price * factor",
    "functions/specs.yml": SPECS,
    "models/called.sql": """
        {{ config(materialized='table') }}
        select {{ function('doubled') }}(100) as a, {{ function('shop', 'times') }}(5) as b
    """,
}


def test_functions_are_made_before_what_calls_them_and_once(tmp_path: Path) -> None:
    root = project(tmp_path, **FILES)
    run(root, "build")
    assert rows(root, "select a, b from called") == [(200.0, 15)]
    assert rows(root, "select typeof(a), typeof(b) from called") == [("FLOAT", "INTEGER")]
    assert not run(root, "build").plan.steps
    (root / "functions/times.sql").write_text("price * factor + 1")
    report = run(root, "build")
    assert [step.label for step in report.plan] == ["times", "called"]
    assert rows(root, "select b from called") == [(16,)]


def test_functions_have_a_place_of_their_own_in_the_manifest(tmp_path: Path) -> None:
    root = project(tmp_path, **FILES)
    run(root, "build")
    manifest = json.loads((root / "target/manifest.json").read_text())
    assert set(manifest["functions"]) == {"function.shop.doubled", "function.shop.times"}
    doubled = manifest["functions"]["function.shop.doubled"]
    assert doubled["arguments"] == [{"name": "price", "data_type": "float"}]
    assert doubled["returns"]["data_type"] == "float"
    assert not [i for i in manifest["nodes"] if i.startswith("function.")]
    needs = manifest["nodes"]["model.shop.called"]["depends_on"]["nodes"]
    assert needs == ["function.shop.doubled", "function.shop.times"]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"functions/lost.sql": "1"}, "the function `lost` is not described"),
        ({"functions/odd.py": "def odd(): ..."}, "the function `odd` is not written in SQL"),
        (
            {"models/asks.sql": "select {{ function('tims') }}(1)"},
            "there is no function `tims`",
        ),
    ],
)
def test_functions_that_cannot_be_made_are_refused(
    tmp_path: Path, files: dict[str, str], what: str
) -> None:
    root = project(tmp_path, **{**FILES, **files})
    with pytest.raises(Mistakes) as caught:
        run(root, "build")
    assert [error.what for error in caught.value.errors] == [what]


def test_table_functions_are_called_with_their_parameters(tmp_path: Path) -> None:
    files = {
        "models/upto.sql": """
            {{ config(materialized='table_function', parameters=['most']) }}
            select id from {{ ref('raw_orders') }} where id <= most
        """,
        "models/two.sql": """
            {{ config(materialized='table') }} select count(*) as n from {{ ref('upto') }}(2)
        """,
    }
    root = project(tmp_path, **files)
    run(root, "build")
    assert rows(root, "select n from two") == [(2,)]
    assert rows(root, "select count(*) from upto(1)") == [(1,)]
    assert not run(root, "build").plan.steps
    seed = root / "seeds" / "raw_orders.csv"
    seed.write_text(seed.read_text().replace("2,ann", "0,ann") + "1,dan,2024-01-04,40\n")
    run(root, "build")
    assert rows(root, "select n from two") == [(3,)]
