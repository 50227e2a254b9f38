"""The walls of the house: who may import whom, where a library lives, how large a room may grow.

`ARCHITECTURE.md` says why. Imports are read from the syntax tree, those inside functions too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "transformer"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the cellar up: a room imports rooms of lower floors, and files of its own folder.
FLOORS = (
    {"permissions"},
    {"errors", "dialect", "plugins", "witness", "lines", "cloning", "redaction"},
    {"names"},
    {"type_names"},
    {"steps", "project"},
    {"compile", "landing", "engines", "ledger", "renaming", "targets", "warehouse", "console"},
    {"plan", "sources", "sync", "python_model", "workplace"},
    {"run"},
    {"asking"},
    {"seeing"},
    {"remembering", "compiling", "reckoning", "artifacts"},
    {"patching", "run_results"},
    {"opening"},
    {"binding", "standing"},
    {"leaving", "foreseeing"},
    {"flows"},
    {"report"},
    {"cli"},
    {"__main__"},
)
# The pure wing has no effects: none of these may reach it.
PURE = {"errors", "names", "dialect", "steps", "compile", "plan"}
EFFECTS = {"duckdb", "subprocess", "socket", "httpx", "psycopg", "polars", "pyarrow", "fcntl"}
# Each library has its homes, so that it can be changed in one place.
HOMES = {
    "jinja2": {
        "compile/jinja.py",
        "compile/limits.py",
        "compile/library.py",
        "compile/templates.py",
    },
    "sqlglot": {"compile/parsing.py"},
    "yaml": {"project/tree.py", "project/dbt/", "compile/dbt/words.py", "cli/"},
    "duckdb": {"engines/", "sync/", "targets/files.py"},
    "httpx": {"targets/http.py"},
    "psycopg": {"targets/postgres.py"},
    "rich": {"console.py"},
    "typer": {"cli/"},
    "fcntl": {"warehouse.py", "cloning.py"},
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
    "opening.py",
    "project/tree.py",
    "run/building.py",
    "compile/sql.py",
    "compile/dbt/words.py",
    "console.py",
    "plugins.py",
)


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


def imports(path: Path) -> Iterator[tuple[str, ast.AST, bool]]:
    """Modules a file imports, and whether inside a function. What is for types only is none."""
    tree = ast.parse(path.read_text())
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


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_go_downwards_only(path: Path) -> None:
    if place(path) == "__init__.py":
        return
    here = room(path)
    for module, node, _ in imports(path):
        there = own_room(module)
        if there is None or there == here:
            continue
        line = getattr(node, "lineno", 0)
        assert floor(there) < floor(here), f"{place(path)}:{line} imports {module}"


def test_flows_do_not_import_flows() -> None:
    for path in FILES:
        if room(path) == "flows":
            assert not [m for m, _, _ in imports(path) if own_room(m) == "flows"], place(path)


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


@pytest.mark.parametrize("path", FILES, ids=place)
def test_the_pure_wing_has_no_effects(path: Path) -> None:
    if room(path) in PURE:
        found = {m.split(".")[0] for m, _, _ in imports(path)} & EFFECTS
        assert not found, f"{place(path)} imports {found}"
        text = path.read_text()
        assert not re.search(r"\bopen\(|\.read_text\(|\.write_text\(|\bprint\(", text), place(path)


@pytest.mark.parametrize("path", FILES, ids=place)
def test_libraries_stay_in_their_homes(path: Path) -> None:
    for module, _, _ in imports(path):
        homes = HOMES.get(module.split(".")[0])
        if homes:
            assert any(place(path).startswith(home) for home in homes), f"{place(path)}: {module}"


@pytest.mark.parametrize("path", FILES, ids=place)
def test_imports_inside_functions_stand_only_at_doors(path: Path) -> None:
    if not place(path).startswith(LAZY_DOORS):
        assert not [m for m, _, inner in imports(path) if inner], place(path)


@pytest.mark.parametrize("path", FILES, ids=place)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    most = {"flows": 270, "steps": 250}.get(room(path), 420)
    assert len(text.splitlines()) <= most, f"{place(path)} has {len(text.splitlines())} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1
            assert size <= 50, f"{place(path)}: {node.name} has {size} lines"


def test_most_functions_are_short() -> None:
    sizes = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    )
    assert sizes[len(sizes) // 2] <= 13
    assert sizes[int(len(sizes) * 0.95)] <= 40


def test_no_engine_is_named_outside_engines() -> None:
    """Differences between engines are abilities in `dialect.py`, not ladders of `if`."""
    for path in FILES:
        if room(path) in {"engines", "sources", "landing", "sync", "targets"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                said = ast.unparse(node)
                assert not re.search(r"['\"](duckdb|postgres|spark)['\"]", said), (
                    place(path),
                    said,
                )


def test_no_room_is_called_utils_or_base() -> None:
    names = {path.stem for path in FILES} | {p.name for p in PACKAGE.rglob("*") if p.is_dir()}
    assert not names & {"utils", "util", "helpers", "base", "core", "common", "misc", "manager"}


def test_there_is_no_loop_over_rows_on_the_path_of_data() -> None:
    """A row becomes a Python object only at an HTTP edge."""
    for path in FILES:
        if place(path) in {"targets/__init__.py", "targets/http.py"}:
            continue  # `Batch.texts` is what the HTTP edge calls
        assert not re.search(r"\.(iter_rows|to_pylist|iterrows|itertuples|to_dicts)\(",
                             path.read_text()), place(path)  # fmt: skip
