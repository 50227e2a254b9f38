"""JSON and NDJSON files, read as lines or documents; `json.py` turns objects into rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.errors import LoadError
from transformer.landing.counting import ExpectedRows, expected_rows, total_rows
from transformer.landing.json import JsonObjects, has_long, structures, unmarked, with_marks
from transformer.landing.small import FILE, SmallFile, path_list, size_of, with_part_and_row
from transformer.landing.source_file import IGNORE_REJECTS, STORE_REJECTS, SourceFile, buffer_for
from transformer.landing.staged import (
    LINE,
    PART,
    ROW,
    ReaderSession,
    SecondReading,
    Staged,
    TextLines,
    unique_names,
)
from transformer.landing.text import encoding_of, lines_of, with_one_line_end
from transformer.landing.types import SAMPLE
from transformer.landing.union import merge_columns
from transformer.landing.whole import longest_object, refuse_open_array
from transformer.names import literal
from transformer.steps import Columns

# Files up to this size are read together with others, and sampled completely.
_SMALL = 1 << 18
# Not blank; trimming every line would cost as much as reading it.
_SOME = f"case when {LINE} >= '{{' and {LINE} < '|' then true else trim({LINE}) <> '' end"


def ndjson(session: ReaderSession, source: SourceFile) -> Staged | SmallFile:
    """Stages a file with one JSON object per line. Raises LoadError if it is not UTF-8."""
    if encoding_of(source) not in ("utf-8", "ascii"):
        raise LoadError(
            f"`{source.name}` is not UTF-8, which JSON requires", hint="export it as UTF-8"
        )
    if source.remote:
        return _lines_copied(session, source)
    counts = lines_of(source)
    if not counts.alike:
        with with_one_line_end(source, "", "") as copy:
            return _lines_copied(session, replace(source, converted=copy))
    if not source.limit:
        source = replace(source, buffer=buffer_for(counts))
    count = None if source.limit else expected_rows(counts, 0, 0)
    text_lines = TextLines(source.path, source.name, 0)

    def alone() -> Staged:
        staged = _staged(
            session,
            source,
            _lines(source, IGNORE_REJECTS),
            _lines(source, STORE_REJECTS),
            (text_lines,),
        )
        return replace(staged, count=count)

    return _small(source, text_lines, count, alone, _lines_together) or alone()


def _lines_copied(session: ReaderSession, source: SourceFile) -> Staged:
    """Stages lines that are read once: from a network, or from a copy that is deleted again."""
    table = source.table("lines")
    session.run(f"create or replace temp table {table} as {_lines(source, STORE_REJECTS)}")
    return _staged(
        session,
        source,
        f"from {table}",
        None,
        (TextLines(source.converted or source.path, source.name, 0),),
    )


def _lines(source: SourceFile, more: str) -> str:
    numbered = (
        f"select {source.part} as {PART}, row_number() over () as {ROW}, {LINE}"
        f" from ({source.lines(more)})"
    )
    return source.bounded(f"select * from ({numbered}) where {_SOME}")


def json_array(session: ReaderSession, source: SourceFile) -> Staged | SmallFile:
    """Stages a JSON array of objects, concatenated objects, or the objects at the path `records`
    in one document. Raises LoadError if the array is not closed."""
    if not source.remote:
        refuse_open_array(source)
    lines = TextLines(source.path, source.name, 0)
    alone = partial(_documents_alone, session, source, lines)
    return _small(source, lines, None, alone, _documents_together) or alone()


def _documents_alone(session: ReaderSession, source: SourceFile, lines: TextLines) -> Staged:
    read = _documents(source, source.place, longest_object(source))
    documents = f"select {literal(lines.path)} as {FILE}, json::varchar as {LINE} from {read}"
    if source.options.get("records"):
        documents = _records(session, source, documents, (lines,))
    objects = source.bounded(
        f"select {source.part} as {PART}, row_number() over () as {ROW}, {LINE} from ({documents})"
    )
    if source.remote or source.options.get("records"):
        objects = _materialized(session, source, objects)
    return _staged(session, source, objects, None, ())


def _documents(source: SourceFile, place: str, longest: int, more: str = "") -> str:
    compression = source.options.get("compression")
    kind = "uncompressed" if compression == "none" else compression
    packed = f", compression={literal(kind)}" if kind else ""
    return f"read_json_objects({place}, format='auto', maximum_object_size={longest}{packed}{more})"


def _materialized(session: ReaderSession, source: SourceFile, objects: str) -> str:
    table = source.table("objects")
    session.run(f"create or replace temp table {table} as {objects}")
    return f"from {table}"


def _records(
    session: ReaderSession, source: SourceFile, documents: str, files: Sequence[TextLines]
) -> str:
    """The query of the objects at a path such as `data.items` of each document, with all digits.
    Raises LoadError if a document has no list there."""
    path = str(source.options["records"])
    place = "$" + "".join(f".{json.dumps(step)}" for step in path.removeprefix("$.").split("."))
    table = source.table("document")
    session.run(
        f"create or replace temp table {table} as"
        f" select {FILE}, {has_long(LINE)} as m,"
        f" json_extract({with_marks(LINE)}::json, {literal(place)}) as rows"
        f" from ({documents})"
    )
    odd = "json_type(rows) is distinct from 'ARRAY'"
    for (path_without_list,) in session.rows(f"select {FILE} from {table} where {odd} limit 1"):
        name = next(candidate.part for candidate in files if candidate.path == path_without_list)
        raise LoadError(
            f"`{name}` has no list at `{path}`",
            hint="set `records` to the path of the list of objects, such as `data.items`",
        )
    return (
        f"select {FILE}, case when m then {unmarked('r')} else r end as {LINE} from"
        f" (select {FILE}, m, unnest(json_transform(rows, '[\"JSON\"]'))::varchar as r"
        f" from {table})"
    )


def _staged(
    session: ReaderSession,
    source: SourceFile,
    rest: str,
    first: str | None,
    lines: tuple[TextLines, ...],
) -> Staged:
    objects = JsonObjects((source.name,))
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
    source: SourceFile,
    lines: TextLines,
    count: ExpectedRows | None,
    alone: Callable[[], Staged],
    together: Together,
) -> SmallFile | None:
    """The file as one that can be read together with others; None if it is too large."""
    size = size_of(source, _SMALL)
    if size is None:
        return None
    shape = (together.__name__, source.options.get("compression"))
    return SmallFile(shape, size, lines, count, alone, partial(together, source))


def _lines_together(
    source: SourceFile, session: ReaderSession, small: Sequence[SmallFile]
) -> Sequence[Staged]:
    source = replace(source, limit=None, buffer=max(_SMALL * 2, source.buffer))

    def lines(more: str, files: Sequence[TextLines]) -> str:
        read = source.lines(f"{more}, filename={literal(FILE)}", path_list(files))
        rows = with_part_and_row(LINE, read, files)
        return f"select * from ({rows}) where {_SOME}"

    def staged(objects: JsonObjects, columns: Columns, members: Sequence[SmallFile]) -> Staged:
        files = tuple(member.file for member in members)
        together = _of(
            objects, columns, lines(IGNORE_REJECTS, files), lines(STORE_REJECTS, files), files
        )
        return replace(together, count=total_rows([member.count for member in members]))

    kinds = structures(session, lines(IGNORE_REJECTS, [member.file for member in small]))
    return [staged(*group) for group in _grouped(small, kinds)]


def _documents_together(
    source: SourceFile, session: ReaderSession, small: Sequence[SmallFile]
) -> Sequence[Staged]:
    source = replace(source, limit=None)
    longest = max(member.size for member in small) + 1
    files = [member.file for member in small]
    read = _documents(source, path_list(files), longest, f", filename={literal(FILE)}")
    documents = f"select {FILE}, json::varchar as {LINE} from {read}"
    if source.options.get("records"):
        documents = _records(session, source, documents, files)
    table = _materialized(session, source, with_part_and_row(LINE, documents, files))
    groups = _grouped(small, structures(session, table))

    def staged(objects: JsonObjects, columns: Columns, members: Sequence[SmallFile]) -> Staged:
        del members
        mine = f"{table} where {objects.mine}" if len(groups) > 1 else table
        return _of(objects, columns, mine, None, ())

    return [staged(*group) for group in groups]


def _grouped(
    small: Sequence[SmallFile], kinds: Mapping[str, Mapping[str, str]]
) -> list[tuple[JsonObjects, Columns, list[SmallFile]]]:
    """Groups of consecutive files whose keys get the same columns together as separately, with
    these columns. Keys that differ only in case are one column across files, but two within one."""
    groups = [_Group()]
    for member in small:
        keys = kinds.get(member.file.part, {})
        if not groups[-1].takes(keys):
            groups.append(_Group())
            groups[-1].takes(keys)
        groups[-1].members.append(member)
        groups[-1].columns += [(groups[-1].names[key], kind) for key, kind in keys.items()]
    return [
        (
            JsonObjects(tuple(member.file.part for member in group.members), list(group.names)),
            merge_columns(group.columns, text=True),
            group.members,
        )
        for group in groups
    ]


class _Group(Struct):
    """Files that are read as one: the column names of their keys, and each file's columns."""

    names: dict[str, str] = field(default_factory=dict)
    members: list[SmallFile] = field(default_factory=list)
    columns: list[tuple[str, str]] = field(default_factory=list)

    def takes(self, keys: Iterable[str]) -> bool:
        """Adds these keys and returns True, if they get the same column names here as in a file
        of their own; otherwise returns False."""
        own = dict(zip(keys, unique_names(keys), strict=True))
        names = self.names
        if own.keys() - names.keys():
            listed = [*names, *(key for key in own if key not in names)]
            names = dict(zip(listed, unique_names(listed), strict=True))
        if any(names[key] != name for key, name in own.items()):
            return False
        self.names = names
        return True
