"""A model's configuration as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from transformer.project.values import Options

# The materializations that the tool implements; others are macros of the project.
OWN_MATERIALIZATIONS = (
    *("view", "table", "incremental", "ephemeral", "external", "table_function", "function"),
)


class ModelConfig(Struct, frozen=True):
    """How a model is materialized; the fields are those of `schema.MODEL_CONFIG`."""

    materialized: str = "view"
    enabled: bool = True
    schema: str | None = None
    alias: str | None = None
    tags: tuple[str, ...] = ()
    meta: Options = field(default_factory=dict)
    unique_key: tuple[str, ...] = ()
    incremental_strategy: str | None = None
    on_schema_change: str = "ignore"
    full_refresh: bool | None = None
    contract: bool = False
    pre_hook: tuple[str, ...] = ()
    post_hook: tuple[str, ...] = ()
    # dbt's rules apply: a key may be any SQL, and an enforced contract orders the columns.
    as_dbt: bool = False
    # The default folder for files written by models.
    files_root: str = "."
    # All written options, known or not: templates may read any of them.
    written: Options = field(default_factory=dict)

    @property
    def custom(self) -> bool:
        """Whether a macro of the project creates the relation."""
        return self.materialized not in OWN_MATERIALIZATIONS

    @property
    def strategy(self) -> str:
        """The incremental strategy; the default replaces rows by key, or appends without one."""
        if self.incremental_strategy:
            return self.incremental_strategy
        return "delete+insert" if self.unique_key else "append"


_INNER = ("written", "as_dbt", "files_root")


def options_of(config: ModelConfig) -> Mapping[str, Any]:
    """The options of a model's node: as written, then as interpreted."""
    own_options = {
        name: getattr(config, name) for name in config.__struct_fields__ if name not in _INNER
    }
    return {**config.written, **own_options}


def hook_texts(hooks: Any) -> tuple[str, ...]:
    """The SQL of hooks, given as text, as `{sql: …, transaction: …}`, or as that in JSON, the
    result of dbt's `after_commit`."""
    if hooks is None:
        return ()
    items = hooks if isinstance(hooks, list | tuple) else [hooks]
    texts = (
        str(hook.get("sql", "")) if isinstance(hook, Mapping) else sql_of(str(hook))
        for hook in items
    )
    return tuple(text for text in texts if text.strip())


def sql_of(hook: str) -> str:
    """The SQL of a hook given as text; the value of `sql` if it is JSON."""
    try:
        parsed = json.loads(hook) if hook.lstrip().startswith("{") else None
    except ValueError:
        return hook
    return str(parsed.get("sql", "")) if isinstance(parsed, dict) else hook


def has_hooks(options: Mapping[str, Any]) -> bool:
    """Whether the node has pre- or post-hooks."""
    return any(hook_texts(options.get(key)) for key in ("pre_hook", "post_hook"))
