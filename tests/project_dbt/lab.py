"""Small dbt projects in folders, loaded without a build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.projects import write
from transformer.compile.context import yaml_words
from transformer.compile.jinja.rendering import render_text
from transformer.errors import Where
from transformer.project.dbt.described import every_check
from transformer.project.dbt.load import DbtRequest, load_dbt_project
from transformer.project.dbt.words import Render
from transformer.project.values import CheckSpec, Model, Project

PROJECT = "name: shop\nversion: '1.0'\nprofile: shop\n"
PROFILE = """
    shop:
      target: dev
      outputs:
        dev: {type: duckdb, path: shop.duckdb}
        prod: {type: duckdb, path: prod.duckdb, schema: live, threads: 8}
        cloud: {type: snowflake, account: a, password: hunter2hunter2}
    """


def renderers(env: Mapping[str, str] | None = None) -> tuple[Render, Render]:
    """As the tool has them: for what may hold no secret, and for what may."""

    def plain(text: str, where: Where, words: Mapping[str, Any]) -> str:
        return render_text(text, where, {**yaml_words({}, env or {}), **words})

    def connecting(text: str, where: Where, words: Mapping[str, Any]) -> str:
        return render_text(text, where, {**yaml_words({}, env or {}, set()), **words})

    return plain, connecting


def load(root: Path, files: Mapping[str, str], **request: Any) -> Project:
    """The project with these files; the project file and the profile are there unless given."""
    write(root, {"dbt_project.yml": PROJECT, "profiles.yml": PROFILE, **files})
    env = request.pop("env", {"HOME": str(root / "nobody")})
    return load_dbt_project(DbtRequest(root, env=env, **request), *renderers(env))


def clean(root: Path, files: Mapping[str, str], **request: Any) -> Project:
    """The same, for projects in which nothing is wrong."""
    project = load(root, files, **request)
    assert [str(each) for each in project.mistakes] == []
    return project


def model(project: Project, name: str, version: str | None = None) -> Model:
    (found,) = [m for m in project.models if m.name == name and m.version == version]
    return found


def checks(project: Project) -> Iterator[CheckSpec]:
    nodes: tuple[Any, ...] = (*project.models, *project.seeds)
    for node in (*nodes, *project.snapshots, *project.sources):
        yield from every_check(node.described)


def names(project: Project) -> set[str]:
    return {str(check.name) for check in checks(project)}
