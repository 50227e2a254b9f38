"""Python models: `def model(project)` returns anything Arrow-capable, preferably polars."""

from __future__ import annotations

import inspect
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Number
from pathlib import Path
from threading import Lock
from typing import Any

from transformer.errors import (
    BUILD_AGAIN,
    BuildError,
    TransformError,
    Where,
    did_you_mean,
    is_panic,
)
from transformer.names import RelationName
from transformer.project.values import Model, Project

_MISSING = object()


@dataclass(frozen=True, slots=True)
class PythonProject:
    """What a Python model sees of the project: its declared inputs, variables and target.

    `ref` and `source` return polars data frames; only inputs in the graph can be read.
    """

    _project: Project = field(repr=False)
    _reads: Mapping[str, RelationName] = field(repr=False)
    _frame: Callable[[RelationName], Any] = field(repr=False)
    config: Config = field(default_factory=lambda: Config({}), repr=False)

    @property
    def target(self) -> str:
        """The name of the target."""
        return self._project.target.name

    def ref(self, *words: str, **_: Any) -> Any:
        """The rows of a model, seed or snapshot, as a polars data frame."""
        return self._rows(words[-1], "ref")

    def source(self, silo: str, table: str) -> Any:
        """The rows of a source table, as a polars data frame."""
        return self._rows(f"{silo}.{table}", "source")

    def _rows(self, name: str, word: str) -> Any:
        if name not in self._reads:
            raise BuildError(
                f"`{word}` asks for `{name}`, which is not an input of this model",
                hint="write the name literally in the file: inputs are found before the model runs",
            )
        return self._frame(self._reads[name])

    def var(self, name: str, default: Any = _MISSING) -> Any:
        """The value of a variable. Raises BuildError if it has none and there is no default."""
        value = self._project.vars.get(name, default)
        if value is _MISSING:
            raise BuildError(
                f"the variable `{name}` has no value",
                hint=did_you_mean(name, self._project.vars, otherwise="") or "set it under `vars:`",
            )
        return value


class Config:
    """`config(…)` was evaluated before the model runs; `config.get(…)` returns its options."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def __call__(self, **_: Any) -> None:
        """Does nothing: configuration was read before."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an option, or the default."""
        value = self._options.get(name)
        return default if value is None else value

    def meta_get(self, name: str, default: Any = None) -> Any:
        """A value under `meta`, or the default."""
        return (self._options.get("meta") or {}).get(name, default)


@dataclass(frozen=True, slots=True)
class DbtProject(PythonProject):
    """What a dbt-style `model(dbt, session)` sees. `ref` and `source` return DuckDB relations, as
    in dbt-duckdb."""

    this: Any = None
    is_incremental: bool = False


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The arguments of a model: the project in both forms, and the session."""

    project: PythonProject
    dbt: DbtProject
    session: Any = field(repr=False)


def call(model_call: ModelCall, model: Model, path: Path) -> Any:
    """What the model returns. Raises BuildError at the line of the model's file."""
    try:
        with _PRINTS_TO_STDERR:
            module = runpy.run_path(str(path), run_name=f"models.{model.name}")
            function = module["model"]
            takes_session = len(inspect.signature(function).parameters) > 1
            result = (
                function(model_call.dbt, model_call.session)
                if takes_session
                else function(model_call.project)
            )
            result = result.collect() if type(result).__name__ == "LazyFrame" else result
    except TransformError as error:
        raise error.at(_place(error, model, path)) from None
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        raise BuildError(
            f"{type(error).__name__}: {error}", _place(error, model, path), hint=_hint(error)
        ) from None
    if result is None or isinstance(result, str | int | float | list | dict):
        raise BuildError(
            f"`model` returned {_described(result)}, not rows",
            _head(model),
            hint="return a polars data frame, an Arrow table or anything Arrow-capable",
        )
    _check_columns(result, model)
    return result


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        return (
            f"install the package that provides `{name}` in the environment of `transform`, where"
            " Python models run"
        )
    return BUILD_AGAIN


class _StdoutToStderr:
    """Redirects prints to stderr, since stdout is for data. Models may run in parallel, and Python
    has one stdout for all of them."""

    def __init__(self) -> None:
        self._lock, self._inside, self._own = Lock(), 0, sys.stdout

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._own, sys.stdout = sys.stdout, sys.stderr
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                sys.stdout = self._own


_PRINTS_TO_STDERR = _StdoutToStderr()


def _check_columns(result: Any, model: Model) -> None:
    """Raises BuildError for a column of Python objects: DuckDB would store their addresses or their
    text."""
    library = type(result).__module__.partition(".")[0]
    invalid: Iterator[tuple[str, str]] = iter(())
    if library == "polars":
        invalid = ((n, str(kind)) for n, kind in result.schema.items() if "Object" in str(kind))
    elif library == "pandas":
        invalid = _object_columns(result)
    for name, kind in invalid:
        raise BuildError(
            f"the column `{name}` contains Python objects ({kind})",
            _head(model),
            hint="convert it to text, numbers or dates before returning it",
        )


def _object_columns(frame: Any) -> Iterator[tuple[str, str]]:
    """The columns of a pandas frame with objects that are not values, or values of mixed types."""
    for name in frame.columns:
        if str(frame[name].dtype) != "object":
            continue
        kinds = set(frame[name].dropna().map(type).unique())
        numbers = all(issubclass(kind, Number) for kind in kinds)
        all_values = all(kind.__module__.partition(".")[0] in _VALUES for kind in kinds)
        if not all_values or (len(kinds) > 1 and not numbers):
            yield str(name), ", ".join(sorted(kind.__name__ for kind in kinds))


# Modules whose types are values.
_VALUES = ("builtins", "decimal", "datetime", "uuid", "numpy", "pandas")


def _described(result: Any) -> str:
    return "nothing" if result is None else f"a value of type `{type(result).__name__}`"


def _head(model: Model) -> Where:
    """The place of the model's function."""
    lines = model.text.splitlines()
    line = next((n for n, text in enumerate(lines, 1) if text.startswith("def model")), 1)
    return Where.in_text(model.path, model.text, line, 1, len("def model"))


def _place(error: BaseException, model: Model, path: Path) -> Where:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno or 1 for frame in frames if frame.filename == str(path)]
    line = lines[-1] if lines else 1
    text = Where.in_text(model.path, model.text, line).text
    stripped = text.strip()
    return Where(model.path, line, len(text) - len(text.lstrip()) + 1, len(stripped) or 1, text)
