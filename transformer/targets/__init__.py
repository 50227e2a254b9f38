"""Targets: where activations send rows. One module per kind, named like its `kind:` in YAML.

A target module defines:

    FIELDS                            the keys under `to:`, as a table of `Field`
    connect(to) -> TargetConnection

A connection tells whether earlier rows are `intact`, takes batches (`send`), and is closed. The
caller decides about retries and which rows to send; a target only reports how a batch went:

    return rejections    the batch landed, except for these rows
    raise BatchRefused   nothing landed, because of a row: the caller splits the batch
    raise Transient      retry later; the first `done` rows have been processed
    raise ActivateError  give up: wrong password, missing table, wrong URL

A module may define `current_place(options, places, kept)`: the connection's current `place`, "" if
what was sent is gone, None if that is unknown. `kept`: rows that were sent should still be there;
in mode `append` others may delete them. A plan calls it before it skips an activation.

A module whose name starts with `_` is a part of a target, not a kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from msgspec import Struct
from msgspec.structs import replace

from transformer import plugins
from transformer.errors import ConfigError, Where, did_you_mean
from transformer.project.paths import Places
from transformer.project.schema import Field, Fields
from transformer.project.values import Options
from transformer.redaction import Secrets

if TYPE_CHECKING:
    import pyarrow as pa

# A key of every target that may be unreachable.
ATTEMPTS = Field(
    "attempts", "integer", "How often a batch is tried before the sync fails", 5, least=1, most=20
)


class BatchShape(Struct, frozen=True):
    """What all batches of a sync have in common: activation, mode, key and schema."""

    activation: str
    mode: str
    key: tuple[str, ...]
    schema: pa.Schema

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields at the target, in order."""
        return tuple(self.schema.names)


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """What a target needs in order to connect. `options` may contain secrets."""

    options: Options = field(repr=False)
    shape: BatchShape
    places: Places
    where: Where
    clock: Callable[[], datetime]
    secrets: Secrets = field(default_factory=Secrets)


class TargetBatch(Struct, frozen=True):
    """Rows to write and rows to remove.

    `id` stays the same when the same rows are sent again. `rows` has the shape's schema, `removed`
    its key fields. The documents are the same rows as JSON objects (an Arrow column of text), for
    targets that speak JSON. `first` is the index of the first row in the original batch: above 0
    if the rows before it have been processed.
    """

    id: str
    rows: pa.Table
    documents: pa.ChunkedArray
    removed: pa.Table
    removed_documents: pa.ChunkedArray | None = None
    first: int = 0

    def __len__(self) -> int:
        return int(self.rows.num_rows + self.removed.num_rows)

    def after(self, done: int) -> TargetBatch:
        """The batch without its first `done` rows; removed rows come first."""
        return replace(self.part(self.id, done, len(self)), first=self.first + done)

    def part(self, name: str, start: int, stop: int) -> TargetBatch:
        """The rows from `start` up to (excluding) `stop`, as a separate batch."""
        edge = self.removed.num_rows
        removed = slice(min(start, edge), min(stop, edge))
        rows = slice(max(start - edge, 0), max(stop - edge, 0))
        return TargetBatch(
            name,
            self.rows[rows],
            self.documents[rows],
            self.removed[removed],
            None if self.removed_documents is None else self.removed_documents[removed],
        )

    def texts(self) -> list[str]:
        """The documents as Python strings, for HTTP targets."""
        return [str(text) for text in self.documents.to_pylist()]

    def removed_texts(self) -> list[str]:
        """The documents of removed rows as Python strings."""
        documents = self.removed_documents
        return [] if documents is None else [str(text) for text in documents.to_pylist()]


class Rejection(Struct, frozen=True):
    """A row that the target rejects. `row` counts from 0, removed rows first.

    `again`: the failure may be temporary, so the next sync retries the row.
    """

    row: int
    reason: str
    answer: str = ""
    again: bool = False


class BatchRefused(Exception):  # noqa: N818 - an answer to the caller, never shown as an error
    """Nothing of the batch landed, because the target refuses at least one of its rows."""

    def __init__(self, reason: str, answer: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer


class Transient(Exception):  # noqa: N818 - an answer to the caller, never shown as an error
    """A temporary failure: worth a retry, after `wait` seconds if the target gave a delay.

    The first `done` rows of the batch have been processed; `rejections` are among them.
    """

    def __init__(
        self,
        reason: str,
        wait: float | None = None,
        done: int = 0,
        rejections: Sequence[Rejection] = (),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.done = done
        self.rejections = tuple(rejections)


class TargetConnection(Protocol):
    """An open connection to one target.

    `label` names the target without secrets. `place` identifies it and does not change with the
    password; it is never shown. `whole`: the target is always written as one piece, so it gets
    everything it should contain as `rows` of one batch.

    A connection may have `forms`: how it wants fields that it does not take as typed values.
    `json`, `csv`, `postgres` and `array` (`{1,2}`, for Postgres) are texts; `none` omits the
    values, for a target that reads only the documents. It may count in `already` the rows of mode
    `append` that the target already had.
    """

    label: str
    place: str
    whole: bool
    attempts: int

    def intact(self) -> bool:
        """Whether the target still has what was sent, as far as that can be checked."""

    def send(self, batch: TargetBatch) -> Sequence[Rejection]:
        """The rejected rows. Raises BatchRefused, Transient and ActivateError: see the module."""

    def close(self) -> None:
        """Closes the connection."""


class TargetKind(Protocol):
    """The interface of a target module."""

    FIELDS: Fields

    def connect(self, to: TargetRequest) -> TargetConnection:
        """A connection. Raises ActivateError or ConfigError."""


def kinds() -> tuple[str, ...]:
    """The names of all kinds: modules of this folder, then plug-ins."""
    return plugins.kinds(__name__)


def find(kind: str, where: Where | None = None) -> TargetKind:
    """The module of a kind. Raises ConfigError, with the nearest name as a hint."""
    if kind in kinds():
        return cast("TargetKind", plugins.find(__name__, kind))
    raise ConfigError(f"unknown kind of target `{kind}`", where, hint=did_you_mean(kind, kinds()))


def vocabulary() -> Mapping[str, Fields]:
    """The keys that each kind supports under `to:`."""
    return plugins.KindFields(__name__)


def with_defaults(fields: Fields, options: Options) -> Mapping[str, Any]:
    """The options, with defaults for absent ones."""
    present = {name: value for name, value in options.items() if value is not None}
    return {spec.name: spec.default for spec in fields} | present
