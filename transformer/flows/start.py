"""`transform init`: creates a project from the tool's starter."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from msgspec import Struct

from transformer.errors import UsageError

# The parts of the starter; it is at the root of a checkout, and inside the package in a wheel.
PARTS = ("transform.yml", "models", "seeds", "macros", "data", "tests/checks")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


class StarterReport(Struct, frozen=True):
    """The created project: its folder, and the number of files of each kind."""

    path: Path
    models: int
    seeds: int
    macros: int
    silos: int


def start(folder: Path) -> StarterReport:
    """Creates a project in a new or empty folder. Raises UsageError; then nothing was created."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"`{folder}` is not empty", hint="choose a folder that does not exist yet")
    source_root = starter()
    for part in PARTS:
        source, target = source_root / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_LEFT_OUT)
        else:
            shutil.copyfile(source, target)
    (folder / ".gitignore").write_text(".transform/\ntarget/\nexports/\n*.duckdb\n*.duckdb.wal\n")
    return StarterReport(
        folder,
        models=_count(folder / "models", "*.sql") + _count(folder / "models", "*.py"),
        seeds=_count(folder / "seeds", "*.csv"),
        macros=_count(folder / "macros", "*.sql"),
        silos=sum(entry.is_dir() for entry in (folder / "data").iterdir()),
    )


def starter() -> Path:
    """The folder of the starter."""
    packed = Path(str(files("transformer"))) / "starter"
    return packed if packed.is_dir() else Path(str(files("transformer"))).parent


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.rglob(pattern))
