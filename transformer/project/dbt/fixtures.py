"""Unit tests: the form of what they give and expect, and rows in files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from transformer.errors import Where
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.words import child
from transformer.project.tree import YamlItem


def misshapen(item: YamlItem) -> Iterator[tuple[str, Where]]:
    """What of a unit test has another form than dbt asks for, and where."""
    given = child(item, "given")
    if given and given.value is not None and not given.is_list:
        yield "`given` must be a list", given.where
    parts = [*(given.value if given and given.is_list else ()), child(item, "expect")]
    for part in filter(None, parts):
        if part.is_map:
            yield from _misshapen_rows(child(part, "rows"))
        elif part.value is not None:
            yield "what is given and expected must be a mapping", part.where
    overrides = child(item, "overrides")
    inner = [child(overrides, key) for key in ("vars", "macros", "env_vars")]
    for each in filter(None, (overrides, *inner)):
        if not each.is_map and each.value is not None:
            yield "`overrides`, and what is below it, must be a mapping", each.where


def _misshapen_rows(rows: YamlItem | None) -> Iterator[tuple[str, Where]]:
    for row in rows.value if rows and rows.is_list else ():
        if not row.is_map:
            yield "a row must be a mapping of columns and values", row.where
    if rows and (rows.is_map or isinstance(rows.value, bool | int | float)):
        yield "`rows` must be a list, or a text where there is a `format`", rows.where


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


def _found(name: str, form: str, project: ProjectFile) -> PackageFile | None:
    files = project.home.find(project.paths["tests"], f".{form}")
    named = (f for f in files if PurePosixPath(f.local).name == f"{name}.{form}")
    return next((f for f in named if "fixtures" in PurePosixPath(f.local).parts), None)
