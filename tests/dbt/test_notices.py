"""What manifests and lists tell of dbt projects: names of files, texts of YAML."""

from __future__ import annotations

import json
from pathlib import Path

from tests.dbt.test_build import project, run
from transformer.flows.listing import selected_resources
from transformer.request import Environment, Request

LONG = "a_word_that_is_so_long_that_the_name_of_the_test_is_too_long_for_a_table"
SAID = """\
models:
  - name: x
    description: |
      first
      last
    config:
      meta:
        block: |
          text
        quoted: "text\\n\\n"
    columns:
      - name: a
        data_tests:
          - accepted_values: {arguments: {values: [LONG]}}
""".replace("LONG", LONG)


def test_long_names_are_shortened_and_texts_end_as_in_dbt(tmp_path: Path) -> None:
    root = project(tmp_path, **{"models/x.sql": f"select '{LONG}' as a", "models/x.yml": SAID})
    run(root, "build", "x")
    nodes = json.loads((root / "target" / "manifest.json").read_text())["nodes"]
    assert nodes["model.shop.x"]["description"] == "first\nlast\n"
    assert nodes["model.shop.x"]["config"]["meta"] == {"block": "text", "quoted": "text\n"}
    check = next(each for each in nodes.values() if each["resource_type"] == "test")
    assert check["name"] == f"accepted_values_x_a__{LONG}"
    assert (
        check["alias"]
        == check["config"]["alias"]
        == "accepted_values_x_07599c2c9cae5374ef89746997c9a864"
    )
    assert check["path"] == f"{check['alias']}.sql"


def test_files_of_packages_are_listed_from_the_packages_folder(tmp_path: Path) -> None:
    more = {
        "packages.yml": "packages: [{local: dbt_packages/q}]",
        "dbt_packages/q/dbt_project.yml": 'name: q\nversion: "1.0"\n',
        "dbt_packages/q/models/deep/x.sql": "select 1 as a",
    }
    root = project(tmp_path, **more)
    found, _ = selected_resources(
        Request(root, select=("package:q",), command="list"), Environment({})
    )
    assert [thing.path for thing in found] == ["models/deep/x.sql"]


OLD = """\
models:
  - {name: gone, deprecation_date: 2024-02-29}
  - {name: going, deprecation_date: "2999-01-01T00:00:00+01:00"}
  - {name: stays}
"""


def test_models_past_their_deprecation_date_and_their_readers_are_named(tmp_path: Path) -> None:
    root = project(
        tmp_path,
        **{
            "models/old.yml": OLD,
            "models/gone.sql": "select 1 as a",
            "models/going.sql": "select 1 as a",
            "models/stays.sql": "select 1 as a",
            "models/reader.sql": "select * from {{ ref('gone') }}, {{ ref('going') }}",
            "models/fine.sql": "select * from {{ ref('stays') }}",
        },
    )
    plan = run(root, "build").plan
    assert sorted(plan.notices) == [
        "`gone` passed its deprecation date, 2024-02-29: disable or remove it",
        "`reader` reads `going`, which will be deprecated on 2999-01-01",
        "`reader` reads `gone`, which was deprecated on 2024-02-29",
    ]
