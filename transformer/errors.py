"""Every error a user can meet, as one tree.

    TransformError              has `what`, `where`, `hint`, `detail`, `beside`
    ├── ProjectError            a mistake in the project's own files (exit 1)
    │   ├── ConfigError         YAML: unknown key, wrong value, missing file
    │   ├── RenderError         Jinja: bad syntax, undefined name, `raise_compiler_error`
    │   ├── SqlError            SQL: does not parse, does not bind, broken contract
    │   └── GraphError          references: missing, duplicate, cyclic
    ├── DataError               the data, or a system outside, refused (exit 1)
    │   ├── LoadError           a source could not be read or landed
    │   ├── BuildError          a statement failed in the warehouse
    │   │   └── MemoryShortError    … out of memory: retried with fewer rows at a time
    │   └── ActivateError       a target could not be written
    ├── WarehouseError          the file is locked, not ours, damaged or changed meanwhile (exit 1)
    └── UsageError              the command line asks for something impossible (exit 2)

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

# The hint when the cause of a failed step is in the project's own files.
BUILD_AGAIN = "fix this and run `transform build`; finished models are not rebuilt"


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

    `beside` are related places: a macro's line, the compiled line.
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
        """The same error at this place, unless it already has one."""
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
    """Invalid YAML configuration: unknown key, wrong value, missing file."""


class RenderError(ProjectError):
    """A Jinja template that cannot be rendered."""


class SqlError(ProjectError):
    """SQL that does not parse, does not bind, or breaks its contract."""


class GraphError(ProjectError):
    """A missing, duplicate or cyclic reference."""


class DataError(TransformError):
    """The data, or the system that holds it, refused."""


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
    """The command line asks for something impossible."""

    exit_code = 2


class Mistakes(TransformError):  # noqa: N818 - a user reads it as a word
    """Several errors at once, ordered by file and line."""

    def __init__(self, errors: Iterable[TransformError], state: str = "nothing was built") -> None:
        unique = {(str(error.where), error.what): error for error in _flat(errors)}
        self.errors = tuple(sorted(unique.values(), key=_order))
        self.state = state
        count = len(self.errors)
        super().__init__(f"{count} {'error' if count == 1 else 'errors'}, {state}")


class Fault(Exception):  # noqa: N818 - not yet an error a user sees
    """An engine's error about a statement, not yet attributed to a node.

    `position` is the 0-based character in the statement; `kind`, `name` and `candidates` are
    filled where the engine reports them, as for an unknown column.
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
        """Whether the statement ran out of memory."""
        return self.kind == "Out of Memory"


def is_panic(error: BaseException) -> bool:
    """Whether a Rust library panicked: its exception does not derive from `Exception`."""
    return type(error).__name__ == "PanicException"


def refusal(fault: Fault) -> WarehouseError:
    """The error for an engine fault that concerns the warehouse file, not a statement."""
    what = fault.message.strip().splitlines()[0].rstrip(".!")
    full = re.search(r"(No space left on device|File too large|Disk quota exceeded)", fault.message)
    if full:
        return WarehouseError(
            f"the warehouse cannot be written: {full.group(1).lower()}",
            hint="free disk space and run `transform build`; the published file is unchanged",
        )
    return WarehouseError(what, hint="run `transform build`; the published file is unchanged")


# Reasons for which the system refuses to read or write a file; none is a bug of the tool.
_OF_THE_MACHINE = frozenset(
    {
        *(errno.EACCES, errno.EIO, errno.EMFILE, errno.ENAMETOOLONG, errno.ENFILE, errno.ENOLCK),
        *(errno.ENOMEM, errno.EPERM, errno.EROFS, errno.ESTALE),
        *(errno.EDQUOT, errno.EFBIG, errno.ENOSPC),
    }
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def reason_of(error: OSError) -> str:
    """The system's reason in lower case: `permission denied`."""
    return (error.strerror or str(error)).lower()


def refused_by_machine(error: BaseException) -> WarehouseError | None:
    """The error for a file that the system refuses to read or write; None for other errors."""
    if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE:
        return None
    name = PurePath(os.fsdecode(error.filename)).name if error.filename else "a file"
    why = reason_of(error)
    first = "free disk space (check `df -i` too)" if error.errno in _FULL else "fix this"
    return WarehouseError(
        f"`{name}` cannot be read or written: {why}",
        hint=f"{first} and run `transform build`; the published file is unchanged",
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
    matches = difflib.get_close_matches(word.lower(), folded, n=1)
    return folded[matches[0]] if matches else None


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
