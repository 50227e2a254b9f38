"""What the last build left: while all of it stands, the next one has nothing to do, and that is
known without looking into the warehouse.

It stands while the project is the one that is remembered, the file is the one that was published,
no file that is loaded or named in SQL has changed, and no time has passed that changes a verdict.
What cannot be told so cheaply (databases, targets, queries that ask for the time) is planned.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from transformer.compile.nodes import Graph, Node, SourceBody
from transformer.permissions import narrow, write
from transformer.project import inputs
from transformer.project.dbt.dotenv import with_dotenv
from transformer.project.form import is_dbt_project
from transformer.request import BuildOptions, Environment, Report, Request
from transformer.steps import EVERYTHING, Plan, Results, Skip
from transformer.warehouse.file import FileIdentity, WarehouseFiles, wal
from transformer.workspace.cache import mark_of, place
from transformer.workspace.open import Opened


class WarehouseInputs(msgspec.Struct, frozen=True):
    """The files that a warehouse is made of, beside the project's own, each with what tells
    whether it changed; None where there is more to look at than files."""

    files: dict[str, str] | None


class _Standing(msgspec.Struct, array_like=True):
    mark: str
    path: str
    live: str
    identities: dict[str, Any]
    files: dict[str, str]
    expires: float | None
    skips: list[tuple[str, str]]
    notices: list[str]
    artifacts: dict[str, str] | None


def unchanged(ask: Request, how: BuildOptions, outside: Environment) -> Report | None:
    """The report of a build that has nothing to do, when that is certain; artifacts are written.
    The notices of its plan are those of the project."""
    if not _is_plain(ask, how):
        return None
    record = _read(ask)
    if record is None or not _stands(record, ask.root.resolve(), outside.clock().timestamp()):
        return None
    root = ask.root.resolve()
    env = with_dotenv(root, outside.env) if is_dbt_project(root) else outside.env
    live = Path(record.live)
    if record.mark != mark_of(ask, env):
        return None
    if record.artifacts:
        from transformer.workspace.renewal import renew  # noqa: PLC0415 - where there are artifacts

        if not renew(record.artifacts, ask, dataclasses.replace(outside, env=env), live):
            return None
    for path in (place(ask), _file(ask)):
        narrow(path, live)
    skips = tuple(Skip(node_id, name, "unchanged") for node_id, name in record.skips)
    return Report(Plan((), skips, tuple(record.notices)), Results(), path=record.path)


def narrowed(ask: Request, how: BuildOptions, opened: Opened, now: float) -> Opened:
    """The project with a graph of only what may have to be done: all else stood when the last
    build ended, and nothing that it was made of has changed since. The project as it is, where
    that is not certain."""
    record = _read(ask) if opened.mark and _is_plain(ask, how) else None
    if (
        record is None
        or record.mark not in opened.since
        or not _stands(record, ask.root.resolve(), now)
    ):
        return opened
    graph = opened.graph
    below = graph.below_all(opened.since[record.mark])
    context = _context(graph, below)
    nodes = {
        i: graph[i].having(needs=()) if i in context and not _is_through(graph[i]) else graph[i]
        for i in graph.nodes
        if i in below or i in context
    }
    left = tuple(Skip(i, name, "unchanged") for i, name in record.skips if i not in below)
    part = Graph(nodes)
    return replace(
        opened,
        graph=part,
        whole=graph,
        context=frozenset(context),
        left=left,
        changed=tuple(opened.since[record.mark]),
        artifacts=record.artifacts or {},
    )


def _context(graph: Graph, inside: set[str]) -> set[str]:
    """What is read by these and is none of them; of what is read through, what that reads too."""
    context: set[str] = set()
    front = {need for i in inside for need in graph[i].needs} - inside
    while front:
        context |= front
        through = {i for i in front if _is_through(graph[i])}
        front = {need for i in through for need in graph[i].needs} - inside - context
    return context


def _is_through(node: Node) -> bool:
    return node.view or node.ephemeral


def beginning(ask: Request, how: BuildOptions, opened: Opened) -> WarehouseInputs:
    """The files as a build finds them, before it looks at any of them. What comes, changes or goes
    while it runs is then something that it has not seen."""
    place_ = opened.workplace
    able = opened.mark and _is_plain(ask, how)
    if not able or place_.in_place or place_.target.publish.models:
        return WarehouseInputs(None)
    before = _read(ask) if opened.whole else None
    looked = [node for node in opened.graph if node.id not in opened.context]
    try:
        names = [name for node in looked for name in _names(node, opened)]
    except LookupError:
        return WarehouseInputs(None)
    versions = {name: inputs.named(name, opened.places.root) for name in names}
    return WarehouseInputs({**(before.files if before else {}), **versions})


class Left(msgspec.Struct, frozen=True):
    """What a build of everything left: the warehouse, the moment when a verdict changes, and dbt's
    artifacts as `renewal.left_artifacts` describes them."""

    warehouse: FileIdentity | None
    expires: float | None
    artifacts: Mapping[str, str]


def stands(ask: Request, opened: Opened, begun: WarehouseInputs, left: Left) -> None:
    """Notes that a build of everything ended well, where the next can know it."""
    if begun.files is None or left.warehouse is None:
        _file(ask).unlink(missing_ok=True)
        return
    part = [n for n in opened.graph if n.id not in opened.context and _is_work(n)]
    skips = [(each.id, each.label) for each in opened.left] + [(n.id, n.name) for n in part]
    place_ = opened.workplace
    live = place_.warehouse.live
    # Nothing else: a log that stands there by now is somebody else's.
    synced = place_.warehouse.synced
    identities = {
        **dict.fromkeys(map(_key, _paths(live))),
        _key(live): asdict(left.warehouse),
        _key(synced): _plain(FileIdentity.of(synced)),
    }
    project = opened.project
    record = _Standing(
        opened.mark,
        place_.target.path,
        str(live),
        identities,
        begun.files,
        left.expires,
        skips,
        [text for text in (project.heading, *project.notices) if text],
        dict(left.artifacts) or None,
    )
    with contextlib.suppress(OSError):
        write(_file(ask), msgspec.msgpack.encode(record), place_.shown)


def _read(ask: Request) -> _Standing | None:
    try:
        return _DECODER.decode(_file(ask).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def _stands(record: _Standing, root: Path, now: float) -> bool:
    """Whether the warehouse, and the files that it was made of, are as the build left them."""
    return (
        (record.expires is None or record.expires >= now)
        and record.identities == _identities(Path(record.live))
        and all(inputs.named(name, root) == version for name, version in record.files.items())
    )


def _is_plain(ask: Request, how: BuildOptions) -> bool:
    """Whether a whole build is asked for, as most are."""
    everything = ask.selection.everything and how.actions == EVERYTHING
    more = how.always or how.retry_rejected or ask.full_refresh or ask.flags or ask.deferred
    return everything and not more


def _is_work(node: Node) -> bool:
    """Whether a plan speaks of it."""
    if node.kind == "source":
        return isinstance(node.body, SourceBody) and node.body.table.load is not None
    return node.kind != "analysis" and (node.kind != "model" or not node.ephemeral)


def _names(node: Node, opened: Opened) -> Iterator[str]:
    """The files that a node is made of. Raises LookupError where it is made of something else."""
    if node.kind == "activation" or node.elsewhere or node.steadiness.time:
        raise LookupError(node.id)
    yield from node.steadiness.files
    load = node.body.table.load if isinstance(node.body, SourceBody) else None
    if load is None:
        return
    paths = load.options.get("path")
    if load.kind != "files" or not paths:
        raise LookupError(node.id)
    for path in [paths] if isinstance(paths, str) else paths:
        if "://" in path:
            raise LookupError(node.id)
        yield str(opened.places.root / path)


def _identities(live: Path) -> dict[str, Any]:
    """The files of a warehouse as they are: its own, its log, and what a build left unfinished."""
    return {_key(path): _plain(FileIdentity.of(path)) for path in _paths(live)}


def _paths(live: Path) -> tuple[Path, ...]:
    warehouse = WarehouseFiles(live)
    return live, wal(live), warehouse.private, warehouse.synced


def _key(path: Path) -> str:
    return path.name + path.parent.name


def _plain(identity: FileIdentity | None) -> Any:
    return asdict(identity) if identity else None


def _file(ask: Request) -> Path:
    trace = place(ask)
    return trace.with_name(trace.name.replace("trace-", "standing-"))


_DECODER = msgspec.msgpack.Decoder(_Standing)
