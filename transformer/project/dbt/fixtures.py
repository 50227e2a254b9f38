"""Rows of unit tests that stand in files of their own: `fixture: name` under `fixtures/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from transformer.errors import Where
from transformer.project.dbt.files import File
from transformer.project.dbt.projectfile import ProjectFile


def with_fixtures(content: Mapping[str, Any], project: ProjectFile, where: Where) -> dict[str, Any]:
    """The unit test with the text of the files that it names in place of their names."""

    def filled(part: Any) -> Any:
        if not isinstance(part, Mapping) or not part.get("fixture"):
            return part
        name, form = str(part["fixture"]), str(part.get("format") or "csv")
        file = _found(name.removesuffix(f".{form}"), form, project)
        if file is None:
            project.home.notes.mistake(
                f"there is no fixture `{name}`", where, f"put it at `tests/fixtures/{name}.{form}`"
            )
            return part
        return {**part, "rows": project.home.read(file)}

    made = dict(content)
    made["given"] = [filled(each) for each in made.get("given") or ()]
    made["expect"] = filled(made.get("expect") or {})
    return made


def _found(name: str, form: str, project: ProjectFile) -> File | None:
    files = project.home.find(project.paths["tests"], f".{form}")
    named = (f for f in files if PurePosixPath(f.local).name == f"{name}.{form}")
    return next((f for f in named if "fixtures" in PurePosixPath(f.local).parts), None)
