"""Where a build works: the private copy of a warehouse, from its making to its publication."""

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

# So many bytes are copied before mistakes are told: of more, they are looked for first.
_SOON = 2 << 30


class Publication(Struct, frozen=True):
    """One target's warehouse and the engine's module that opens it.

    `shown` is the file that BI tools open. Where the target shows only some models it is an
    extract, and the whole warehouse is another file beside it.
    """

    shown: Path
    target: Target
    engine: Any
    # The project's name, and those of its packages: ids in the ledger begin with them.
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
        """The sync ledger: what the outside world has received."""
        return WarehouseFiles(self.shown).synced

    @property
    def in_place(self) -> bool:
        """Whether the file itself is built in, without a copy."""
        return self.target.publish.mode == "in_place"

    @property
    def resumes(self) -> bool:
        """Whether there is the copy of a build that did not end, of the file as it is."""
        return not self.in_place and base_is_current(self.warehouse)

    @property
    def is_soon_copied(self) -> bool:
        """Whether a copy costs less than to open the file once more."""
        return not self.in_place and occupied(self.warehouse.live) < _SOON

    @property
    def reading(self) -> Path:
        """The file that tells the state."""
        return self.warehouse.private if self.resumes else self.warehouse.live

    def recover(self) -> None:
        """Folds in what another writer left behind when it was killed, and makes the file that
        was whole until now the ground of one that shows only some models."""
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
        """What is left of earlier builds is for those who may read the file that is shown: they
        may be fewer by now."""
        live, room = self.warehouse.live, self.warehouse.room
        narrow(live, self.shown)
        folder(room, self.shown)
        for path in (room / "lock", *room.parent.glob("*.msgpack")):
            narrow(path, self.shown)

    def _make_ground(self, extract: Extract) -> None:
        """Where the file that is shown was made by a build without extracts, or by an earlier
        version of this tool, that is noted; the whole of it is kept."""
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
        """Removes the copy of a build that did not end."""
        if not self.in_place:
            discard(self.warehouse)

    def complete(self, shown: list[RelationName]) -> bool:
        """Whether the files are there, and the extract holds just what it shall show."""
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
        """The engine over the file that tells the state, or over another of the two, for reading;
        None when there is none."""
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
        """Whether the ids in the ledger hold a name that the project no longer has."""
        with opened(self.reading, self._bare) as engine:
            return self._former(engine)

    def _former(self, engine: Any) -> bool:
        if engine is None or not self.project:
            return False
        with engine.session() as session:
            return bool(former(session, self.project, self.packages))

    def note_name(self, engine: Any) -> None:
        """Gives the ids in the ledger the project's name, and notes it."""
        with engine.session() as session:
            if not self.project or not ledger.exists(session):
                return
            if not is_noted(session, self.project):
                with session.transaction():
                    rename(session, self.project, self.packages)

    def _bare(self, path: Path) -> Any:
        """The file, open for reading as it is."""
        return self.engine.connect(path, read_only=True)

    def _connected(self, path: Path, *, read_only: bool = False) -> Any:
        """The file, open under the name that queries give it, with what the target adds."""
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
        """What the warehouse holds, and what its ledger says; an absent one holds nothing."""
        with self.looking() as engine:
            return state_of(engine) if engine else State()

    @contextmanager
    def working(self) -> Iterator[Any]:
        """The engine over the private copy, made or resumed. It is closed cleanly at the end,
        so that all of it is in one file."""
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
        """Whether what was built becomes the file that is shown."""
        return self.target.publish.mode != "gated" or not failed

    def extract(self, engine: Any, names: list[RelationName]) -> None:
        """Writes the extract, where the target asks for one, beside the private copy."""
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
        """Puts what was built in place, in one instant; what tells the warehouse as it was put
        there. A file that may be `bloated` is looked at first."""
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
        """Refuses to go on with a copy of another state of the file than the one that was planned
        from. Raises WarehouseError."""
        if not self.in_place and FileIdentity.of(self.warehouse.live) != ground:
            raise changed_meanwhile(self.warehouse.live)

    def last_good(self) -> datetime | None:
        """When the build that is shown now ended."""
        with opened(self.warehouse.live, self._bare) as engine:
            if engine is None:
                return None
            with engine.session() as session:
                last = ledger.last_run(session)
        return last[0] if last else None


@contextmanager
def opened(path: Path, connect: Callable[[Path], Any]) -> Iterator[Any]:
    """The file, opened that way; None when it is not there."""
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
    """What an open warehouse holds, and what its ledger says: all of it, or what the graph is
    concerned with."""
    ids = None if graph is None else graph.nodes.keys()
    names = None if graph is None else [node.relation for node in graph if node.relation]
    with engine.session() as session:
        nodes = ledger.nodes(session, ids)
    return State(engine.relations(names), nodes)
