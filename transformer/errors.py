"""Every error a user can meet, as one tree.

    TransformError              has `what`, `where`, `hint`, `detail`, `beside`
    ├── ProjectError            a mistake in the project's own files (exit 1)
    │   ├── ConfigError         YAML: unknown key, wrong value, missing file
    │   ├── RenderError         Jinja: bad syntax, undefined name, `raise_compiler_error`
    │   ├── SqlError            SQL: does not parse, does not bind, broken contract
    │   └── GraphError          references: missing, duplicate, cyclic
    ├── DataError               the data or the world said no (exit 1)
    │   ├── LoadError           a source could not be read or landed
    │   ├── BuildError          a statement failed in the warehouse
    │   │   └── MemoryShortError    … for want of memory: it is tried again with less at a time
    │   └── ActivateError       a target could not be written
    ├── WarehouseError          the file is locked, foreign, damaged or changed under us (exit 1)
    └── UsageError              the command line asks for something that cannot be (exit 2)

`Mistakes` carries several of them at once: a project's mistakes are reported together.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from msgspec import Struct
from msgspec.structs import replace

# The hint where a step failed by what is written in the project.
BUILD_AGAIN = "correct it and build again; what else was built is not built again"


class Where(Struct, frozen=True):
    """A place in a user's file: 1-based line and column, `width` characters wide.

    `text` is the line itself, kept here so that showing an error reads no file.
    """

    path: str
    line: int = 0
    column: int = 0
    width: int = 1
    text: str = ""

    def __str__(self) -> str:
        parts = [self.path] + [str(n) for n in (self.line, self.column) if n]
        return ":".join(parts)

    @staticmethod
    def in_text(path: str, text: str, line: int, column: int = 0, width: int = 1) -> Where:
        """The place with its line cut out of the file's whole text."""
        lines = text.splitlines()
        shown = lines[line - 1] if 0 < line <= len(lines) else ""
        return Where(path, line, column, max(width, 1), shown)


class TransformError(Exception):
    """The root: `what` went wrong, `where`, a `hint` what to do, and `detail` lines.

    `beside` are further places that belong to it: a macro's line, the line that was compiled.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        where: Where | None = None,
        hint: str = "",
        detail: Sequence[str] = (),
        beside: Sequence[Where] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        self.detail = tuple(detail)
        self.beside = tuple(beside)

    def at(self, where: Where) -> TransformError:
        """The same error, placed, when it has no place yet."""
        return self if self.where is not None else self.moved(where)

    def moved(self, where: Where, beside: Sequence[Where] = ()) -> TransformError:
        """The same error at another place."""
        return type(self)(self.what, where, self.hint, self.detail, (*self.beside, *beside))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" (hint: {self.hint})" if self.hint else ""
        return f"{place}{self.what}{hint}"


class ProjectError(TransformError):
    """A mistake in the project's own files."""


class ConfigError(ProjectError):
    """YAML that does not mean anything: unknown key, wrong value, missing file."""


class RenderError(ProjectError):
    """A Jinja template that cannot be rendered."""


class SqlError(ProjectError):
    """SQL that does not parse, does not bind, or breaks its contract."""


class GraphError(ProjectError):
    """A reference that leads nowhere, twice to the same name, or in a circle."""


class DataError(TransformError):
    """The data, or the system that holds it, said no."""


class LoadError(DataError):
    """A source could not be read or landed."""


class BuildError(DataError):
    """A statement failed in the warehouse."""


class MemoryShortError(BuildError):
    """A statement needed more memory than the engine may use."""


class ActivateError(DataError):
    """A target could not be written."""


class WarehouseError(TransformError):
    """The warehouse file is locked, foreign, damaged or was changed by someone else."""


