"""`transform deps`: installs the packages of a dbt project."""

from __future__ import annotations

from collections.abc import Callable

from transformer.errors import UsageError
from transformer.project.dbt.deps import InstalledPackage, install
from transformer.project.form import is_dbt_project
from transformer.request import Environment, Request
from transformer.workspace.compile import dbt_renderers


def install_packages(
    request: Request, environment: Environment, say: Callable[[str], None]
) -> tuple[InstalledPackage, ...]:
    """Installs every package. Raises UsageError if this is not a dbt project."""
    root = request.root.resolve()
    if not is_dbt_project(root):
        raise UsageError("there is no `dbt_project.yml` here", hint="`deps` is for dbt projects")

    _, connecting = dbt_renderers(environment)
    return install(root, request.vars, connecting, environment.env, say)
