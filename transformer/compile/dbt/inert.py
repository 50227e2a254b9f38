"""What of the adapter means nothing, or always the same, in a warehouse that is one file."""

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
    """Switches of the adapter's behaviour: every one is off."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _OFF


def _nothing(*_: Any, **__: Any) -> str:
    """Writes nothing, and does nothing."""
    return ""


class Inert:
    """The adapter's methods without an effect. What templates print of them is empty."""

    Relation = Relation
    AdapterColumn = AdapterColumn
    behavior = _Behavior()

    # A build commits what it did, and has no cache and no hooks of the adapter's own.
    commit = commit_if_has_connection = release_connection = staticmethod(_nothing)
    cache_added = cache_dropped = cache_renamed = staticmethod(_nothing)
    set_relations_cache = clear_cache = staticmethod(_nothing)
    pre_model_hook = post_model_hook = staticmethod(_nothing)
    # Strings have no size that could be too small.
    expand_target_column_types = expand_column_types = staticmethod(_nothing)
    # There is one database, and its settings are the target's.
    use_database = get_model_query_settings = build_catalog_relation = staticmethod(_nothing)

    def disable_transactions(self) -> bool:
        """Whether statements run outside transactions: no."""
        return False

    def is_motherduck(self) -> bool:
        """Whether the warehouse is in that cloud: no."""
        return False

    def is_ducklake(self, *_: Any) -> bool:
        """Whether a relation stands in a lake: no."""
        return False

    use_ducklake_table_workarounds = is_ducklake

    def get_pseudocolumns_for_relation(self, *_: Any) -> list[Any]:
        """Columns that can be asked for and are not listed: there are none."""
        return []

    def get_binding_char(self) -> str:
        """What stands for a value in a statement."""
        return "?"

    def convert_datetimes_to_strs(self, table: Any) -> Any:
        """The same table: the engine takes timestamps as they are."""
        return table
