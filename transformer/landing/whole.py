"""Whether all of a file is there, asked before anything of it lands.

DuckDB looks neither at the check sums of gzip nor for its end, nor for the end of an array of JSON:
a file of which half arrived would land as if it were whole. What is packed is unpacked once.
"""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

from msgspec.structs import replace

from transformer.errors import LoadError
from transformer.landing.counting import LONGEST_LINE
from transformer.landing.source_file import SourceFile
from transformer.landing.staged import ReaderSession
from transformer.names import literal

_BLOCK = 1 << 20
_GZIP, _ZSTD = "gzip", "zstd"
_ENDINGS = {".gz": _GZIP, ".zst": _ZSTD}
# Pictures and the like are as large as they are packed, and nothing of them lands.
_LOOKED_AT = (".xml", ".rels", ".bin")
# A document that lies elsewhere, or is packed, is read whole up to this size.
_LONGEST_DOCUMENT = 128 << 20
_HINT = "nothing of it was landed; fetch or export the file again"


def packing(path: str, options: Mapping[str, Any]) -> str:
    """How a file of text is packed: as it is declared, else as its ending says; "" if it is not."""
    declared = options.get("compression")
    if declared:
        return "" if declared == "none" else str(declared)
    bare = path.split("?", maxsplit=1)[0] if "://" in path else path
    return _ENDINGS.get(Path(bare).suffix.lower(), "")


def opened(path: Path, kind: str) -> IO[bytes]:
    """The bytes of a file, unpacked. Reading them raises what `not_whole` understands."""
    if kind == _GZIP:
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if kind == _ZSTD:
        import pyarrow as pa  # noqa: PLC0415 - heavy, and few files are packed so

        # A file of Python's own, so that what the disk says keeps its number.
        return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(path.open("rb")), _ZSTD))
    return path.open("rb")


def not_whole(name: str, error: Exception) -> LoadError | None:
    """The error of a packed file that is cut off or damaged; None where the disk failed instead."""
    if isinstance(error, OSError) and error.errno is not None:
        return None
    said = "it ends too early" if isinstance(error, EOFError) else str(error).rstrip(".")
    return LoadError(f"`{name}` is not a whole file: {said}", hint=_HINT)


def fetched(session: ReaderSession, given: SourceFile, copy: Path) -> SourceFile:
    """The file as it is read where it was fetched to."""
    kind = packing(given.path, given.options) or "none"
    blob = f"select content from read_blob({given.place})"
    session.run(f"copy ({blob}) to {literal(str(copy))} (format blob)")
    return replace(given.with_options(compression=kind), path=str(copy))


def unpacked(given: SourceFile, copy: Path, room: int) -> SourceFile:
    """The file as it is read: its copy without packing. Where that would be larger than `room`,
    the file itself, which was read to its end all the same. Raises LoadError."""
    size = 0
    try:
        kind = packing(given.path, given.options)
        with opened(Path(given.path), kind) as stream, copy.open("wb") as out:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size <= room:
                    out.write(block)
    except (OSError, EOFError, zlib.error) as error:
        raise not_whole(given.name, error) or error from None
    if size > room:
        copy.unlink()
        return given
    return replace(given.with_options(compression="none"), path=str(copy))


def refuse_damaged_book(name: str, content: bytes) -> None:
    """Refuses a sheet of which a part is not what its check sum says; what reads sheets ends where
    their last row does, and does not look."""
    if not content.startswith(b"PK"):
        return  # `.xls`: no archive
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            for part in book.infolist():
                if part.filename.lower().endswith(_LOOKED_AT):
                    _read_to_end(book, part)
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
        raise LoadError(f"`{name}` is not a whole file: {error}", hint=_HINT) from None


def _read_to_end(book: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    with book.open(part) as stream:
        while stream.read(_BLOCK):
            pass


def refuse_open_array(given: SourceFile) -> None:
    """DuckDB takes an array that ends behind one of its objects for a whole one."""
    if packing(given.path, given.options):
        return  # a mere look
    with Path(given.path).open("rb") as stream:
        if _first_byte(stream) != b"[" or _last_byte(stream) == b"]":
            return
    raise LoadError(f"`{given.name}` cannot be read as json: its list has no end (`]`)", hint=_HINT)


def _first_byte(stream: IO[bytes]) -> bytes:
    while block := stream.read(_BLOCK):
        if found := block.removeprefix(codecs.BOM_UTF8).lstrip():
            return found[:1]
    return b""


def _last_byte(stream: IO[bytes]) -> bytes:
    place = stream.seek(0, os.SEEK_END)
    while place:
        size = min(place, _BLOCK)
        place -= size
        stream.seek(place)
        if found := stream.read(size).rstrip():
            return found[-1:]
    return b""


def longest_object(given: SourceFile) -> int:
    """How long one object may be, or a whole document; the engine makes room for twice as much."""
    whole = bool(given.options.get("records"))
    if given.remote:
        return _LONGEST_DOCUMENT if whole else LONGEST_LINE
    size = Path(given.path).stat().st_size + 1
    if packing(given.path, given.options):
        return max(LONGEST_LINE, min(20 * size, _LONGEST_DOCUMENT)) if whole else LONGEST_LINE
    return size if whole else min(size, LONGEST_LINE)
