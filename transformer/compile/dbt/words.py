"""Names in templates that are the same everywhere: `modules`, `exceptions`, `fromyaml` …"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import pytz  # type: ignore[import-untyped]

from transformer.compile.dbt.adapter import NeedsWarehouse
from transformer.errors import RenderError

# The emulated dbt version, which packages test for.
DBT_VERSION = "1.11.0"

_DATETIME = ("date", "datetime", "time", "timedelta", "tzinfo")
_ITERTOOLS = (
    *("count", "cycle", "repeat", "accumulate", "chain", "compress", "islice", "starmap", "tee"),
    *("zip_longest", "product", "permutations", "combinations", "combinations_with_replacement"),
)
_REFUSED_HINT = "a macro of the project raised this error"


# ---------------------------------------------------------------- texts of data
def from_yaml(value: Any, default: Any = None) -> Any:
    """The value of a YAML text, or the default if it is invalid."""
    import yaml

    try:
        return yaml.safe_load(value)
    except (AttributeError, ValueError, yaml.YAMLError):
        return default


def to_yaml(value: Any, default: Any = None, sort_keys: bool = False) -> Any:
    """The value as YAML text, or the default if that fails."""
    import yaml

    try:
        return yaml.safe_dump(value, sort_keys=sort_keys)
    except (ValueError, yaml.YAMLError):
        return default


def from_json(string: Any, default: Any = None) -> Any:
    """The value of a JSON text, or the default if it is invalid."""
    try:
        return json.loads(string)
    except (TypeError, ValueError):
        return default


def to_json(value: Any, default: Any = None, sort_keys: bool = False) -> Any:
    """The value as JSON text, or the default if that fails."""
    try:
        return json.dumps(value, sort_keys=sort_keys)
    except (TypeError, ValueError):
        return default


def local_md5(value: Any) -> str:
    """The MD5 sum of a text."""
    return hashlib.md5(str(value).encode(), usedforsecurity=False).hexdigest()


# ---------------------------------------------------------------- collections
def make_set(value: Iterable[Any], default: Any = None) -> Any:
    """The distinct values, or the default if they are not hashable."""
    try:
        return set(value)
    except TypeError:
        return default


def set_strict(value: Iterable[Any]) -> set[Any]:
    """The distinct values. Raises RenderError if they are not hashable."""
    try:
        return set(value)
    except TypeError as error:
        raise RenderError(f"`set_strict`: {error}") from None


def make_zip(*values: Iterable[Any], default: Any = None) -> Any:
    """The values as tuples, as in Python's `zip`; the default if one is not iterable."""
    try:
        return list(zip(*values, strict=False))
    except TypeError:
        return default


