"""Adapter methods that have no effect, or a constant result, in a single-file warehouse."""

from __future__ import annotations

from typing import Any

from transformer.compile.dbt.column import AdapterColumn
from transformer.compile.dbt.relation import Relation


class _Off:
    no_warn = False
    setting = False

    def __bool__(self) -> bool:
        return False


_OFF = _Off()


class _Behavior:
    """Behaviour flags of the adapter: all are off."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _OFF


def _nothing(*_: Any, **__: Any) -> str:
    """Does nothing, and renders as empty text."""
    return ""


class Inert:
    """The adapter's methods without effect. They render as empty text."""

    Relation = Relation
    AdapterColumn = AdapterColumn
    behavior = _Behavior()

    # A build commits by itself, and has neither a cache nor adapter hooks.
    commit = commit_if_has_connection = release_connection = staticmethod(_nothing)
    cache_added = cache_dropped = cache_renamed = staticmethod(_nothing)
    set_relations_cache = clear_cache = staticmethod(_nothing)
    pre_model_hook = post_model_hook = staticmethod(_nothing)
    # Strings have no maximum size.
    expand_target_column_types = expand_column_types = staticmethod(_nothing)
    # There is a single database, with the target's settings.
    use_database = get_model_query_settings = build_catalog_relation = staticmethod(_nothing)

    def disable_transactions(self) -> bool:
        """False: statements run in transactions."""
        return False

    def is_motherduck(self) -> bool:
        """False: MotherDuck is not supported."""
        return False

    def is_ducklake(self, *_: Any) -> bool:
        """False: DuckLake is not supported."""
        return False

    use_ducklake_table_workarounds = is_ducklake

    def get_pseudocolumns_for_relation(self, *_: Any) -> list[Any]:
        """Hidden columns: there are none."""
        return []

    def get_binding_char(self) -> str:
        """The placeholder for a value in a statement."""
        return "?"

    def convert_datetimes_to_strs(self, table: Any) -> Any:
        """The table unchanged: the engine accepts timestamps."""
        return table
