"""`transform deps`: the packages of a dbt project, fetched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from transformer.asking import Ask, Outside
from transformer.compile.context import yaml_words
from transformer.compile.dbt.words import WORDS
from transformer.compile.templates import render_text
from transformer.errors import UsageError
from transformer.project.dbt.deps import Installed, install
from transformer.project.form import is_dbt_project


def installed(ask: Ask, outside: Outside, say: Callable[[str], None]) -> tuple[Installed, ...]:
    """Installs every package. Raises UsageError where there is no dbt project."""
    root = ask.root.resolve()
    if not is_dbt_project(root):
        raise UsageError("there is no `dbt_project.yml` here", hint="`deps` is for dbt projects")

    def render(text: str, where: Any, words: Mapping[str, Any]) -> str:
        known = {**WORDS, **yaml_words({}, outside.env, outside.secrets), **words}
        return render_text(text, where, known)

    return install(root, ask.vars, render, say)