def zip_strict(*values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """The values as tuples, as in Python's `zip`. Raises RenderError if one is not iterable."""
    try:
        return list(zip(*values, strict=False))
    except TypeError as error:
        raise RenderError(f"`zip_strict`: {error}") from None


def diff_of_two_dicts(
    dict_a: Mapping[str, Iterable[str]], dict_b: Mapping[str, Iterable[str]]
) -> dict[str, list[str]]:
    """The elements in the first's lists that the second's lack, by key, ignoring case."""
    in_b = {key.casefold(): {v.casefold() for v in values} for key, values in dict_b.items()}
    missing = {
        key: [v for v in values if v.casefold() not in in_b.get(key.casefold(), set())]
        for key, values in dict_a.items()
    }
    return {key: values for key, values in missing.items() if values}


def try_or_compiler_error(
    message_if_exception: str, func: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """The function's result. Raises RenderError with the message if it fails."""
    try:
        return func(*args, **kwargs)
    except NeedsWarehouse:
        raise
    except Exception:
        raise RenderError(str(message_if_exception).strip(), hint=_REFUSED_HINT) from None


# ---------------------------------------------------------------- modules
def _only(module: ModuleType, names: Iterable[str]) -> SimpleNamespace:
    return SimpleNamespace(**{name: getattr(module, name) for name in names})


MODULES = SimpleNamespace(
    datetime=_only(datetime, _DATETIME),
    itertools=_only(itertools, _ITERTOOLS),
    pytz=_only(pytz, pytz.__all__),
    re=_only(re, re.__all__),
)


# ---------------------------------------------------------------- exceptions
# ruff: noqa: ARG002 - the model is known from the rendering
class Exceptions:
    """`exceptions`: errors and warnings of macros. Every `raise_…` raises RenderError."""

    def __init__(self, warn: Callable[[str], object]) -> None:
        self._warn = warn

    def warn(self, msg: Any, *_: Any, **__: Any) -> str:
        """Warns; returns "", which adds nothing to the SQL."""
        self._warn(str(msg).strip())
        return ""

    def raise_compiler_error(self, msg: Any, *_: Any, **__: Any) -> NoReturn:
        """Fails with the message."""
        raise RenderError(str(msg).strip(), hint=_REFUSED_HINT)

    raise_database_error = raise_parsing_error = raise_dependency_error = raise_compiler_error
    raise_fail_fast_error = raise_dep_not_found = raise_invalid_value = raise_compiler_error

    def raise_not_implemented(self, msg: Any, *_: Any) -> NoReturn:
        """Fails for a macro without an implementation."""
        raise RenderError(str(msg).strip(), hint="write the macro in the project's `macros/`")

    def raise_contract_error(
        self, yaml_columns: Iterable[Mapping[str, Any]], sql_columns: Iterable[Mapping[str, Any]]
    ) -> NoReturn:
        """Fails for a query whose columns do not match its contract."""
        expected, actual = _types(yaml_columns), _types(sql_columns)
        if not expected and not actual:
            raise RenderError(
                "a contract is enforced, but no columns are declared",
                hint="list the columns with their `data_type`",
            )
        differences = [
            f"`{name}` is {actual.get(name, 'missing')}, expected {expected.get(name, 'no column')}"
            for name in {**expected, **actual}
            if actual.get(name) != expected.get(name)
        ]
        hint = "change the query, or the contract"
        raise RenderError("the query's columns do not match its contract", None, hint, differences)

    def missing_config(self, model: Any, name: str) -> NoReturn:
        """Fails for a missing option."""
        raise RenderError(f"the option `{name}` is not set", hint="set it in `config(…)`")

    def missing_materialization(self, model: Any, adapter_type: str) -> NoReturn:
        """Fails for an unknown materialization."""
        raise RenderError(f"there is no such materialization for {adapter_type}")

    def missing_relation(self, relation: Any, model: Any = None) -> NoReturn:
        """Fails for a relation that does not exist."""
        raise RenderError(f"the relation {relation} does not exist")

    def relation_wrong_type(self, relation: Any, expected_type: str, model: Any = None) -> NoReturn:
        """Fails for a relation of another kind."""
        kind = getattr(relation, "type", None) or "something else"
        raise RenderError(
            f"{relation} is a {kind}, but should be a {expected_type}",
            hint="drop it, or give the model another name",
        )

    def column_type_missing(self, column_names: Iterable[str]) -> NoReturn:
        """Fails for contract columns without a type."""
        names = ", ".join(f"`{name}`" for name in column_names)
        raise RenderError(
            f"columns without `data_type`: {names}",
            hint="a contract needs the type of every column",
        )


def _types(columns: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(column["name"]).lower(): str(column["data_type"]) for column in columns}


def exceptions(warn: Callable[[str], object]) -> Exceptions:
    """The namespace `exceptions`; `warn` receives the warnings of macros."""
    return Exceptions(warn)


WORDS: Mapping[str, Any] = {
    "dbt_version": DBT_VERSION,
    "diff_of_two_dicts": diff_of_two_dicts,
    "fromjson": from_json,
    "fromyaml": from_yaml,
    "local_md5": local_md5,
    "modules": MODULES,
    "set": make_set,
    "set_strict": set_strict,
    "tojson": to_json,
    "toyaml": to_yaml,
    "try_or_compiler_error": try_or_compiler_error,
    "zip": make_zip,
    "zip_strict": zip_strict,
}
