"""One file with all rows of an activation: CSV, NDJSON, JSON or Parquet.

The file is always complete: a temporary file is written, flushed to disk and moved over the old
one, so a reader sees either the old or the new rows. Values are written unchanged, even a text
that a spreadsheet would read as a formula.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from transformer.errors import ActivateError, ConfigError
from transformer.permissions import like
from transformer.project.paths import Places
from transformer.project.schema import Field, Fields
from transformer.project.values import Options
from transformer.targets import Rejection, TargetBatch, TargetRequest, with_defaults

if TYPE_CHECKING:
    import pyarrow as pa

FIELDS: Fields = (
    Field("path", "text", "The file, relative to the project", required=True),
    Field(
        "format",
        "choice",
        "The file format; by default it follows from the extension, else `csv`",
        choices=("csv", "ndjson", "json", "parquet"),
    ),
    Field("header", "flag", "Whether the first line has the field names (csv)", True),
    Field("delimiter", "text", "The separator of values (csv)", ","),
)

ENDINGS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".parquet": "parquet"}

Writer = Callable[[IO[bytes], TargetBatch], None]


@dataclass(frozen=True)
class FileConnection:
    """A file to write; `write` writes a batch into an open file."""

    path: Path
    label: str
    write: Writer
    # The form of fields that the format does not take as typed values.
    forms: Mapping[str, str]
    whole: bool = True
    attempts: int = 1

    @property
    def place(self) -> str:
        """The file's path relative to the project, since the project may be moved."""
        return self.label

    def intact(self) -> bool:
        """Whether the file exists: a deleted one is written again."""
        return self.path.is_file()

    def send(self, batch: TargetBatch) -> Sequence[Rejection]:
        """Replaces the file; no row is ever rejected. Raises ActivateError."""
        try:
            with _replaced(self.path) as file:
                self.write(file, batch)
        except OSError as error:
            raise ActivateError(
                f"cannot write `{self.label}`: {error.strerror or error}",
                hint="the existing file is unchanged",
            ) from error
        return ()

    def close(self) -> None:
        """Does nothing: no file stays open between batches."""


def current_place(options: Options, places: Places, _: bool) -> str | None:
    """The current `place`; "" if the file is gone."""
    path = places.resolve(str(options["path"]))
    return places.shown(path) if path.is_file() else ""


def connect(to: TargetRequest) -> FileConnection:
    """A connection to the file `path:`; its folder is created with the first batch. Raises
    ConfigError."""
    options = with_defaults(FIELDS, to.options)
    path = to.places.resolve(str(options["path"]), to.where)
    if path.is_dir():
        raise ConfigError(f"`{options['path']}` is a folder, not a file", to.where)
    kind = options["format"] or ENDINGS.get(path.suffix.lower(), "csv")
    forms = dict.fromkeys(to.shape.fields, FORMS[str(kind)]) if str(kind) in FORMS else {}
    return FileConnection(path, to.places.shown(path), _writer(str(kind), options, to), forms)


def _writer(kind: str, options: Any, to: TargetRequest) -> Writer:
    if kind == "csv":
        if len(str(options["delimiter"]).encode()) != 1:
            raise ConfigError("`delimiter` must be one character", to.where)
        return _csv(bool(options["header"]), str(options["delimiter"]))
    return WRITERS[kind]()


def _csv(header: bool, delimiter: str) -> Writer:
    import polars as pl  # noqa: PLC0415 - heavy, and only this format needs it

    def write(file: IO[bytes], batch: TargetBatch) -> None:
        # All values are text already: a date may be outside the range of polars.
        frame = pl.DataFrame(pl.from_arrow(batch.rows))
        frame.write_csv(file, include_header=header, separator=delimiter)

    return write


def _ndjson() -> Writer:
    def write(file: IO[bytes], batch: TargetBatch) -> None:
        if len(batch.documents):
            file.write(_joined(batch, "\n"))
            file.write(b"\n")

    return write


def _json() -> Writer:
    def write(file: IO[bytes], batch: TargetBatch) -> None:
        if not len(batch.documents):
            file.write(b"[]\n")
            return
        for part in (b"[\n", _joined(batch, ",\n"), b"\n]\n"):
            file.write(part)

    return write


def _joined(batch: TargetBatch, between: str) -> Any:
    """The documents as one text, joined by Arrow without creating Python objects."""
    import pyarrow as pa  # noqa: PLC0415 - heavy, and only these formats need it
    import pyarrow.compute as pc  # noqa: PLC0415

    texts = batch.documents.combine_chunks().cast(pa.large_string())
    single_list = pa.LargeListArray.from_arrays(pa.array([0, len(texts)], pa.int64()), texts)
    return pc.binary_join(single_list, pa.scalar(between, pa.large_string()))[0].as_buffer()


def _parquet() -> Writer:
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy, and only this format needs it

    def write(file: IO[bytes], batch: TargetBatch) -> None:
        pq.write_table(_unmarked(batch.rows), file)

    return write


def _unmarked(rows: pa.Table) -> pa.Table:
    return rows.replace_schema_metadata(None)


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file that replaces the old one if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(
        f".{glob.escape(path.name)}.????????.new"
    ):  # of a killed build
        leftover.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        like(fresh, path)
        fresh.replace(path)
        _flushed(path.parent)
    finally:
        fresh.unlink(missing_ok=True)


def _flushed(folder: Path) -> None:
    """Flushes the folder, so that the rename survives a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# Formats written from documents need no values.
FORMS = {"csv": "csv", "ndjson": "none", "json": "none"}

WRITERS: dict[str, Callable[[], Writer]] = {
    "ndjson": _ndjson,
    "json": _json,
    "parquet": _parquet,
}
