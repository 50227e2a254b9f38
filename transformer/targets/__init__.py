"""Places outside that rows are kept in step with. A target is a file here; its name is its `kind:`.

A target module holds two names:

    FIELDS               what may stand under `to:`, as a table of `Field`
    connect(to) -> Session

and a session answers three questions: is what was sent still there, take this batch, goodbye.
Whether to try again, which rows to send and what was sent before is the caller's business, so a
target only has to say how a batch went:

    return rejections    the batch landed, but for these rows
    raise Refused        nothing landed, because of a row: the caller splits the batch
    raise Transient      try again later; the first `done` rows have been answered
    raise ActivateError  give up: a wrong password, a missing table, a wrong address

A module may hold `seen(options, places, kept)`: the session's `place` as it is now, empty where
what was sent is gone, None where that cannot be seen. `kept`: rows that were sent should be there
still; from a table in mode `append` others may take them. A plan asks before it skips an
activation.

A file whose name begins with `_` is a part of a target, not a kind.
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

# What every target that can be out of reach understands.
ATTEMPTS = Field(
    "attempts", "integer", "How often a batch is tried before the sync stops", 5, least=1, most=20
)


class BatchShape(Struct, frozen=True):
    """What every batch of a sync looks like: the fields, which of them are the key, the mode."""

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
    """All that a target needs to know to be connected. `options` may hold secrets."""

    options: Options = field(repr=False)
    shape: BatchShape
    places: Places
    where: Where
    clock: Callable[[], datetime]
    secrets: Secrets = field(default_factory=Secrets)


class TargetBatch(Struct, frozen=True):
    """Rows to put and rows to take away.

    `id` is the same whenever the same rows are sent again. `rows` has the shape's schema,
    `removed` its key fields; the documents are the same once more, each row as the text of one
    JSON object, as an Arrow column, for targets that speak JSON. `first` is the place of the
    first row in the batch as it was cut: above 0 when the rows before have been answered.
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
        """The batch without its first `done` rows; removed rows count before the others."""
        return replace(self.part(self.id, done, len(self)), first=self.first + done)

    def part(self, name: str, start: int, stop: int) -> TargetBatch:
        """The rows from `start` to before `stop`, as a batch of its own."""
        edge = self.removed.num_rows
        gone = slice(min(start, edge), min(stop, edge))
        kept = slice(max(start - edge, 0), max(stop - edge, 0))
        return TargetBatch(
            name,
            self.rows[kept],
            self.documents[kept],
            self.removed[gone],
            None if self.removed_documents is None else self.removed_documents[gone],
        )

    def texts(self) -> list[str]:
        """The documents as Python texts, for an HTTP edge."""
        return [str(text) for text in self.documents.to_pylist()]

    def removed_texts(self) -> list[str]:
        """The documents of the removed rows, likewise."""
        held = self.removed_documents
        return [] if held is None else [str(text) for text in held.to_pylist()]


class Rejection(Struct, frozen=True):
    """A row that the target does not take. `row` counts removed rows first, then the others.

    `again` says that the fault may pass: the next sync tries the row again unasked.
    """

    row: int
    reason: str
    answer: str = ""
    again: bool = False


class BatchRefused(Exception):  # noqa: N818 - an answer to the caller, never shown as an error
    """Nothing of the batch landed, because at least one of its rows is bad."""

    def __init__(self, reason: str, answer: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.answer = answer


class Transient(Exception):  # noqa: N818 - an answer to the caller, never shown as an error
    """Worth another try, in `wait` seconds when the target said so.

    The first `done` rows of the batch have been answered; `rejections` are among them.
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
    """An open way to one target.

    `label` names the place without any secret. `place` tells it from every other place, and
    stays the same when only a password changes; it is never shown. `whole` is true for a place
    that is always written as one piece: it gets everything it shall hold as `rows` of one batch.

    A session may have `forms`: how it wants fields that it does not take as typed values. `json`,
    `csv`, `postgres` and `array` (`{1,2}`, for Postgres) are texts; `none` is nothing at all, for a
    target that reads the documents only. It may count as `already` the rows of mode `append` that
    the place had before.
    """

    label: str
    place: str
    whole: bool
    attempts: int

    def intact(self) -> bool:
        """Whether the place still holds what was sent there, as far as can be seen."""

    def send(self, batch: TargetBatch) -> Sequence[Rejection]:
        """The rows not taken; see the module's docstring for the other ways to end."""

    def close(self) -> None:
        """Let go of the connection."""


class TargetKind(Protocol):
    """What a target module holds."""

    FIELDS: Fields

    def connect(self, to: TargetRequest) -> TargetConnection:
        """A session; ActivateError or ConfigError when there cannot be one."""


def kinds() -> tuple[str, ...]:
    """Every kind of target, our own and those of installed plug-ins."""
    return plugins.kinds(__name__)


def find(kind: str, where: Where | None = None) -> TargetKind:
    """The module of a kind; ConfigError with the nearest known kind when there is none."""
    if kind in kinds():
        return cast("TargetKind", plugins.find(__name__, kind))
    raise ConfigError(f"unknown kind of target `{kind}`", where, hint=did_you_mean(kind, kinds()))


def vocabulary() -> Mapping[str, Fields]:
    """What each kind understands under `to:`."""
    return plugins.KindFields(__name__)


def with_defaults(fields: Fields, options: Options) -> Mapping[str, Any]:
    """The options with every absent one at its default."""
    given = {name: value for name, value in options.items() if value is not None}
    return {each.name: each.default for each in fields} | given
