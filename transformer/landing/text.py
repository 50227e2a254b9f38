"""The bytes of a text file: its encoding, its first lines, and a UTF-8 copy if needed."""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from transformer.errors import LoadError
from transformer.landing.counting import LONGEST_LINE, LineCount, count_lines
from transformer.landing.source_file import LONGEST_QUARANTINED, SourceFile
from transformer.landing.whole import compression_of, open_decompressed

# Bytes read to find the column names.
_HEAD = 1 << 20
_BLOCK = 1 << 22
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = ("utf-8", "ascii")


def encoding_of(file: SourceFile) -> str:
    """The encoding of a local file: by its byte order mark, else as declared. Raises LoadError
    for an unknown encoding."""
    declared = str(file.options.get("encoding") or "utf-8")
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        raise LoadError(
            f"`{declared}` is not an encoding", hint="for example `utf-8`, `windows-1252`, `utf-16`"
        ) from None
    if file.remote:
        return name
    with _opened(file) as stream:
        start = stream.read(4)
    marked = next((kind for mark, kind in _MARKS if start.startswith(mark)), None)
    if marked or name not in ("utf-16", "utf-32"):
        return marked or name
    return f"{name}-le"  # no mark says which byte comes first


def head_of(file: SourceFile, encoding: str) -> str:
    """The first lines of a local file, as text. Raises LoadError if the header is not in that
    encoding: a damaged header is never guessed."""
    with _opened(file) as stream:
        start = stream.read(_HEAD)
        more = bool(stream.read(1))
    if more:  # the last line may end in the middle
        start = start[: start.rfind(b"\n") + 1] or start
    decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding in _UTF8 else encoding)()
    try:
        return decoder.decode(start, final=not more)
    except UnicodeDecodeError as error:
        header = start[: start.find(b"\n") + 1] or start
        if error.start > len(header):
            return decoder.__class__(errors="replace").decode(start)
        raise _not_encoded(file, start, error) from None


def _not_encoded(file: SourceFile, start: bytes, error: UnicodeDecodeError) -> LoadError:
    line = start.count(b"\n", 0, error.start) + 1
    byte = start[error.start]
    likely = "windows-1252" if error.encoding.startswith("utf") else "utf-8"
    decoded_line = start[: start.find(b"\n")].decode(likely, "replace").strip()[:60]
    return LoadError(
        f"`{file.name}` is not {error.encoding.replace('-sig', '')}: line {line} has the byte"
        f" 0x{byte:02X}",
        hint=f"set `encoding:` under `load:`; with `encoding: {likely}` the first line reads"
        f" `{decoded_line}`",
    )


@contextmanager
def in_utf8(file: SourceFile, encoding: str) -> Iterator[str | None]:
    """The path of a temporary UTF-8 copy; None if the file needs none."""
    if encoding in _UTF8:
        yield None
        return
    if file.remote:
        raise LoadError(
            f"`{file.name}` is {encoding} and not a local file",
            hint="export it as UTF-8, or copy it into the project first",
        )
    with private_copy() as copy:
        decoder = codecs.getincrementaldecoder(encoding)()
        done = 0
        with _opened(file) as stream:
            while True:
                block = stream.read(_BLOCK)
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    place = done + error.start
                    raise LoadError(
                        f"`{file.name}` is not {encoding}: byte {place:,} is 0x"
                        f"{error.object[error.start]:02X}",
                        hint="set `encoding:` under `load:` to the encoding of the file",
                    ) from None
                copy.write(text.lstrip("\ufeff").encode() if not done else text.encode())
                done += len(block)
                if not block:
                    break
        copy.close()
        yield copy.name


def lines_of(file: SourceFile, quote: str = "", skip: int = 0) -> LineCount:
    """Line statistics of a local file; for a preview, only whether its first lines end alike, as
    DuckDB requires. Raises LoadError if a line is too long to be read."""
    with _opened(file) as stream:
        if file.limit:
            return LineCount(alike=_ends_alike(stream.read(_HEAD)))
        counts = count_lines(stream, quote, skip)
    if counts.longest > LONGEST_QUARANTINED:
        raise LoadError(
            f"line {counts.where + skip:,} of `{file.name}` is {counts.longest >> 20:,} MiB long",
            hint="nothing was loaded; is the whole file a single line, or compressed?",
        )
    return counts


def _ends_alike(text: bytes) -> bool:
    text = text.removesuffix(b"\r")
    returns, feeds, both = text.count(b"\r"), text.count(b"\n"), text.count(b"\r\n")
    return not returns or not feeds or returns == feeds == both


@contextmanager
def with_one_line_end(file: SourceFile, delimiter: str, quote: str) -> Iterator[str]:
    """The path of a temporary copy whose rows all end with a line feed; quoted line ends stay."""
    mark = re.escape(quote.encode()) if quote else b'(?!)"'
    before = rb"(?:\A|(?<=[\r\n])|(?<=" + re.escape(delimiter.encode()) + rb"))"
    inside = before + mark + rb"(?:[^" + mark + rb"]|" + mark * 2 + rb")*" + mark
    pattern = re.compile(rb"(" + inside + rb")|\r\n?") if quote else re.compile(rb"()\r\n?")
    with private_copy() as copy:
        rest = b""
        with _opened(file) as stream:
            while block := stream.read(_BLOCK):
                rest += block
                cut = _cut(rest, quote.encode())
                copy.write(pattern.sub(lambda m: m.group(1) or b"\n", rest[:cut]))
                rest = rest[cut:]
        copy.write(pattern.sub(lambda m: m.group(1) or b"\n", rest))
        copy.close()
        yield copy.name


def _cut(block: bytes, quote: bytes) -> int:
    """Where a block can be split: after a line end outside quotes, if there is one."""
    end = len(block)
    while (end := block.rfind(b"\n", 0, end)) >= 0:
        if not quote or block.count(quote, 0, end) % 2 == 0:
            return end + 1
        if len(block) - end > LONGEST_LINE:
            break
    return 0 if len(block) <= LONGEST_LINE else len(block)


@contextmanager
def private_copy() -> Iterator[IO[bytes]]:
    """A temporary file that only its owner can read."""
    copy = tempfile.NamedTemporaryFile(prefix="transform-", suffix=".csv", delete=False)  # noqa: SIM115 - closed before it is read
    try:
        yield copy
    finally:
        copy.close()
        Path(copy.name).unlink(missing_ok=True)


def _opened(file: SourceFile) -> IO[bytes]:
    """The decompressed bytes of a local file."""
    return open_decompressed(Path(file.path), compression_of(file.path, file.options))
