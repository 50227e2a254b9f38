"""Files: CSV, TSV, JSON, NDJSON, Parquet and Excel; local, `http(s)://` or `s3://`.

Text formats are staged as text, so that a value of the wrong type fails its row, not the load.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryDirectory
from typing import TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.world import secrets_of
from transformer.errors import Fault, TransformError, reason_of
from transformer.landing.formats import FORMATS
from transformer.landing.small import SmallFile
from transformer.landing.source_file import FRESH_REJECTS, SourceFile
from transformer.landing.staged import Cursor, ReaderSession, Staged
from transformer.landing.union import united
from transformer.landing.whole import compression_of, decompress, download, not_whole
from transformer.names import literal
from transformer.project.paths import is_remote, not_a_file, path_shown
from transformer.project.schema import Field, Fields
from transformer.redaction import without_passwords
from transformer.sources import ReaderRequest
from transformer.sources._s3 import secret
from transformer.steps import SourcePart

T = TypeVar("T")

FIELDS: Fields = (
    Field(
        "path", "texts", "Files, globs or URLs; many become one table", required=True, secret=True
    ),
    Field(
        "format",
        "choice",
        "The file format; by default it follows from the extension",
        choices=("csv", "tsv", "json", "ndjson", "parquet", "excel"),
    ),
    Field("delimiter", "text", "The separator of values; by default detected from the header"),
    Field("quote", "text", "The quote character", '"'),
    Field("header", "flag", "Whether the first row contains the column names", True),
    Field(
        "encoding",
        "text",
        "The text encoding: any that Python supports, such as `windows-1252`; a byte order mark is"
        " recognized",
        "utf-8",
    ),
    Field(
        "compression",
        "choice",
        "How the files are compressed; by default it follows from the extension",
        choices=("none", "gzip", "zstd"),
    ),
    Field(
        "verify",
        "choice",
        "How a changed file is detected: by size and modification time (`metadata`), or by reading"
        " it every time (`content`)",
        "metadata",
        choices=("metadata", "content"),
    ),
    Field("escape", "text", "The character that escapes a quote; by default the quote is doubled"),
    Field("comment", "text", "Lines that start with this character are skipped"),
    Field("skip", "integer", "Lines to skip before the header", 0, least=0),
    Field("decimal", "text", "The decimal mark of numbers in CSV and TSV", "."),
    Field("thousands", "text", "The thousands separator"),
    Field("date_format", "text", "The format of dates, such as `%d.%m.%Y`; default `2024-12-31`"),
    Field(
        "timestamp_format",
        "text",
        "The format of timestamps, such as `%d.%m.%Y %H:%M`; default `2024-12-31 18:30:00`",
    ),
    Field("records", "text", "The path to the rows in a JSON document, such as `data.items`"),
    Field("null_values", "texts", "Texts that are read as NULL", ()),
    Field("sheet", "text", "The sheet of an Excel file; by default the first visible one"),
    Field("range", "text", "The cell range of an Excel sheet, such as `A3:F200`"),
    Field("header_row", "integer", "The row with the column names", 1, least=1),
    Field("endpoint", "text", "The server of `s3://` paths, if it is not Amazon's"),
    Field("region", "text", "The region of `s3://` paths"),
    Field(
        "credentials",
        "text",
        "The prefix of the environment variables with the credentials of `s3://` paths: `AWS` means"
        " `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
        "AWS",
    ),
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
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
}


def connect(request: ReaderRequest) -> FileReader:
    """The reader of a table that consists of files."""
    return FileReader(request)


class _DigestedFile(Struct, frozen=True):
    """A local file when it was digested. `recent`: so soon after a change that another change may
    have left the same timestamps."""

    mark: tuple[int, ...]
    digest: str
    recent: bool


class FileReader(Struct):
    """The files of one source table."""

    request: ReaderRequest
    _local: dict[str, Path] = field(default_factory=dict)
    _urls: dict[str, str] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _digested: dict[str, _DigestedFile] = field(default_factory=dict)
    _copies: list[TemporaryDirectory[str]] = field(default_factory=list)
    repeats: bool = False

    def parts(self, session: ReaderSession) -> Sequence[SourcePart]:
        """Every file, ordered by path entry, then by name. A pattern may match nothing if the load
        mode only adds files. Raises LoadError."""
        parts_by_name: dict[str, SourcePart] = {}
        load = self.request.table.load
        for path in self.request.options["path"]:
            path_parts = self._remote(session, path) if is_remote(path) else self._files(path)
            if not path_parts and not (load and load.mode != "replace" and glob.has_magic(path)):
                raise self._no_files(path)
            for part in path_parts:
                if any(value in part.name for value in secrets_of(self.request.env)):
                    raise self.request.error(
                        "a file name contains a secret, and every row stores its file's name",
                        hint="put the secret behind the `?` of a URL",
                    )
                if part.name in parts_by_name and is_remote(path):
                    raise self.request.error(
                        f"two URLs have the same name `{part.name}` once their secrets are hidden",
                        hint="use a separate source table for each",
                    )
                parts_by_name[part.name] = part
        return tuple(parts_by_name.values())

    def _no_files(self, path: str) -> TransformError:
        return self.request.error(
            f"there is no file `{path}`",
            hint="paths are relative to the project; globs such as `data/*.csv` are allowed",
        )

    def _permission_error(self, part: SourcePart, error: OSError) -> TransformError:
        reason = reason_of(error)
        return self.request.error(
            f"`{part.name}` cannot be read: {reason}", hint="check its permissions"
        )

    def _files(self, path: str) -> list[SourcePart]:
        places, where = self.request.places, self.request.place
        full = places.resolve(path, where)
        home = next(h for h in (places.root, *places.allowed) if full.is_relative_to(h.resolve()))
        pattern = str(full.relative_to(home.resolve()))
        names = [str(full)]
        if not full.is_file():
            names_in_home = glob.glob(pattern, root_dir=home, recursive=True)  # noqa: PTH207 - has a root
            names = sorted(str(home / name) for name in names_in_home)
        parts = []
        folders: dict[str, tuple[Path, str]] = {}
        for name in names:
            if reason := not_a_file(Path(name)):
                raise self.request.error(
                    f"`{path_shown(str(Path(name).relative_to(home)))}`: {reason}",
                    hint="remove it, or change the path",
                )
            file, shown = self._resolved(name, folders)
            with suppress(FileNotFoundError):
                stat = file.stat()
                if S_ISREG(stat.st_mode):
                    self._local[shown] = file
                    parts.append(SourcePart(shown, self._version(file, stat)))
        return parts

    def _version(self, file: Path, stat: os.stat_result) -> str:
        metadata = f"{stat.st_size}:{stat.st_mtime_ns}"
        return (
            f"{metadata}:{_digest(file)}"
            if self.request.options.get("verify") == "content"
            else metadata
        )

    def _resolved(self, name: str, folders: dict[str, tuple[Path, str]]) -> tuple[Path, str]:
        """The file of a path and its name in messages. A folder is resolved once for all its
        files, except for symbolic links."""
        places, where = self.request.places, self.request.place
        folder, _, last = name.rpartition("/")
        if not folder or Path(name).is_symlink():
            file = places.resolve(name, where)
            return file, places.shown(file)
        if folder not in folders:
            resolved = places.resolve(folder, where)
            shown = places.shown(resolved)
            folders[folder] = resolved, "" if shown == "." else f"{shown.rstrip('/')}/"
        home, before = folders[folder]
        return home / last, before + last

    def _remote(self, session: ReaderSession, path: str) -> list[SourcePart]:
        self._prepare_remote(session, path)
        try:
            rows = session.rows(
                f"select filename, size, last_modified from read_blob({literal(path)}) order by 1"
            )
        except Fault as fault:
            raise self.request.error(
                f"`{without_passwords(path)}` cannot be read: {_first(fault)}"
            ) from None
        parts = []
        for url, size, modified in rows:
            name = without_passwords(url)
            self._urls[name], self._sizes[name] = url, size or 0
            parts.append(SourcePart(name, _identity(size, modified)))
        return parts

    def _prepare_remote(self, session: ReaderSession, path: str) -> None:
        """Gives DuckDB what it needs to read remote files: its extension and credentials."""
        self.request.extension(session, "httpfs")
        if path.startswith("s3://"):
            session.run(secret(self.request, path))

    def digest(self, part: SourcePart) -> str:
        """The file's digest; "" for a remote one, which has only its identity."""
        file = self._local.get(part.name)
        if file is None:
            return ""
        try:
            mark, recent = _mark(file)
            digested = self._digested[part.name] = _DigestedFile(mark, _digest(file), recent)
        except OSError as error:
            raise self._permission_error(part, error) from None
        return digested.digest

    def confirm(self, session: ReaderSession, parts: Sequence[SourcePart]) -> None:
        """Raises LoadError if a file has changed since it was digested (a remote one: listed)."""
        for part in parts:
            digested, file = self._digested.get(part.name), self._local.get(part.name)
            if digested and file and not _is_unchanged(file, digested):
                raise self._changed(part.name)
        self._confirm_remote(session, {p.name: p.identity for p in parts if p.name in self._urls})

    def _confirm_remote(self, session: ReaderSession, identities: Mapping[str, str]) -> None:
        for path in self.request.options["path"] if identities else ():
            for part in self._remote(session, path) if is_remote(path) else ():
                if identities.get(part.name, part.identity) != part.identity:
                    raise self._changed(part.name)

    def _changed(self, name: str) -> TransformError:
        return self.request.error(
            f"`{name}` changed while it was read",
            hint="nothing was loaded and the table is unchanged; run the load again once the file"
            " is complete",
        )

    def close(self) -> None:
        """Removes the copies of compressed and remote files."""
        while self._copies:
            self._copies.pop().cleanup()

    def stage(
        self,
        session: ReaderSession,
        parts: Sequence[SourcePart],
        since: Cursor | None,
        limit: int | None,
    ) -> Staged:
        """All files as one set of rows, with columns matched by name."""
        del since  # files have no cursor: they are read if they are new
        if not parts:
            raise self._no_files(", ".join(self.request.options["path"]))
        session.run(FRESH_REJECTS)
        offered = [
            self._stage_part(session, number, part, limit) for number, part in enumerate(parts)
        ]
        try:
            return united(session, offered)
        except TransformError as error:
            raise error.at(self.request.place) from None

    def _stage_part(
        self, session: ReaderSession, number: int, part: SourcePart, limit: int | None
    ) -> Staged | SmallFile:
        kind = self.request.options.get("format") or self._format(part.name)
        file = self._local.get(part.name)
        source = SourceFile(
            number=number,
            name=part.name,
            path=str(file) if file else self._urls.get(part.name, part.name),
            options=self.request.options,
            declared=tuple(column.name for column in self.request.table.described.columns),
            limit=limit,
        )

        def read() -> Staged | SmallFile:
            if file and file.stat().st_size == 0:
                raise self.request.error(
                    f"`{part.name}` is empty", hint="remove it, or export it again"
                )
            return FORMATS[kind](session, self._complete(session, source, kind))

        offered = self._read(part, kind, read)
        if isinstance(offered, SmallFile):
            return replace(offered, alone=partial(self._read, part, kind, offered.alone))
        return offered

    def _read(self, part: SourcePart, kind: str, stage_file: Callable[[], T]) -> T:
        """The result of `stage_file`, whose errors become a LoadError with the file's name."""
        try:
            return stage_file()
        except Fault as fault:
            raise self.request.error(
                f"`{part.name}` cannot be read as {kind}: {_first(fault)}",
                hint="check `format`, `encoding` and `compression` under `load:`",
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise self._unreadable(part, error) from None
        except TransformError as error:
            raise error.at(self.request.place) from None

    def _unreadable(self, part: SourcePart, error: Exception) -> TransformError:
        damaged = not_whole(part.name, error)
        if damaged or not isinstance(error, OSError):
            return damaged.at(self.request.place) if damaged else self.request.error(str(error))
        return self._permission_error(part, error)

    def _complete(self, session: ReaderSession, source: SourceFile, kind: str) -> SourceFile:
        """The file in a form whose completeness is checked: decompressed, and downloaded where
        needed. A preview reads it in place, unless it is small."""
        compressed = kind not in _SELF_COMPRESSED and bool(
            compression_of(source.path, source.options)
        )
        preview_in_place = source.limit and (
            source.remote or Path(source.path).stat().st_size > _SMALL_PREVIEW
        )
        text = kind == "json" or (
            kind in _LINES and self._sizes.get(source.name, 0) <= _MAX_DOWNLOAD
        )
        if preview_in_place or not (compressed or (source.remote and text)):
            return source
        folder = self._folder()
        if source.remote:
            source = download(session, source, folder / f"{source.number}.fetched")
        if not compressed:
            return source
        room = shutil.disk_usage(folder).free // 2
        return decompress(source, folder / f"{source.number}.unpacked", room)

    def _folder(self) -> Path:
        """A temporary folder that only its owner can read."""
        if not self._copies:
            self._copies.append(TemporaryDirectory(prefix="transform-"))
        return Path(self._copies[0].name)

    def _format(self, name: str) -> str:
        path = name.split("?", maxsplit=1)[0] if is_remote(name) else name
        endings = Path(path).suffixes
        for ending in reversed(endings):
            if ending.lower() in _ENDINGS:
                return _ENDINGS[ending.lower()]
        raise self.request.error(
            f"the format of `{name}` does not follow from its extension", hint="set `format:`"
        )


def _identity(size: int, modified: datetime | None) -> str:
    """Size and modification time; empty if the server does not tell when the file was modified."""
    return f"{size}:{modified}" if modified and modified.year > 1970 else ""


# A compressed file up to this size is decompressed for a preview too.
_SMALL_PREVIEW = 1 << 16
# Within these nanoseconds after a change, another one may leave the same timestamps.
_RECENT = 2_000_000_000
# Remote text up to this size is downloaded before it is read, since a reader over the network
# silently drops lines longer than its buffer.
_LINES, _MAX_DOWNLOAD = ("csv", "tsv", "ndjson"), 256 << 20
# Formats that compress their own parts.
_SELF_COMPRESSED = ("parquet", "excel")


def _mark(file: Path) -> tuple[tuple[int, ...], bool]:
    """The metadata that any change of a file alters, and whether it changed just now."""
    stat = file.stat()
    recent = max(stat.st_mtime_ns, stat.st_ctime_ns) > time.time_ns() - _RECENT
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino), recent


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_unchanged(file: Path, digested: _DigestedFile) -> bool:
    try:
        return _mark(file)[0] == digested.mark and not (
            digested.recent and _digest(file) != digested.digest
        )
    except OSError:
        return False


def _first(fault: Fault) -> str:
    return fault.message.splitlines()[0].strip().rstrip(".!")
