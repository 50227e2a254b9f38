"""Files of JSON and NDJSON, read as lines or documents; `objects.py` makes rows of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.errors import LoadError
from transformer.landing.counting import ExpectedRows, both, expected
from transformer.landing.json import JsonObjects, has_long, structures, unmarked, with_marks
from transformer.landing.small import FILE, SmallFile, paths, placed, size_of
from transformer.landing.source_file import KEPT, PASSED, SourceFile, buffer_for
from transformer.landing.staged import (
    LINE,
    PART,
    ROW,
    ReaderSession,
    SecondReading,
    Staged,
    TextLines,
    distinct,
)
from transformer.landing.text import encoding_of, lines_of, with_one_line_end
from transformer.landing.types import SAMPLE
from transformer.landing.union import folded
from transformer.landing.whole import longest_object, refuse_open_array
from transformer.names import literal
from transformer.steps import Columns

# Files up to this size are read with others like them, and looked at whole.
_SMALL = 1 << 18
# Trimming every line would cost as much as reading it.
_SOME = f"case when {LINE} >= '{{' and {LINE} < '|' then true else trim({LINE}) <> '' end"


def ndjson(session: ReaderSession, given: SourceFile) -> Staged | SmallFile:
    """One JSON object a line."""
    if encoding_of(given) not in ("utf-8", "ascii"):
        raise LoadError(
            f"`{given.name}` is not UTF-8, as JSON has to be", hint="export it as UTF-8"
        )
    if given.remote:
        return _lines_copied(session, given)
    found = lines_of(given)
    if not found.alike:
        with with_one_line_end(given, "", "") as copy:
            return _lines_copied(session, replace(given, converted=copy))
    if not given.limit:
        given = replace(given, buffer=buffer_for(found))
    count = None if given.limit else expected(found, 0, 0)
    here = TextLines(given.path, given.name, 0)

    def alone() -> Staged:
        staged = _staged(session, given, _lines(given, PASSED), _lines(given, KEPT), (here,))
        return replace(staged, count=count)

    return _small(given, here, count, alone, _lines_together) or alone()


def _lines_copied(session: ReaderSession, given: SourceFile) -> Staged:
    """Lines that are read once: they come over a network, or the file is gone when they land."""
    table = given.table("lines")
    session.run(f"create or replace temp table {table} as {_lines(given, KEPT)}")
    return _staged(
        session,
        given,
        f"from {table}",
        None,
        (TextLines(given.converted or given.path, given.name, 0),),
    )


def _lines(given: SourceFile, more: str) -> str:
    numbered = (
        f"select {given.part} as {PART}, row_number() over () as {ROW}, {LINE}"
        f" from ({given.lines(more)})"
    )
    return given.bounded(f"select * from ({numbered}) where {_SOME}")


def json_array(session: ReaderSession, given: SourceFile) -> Staged | SmallFile:
    """A JSON array of objects, objects one after the other, or the objects that lie at `records`
    in one document. Raises LoadError where the array has no end."""
    if not given.remote:
        refuse_open_array(given)
    file = TextLines(given.path, given.name, 0)
    alone = partial(_documents_alone, session, given, file)
    return _small(given, file, None, alone, _documents_together) or alone()


def _documents_alone(session: ReaderSession, given: SourceFile, file: TextLines) -> Staged:
    read = _documents(given, given.place, longest_object(given))
    documents = f"select {literal(file.path)} as {FILE}, json::varchar as {LINE} from {read}"
    if given.options.get("records"):
        documents = _records(session, given, documents, (file,))
    objects = given.bounded(
        f"select {given.part} as {PART}, row_number() over () as {ROW}, {LINE} from ({documents})"
    )
    if given.remote or given.options.get("records"):
        objects = _kept(session, given, objects)
    return _staged(session, given, objects, None, ())


def _documents(given: SourceFile, place: str, longest: int, more: str = "") -> str:
    compression = given.options.get("compression")
    kind = "uncompressed" if compression == "none" else compression
    packed = f", compression={literal(kind)}" if kind else ""
    return f"read_json_objects({place}, format='auto', maximum_object_size={longest}{packed}{more})"


def _kept(session: ReaderSession, given: SourceFile, objects: str) -> str:
    table = given.table("objects")
    session.run(f"create or replace temp table {table} as {objects}")
    return f"from {table}"


def _records(
    session: ReaderSession, given: SourceFile, documents: str, files: Sequence[TextLines]
) -> str:
    """The objects at a path of each document, such as `data.items`, digits as they stand."""
    path = str(given.options["records"])
    place = "$" + "".join(f".{json.dumps(step)}" for step in path.removeprefix("$.").split("."))
    table = given.table("document")
    session.run(
        f"create or replace temp table {table} as"
        f" select {FILE}, {has_long(LINE)} as m,"
        f" json_extract({with_marks(LINE)}::json, {literal(place)}) as rows"
        f" from ({documents})"
    )
    odd = "json_type(rows) is distinct from 'ARRAY'"
    for (found,) in session.rows(f"select {FILE} from {table} where {odd} limit 1"):
        name = next(file.part for file in files if file.path == found)
        raise LoadError(
            f"`{name}` has no list at `{path}`",
            hint="`records` names the keys down to the list of objects, such as `data.items`",
        )
    return (
        f"select {FILE}, case when m then {unmarked('r')} else r end as {LINE} from"
        f" (select {FILE}, m, unnest(json_transform(rows, '[\"JSON\"]'))::varchar as r"
        f" from {table})"
    )


def _staged(
    session: ReaderSession,
    given: SourceFile,
    rest: str,
    first: str | None,
    lines: tuple[TextLines, ...],
) -> Staged:
    objects = JsonObjects((given.name,))
    sample = f"select {PART}, {LINE} from (select * from ({rest})) limit {SAMPLE}"
    columns = objects.columns(session, sample)
    return _of(objects, columns, rest, first, lines)


def _of(
    objects: JsonObjects,
    columns: Columns,
    rest: str,
    first: str | None,
    lines: tuple[TextLines, ...],
) -> Staged:
    return Staged(
        reading=partial(objects.reading, rest),
        columns=columns,
        text=True,
        first=partial(objects.reading, first) if first else None,
        lines=lines,
        sure=True,
        kept=(LINE,),
        again=SecondReading(objects.more, objects.exact, objects.broken),
    )


# ------------------------------------------------------------------ small files together
Together = Callable[[SourceFile, ReaderSession, Sequence[SmallFile]], Sequence[Staged]]


def _small(
    given: SourceFile,
    file: TextLines,
    count: ExpectedRows | None,
    alone: Callable[[], Staged],
    together: Together,
) -> SmallFile | None:
    """The file as one that is read with others like it."""
    size = size_of(given, _SMALL)
    if size is None:
        return None
    shape = (together.__name__, given.options.get("compression"))
    return SmallFile(shape, size, file, count, alone, partial(together, given))


def _lines_together(
    given: SourceFile, session: ReaderSession, small: Sequence[SmallFile]
) -> Sequence[Staged]:
    given = replace(given, limit=None, buffer=max(_SMALL * 2, given.buffer))

    def lines(more: str, files: Sequence[TextLines]) -> str:
        read = given.lines(f"{more}, filename={literal(FILE)}", paths(files))
        rows = placed(LINE, read, files)
        return f"select * from ({rows}) where {_SOME}"

    def staged(objects: JsonObjects, columns: Columns, members: Sequence[SmallFile]) -> Staged:
        files = tuple(each.file for each in members)
        made = _of(objects, columns, lines(PASSED, files), lines(KEPT, files), files)
        return replace(made, count=both([each.count for each in members]))

    kinds = structures(session, lines(PASSED, [each.file for each in small]))
    return [staged(*group) for group in _grouped(small, kinds)]


def _documents_together(
    given: SourceFile, session: ReaderSession, small: Sequence[SmallFile]
) -> Sequence[Staged]:
    given = replace(given, limit=None)
    longest = max(each.size for each in small) + 1
    files = [each.file for each in small]
    read = _documents(given, paths(files), longest, f", filename={literal(FILE)}")
    documents = f"select {FILE}, json::varchar as {LINE} from {read}"
    if given.options.get("records"):
        documents = _records(session, given, documents, files)
    table = _kept(session, given, placed(LINE, documents, files))
    groups = _grouped(small, structures(session, table))

    def staged(objects: JsonObjects, columns: Columns, members: Sequence[SmallFile]) -> Staged:
        del members
        mine = f"{table} where {objects.mine}" if len(groups) > 1 else table
        return _of(objects, columns, mine, None, ())

    return [staged(*group) for group in groups]


def _grouped(
    small: Sequence[SmallFile], kinds: Mapping[str, Mapping[str, str]]
) -> list[tuple[JsonObjects, Columns, list[SmallFile]]]:
    """Files one after the other whose keys get the same columns in one table as by themselves, and
    these columns. Keys that differ only in case are one column in two files, and two in one."""
    groups = [_Group()]
    for each in small:
        keys = kinds.get(each.file.part, {})
        if not groups[-1].takes(keys):
            groups.append(_Group())
            groups[-1].takes(keys)
        groups[-1].members.append(each)
        groups[-1].columns += [(groups[-1].names[key], kind) for key, kind in keys.items()]
    return [
        (
            JsonObjects(tuple(each.file.part for each in group.members), list(group.names)),
            folded(group.columns, text=True),
            group.members,
        )
        for group in groups
    ]


class _Group(Struct):
    """Files that are read as one: the names of all their keys, and each file's columns."""

    names: dict[str, str] = field(default_factory=dict)
    members: list[SmallFile] = field(default_factory=list)
    columns: list[tuple[str, str]] = field(default_factory=list)

    def takes(self, keys: Iterable[str]) -> bool:
        """Whether these keys have the names here that they have in a file of their own; if so,
        they are taken."""
        own = dict(zip(keys, distinct(keys), strict=True))
        there = self.names
        if own.keys() - there.keys():
            listed = [*there, *(key for key in own if key not in there)]
            there = dict(zip(listed, distinct(listed), strict=True))
        if any(there[key] != name for key, name in own.items()):
            return False
        self.names = there
        return True
