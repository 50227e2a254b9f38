"""The cache of the compiled project.

One file in `.transform/`, safe to delete. It holds everything the project depends on (files and
folders that were read, variables that were used) and the compiled project. While none of that has
changed, no YAML, Jinja or SQL is read again.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from secrets import token_hex

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from transformer import __version__
from transformer.compile.nodes import Graph
from transformer.compile.world import SECRET_PREFIXES
from transformer.permissions import write
from transformer.project import inputs
from transformer.project.inputs import Identity, InputsSeen
from transformer.project.secrets import plain_secrets
from transformer.project.values import Project
from transformer.request import Request
from transformer.workspace.codec import (
    CachedGraph,
    CachedNodes,
    NodeHead,
    UnstorableError,
    decode,
    encode,
    stored,
)

FOLDER = ".transform"
_MAGIC = b"transform trace 1\n"
# Names whose value differs in each run: a project that uses them is not cached.
_PASSING = frozenset(
    ("run_started_at", "invocation_id", "modules", "selected_resources", "graph", "thread_id",
     "dbt_metadata_envs", "log", "print")
)  # fmt: skip
# Names that depend on the command line.
_CALLED = frozenset(("flags", "invocation_args_dict"))
# A password in a URL or a connection string.
_PASSWORD = re.compile(rb"://[^:/@\s]*:[^@\s/]+@|password\s*=", re.IGNORECASE)
_SECRET = ("pass", "token", "secret", "key", "credential")
# The number of files kept: one per combination of target, variables and flags.
_MOST = 8


class _Head(msgspec.Struct, array_like=True):
    # Identifies this version of the file.
    mark: str
    files: dict[str, tuple[Identity, str]]
    folders: dict[str, tuple[Identity, str]]
    env: dict[str, str]
    secrets: list[str]
    called: str


class _Body(msgspec.Struct, array_like=True):
    project: msgspec.Raw
    nodes: list[NodeHead]
    texts: dict[str, str]
    index: msgspec.Raw
    # The nodes compiled since an earlier mark.
    since: dict[str, list[str]]


class CachedProject(Struct, frozen=True):
    """A compiled project; `texts` are those of ephemeral models, `index` its namespace."""

    project: Project
    graph: Graph
    texts: Mapping[str, str]
    index: bytes
    mark: str = ""
    since: Mapping[str, Sequence[str]] = field(default_factory=dict)
    # The command line, if templates used it.
    called: str = ""


class StaleProject(Struct, frozen=True):
    """A cached project of which only some files have changed."""

    known: CachedProject
    files: tuple[str, ...]
    seen: InputsSeen


def load_cached(
    request: Request, env: Mapping[str, str], say: Callable[[str], object] = str
) -> StaleProject | None:
    """The cached project and those of its files that have changed; None if anything else has
    changed or the cache cannot be read, which it reports to `say`."""
    path = cache_path(request)
    try:
        head = _HEAD.decode(_section(path, 0) or b"")
        if not _is_asked_alike(head, request, env):
            return None
        body = _BODY.decode(_section(path, 1) or b"")
        project = decode(body.project, Project)
    except (msgspec.DecodeError, ValueError):
        if path.exists():
            shown = f"{FOLDER}/{path.name}"
            say(f"`{shown}` cannot be read and is ignored: the project is compiled again")
        return None
    macros = {file.path: file.text for file in project.macros}
    graph = CachedGraph(CachedNodes(body.nodes, macros, {}))
    known = CachedProject(
        project, graph, body.texts, bytes(body.index), head.mark, body.since, head.called
    )
    return StaleProject(
        known, tuple(_changed(head)), InputsSeen(head.files, head.folders, head.env)
    )


def current_mark(request: Request, env: Mapping[str, str]) -> str:
    """The mark of the cached project, or nothing if anything that it depends on has changed."""
    try:
        head = _HEAD.decode(_section(cache_path(request), 0) or b"")
    except (msgspec.DecodeError, ValueError):
        return ""
    as_it_was = _is_asked_alike(head, request, env) and not any(_changed(head))
    return head.mark if as_it_was else ""


def store(
    request: Request,
    env: Mapping[str, str],
    seen: InputsSeen,
    cached: CachedProject,
    names_used: frozenset[str],
) -> CachedProject | None:
    """Caches a project, if that is possible exactly and without secrets; returns it with its mark.
    `names_used` are the names that templates used. A project that cannot be cached is compiled
    every time."""
    if names_used & _PASSING or any(name.startswith(SECRET_PREFIXES) for name in seen.env):
        return None
    if _has_secrets(cached.project):
        return None
    called = cached.called or (_called(request) if names_used & _CALLED else "")
    kept = replace(cached, mark=token_hex(8), since=_since(cached), called=called)
    head = _Head(kept.mark, seen.files, seen.folders, seen.env, _secret_names(env), called)
    try:
        project = encode(_slim(cached.project))
        if _PASSWORD.search(project):
            return None
        body = _Body(
            msgspec.Raw(project),
            _stored(cached.graph),
            dict(cached.texts),
            msgspec.Raw(cached.index),
            {mark: list(ids) for mark, ids in kept.since.items()},
        )
    except UnstorableError:
        return None
    with contextlib.suppress(OSError):  # a folder that cannot be written to is no mistake
        warehouse = Path(cached.project.root) / cached.project.target.path
        _write(cache_path(request), (_PACK.encode(head), _PACK.encode(body)), warehouse)
        return kept
    return None


def remove_cached(root: Path) -> bool:
    """Removes all cache files of the project; returns whether there were any."""
    paths = _all(root.resolve() / FOLDER)
    _remove(paths)
    return bool(paths)


def _slim(project: Project) -> Project:
    """The project without what its graph contains."""
    return replace(
        project, models=(), seeds=(), snapshots=(), sources=(), activations=(), sql_checks=(),
        analyses=(),
    )  # fmt: skip


def _stored(graph: Graph) -> list[NodeHead]:
    """The nodes in stored form; cached ones are not encoded again."""
    nodes = graph.nodes
    if isinstance(nodes, CachedNodes):
        return [
            stored(nodes.remade[i]) if i in nodes.remade else head
            for i, head in nodes.heads.items()
        ]
    return [stored(node) for node in graph]


def _since(cached: CachedProject) -> dict[str, list[str]]:
    """The nodes compiled since each earlier mark."""
    remade = list(cached.graph.nodes.remade) if isinstance(cached.graph.nodes, CachedNodes) else []
    before = [*cached.since.items(), (cached.mark, ())] if cached.mark else []
    return {mark: sorted({*ids, *remade}) for mark, ids in before[-_MOST:]}


def _has_secrets(project: Project) -> bool:
    target = project.target
    words = (str(name).lower() for name in (*target.words, *target.settings))
    named = any(part in word for word in words for part in _SECRET)
    return bool(target.secrets) or named or bool(plain_secrets(project))


def cache_path(request: Request) -> Path:
    """The cache file for this combination of target, variables and flags."""
    return request.root.resolve() / FOLDER / f"trace-{_key(request)}.msgpack"


def _key(request: Request) -> str:
    """A digest of the request and of the tool's version."""
    parts = (
        __version__,
        _tool(),
        _engine(),
        str(request.root.resolve()),
        request.target,
        sorted(request.vars.items(), key=str),
        request.full_refresh,
        str(request.profiles_dir),
        request.profile,
        sorted(request.flags.items(), key=str),
    )
    return inputs.digest(repr(parts).encode())


