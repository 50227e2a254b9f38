"""The record of the last build. While it is current, the next build has nothing to do, and knows so
without opening the warehouse.

It is current while the cached project is, the warehouse file is the one that was published, no file
that is loaded or read in SQL has changed, and no check has expired. What files alone cannot tell
(databases, targets, queries that depend on time) is planned.
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
from transformer.workspace.cache import cache_path, current_mark
from transformer.workspace.open import Opened


class WarehouseInputs(msgspec.Struct, frozen=True):
    """The files that a warehouse is built from, besides the project's own, each with a digest of
    its state; None if it is built from more than files."""

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


def unchanged(request: Request, options: BuildOptions, environment: Environment) -> Report | None:
    """The report of a build that has nothing to do, if that is certain; its artifacts are written.
    The notices of its plan are those of the project."""
    if not _is_plain(request, options):
        return None
    record = _read(request)
    if record is None or not _is_current(
        record, request.root.resolve(), environment.clock().timestamp()
    ):
        return None
    root = request.root.resolve()
    env = with_dotenv(root, environment.env) if is_dbt_project(root) else environment.env
    live = Path(record.live)
    if record.mark != current_mark(request, env):
        return None
    if record.artifacts:
        from transformer.workspace.renewal import renew  # noqa: PLC0415 - where there are artifacts

        if not renew(record.artifacts, request, dataclasses.replace(environment, env=env), live):
            return None
    for path in (cache_path(request), _file(request)):
        narrow(path, live)
    skips = tuple(Skip(node_id, name, "unchanged") for node_id, name in record.skips)
    return Report(Plan((), skips, tuple(record.notices)), Results(), path=record.path)


def only_changed(request: Request, options: BuildOptions, opened: Opened, now: float) -> Opened:
    """The project with a graph of only the nodes that may have to run: everything else was up to
    date when the last build ended, and none of its inputs has changed since. The unchanged project
    if that is not certain."""
    record = _read(request) if opened.mark and _is_plain(request, options) else None
    if (
        record is None
        or record.mark not in opened.since
        or not _is_current(record, request.root.resolve(), now)
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
    """The nodes that these read; also what is read through their views and ephemeral models."""
    context: set[str] = set()
    front = {need for i in inside for need in graph[i].needs} - inside
    while front:
        context |= front
        through = {i for i in front if _is_through(graph[i])}
        front = {need for i in through for need in graph[i].needs} - inside - context
    return context


def _is_through(node: Node) -> bool:
    return node.view or node.ephemeral


def inputs_before(request: Request, options: BuildOptions, opened: Opened) -> WarehouseInputs:
    """The files as they are before a build reads any of them. What changes during the build is then
    work for the next one."""
    place_ = opened.publication
    able = opened.mark and _is_plain(request, options)
    if not able or place_.in_place or place_.target.publish.models:
        return WarehouseInputs(None)
    before = _read(request) if opened.whole else None
    looked = [node for node in opened.graph if node.id not in opened.context]
    try:
        names = [name for node in looked for name in _names(node, opened)]
    except LookupError:
        return WarehouseInputs(None)
    versions = {name: inputs.named(name, opened.places.root) for name in names}
    return WarehouseInputs({**(before.files if before else {}), **versions})


class Left(msgspec.Struct, frozen=True):
    """The results of a full build: the warehouse file, when the first check expires, and dbt's
    artifacts as `renewal.left_artifacts` describes them."""

    warehouse: FileIdentity | None
    expires: float | None
    artifacts: Mapping[str, str]


def record_build(request: Request, opened: Opened, begun: WarehouseInputs, left: Left) -> None:
    """Records a successful full build, so that the next one can rely on it."""
    if begun.files is None or left.warehouse is None:
        _file(request).unlink(missing_ok=True)
        return
    part = [n for n in opened.graph if n.id not in opened.context and _is_work(n)]
    skips = [(each.id, each.label) for each in opened.left] + [(n.id, n.name) for n in part]
    place_ = opened.publication
    live = place_.warehouse.live
    # A write-ahead log there now would be someone else's.
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
        write(_file(request), msgspec.msgpack.encode(record), place_.shown)


def _read(request: Request) -> _Standing | None:
    try:
        return _DECODER.decode(_file(request).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None


def _is_current(record: _Standing, root: Path, now: float) -> bool:
    """Whether the warehouse and the files it was built from are as the build left them."""
    return (
        (record.expires is None or record.expires >= now)
        and record.identities == _identities(Path(record.live))
        and all(inputs.named(name, root) == version for name, version in record.files.items())
    )


def _is_plain(request: Request, options: BuildOptions) -> bool:
    """Whether it is a full build without special options."""
    everything = request.selection.everything and options.actions == EVERYTHING
    more = (
        options.always
        or options.retry_rejected
        or request.full_refresh
        or request.flags
        or request.deferred
    )
    return everything and not more


def _is_work(node: Node) -> bool:
    """Whether the node appears in plans."""
    if node.kind == "source":
        return isinstance(node.body, SourceBody) and node.body.table.load is not None
    return node.kind != "analysis" and (node.kind != "model" or not node.ephemeral)


def _names(node: Node, opened: Opened) -> Iterator[str]:
    """The files that a node is built from. Raises LookupError if it depends on anything else."""
    if node.kind == "activation" or node.elsewhere or node.volatility.time:
        raise LookupError(node.id)
    yield from node.volatility.files
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
    """The state of a warehouse's files: itself, its log, and the copy of an unfinished build."""
    return {_key(path): _plain(FileIdentity.of(path)) for path in _paths(live)}


def _paths(live: Path) -> tuple[Path, ...]:
    warehouse = WarehouseFiles(live)
    return live, wal(live), warehouse.private, warehouse.synced


def _key(path: Path) -> str:
    return path.name + path.parent.name


def _plain(identity: FileIdentity | None) -> Any:
    return asdict(identity) if identity else None


def _file(request: Request) -> Path:
    trace = cache_path(request)
    return trace.with_name(trace.name.replace("trace-", "standing-"))


_DECODER = msgspec.msgpack.Decoder(_Standing)
