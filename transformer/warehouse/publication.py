"""The private copy of a warehouse, from its creation to its publication."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct

from transformer.compile.nodes import Graph
from transformer.errors import TransformError, WarehouseError
from transformer.names import RelationName
from transformer.permissions import folder, narrow
from transformer.project.values import Target
from transformer.steps import State
from transformer.warehouse import ledger
from transformer.warehouse.file import (
    Extract,
    FileIdentity,
    WarehouseFiles,
    base_is_current,
    changed_meanwhile,
    copy,
    copy_file,
    discard,
    publish,
    recover,
    show,
)
from transformer.warehouse.lock import refuse_removed
from transformer.warehouse.renaming import former, is_noted, rename
from transformer.warehouse.sparse_copy import logs, occupied

# Up to this size the copy is made before the project is checked for mistakes.
_SOON = 2 << 30


class Publication(Struct, frozen=True):
    """One target's warehouse and the engine's module that opens it.

    `shown` is the published file. If the target publishes only some models it is an extract, and
    the whole warehouse is another file beside it."""

    shown: Path
    target: Target
    engine: Any
    # The names of the project and its packages: node ids begin with them.
    project: str = ""
    packages: tuple[str, ...] = ()
    # The project's folder, where relative file names in SQL lead to.
    folder: Path | None = None

    @property
    def warehouse(self) -> WarehouseFiles:
        """The whole warehouse."""
        if not self.target.publish.models:
            return WarehouseFiles(self.shown)
        return WarehouseFiles(self.shown.with_name(f"{self.shown.stem}.full{self.shown.suffix}"))

    @property
    def synced(self) -> Path:
        """The sync ledger: what targets have received."""
        return WarehouseFiles(self.shown).synced

    @property
    def in_place(self) -> bool:
        """Whether builds write to the file itself, without a copy."""
        return self.target.publish.mode == "in_place"

    @property
    def resumes(self) -> bool:
        """Whether there is a copy of an unfinished build, made from the file as it is now."""
        return not self.in_place and base_is_current(self.warehouse)

    @property
    def is_soon_copied(self) -> bool:
        """Whether a copy costs less than opening the file once more."""
        return not self.in_place and occupied(self.warehouse.live) < _SOON

    @property
    def reading(self) -> Path:
        """The file that holds the current state."""
        return self.warehouse.private if self.resumes else self.warehouse.live

    def recover(self) -> None:
        """Replays the log of a killed writer; and where a target publishes only some models for the
        first time, keeps the published file as the whole warehouse."""
        self._narrow()
        if extract := self._extract:
            recover(self.shown, self.engine)
            self._make_ground(extract)
            if not extract.is_ours():
                raise WarehouseError(
                    f"`{self.shown.name}` holds what others wrote into it, and would be replaced:"
                    " this target shows some models only",
                    self.target.places.get("path"),
                    hint="copy what is needed elsewhere and remove the file; nothing was changed",
                )
        recover(self.warehouse.live, self.engine)

    def _narrow(self) -> None:
        """Restricts files of earlier builds to those who may read the published file now."""
        live, room = self.warehouse.live, self.warehouse.room
        narrow(live, self.shown)
        folder(room, self.shown)
        for path in (room / "lock", *room.parent.glob("*.msgpack")):
            narrow(path, self.shown)

    def _make_ground(self, extract: Extract) -> None:
        """Records a published file that was written by a build without extracts or by an earlier
        version, and keeps it as the whole warehouse."""
        if extract.is_noted and self.warehouse.live.exists():
            return
        with opened(self.shown, self._bare) as engine:
            ours = engine is not None and (ledger.SCHEMA, "runs") in engine.relations()
            whole = ours and (ledger.SCHEMA, "nodes") in engine.relations()
        if whole and not self.warehouse.live.exists():
            copy_file(self.shown, self.warehouse.live)
        if not extract.is_noted:
            extract.note(*([self.shown] if ours else ()))

    def forget_unfinished(self) -> None:
        """Removes the copy of an unfinished build."""
        if not self.in_place:
            discard(self.warehouse)

    def complete(self, shown: list[RelationName]) -> bool:
        """Whether the files exist, and the extract holds exactly the published models."""
        if not self.warehouse.live.exists():
            return False
        if not self.target.publish.models:
            return True
        with (
            opened(self.shown, self._bare) as extract,
            opened(self.warehouse.live, self._bare) as whole,
        ):
            if extract is None:
                return False
            extracted = {k for k in extract.relations() if k[0] != ledger.SCHEMA}
            return extracted == {n.key() for n in shown} and _last(extract) == _last(whole)

    @contextmanager
    def looking(self, path: Path | None = None) -> Iterator[Any]:
        """The engine over the current state, or over another file, read-only; None if there is
        none."""
        file_path, connect = path or self.reading, partial(self._connected, read_only=True)
        with opened(file_path, connect) as engine:
            if not self._former(engine):
                yield engine
                return
        with TemporaryDirectory() as room:  # read as it will be when it is next built
            copied = Path(room) / file_path.name
            for part in (file_path, *logs(file_path)):
                copy_file(part, Path(room) / part.name)
            with opened(copied, self._connected) as engine:
                self.note_name(engine)
                yield engine

    @property
    def is_renamed(self) -> bool:
        """Whether ids in the ledger contain an earlier name of the project."""
        with opened(self.reading, self._bare) as engine:
            return self._former(engine)

    def _former(self, engine: Any) -> bool:
        if engine is None or not self.project:
            return False
        with engine.session() as session:
            return bool(former(session, self.project, self.packages))

    def note_name(self, engine: Any) -> None:
        """Renames the ids in the ledger to the project's current name."""
        with engine.session() as session:
            if not self.project or not ledger.exists(session):
                return
            if not is_noted(session, self.project):
                with session.transaction():
                    rename(session, self.project, self.packages)

    def _bare(self, path: Path) -> Any:
        """The file, opened read-only, without the target's settings."""
        return self.engine.connect(path, read_only=True)

    def _connected(self, path: Path, *, read_only: bool = False) -> Any:
        """The file, opened as the catalog of queries, with the target's settings and attached
        databases."""
        settings = {} if read_only else self.target.settings
        engine = self.engine.connect(
            path,
            settings,
            read_only=read_only,
            catalog=self.target.catalog,
            folder=self.folder,
        )
        try:
            engine.equip(self.target.extensions, self.target.attach, self.target.secrets)
        except BaseException:
            engine.close()
            raise
        return engine

    def state(self) -> State:
        """The relations and the ledger of the warehouse; empty if it does not exist."""
        with self.looking() as engine:
            return state_of(engine) if engine else State()

    @contextmanager
    def working(self) -> Iterator[Any]:
        """The engine over the private copy, new or resumed. It is closed at the end, so that
        everything is in one file."""
        if not self.in_place:
            copy(self.warehouse, self.engine)
        path = self.warehouse.live if self.in_place else self.warehouse.private
        engine = self._connected(path)
        try:
            self.note_name(engine)
            yield engine
        except BaseException:
            with suppress(TransformError):
                engine.close()
            raise
        engine.close()

    def may_publish(self, *, failed: bool) -> bool:
        """Whether the build may be published."""
        return self.target.publish.mode != "gated" or not failed

    def extract(self, engine: Any, names: list[RelationName]) -> None:
        """Writes the extract beside the private copy, if the target publishes one."""
        if extract := self._extract:
            folder(extract.built.parent, self.shown)
            engine.export(extract.built, [*names, ledger.RUNS])

    @property
    def _extract(self) -> Extract | None:
        if not self.target.publish.models:
            return None
        room = self.warehouse.room
        return Extract(room / "extract" / self.shown.name, self.shown, room)

    def publish(self, *, bloated: bool = True) -> FileIdentity | None:
        """Publishes the private copy atomically, and returns the identity of the published file. A
        file that may be `bloated` is compacted first."""
        left = None
        if not self.in_place:
            refuse_removed(self.warehouse)
            if bloated:
                self.engine.compact_if_bloated(self.warehouse.private)
            left = publish(self.warehouse, self.engine, self._extract)
        elif extract := self._extract:
            show(extract, self.engine)
        return left

    def refuse_other(self, ground: FileIdentity | None) -> None:
        """Raises WarehouseError if the live file is not the one that the plan is based on."""
        if not self.in_place and FileIdentity.of(self.warehouse.live) != ground:
            raise changed_meanwhile(self.warehouse.live)

    def last_good(self) -> datetime | None:
        """When the published build ended."""
        with opened(self.warehouse.live, self._bare) as engine:
            if engine is None:
                return None
            with engine.session() as session:
                last = ledger.last_run(session)
        return last[0] if last else None


@contextmanager
def opened(path: Path, connect: Callable[[Path], Any]) -> Iterator[Any]:
    """The opened file; None if it does not exist."""
    if not path.exists():
        yield None
        return
    engine = connect(path)
    try:
        yield engine
    finally:
        engine.close()


def _last(engine: Any) -> Any:
    with engine.session() as session:
        return ledger.last_end(session)


def state_of(engine: Any, graph: Graph | None = None) -> State:
    """The relations and the ledger of an open warehouse; with a `graph`, only those of its
    nodes."""
    ids = None if graph is None else graph.nodes.keys()
    names = None if graph is None else [node.relation for node in graph if node.relation]
    with engine.session() as session:
        nodes = ledger.nodes(session, ids)
    return State(engine.relations(names), nodes)
