"""Unit tests: the shape of their inputs and expectations, and rows in fixture files."""

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
    """The parts of a unit test whose shape is wrong, as messages with their places."""
    inputs = child(item, "given")
    if inputs and inputs.value is not None and not inputs.is_list:
        yield "`given` must be a list", inputs.where
    parts = [*(inputs.value if inputs and inputs.is_list else ()), child(item, "expect")]
    for part in filter(None, parts):
        if part.is_map:
            yield from _misshapen_rows(child(part, "rows"))
        elif part.value is not None:
            yield "`given` and `expect` must hold mappings", part.where
    overrides = child(item, "overrides")
    inner = [child(overrides, key) for key in ("vars", "macros", "env_vars")]
    for mapping in filter(None, (overrides, *inner)):
        if not mapping.is_map and mapping.value is not None:
            yield "`overrides` and the keys below it must be mappings", mapping.where


def _misshapen_rows(rows: YamlItem | None) -> Iterator[tuple[str, Where]]:
    for row in rows.value if rows and rows.is_list else ():
        if not row.is_map:
            yield "a row must be a mapping of columns and values", row.where
    if rows and (rows.is_map or isinstance(rows.value, bool | int | float)):
        yield "`rows` must be a list, or text if there is a `format`", rows.where


def with_fixtures(content: Mapping[str, Any], project: ProjectFile, where: Where) -> dict[str, Any]:
    """The unit test with fixture names replaced by the content of the files."""

    def filled(part: Any) -> Any:
        if not isinstance(part, Mapping) or not part.get("fixture"):
            return part
        name, extension = str(part["fixture"]), str(part.get("format") or "csv")
        file = _fixture_file(name.removesuffix(f".{extension}"), extension, project)
        if file is None:
            project.home.notes.mistake(
                f"there is no fixture `{name}`",
                where,
                f"put it at `tests/fixtures/{name}.{extension}`",
            )
            return part
        return {**part, "rows": project.home.read(file)}

    unit_test = dict(content)
    unit_test["given"] = [filled(part) for part in unit_test.get("given") or ()]
    unit_test["expect"] = filled(unit_test.get("expect") or {})
    return unit_test


def _fixture_file(name: str, extension: str, project: ProjectFile) -> PackageFile | None:
    files = project.home.find(project.paths["tests"], f".{extension}")
    matching = (file for file in files if PurePosixPath(file.local).name == f"{name}.{extension}")
    return next((file for file in matching if "fixtures" in PurePosixPath(file.local).parts), None)
