"""`transform init`: a project from the starter that comes with the tool."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

from msgspec import Struct

from transformer.errors import UsageError

# What makes up the starter; in a checkout it lies at the root, in a wheel inside the package.
PARTS = ("transform.yml", "models", "seeds", "macros", "data", "tests/checks")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


class StarterReport(Struct, frozen=True):
    """What was made: the folder, and how many files of each kind."""

    path: Path
    models: int
    seeds: int
    macros: int
    silos: int


def start(folder: Path) -> StarterReport:
    """Makes a project in a new or empty folder. Raises UsageError; then nothing was made."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"`{folder}` is not empty", hint="name a folder that is not there yet")
    home = starter()
    for part in PARTS:
        source, target = home / part, folder / part
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
        silos=sum(each.is_dir() for each in (folder / "data").iterdir()),
    )


def starter() -> Path:
    """The folder that the starter is copied from."""
    packed = Path(str(files("transformer"))) / "starter"
    return packed if packed.is_dir() else Path(str(files("transformer"))).parent


def _count(folder: Path, pattern: str) -> int:
    return sum(1 for _ in folder.rglob(pattern))
