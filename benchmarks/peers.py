"""The tools that are measured: their commands, what they keep beside a project, how they come here.

Each peer has an environment of its own under `.bench`, made by pip when it is first wanted, with
the DuckDB that measures the floor where the peer allows it.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".bench"
WAREHOUSE = "warehouse.duckdb"
FLOOR = str(Path(__file__).with_name("floor.py"))

Command = tuple[str, ...]


def nothing(_: Path) -> None:
    """A tool that keeps nothing."""


@dataclass(frozen=True, slots=True)
class Tool:
    """Commands for each row of the table; an empty one is a dash there. `{leaf}` is a name."""

    name: str
    form: str
    start: Command = ()
    ls: Command = ()
    build: Command = ()
    same: Command = ()
    leaf: Command = ()
    forget: Callable[[Path], None] = nothing  # what it keeps to be faster; not the warehouse
    built: Callable[[Path], None] = nothing  # after a cold build
    env: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


# ---------------------------------------------------------------- ours, and the floor


def ours(command: str = "", form: str = "native") -> Tool:
    """The tool of this checkout, or the command that is given."""
    words = tuple(shlex.split(command)) or (sys.executable, "-m", "transformer")
    return Tool(
        "ours" if form == "native" else f"ours, {form}",
        form,
        (*words, "--version"),
        (*words, "ls"),
        (*words, "build"),
        (*words, "build"),
        (*words, "build"),
        forget_ours,
        env={} if command else {"PYTHONPATH": str(ROOT)},
        version=_said(*words, "--version", env={} if command else {"PYTHONPATH": str(ROOT)}),
    )


def forget_ours(project: Path) -> None:
    """Removes what the tool keeps beside the warehouse, and leaves the warehouse."""
    _remove(project, ".transform", "target")


def floor() -> Tool:
    """Plain DuckDB and plain Python, each time in a fresh process."""
    words = (sys.executable, FLOOR)
    return Tool(
        "floor",
        "native",
        (*words, "start"),
        (*words, "read", "."),
        (*words, "build", "floor.sql", WAREHOUSE),
        (*words, "open", WAREHOUSE),
        (*words, "build", "leaf.sql", WAREHOUSE),
        version=f"duckdb {importlib.metadata.version('duckdb')}",
    )


# ---------------------------------------------------------------- peers


def dbt_core() -> Tool:
    """dbt-core with dbt-duckdb."""
    home = _environment(
        "dbt-core",
        "dbt-core>=1.12,<2",
        "dbt-duckdb",
        binary="dbt-core,dbt-core-experimental-parser",
    )
    return _dbt("dbt-core", (str(home / "bin/dbt"),), (), _versions(home, "dbt-core", "dbt-duckdb"))


def dbt2() -> Tool:
    """dbt 2, the one in Rust. It would fetch its DuckDB driver; here it is given the Python one."""
    home = _environment("dbt2", "dbt>=2.0.0.dev0", "duckdb", binary="dbt")
    return _dbt("dbt 2", (str(home / "bin/dbt"),), _driver(home), _versions(home, "dbt"))


def _dbt(name: str, dbt: Command, before: Command, version: str) -> Tool:
    modified = ("--select", "state:modified+", "--state", "state")
    return Tool(
        name,
        "dbt",
        (*dbt, "--version"),
        (*dbt, "ls", "--quiet"),
        (*before, *dbt, "build"),
        (*before, *dbt, "build", *modified),
        (*before, *dbt, "build", *modified),
        lambda project: _remove(project, "target"),
        _keep_state,
        {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"},
        version,
    )


def _keep_state(project: Path) -> None:
    _remove(project, "state")
    shutil.copytree(project / "target", project / "state")


def _driver(home: Path) -> Command:
    """DuckDB's Python module is an ADBC driver too; it wants the library of Python loaded."""
    module = next(home.glob("lib/python*/site-packages/_duckdb*.so"))
    drivers = home / "drivers"
    drivers.mkdir(exist_ok=True)
    (drivers / "duckdb.toml").write_text(
        f'manifest_version = 1\nname = "DuckDB"\nversion = "{_versions(home, "duckdb")}"\n'
        f'[ADBC]\nversion = "1.1.0"\n'
        f'[Driver]\nentrypoint = "duckdb_adbc_init"\nshared = "{module}"\n'
    )
    made = [str(sysconfig.get_config_var(name)) for name in ("LIBDIR", "INSTSONAME")]
    return ("env", f"LD_PRELOAD={'/'.join(made)}", f"ADBC_DRIVER_PATH={drivers}")


def sqlmesh() -> Tool:
    """SQLMesh; `info` is the nearest it has to `ls`."""
    home = _environment("sqlmesh", "sqlmesh", "duckdb")
    words = (str(home / "bin/sqlmesh"),)
    plan = (*words, "plan", "--auto-apply", "--no-prompts")
    return Tool(
        "SQLMesh",
        "sqlmesh",
        (*words, "--version"),
        (*words, "info", "--skip-connection"),
        plan,
        plan,
        plan,
        lambda project: _remove(project, ".cache", "logs"),
        env={"SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true"},
        version=_versions(home, "sqlmesh"),
    )


def lea() -> Tool:
    """lea; it has no `ls`, and a run without a selection builds everything."""
    home = _environment("lea", "lea-cli", "duckdb")
    words = (str(home / "bin/lea"),)
    run = (*words, "run", "--production")
    return Tool(
        "lea",
        "lea",
        (*words, "--help"),
        (),
        run,
        (),
        (*run, "--select", "main.{leaf}"),
        lambda project: _remove(project, "scripts/.lea_cache"),
        env={"LEA_WAREHOUSE": "duckdb", "LEA_DUCKDB_PATH": WAREHOUSE, "LEA_USERNAME": "bench"},
        version=_versions(home, "lea-cli"),
    )


PEERS: dict[str, Callable[[], Tool]] = {
    "dbt-core": dbt_core,
    "dbt2": dbt2,
    "sqlmesh": sqlmesh,
    "lea": lea,
}


# ---------------------------------------------------------------- environments


def _environment(name: str, *packages: str, binary: str = "") -> Path:
    """The folder of a peer's environment; made anew when it is not whole."""
    home = HOME / name
    ready = home / ".ready"
    if ready.exists():
        return home
    shutil.rmtree(home, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    duckdb = f"duckdb=={importlib.metadata.version('duckdb')}"
    pip = [str(home / "bin/python"), "-m", "pip", "install", "-qq"]
    pip += ["--disable-pip-version-check"]
    pip += ["--only-binary", binary] if binary else []
    subprocess.run([*pip, *packages, duckdb], check=True)
    ready.touch()
    return home


def _versions(home: Path, *packages: str) -> str:
    asked = "import sys; from importlib.metadata import version as v; print(*map(v, sys.argv[1:]))"
    return _said(str(home / "bin/python"), "-c", asked, *packages).replace(" ", " / ")


def _said(*command: str, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _remove(project: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(project / name, ignore_errors=True)
