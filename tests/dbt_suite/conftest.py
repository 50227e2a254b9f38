"""The suite's fixtures; its functions that would call dbt call our command.

Without dbt – in the tool's own environment – nothing here is collected.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("dbt") is None:
    collect_ignore_glob = ["*"]
else:
    from dbt.tests import util

    from tests.dbt_suite import runner

    if not os.environ.get("DBT_SUITE_REAL"):  # the yardstick: dbt and dbt-duckdb themselves
        for _name, _own in runner.PATCHES.items():  # before any module of the suite is imported
            setattr(util, _name, _own)

    from dbt.tests.fixtures.project import *  # noqa: F403


@pytest.fixture(scope="class")
def dbt_profile_target(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A warehouse of its own for every class."""
    return {
        "type": "duckdb",
        "threads": 4,
        "path": str(tmp_path_factory.mktemp("dbs") / "dbt.duckdb"),
    }


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch_class: Any) -> str:
    """A folder for dbt's own log, outside the repository."""
    folder = str(tmp_path_factory.mktemp("logs"))
    monkeypatch_class.setenv("DBT_LOG_PATH", folder)
    return folder


@pytest.fixture(scope="class")
def monkeypatch_class() -> Any:
    """A monkeypatch that lasts for a class."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def test_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Files that lie beside the suite's own modules; a folder that does not exist yet besides."""
    from dbt.tests.adapter import hooks

    return Path(hooks.__path__[0]) / "data"
