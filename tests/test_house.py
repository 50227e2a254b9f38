"""The walls of the house: who may import whom, where a library lives, how large a room may grow.

`ARCHITECTURE.md` says why. Imports are read from the syntax tree, those inside functions too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "transformer"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the cellar up: a room imports rooms of lower floors, and files of its own folder.
FLOORS = (
    {"errors", "names", "permissions", "plugins", "redaction"},
    {"dialects", "project", "steps"},
    {"compile", "targets"},
    {"plan", "warehouse"},
    {"engines", "landing", "request"},
    {"artifacts", "sources", "sync"},
    {"run"},
    {"workspace"},
    {"flows"},
    {"api", "cli"},
    {"__main__"},
)
# The pure wing has no effects: none of these may reach it.
PURE = {"artifacts", "compile", "dialects", "errors", "names", "plan", "steps"}
EFFECTS = {"duckdb", "subprocess", "socket", "httpx", "psycopg", "polars", "pyarrow", "fcntl"}
# Each library has its homes, so that it can be changed in one place.
HOMES = {
    "jinja2": {
        "compile/jinja/environment.py",
        "compile/jinja/limits.py",
        "compile/jinja/macros.py",
        "compile/jinja/rendering.py",
    },
    "sqlglot": {"compile/sql/parser.py"},
    "yaml": {"project/tree.py", "project/dbt/", "compile/dbt/words.py", "cli/"},
    "duckdb": {"engines/", "sync/", "targets/files.py"},
    "httpx": {"targets/http.py"},
    "psycopg": {"targets/postgres.py"},
    "rich": {"cli/console.py"},
    "typer": {"cli/"},
    "fcntl": {"warehouse/file.py", "warehouse/lock.py", "warehouse/sparse_copy.py"},
}
# Only these doors load something when they are opened: drivers that may not be there, the command
# line, whose start must be quick, and what opens a project, which is mostly found as it was, and
# what draws, where there is no terminal to draw on, YAML, where there is none to read; and what
# others have installed is looked up when nothing here has the name.
LAZY_DOORS = (
    "cli/",
    "targets/",
    "engines/",
    "sources/",
    "landing/parquet.py",
    "landing/whole.py",
    "__main__.py",
    "__init__.py",
    "flows/build.py",
    "workspace/last_build.py",
    "workspace/open.py",
    "project/tree.py",
    "run/build.py",
    "compile/sql/reader.py",
    "compile/dbt/words.py",
    "cli/console.py",
    "plugins.py",
)


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


@cache
def text(path: Path) -> str:
    return path.read_text()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(text(path))


@cache
def imports(path: Path) -> tuple[tuple[str, ast.AST, bool], ...]:
    """Modules a file imports, and whether inside a function. What is for types only is none."""
    return tuple(_imports(parsed(path)))


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef, int]]:
    """The functions of a file, and how many lines each has."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            yield node, (node.end_lineno or 0) - node.lineno + 1


def none(offenders: Iterable[str]) -> None:
    """There are none; else all of them are named."""
    found = list(offenders)
    assert not found, "\n".join(["", *found])


def _imports(tree: ast.Module) -> Iterator[tuple[str, ast.AST, bool]]:
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    inner = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node, id(node) in inner
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node, id(node) in inner
            for alias in node.names:
                if (PACKAGE.parent / node.module.replace(".", "/") / f"{alias.name}.py").is_file():
                    yield f"{node.module}.{alias.name}", node, id(node) in inner


def own_room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "transformer" and len(parts) > 1 else None


def test_every_room_has_a_floor() -> None:
    rooms = {room(path) for path in FILES if place(path) != "__init__.py"}
    assert rooms == set().union(*FLOORS)


def test_imports_go_downwards_only() -> None:
    none(
        f"{place(path)}:{getattr(node, 'lineno', 0)} imports {module}"
        for path in FILES
        if place(path) != "__init__.py"
        for module, node, _ in imports(path)
        if (there := own_room(module)) not in (None, room(path))
        and floor(str(there)) >= floor(room(path))
    )


# No flows: what flows share about a finished build, and what a build is done by.
SHARED_BY_FLOWS = {"transformer.flows.summary", "transformer.flows.execution"}


