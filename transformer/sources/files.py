"""Files: CSV, TSV, JSON, NDJSON, Parquet and Excel; local, `http(s)://` or `s3://`.

Text formats are staged as text, so that a value of the wrong type costs its row, not the load.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformer.errors import Fault, LoadError, TransformError
from transformer.landing.formats import FORMATS, Given
from transformer.landing.staged import PART, ROW, UNKNOWN, Session, Staged
from transformer.ledger import Part
from transformer.names import literal, quoted
from transformer.project.paths import is_remote
from transformer.project.schema import Field, Fields
from transformer.sources import Request

FIELDS: Fields = (
    Field("path", "texts", "Files, globs or URLs; many become one table", required=True),
    Field(
        "format",
        "choice",
        "What the files are; without it, their ending says",
        choices=("csv", "tsv", "json", "ndjson", "parquet", "excel"),
    ),
    Field("delimiter", "text", "What stands between two values; found in the header without it"),
    Field("quote", "text", "What values are quoted with", '"'),
    Field("header", "flag", "Whether the first row holds the names", True),
    Field(
        "encoding",
        "choice",
        "How the text is encoded",
        "utf-8",
        choices=("utf-8", "utf-16", "latin-1"),
    ),
    Field(
        "compression",
        "choice",
        "How the files are packed; their ending says without it",
        choices=("none", "gzip", "zstd"),
    ),
    Field("null_values", "texts", "Texts that mean that nothing is there", ()),
    Field("sheet", "text", "The sheet of an Excel file; the first without it"),
    Field("range", "text", "The cells of an Excel sheet, such as `A3:F200`"),
    Field("header_row", "integer", "The row of an Excel sheet that holds the names", 1),
)

_ENDINGS = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "excel",
}


def connect(request: Request) -> FileReader:
    """The reader of a table made of files."""
    return FileReader(request)


@dataclass(slots=True)
class FileReader:
    """The files of one source table."""

    request: Request
    _local: dict[str, Path] = field(default_factory=dict)

    @property
    def options(self) -> Any:
        """The options under `load:`."""
        load = self.request.table.load
        return load.options if load else {}

    def error(self, what: str, hint: str = "") -> LoadError:
        """An error placed at the `load:` in YAML."""
        load = self.request.table.load
        return LoadError(what, load.where if load else None, hint)

    def parts(self, session: Session) -> Sequence[Part]:
        """Every file, in the order of the paths, then of their names."""
        found: dict[str, Part] = {}
        for path in self.options["path"]:
            made = self._remote(session, path) if is_remote(path) else self._files(path)
            if not made:
                raise self.error(
                    f"there is no file `{path}`",
                    hint="the path is relative to the project; globs such as `data/*.csv` may stand there",
                )
            found |= {part.name: part for part in made}
        return tuple(found.values())

    def _files(self, path: str) -> list[Part]:
        load = self.request.table.load
        full = self.request.places.resolve(path, load.where if load else None)
        made = []
        for name in sorted(glob.glob(str(full), recursive=True)):
            file = self.request.places.resolve(name)
            if file.is_file():
                shown = self.request.places.shown(file)
                self._local[shown] = file
                stat = file.stat()
                made.append(Part(shown, f"{stat.st_size}:{stat.st_mtime_ns}"))
        return made

    def _remote(self, session: Session, path: str) -> list[Part]:
        self.request.extension(session, "httpfs")
        try:
            rows = session.rows(
                f"select filename, size, last_modified from read_blob({literal(path)}) order by 1"
            )
        except Fault as fault:
            raise self.error(f"`{path}` cannot be read: {_first(fault)}") from None
        return [Part(name, f"{size}:{modified}") for name, size, modified in rows]

    def digest(self, part: Part) -> str:
        """The file's digest; none for a remote one, whose identity must do."""
        file = self._local.get(part.name)
        if file is None:
            return ""
        made = hashlib.blake2b(digest_size=16)
        try:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    made.update(block)
        except OSError as error:
            raise self.error(
                f"`{part.name}` cannot be read: {error.strerror}", hint="check its permissions"
            ) from None
        return made.hexdigest()

    def stage(
        self, session: Session, parts: Sequence[Part], since: str | None, limit: int | None
    ) -> Staged:
        """All files as one set of rows; columns are united by name."""
        del since  # a file has no cursor: it is read when it is new
        staged = [self._one(session, number, part, limit) for number, part in enumerate(parts)]
        return united(session, staged)

    def _one(self, session: Session, number: int, part: Part, limit: int | None) -> Staged:
        kind = self.options.get("format") or self._format(part.name)
        if is_remote(part.name):
            self.request.extension(session, "httpfs")
        if kind == "excel":
            self.request.extension(session, "excel")
        file = self._local.get(part.name)
        given = Given(
            number=number,
            name=part.name,
            path=str(file) if file else part.name,
            options=self.options,
            declared=tuple(column.name for column in self.request.table.described.columns),
            limit=limit,
        )
        try:
            if file and file.stat().st_size == 0:
                raise self.error(f"`{part.name}` is empty", hint="remove it, or export it again")
            return FORMATS[kind](session, given)
        except Fault as fault:
            raise self.error(
                f"`{part.name}` cannot be read as {kind}: {_first(fault)}",
                hint="look at `format`, `encoding` and `compression` under `load:`",
            ) from None
        except OSError as error:
            raise self.error(f"`{part.name}` cannot be read: {error.strerror}") from None
        except TransformError as error:
            load = self.request.table.load
            raise (error.at(load.where) if load else error) from None

    def _format(self, name: str) -> str:
        endings = Path(name.split("?", maxsplit=1)[0]).suffixes
        for ending in reversed(endings):
            if ending.lower() in _ENDINGS:
                return _ENDINGS[ending.lower()]
        raise self.error(f"`{name}` has no ending that says what it is", hint="set `format:`")


def united(session: Session, staged: Sequence[Staged]) -> Staged:
    """Several stagings as one: columns by name, a column's type from the first that knows it."""
    if len(staged) == 1:
        return staged[0]
    columns: dict[str, str] = {}
    for each in staged:
        for name, kind in each.columns:
            if columns.get(name, UNKNOWN) == UNKNOWN:
                columns[name] = kind
    rows = " union all by name ".join(f"({each.rows})" for each in staged)
    names = ", ".join(quoted(name) for name in columns)
    if not all(each.text for each in staged):
        described = dict(session.columns(rows))
        columns = {name: described[name] for name in columns}
    bad = [each.bad for each in staged if each.bad]
    return Staged(
        rows=f"select {names}, {PART}, {ROW} from ({rows})",
        columns=tuple(columns.items()),
        text=all(each.text for each in staged),
        bad=" union all ".join(bad) if bad else None,
    )


def _first(fault: Fault) -> str:
    return fault.message.splitlines()[0].strip().rstrip(".!")
