"""Files: CSV, TSV, JSON, NDJSON, Parquet and Excel; local, `http(s)://` or `s3://`.

Text formats are staged as text, so that a value of the wrong type costs its row, not the load.
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
from transformer.warehouse.ledger import SourcePart

T = TypeVar("T")

FIELDS: Fields = (
    Field(
        "path", "texts", "Files, globs or URLs; many become one table", required=True, secret=True
    ),
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
        "text",
        "How the text is encoded: any encoding that Python knows, such as `windows-1252`; a byte"
        " order mark says it too",
        "utf-8",
    ),
    Field(
        "compression",
        "choice",
        "How the files are packed; their ending says without it",
        choices=("none", "gzip", "zstd"),
    ),
    Field(
        "verify",
        "choice",
        "How a changed file is told: by its size and time (`metadata`), or by reading it each time"
        " (`content`)",
        "metadata",
        choices=("metadata", "content"),
    ),
    Field("escape", "text", "What stands before a quote inside quotes; without it, another quote"),
    Field("comment", "text", "What lines that are left out begin with; without it, nothing is"),
    Field("skip", "integer", "Lines before the header that are left out", 0, least=0),
    Field("decimal", "text", "The decimal mark of numbers in CSV and TSV", "."),
    Field("thousands", "text", "What stands between groups of three digits"),
    Field("date_format", "text", "How days are written, such as `%d.%m.%Y`; else `2024-12-31`"),
    Field(
        "timestamp_format",
        "text",
        "How moments are written, such as `%d.%m.%Y %H:%M`; else `2024-12-31 18:30:00`",
    ),
    Field("records", "text", "The list of rows in a JSON document, such as `data.items`"),
    Field("null_values", "texts", "Texts that mean that nothing is there", ()),
    Field("sheet", "text", "The sheet of an Excel file; without it, the first that is shown"),
    Field("range", "text", "The cells of an Excel sheet, such as `A3:F200`"),
    Field("header_row", "integer", "The row of the file or sheet that holds the names", 1, least=1),
    Field("endpoint", "text", "The server of `s3://` paths, when it is not Amazon's"),
    Field("region", "text", "The region of `s3://` paths"),
    Field(
        "credentials",
        "text",
        "What the environment variables with the keys of `s3://` paths begin with: with `AWS`,"
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
    """The reader of a table made of files."""
    return FileReader(request)


class _Seen(Struct, frozen=True):
    """A local file as it was when it was digested. `recent`: so soon after a change that a second
    one may have left the same times."""

    mark: tuple[int, ...]
    digest: str
    recent: bool


class FileReader(Struct):
    """The files of one source table."""

    request: ReaderRequest
    _local: dict[str, Path] = field(default_factory=dict)
    _urls: dict[str, str] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _copies: list[TemporaryDirectory[str]] = field(default_factory=list)
    repeats: bool = False

    def parts(self, session: ReaderSession) -> Sequence[SourcePart]:
        """Every file, in the order of the paths, then of their names. A pattern that finds
        nothing any more is no mistake where files are only added."""
        found: dict[str, SourcePart] = {}
        load = self.request.table.load
        for path in self.request.options["path"]:
            made = self._remote(session, path) if is_remote(path) else self._files(path)
            if not made and not (load and load.mode != "replace" and glob.has_magic(path)):
                raise self._nothing(path)
            for part in made:
                if any(each in part.name for each in secrets_of(self.request.env)):
                    raise self.request.error(
                        "a secret stands in the name of a file, which every row carries",
                        hint="a secret may follow the `?` of a URL",
                    )
                if part.name in found and is_remote(path):
                    raise self.request.error(
                        f"two URLs go by the same name `{part.name}` once their keys are hidden",
                        hint="give each a source table of its own",
                    )
                found[part.name] = part
        return tuple(found.values())

    def _nothing(self, path: str) -> TransformError:
        return self.request.error(
            f"there is no file `{path}`",
            hint="the path is relative to the project; globs such as `data/*.csv` may stand there",
        )

    def _denied(self, part: SourcePart, error: OSError) -> TransformError:
        said = reason_of(error)
        return self.request.error(
            f"`{part.name}` cannot be read: {said}", hint="look at its permissions"
        )

    def _files(self, path: str) -> list[SourcePart]:
        places, where = self.request.places, self.request.place
        full = places.resolve(path, where)
        home = next(h for h in (places.root, *places.allowed) if full.is_relative_to(h.resolve()))
        pattern = str(full.relative_to(home.resolve()))
        names = [str(full)]
        if not full.is_file():
            found = glob.glob(pattern, root_dir=home, recursive=True)  # noqa: PTH207 - has a root
            names = sorted(str(home / name) for name in found)
        made = []
        folders: dict[str, tuple[Path, str]] = {}
        for name in names:
            if reason := not_a_file(Path(name)):
                raise self.request.error(
                    f"`{path_shown(str(Path(name).relative_to(home)))}`: {reason}",
                    hint="remove it, or name the files otherwise",
                )
            file, shown = self._placed(name, folders)
            with suppress(FileNotFoundError):
                stat = file.stat()
                if S_ISREG(stat.st_mode):
                    self._local[shown] = file
                    made.append(SourcePart(shown, self._version(file, stat)))
        return made

    def _version(self, file: Path, stat: os.stat_result) -> str:
        known = f"{stat.st_size}:{stat.st_mtime_ns}"
        return (
            f"{known}:{_digest(file)}" if self.request.options.get("verify") == "content" else known
        )

    def _placed(self, name: str, folders: dict[str, tuple[Path, str]]) -> tuple[Path, str]:
        """The file of a path and its name in messages. Of thousands in one folder, the folder is
        looked at once; a link may lead elsewhere."""
        places, where = self.request.places, self.request.place
        folder, _, last = name.rpartition("/")
        if not folder or Path(name).is_symlink():
            file = places.resolve(name, where)
            return file, places.shown(file)
        if folder not in folders:
            known = places.resolve(folder, where)
            shown = places.shown(known)
            folders[folder] = known, "" if shown == "." else f"{shown.rstrip('/')}/"
        home, before = folders[folder]
        return home / last, before + last

    def _remote(self, session: ReaderSession, path: str) -> list[SourcePart]:
        self._ready(session, path)
        try:
            rows = session.rows(
                f"select filename, size, last_modified from read_blob({literal(path)}) order by 1"
            )
        except Fault as fault:
            raise self.request.error(
                f"`{without_passwords(path)}` cannot be read: {_first(fault)}"
            ) from None
        made = []
        for url, size, modified in rows:
            name = without_passwords(url)
            self._urls[name], self._sizes[name] = url, size or 0
            made.append(SourcePart(name, _identity(size, modified)))
        return made

    def _ready(self, session: ReaderSession, path: str) -> None:
        """What DuckDB needs to read remote files: its extension, and the keys."""
        self.request.extension(session, "httpfs")
        if path.startswith("s3://"):
            session.run(secret(self.request, path))

    def digest(self, part: SourcePart) -> str:
        """The file's digest; none for a remote one, whose identity must do."""
        file = self._local.get(part.name)
        if file is None:
            return ""
        try:
            mark, recent = _mark(file)
            made = self._seen[part.name] = _Seen(mark, _digest(file), recent)
        except OSError as error:
            raise self._denied(part, error) from None
        return made.digest

    def confirm(self, session: ReaderSession, parts: Sequence[SourcePart]) -> None:
        """Raises LoadError where a file is not what it was when it was digested; a remote one,
        when it was found."""
        for part in parts:
            seen, file = self._seen.get(part.name), self._local.get(part.name)
            if seen and file and not _is_still(file, seen):
                raise self._moved(part.name)
        self._confirm_remote(session, {p.name: p.identity for p in parts if p.name in self._urls})

    def _confirm_remote(self, session: ReaderSession, known: Mapping[str, str]) -> None:
        for path in self.request.options["path"] if known else ():
            for part in self._remote(session, path) if is_remote(path) else ():
                if known.get(part.name, part.identity) != part.identity:
                    raise self._moved(part.name)

    def _moved(self, name: str) -> TransformError:
        return self.request.error(
            f"`{name}` changed while it was read",
            hint="nothing was landed and the table is as it was; try again when nobody writes to"
            " the file",
        )

    def close(self) -> None:
        """Removes the copies of files that were packed."""
        while self._copies:
            self._copies.pop().cleanup()

    def stage(
        self,
        session: ReaderSession,
        parts: Sequence[SourcePart],
        since: Cursor | None,
        limit: int | None,
    ) -> Staged:
        """All files as one set of rows; columns are united by name."""
        del since  # a file has no cursor: it is read when it is new
        if not parts:
            raise self._nothing(", ".join(self.request.options["path"]))
        session.run(FRESH_REJECTS)
        offered = [self._one(session, number, part, limit) for number, part in enumerate(parts)]
        try:
            return united(session, offered)
        except TransformError as error:
            raise error.at(self.request.place) from None

    def _one(
        self, session: ReaderSession, number: int, part: SourcePart, limit: int | None
    ) -> Staged | SmallFile:
        kind = self.request.options.get("format") or self._format(part.name)
        file = self._local.get(part.name)
        given = SourceFile(
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
            return FORMATS[kind](session, self._whole(session, given, kind))

        made = self._read(part, kind, read)
        if isinstance(made, SmallFile):
            return replace(made, alone=partial(self._read, part, kind, made.alone))
        return made

    def _read(self, part: SourcePart, kind: str, how: Callable[[], T]) -> T:
        """What comes of reading a file. Raises LoadError, which names it."""
        try:
            return how()
        except Fault as fault:
            raise self.request.error(
                f"`{part.name}` cannot be read as {kind}: {_first(fault)}",
                hint="look at `format`, `encoding` and `compression` under `load:`",
            ) from None
        except (OSError, EOFError, zlib.error) as error:
            raise self._unreadable(part, error) from None
        except TransformError as error:
            raise error.at(self.request.place) from None

    def _unreadable(self, part: SourcePart, error: Exception) -> TransformError:
        cut = not_whole(part.name, error)
        if cut or not isinstance(error, OSError):
            return cut.at(self.request.place) if cut else self.request.error(str(error))
        return self._denied(part, error)

    def _whole(self, session: ReaderSession, given: SourceFile, kind: str) -> SourceFile:
        """The file as all of it is read: unpacked, and fetched where only that tells its end.
        A mere look reads it as it lies, unless it is one of many small ones."""
        packed = kind not in _OWN_PACKING and bool(compression_of(given.path, given.options))
        look = given.limit and (given.remote or Path(given.path).stat().st_size > _LITTLE)
        text = kind == "json" or (kind in _LINES and self._sizes.get(given.name, 0) <= _FETCHED)
        if look or not (packed or (given.remote and text)):
            return given
        folder = self._folder()
        if given.remote:
            given = download(session, given, folder / f"{given.number}.fetched")
        if not packed:
            return given
        room = shutil.disk_usage(folder).free // 2
        return decompress(given, folder / f"{given.number}.unpacked", room)

    def _folder(self) -> Path:
        """Where copies lie that only their owner can read."""
        if not self._copies:
            self._copies.append(TemporaryDirectory(prefix="transform-"))
        return Path(self._copies[0].name)

    def _format(self, name: str) -> str:
        bare = name.split("?", maxsplit=1)[0] if is_remote(name) else name
        endings = Path(bare).suffixes
        for ending in reversed(endings):
            if ending.lower() in _ENDINGS:
                return _ENDINGS[ending.lower()]
        raise self.request.error(
            f"`{name}` has no ending that says what it is", hint="set `format:`"
        )


def _identity(size: int, modified: datetime | None) -> str:
    """Empty where the server does not say when the file was changed: it may be any time."""
    return f"{size}:{modified}" if modified and modified.year > 1970 else ""


# A packed file up to this size is unpacked for a look too.
_LITTLE = 1 << 16
# A change that is not older than this may be followed by one with the same times.
_RECENT = 2_000_000_000
# Remote text up to this size is fetched before it is read: of a longer line than its buffer is, a
# reader over the network says nothing.
_LINES, _FETCHED = ("csv", "tsv", "ndjson"), 256 << 20
# Formats that hold packed parts themselves.
_OWN_PACKING = ("parquet", "excel")


def _mark(file: Path) -> tuple[tuple[int, ...], bool]:
    """What a file's entry says that no change leaves as it is, and whether it changed just now."""
    stat = file.stat()
    recent = max(stat.st_mtime_ns, stat.st_ctime_ns) > time.time_ns() - _RECENT
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino), recent


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_still(file: Path, seen: _Seen) -> bool:
    try:
        return _mark(file)[0] == seen.mark and not (seen.recent and _digest(file) != seen.digest)
    except OSError:
        return False


def _first(fault: Fault) -> str:
    return fault.message.splitlines()[0].strip().rstrip(".!")
