"""The bytes of a text file: its encoding, its first lines, and a copy in UTF-8 if need be."""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from transformer.errors import LoadError
from transformer.landing.counting import LONGEST_LINE, LineCount, count
from transformer.landing.source_file import LONGEST_TOLD, SourceFile
from transformer.landing.whole import opened, packing

# So much of a file is looked at for its names.
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


def encoding_of(given: SourceFile) -> str:
    """The encoding of a local file: what its byte order mark says, else what is declared.
    Raises LoadError when Python knows no such encoding, or the two contradict each other."""
    declared = str(given.options.get("encoding") or "utf-8")
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        raise LoadError(
            f"`{declared}` is not an encoding", hint="for example `utf-8`, `windows-1252`, `utf-16`"
        ) from None
    if given.remote:
        return name
    with _opened(given) as stream:
        start = stream.read(4)
    marked = next((kind for mark, kind in _MARKS if start.startswith(mark)), None)
    if marked or name not in ("utf-16", "utf-32"):
        return marked or name
    return f"{name}-le"  # no mark says which byte comes first


def head_of(given: SourceFile, encoding: str) -> str:
    """The first lines of a local file, as text. Raises LoadError where they are not in that
    encoding: a header is never guessed from what is left of it."""
    with _opened(given) as stream:
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
        raise _not_encoded(given, start, error) from None


def _not_encoded(given: SourceFile, start: bytes, error: UnicodeDecodeError) -> LoadError:
    line = start.count(b"\n", 0, error.start) + 1
    byte = start[error.start]
    likely = "windows-1252" if error.encoding.startswith("utf") else "utf-8"
    with_it = start[: start.find(b"\n")].decode(likely, "replace").strip()[:60]
    return LoadError(
        f"`{given.name}` is not {error.encoding.replace('-sig', '')}: line {line} has the byte"
        f" 0x{byte:02X}",
        hint=f"set `encoding:` under `load:`; with `encoding: {likely}` the first line reads"
        f" `{with_it}`",
    )


@contextmanager
def in_utf8(given: SourceFile, encoding: str) -> Iterator[str | None]:
    """The path of a copy in UTF-8; None where the file needs none. It is gone afterwards."""
    if encoding in _UTF8:
        yield None
        return
    if given.remote:
        raise LoadError(
            f"`{given.name}` is {encoding} and not a local file",
            hint="export it as UTF-8, or copy it into the project first",
        )
    with private_copy() as copy:
        decoder = codecs.getincrementaldecoder(encoding)()
        done = 0
        with _opened(given) as stream:
            while True:
                block = stream.read(_BLOCK)
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    place = done + error.start
                    raise LoadError(
                        f"`{given.name}` is not {encoding}: byte {place:,} is 0x"
                        f"{error.object[error.start]:02X}",
                        hint="`encoding:` under `load:` names the encoding of the file",
                    ) from None
                copy.write(text.lstrip("\ufeff").encode() if not done else text.encode())
                done += len(block)
                if not block:
                    break
        copy.close()
        yield copy.name


def lines_of(given: SourceFile, quote: str = "", skip: int = 0) -> LineCount:
    """What the bytes of a local file say of its lines; in a mere look, only whether the first ones
    end alike, as DuckDB needs it. Raises LoadError where a line is longer than can be read."""
    with _opened(given) as stream:
        if given.limit:
            return LineCount(alike=_alike(stream.read(_HEAD)))
        found = count(stream, quote, skip)
    if found.longest > LONGEST_TOLD:
        raise LoadError(
            f"line {found.where + skip:,} of `{given.name}` is {found.longest >> 20:,} MiB long",
            hint="nothing of it was landed; is it all in one line, or packed?",
        )
    return found


def _alike(text: bytes) -> bool:
    text = text.removesuffix(b"\r")
    returns, feeds, both = text.count(b"\r"), text.count(b"\n"), text.count(b"\r\n")
    return not returns or not feeds or returns == feeds == both


@contextmanager
def with_one_line_end(given: SourceFile, delimiter: str, quote: str) -> Iterator[str]:
    """The path of a copy whose rows all end with a line feed; line ends in quoted values stay."""
    held = re.escape(quote.encode()) if quote else b'(?!)"'
    before = rb"(?:\A|(?<=[\r\n])|(?<=" + re.escape(delimiter.encode()) + rb"))"
    inside = before + held + rb"(?:[^" + held + rb"]|" + held * 2 + rb")*" + held
    pattern = re.compile(rb"(" + inside + rb")|\r\n?") if quote else re.compile(rb"()\r\n?")
    with private_copy() as copy:
        rest = b""
        with _opened(given) as stream:
            while block := stream.read(_BLOCK):
                rest += block
                cut = _cut(rest, quote.encode())
                copy.write(pattern.sub(lambda m: m.group(1) or b"\n", rest[:cut]))
                rest = rest[cut:]
        copy.write(pattern.sub(lambda m: m.group(1) or b"\n", rest))
        copy.close()
        yield copy.name


def _cut(block: bytes, quote: bytes) -> int:
    """Where a block may be cut: behind a line end outside of quotes, when there is one."""
    end = len(block)
    while (end := block.rfind(b"\n", 0, end)) >= 0:
        if not quote or block.count(quote, 0, end) % 2 == 0:
            return end + 1
        if len(block) - end > LONGEST_LINE:
            break
    return 0 if len(block) <= LONGEST_LINE else len(block)


@contextmanager
def private_copy() -> Iterator[IO[bytes]]:
    """A file that only its owner can read, and that is gone afterwards."""
    copy = tempfile.NamedTemporaryFile(prefix="transform-", suffix=".csv", delete=False)  # noqa: SIM115 - closed before it is read
    try:
        yield copy
    finally:
        copy.close()
        Path(copy.name).unlink(missing_ok=True)


def _opened(given: SourceFile) -> IO[bytes]:
    """The unpacked bytes of a local file."""
    return opened(Path(given.path), packing(given.path, given.options))