@cache
def _tool() -> str:
    """A digest of the tool's own files: a cache of another version is ignored."""
    home = Path(__file__).parents[1]
    lines = []
    for folder, _, names in os.walk(home):
        for name in names:
            if name.endswith((".py", ".sql")):
                stat = os.stat(f"{folder}/{name}")  # noqa: PTH116 - there are hundreds of them
                lines.append(f"{folder}/{name} {stat.st_size} {stat.st_mtime_ns}")
    return inputs.digest("\n".join(sorted(lines)).encode())


@cache
def _engine() -> str:
    """The identity of the engine's library, without importing it."""
    spec = importlib.util.find_spec("_duckdb") or importlib.util.find_spec("duckdb")
    return str(inputs.identity(spec.origin)[:2]) if spec and spec.origin else ""


def _called(request: Request) -> str:
    return repr((request.command, request.select, request.exclude))


def _secret_names(env: Mapping[str, str]) -> list[str]:
    return sorted(name for name in env if name.startswith(SECRET_PREFIXES))


def _is_asked_alike(head: _Head, request: Request, env: Mapping[str, str]) -> bool:
    """Whether everything the project depends on, except the content of its files, is unchanged."""
    if head.called and head.called != _called(request):
        return False
    if head.secrets != _secret_names(env):
        return False
    if any(inputs.valued(env, name) != value for name, value in head.env.items()):
        return False
    return all(
        inputs.identity(path) == identity or inputs.listing(path) == listing
        for path, (identity, listing) in head.folders.items()
    )


def _changed(head: _Head) -> Iterator[str]:
    """The files that have changed."""
    return (path for path, known in head.files.items() if not _same_file(path, *known))


def _same_file(path: str, identity: Identity, content: str) -> bool:
    """Whether a file is unchanged: by its content if that is recorded, otherwise by its
    identity."""
    if content:
        return inputs.content(path) == content
    return inputs.identity(path) == identity


def _section(path: Path, which: int) -> bytes | None:
    """A section of the file; None if it is missing, incomplete, or not a cache file."""
    start = len(_MAGIC) + 16
    try:
        with path.open("rb") as file:
            begin = file.read(start)
            if len(begin) < start or not begin.startswith(_MAGIC):
                return None
            sizes = [int.from_bytes(begin[at : at + 8], "big") for at in (start - 16, start - 8)]
            if os.fstat(file.fileno()).st_size != start + sum(sizes):
                return None
            file.seek(start + sum(sizes[:which]))
            return file.read(sizes[which])
    except OSError:
        return None


def _write(path: Path, sections: tuple[bytes, bytes], warehouse: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    _remove([each for each in _all(path.parent) if each != path][_MOST - 1 :])
    lengths = b"".join(len(each).to_bytes(8, "big") for each in sections)
    write(path, b"".join((_MAGIC, lengths, *sections)), warehouse)


def _all(folder: Path) -> list[Path]:
    """The files, the newest first."""
    paths = folder.glob("trace-*.msgpack*") if folder.is_dir() else ()
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)


def _remove(traces: Sequence[Path]) -> None:
    """Removes the files, and the records of last builds beside them."""
    for path in traces:
        path.unlink(missing_ok=True)
        path.with_name(path.name.replace("trace-", "standing-")).unlink(missing_ok=True)


_PACK = msgspec.msgpack.Encoder()
_HEAD = msgspec.msgpack.Decoder(_Head)
_BODY = msgspec.msgpack.Decoder(_Body)