def test_flows_do_not_import_flows() -> None:
    none(
        f"{place(path)} imports {module}"
        for path in FILES
        if room(path) == "flows"
        for module, _, _ in imports(path)
        if module.startswith("transformer.flows.") and module not in SHARED_BY_FLOWS
    )


def test_no_file_imports_itself_in_a_circle() -> None:
    edges = {
        "transformer." + place(path).removesuffix(".py").replace("/", "."): {
            module for module, _, _ in imports(path) if module.startswith("transformer.")
        }
        for path in FILES
        if path.name != "__init__.py"
    }
    try:
        tuple(TopologicalSorter(edges).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' → '.join(error.args[1])}")


_EFFECTS = re.compile(r"\bopen\(|\.read_text\(|\.write_text\(|\bprint\(")


def test_the_pure_wing_has_no_effects() -> None:
    pure = [path for path in FILES if room(path) in PURE]
    none(
        f"{place(path)} imports {module}"
        for path in pure
        for module, _, _ in imports(path)
        if module.split(".")[0] in EFFECTS
    )
    none(f"{place(path)}: {found[0]}" for path in pure for found in _EFFECTS.finditer(text(path)))


def test_libraries_stay_in_their_homes() -> None:
    none(
        f"{place(path)}: {module}"
        for path in FILES
        for module, _, _ in imports(path)
        if (homes := HOMES.get(module.split(".")[0])) and not place(path).startswith(tuple(homes))
    )


def test_imports_inside_functions_stand_only_at_doors() -> None:
    none(
        f"{place(path)}: {module}"
        for path in FILES
        if not place(path).startswith(LAZY_DOORS)
        for module, _, inner in imports(path)
        if inner
    )


def test_files_stay_small() -> None:
    none(
        f"{place(path)} has {lines} lines"
        for path in FILES
        if (lines := len(text(path).splitlines()))
        > {"flows": 270, "steps": 250}.get(room(path), 450)
    )


def test_functions_stay_small() -> None:
    none(
        f"{place(path)}: {node.name} has {size} lines"
        for path in FILES
        for node, size in functions(path)
        if size > 50
    )


def test_most_functions_are_short() -> None:
    sizes = sorted(size for path in FILES for _, size in functions(path))
    assert sizes[len(sizes) // 2] <= 13
    assert sizes[int(len(sizes) * 0.95)] <= 40


def test_no_engine_is_named_outside_engines() -> None:
    """What differs between engines is in `engines/` and `dialects/`, not in ladders of `if`."""
    named = re.compile(r"['\"](duckdb|postgres|spark)['\"]")
    none(
        f"{place(path)}: {ast.unparse(node)}"
        for path in FILES
        if room(path) not in {"engines", "sources", "landing", "sync", "targets"}
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Compare) and named.search(ast.unparse(node))
    )


def test_no_room_is_called_utils_or_base() -> None:
    names = {path.stem for path in FILES} | {p.name for p in PACKAGE.rglob("*") if p.is_dir()}
    assert not names & {"utils", "util", "helpers", "base", "core", "common", "misc", "manager"}


def test_there_is_no_loop_over_rows_on_the_path_of_data() -> None:
    """A row becomes a Python object only at an HTTP edge."""
    edge = {"targets/__init__.py", "targets/http.py"}  # `Batch.texts` is what the edge calls
    looping = re.compile(r"\.(iter_rows|to_pylist|iterrows|itertuples|to_dicts)\(")
    none(place(path) for path in FILES if place(path) not in edge and looping.search(text(path)))


def test_the_ledgers_sql_is_in_its_room() -> None:
    says = re.compile(r"(?<![a-z])_transform\.[a-z]")
    none(
        f"{place(path)}:{number}"
        for path in FILES
        if room(path) != "warehouse"
        for number, line in enumerate(text(path).splitlines(), 1)
        if says.search(line)
    )


def test_the_environment_is_a_parameter() -> None:
    """Read by the command line, and by the API where the caller gives none."""
    none(
        place(path)
        for path in FILES
        if room(path) not in {"cli", "api", "__main__"} and re.search(r"\benviron\b", text(path))
    )