class UsageError(TransformError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class Mistakes(TransformError):  # noqa: N818 - a user reads it as a word
    """Several errors at once, in the order of the files they stand in."""

    def __init__(self, errors: Iterable[TransformError], state: str = "nothing was built") -> None:
        told = {(str(error.where), error.what): error for error in _flat(errors)}
        self.errors = tuple(sorted(told.values(), key=_order))
        self.state = state
        count = len(self.errors)
        super().__init__(f"{count} {'error' if count == 1 else 'errors'}, {state}")

    def with_state(self, state: str) -> Mistakes:
        """The same errors with another word on what state the data is left in."""
        return Mistakes(self.errors, state)


class Fault(Exception):  # noqa: N818 - not yet an error a user sees
    """What an engine says of a statement, before anyone knows whose statement it was.

    `position` is the 0-based character in the statement; `kind`, `name` and `candidates` are
    filled where the engine says more, as for an unknown column.
    """

    def __init__(
        self,
        message: str,
        position: int | None = None,
        kind: str = "",
        name: str = "",
        candidates: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.position, self.kind = message, position, kind
        self.name, self.candidates = name, tuple(candidates)

    @property
    def short_of_memory(self) -> bool:
        """Whether it needed more memory than the engine may use."""
        return self.kind == "Out of Memory"


def is_panic(error: BaseException) -> bool:
    """Whether a library in Rust gave up: its exception is none of Python's `Exception`."""
    return type(error).__name__ == "PanicException"


def refusal(fault: Fault) -> WarehouseError:
    """The error for what an engine says of its file, not of anybody's statement."""
    what = fault.message.strip().splitlines()[0].rstrip(".!")
    full = re.search(r"(No space left on device|File too large|Disk quota exceeded)", fault.message)
    if full:
        return WarehouseError(
            f"the warehouse cannot be written: {full.group(1).lower()}",
            hint="make room and build again; what was published before is as it was",
        )
    return WarehouseError(what, hint="build again; what was published before is as it was")


# Why the machine refuses to read or write a file; none of them is a mistake of the tool.
_OF_THE_MACHINE = frozenset(
    {
        *(errno.EACCES, errno.EIO, errno.EMFILE, errno.ENAMETOOLONG, errno.ENFILE, errno.ENOLCK),
        *(errno.ENOMEM, errno.EPERM, errno.EROFS, errno.ESTALE),
        *(errno.EDQUOT, errno.EFBIG, errno.ENOSPC),
    }
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def reason_of(error: OSError) -> str:
    """Why the system refused, in lower case: `permission denied`."""
    return (error.strerror or str(error)).lower()


def refused_by_machine(error: BaseException) -> WarehouseError | None:
    """The error for a file that the machine does not let be read or written; None for others."""
    if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE:
        return None
    name = PurePath(os.fsdecode(error.filename)).name if error.filename else "a file"
    why = reason_of(error)
    first = "make room (also `df -i`) and" if error.errno in _FULL else "correct this and"
    return WarehouseError(
        f"`{name}` cannot be read or written: {why}",
        hint=f"{first} build again; what was published before is as it was",
    )


def _flat(errors: Iterable[TransformError]) -> Iterable[TransformError]:
    for error in errors:
        if isinstance(error, Mistakes):
            yield from error.errors
        else:
            yield error


def _order(error: TransformError) -> tuple[str, int, int, str]:
    where = error.where or Where("")
    return (where.path, where.line, where.column, error.what)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word`, or None when nothing is close.

    difflib's ratio at 0.6, its default: one or two typos in a short word, more in a long one.
    """
    names = sorted({k for k in known if k})
    folded = {k.lower(): k for k in names}
    found = difflib.get_close_matches(word.lower(), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "known: {}") -> str:
    """A hint: the nearest known word, or the list of known words when it is short."""
    names = sorted({k for k in known if k})
    close = nearest(word, names)
    if close:
        return f"did you mean `{close}`?"
    if 0 < len(names) <= 24:
        return otherwise.format(", ".join(names))
    return ""


def widen(where: Where, width: int) -> Where:
    """The same place, `width` characters wide."""
    return replace(where, width=max(width, 1))
