"""Checks that a file is complete before any of it lands.

DuckDB checks neither gzip's checksums and end nor the end of a JSON array, so half a file would
land as if it were complete. Compressed files are decompressed once.
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
# Other parts (images and so on) are large, and nothing of them lands.
_LOOKED_AT = (".xml", ".rels", ".bin")
# A remote or compressed document is read as one value up to this size.
_LONGEST_DOCUMENT = 128 << 20
_HINT = "nothing was loaded; download or export the file again"


def compression_of(path: str, options: Mapping[str, Any]) -> str:
    """A text file's compression: as declared, else by its extension; "" if it has none."""
    declared = options.get("compression")
    if declared:
        return "" if declared == "none" else str(declared)
    url_path = path.split("?", maxsplit=1)[0] if "://" in path else path
    return _ENDINGS.get(Path(url_path).suffix.lower(), "")


def open_decompressed(path: Path, kind: str) -> IO[bytes]:
    """The decompressed bytes of a file. Reading them raises what `not_whole` translates."""
    if kind == _GZIP:
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if kind == _ZSTD:
        import pyarrow as pa  # noqa: PLC0415 - heavy, and few files are packed so

        # Opened by Python, so that disk errors keep their errno.
        return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(path.open("rb")), _ZSTD))
    return path.open("rb")


def not_whole(name: str, error: Exception) -> LoadError | None:
    """The error for a truncated or damaged compressed file; None if the disk failed instead."""
    if isinstance(error, OSError) and error.errno is not None:
        return None
    cause = "it ends too early" if isinstance(error, EOFError) else str(error).rstrip(".")
    return LoadError(f"`{name}` is incomplete or damaged: {cause}", hint=_HINT)


def download(session: ReaderSession, file: SourceFile, copy: Path) -> SourceFile:
    """Downloads a remote file to `copy`; returns the file as it is read from there."""
    kind = compression_of(file.path, file.options) or "none"
    blob = f"select content from read_blob({file.place})"
    session.run(f"copy ({blob}) to {literal(str(copy))} (format blob)")
    return replace(file.with_options(compression=kind), path=str(copy))


def decompress(file: SourceFile, copy: Path, room: int) -> SourceFile:
    """Decompresses a file to `copy` and returns that; or the file itself if the copy would exceed
    `room` bytes (it is still read to its end). Raises LoadError if it is damaged."""
    size = 0
    try:
        kind = compression_of(file.path, file.options)
        with open_decompressed(Path(file.path), kind) as stream, copy.open("wb") as out:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size <= room:
                    out.write(block)
    except (OSError, EOFError, zlib.error) as error:
        raise not_whole(file.name, error) or error from None
    if size > room:
        copy.unlink()
        return file
    return replace(file.with_options(compression="none"), path=str(copy))


def refuse_damaged_book(name: str, content: bytes) -> None:
    """Raises LoadError for a workbook with a wrong checksum; the sheet reader stops at the last
    row and does not check."""
    if not content.startswith(b"PK"):
        return  # `.xls`: no archive
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            for part in book.infolist():
                if part.filename.lower().endswith(_LOOKED_AT):
                    _read_to_end(book, part)
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
        raise LoadError(f"`{name}` is incomplete or damaged: {error}", hint=_HINT) from None


def _read_to_end(book: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    with book.open(part) as stream:
        while stream.read(_BLOCK):
            pass


def refuse_open_array(file: SourceFile) -> None:
    """Raises LoadError for an array without its `]`, which DuckDB accepts as complete."""
    if compression_of(file.path, file.options):
        return  # only previewed: a load decompresses the file first
    with Path(file.path).open("rb") as stream:
        if _first_byte(stream) != b"[" or _last_byte(stream) == b"]":
            return
    raise LoadError(
        f"`{file.name}` cannot be read as json: the list is not closed (`]` is missing)", hint=_HINT
    )


def _first_byte(stream: IO[bytes]) -> bytes:
    while block := stream.read(_BLOCK):
        if text := block.removeprefix(codecs.BOM_UTF8).lstrip():
            return text[:1]
    return b""


def _last_byte(stream: IO[bytes]) -> bytes:
    place = stream.seek(0, os.SEEK_END)
    while place:
        size = min(place, _BLOCK)
        place -= size
        stream.seek(place)
        if text := stream.read(size).rstrip():
            return text[-1:]
    return b""


def longest_object(file: SourceFile) -> int:
    """The maximum size of an object (or a whole document) in bytes; DuckDB allocates twice that."""
    is_document = bool(file.options.get("records"))
    if file.remote:
        return _LONGEST_DOCUMENT if is_document else LONGEST_LINE
    size = Path(file.path).stat().st_size + 1
    if compression_of(file.path, file.options):
        return max(LONGEST_LINE, min(20 * size, _LONGEST_DOCUMENT)) if is_document else LONGEST_LINE
    return size if is_document else min(size, LONGEST_LINE)
