"""Whether a project is a native or a dbt project."""

from __future__ import annotations

from pathlib import Path

from transformer.project.inputs import saw


def is_dbt_project(root: Path) -> bool:
    """Whether the folder holds a dbt project and no `transform.yml`."""
    for name in ("dbt_project.yml", "transform.yml"):
        saw(root / name)
    return (root / "dbt_project.yml").is_file() and not (root / "transform.yml").is_file()
