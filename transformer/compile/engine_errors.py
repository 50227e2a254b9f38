"""What an engine says of a query, in the tool's words: what is wrong, under which word, and what to
do. `COMPLAINTS` at the foot is the table: a new wording is a pattern and its line there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.nodes import Compiled
from transformer.errors import Fault, SqlError, Where, did_you_mean, nearest

_WORDS = (
    "select from where group by having order limit join left right full inner outer cross on using"
    " union all except intersect with as and or not in is null case when then else end distinct"
    " between like qualify window over partition values lateral unnest"
)


class EngineMessage(Struct, frozen=True):
    """A complaint in our words. `word` is what the mark goes under, when it is known."""

    what: str
    hint: str
    word: str = ""
    detail: tuple[str, ...] = ()


Readable = Mapping[str, Sequence[str]]


def placed(query: Compiled, fault: Fault, readable: Readable) -> SqlError:
    """The engine's complaint at the user's line. `readable` are the columns of what is read."""
    said = complaint(fault, _meant(query, fault, readable))
    offset = fault.position or 0
    where = query.locate(offset)
    if said.word and where.column:
        where = _under(where, said.word)
        offset += max(0, query.text[offset:].find(said.word))
    return SqlError(said.what, where, said.hint, said.detail, query.beside(offset))


def _meant(query: Compiled, fault: Fault, readable: Readable) -> Readable:
    """What is read under the alias that the engine names; everything when it names none."""
    alias = re.search(r'Table "(\w+)" does not have', fault.message)
    if alias is None:
        return readable
    names = {label: label.rpartition(".")[2] for label in readable}
    behind = rf'"\s+(?:as\s+)?"?{alias.group(1)}\b'
    found = [
        label for label, name in names.items() if re.search(f'"{name}{behind}', query.text, re.I)
    ]
    return {label: readable[label] for label in found} or readable


def complaint(fault: Fault, readable: Readable) -> EngineMessage:
    """The engine's complaint in our words."""
    if fault.kind == "SYNTAX_ERROR":
        return _syntax(fault)
    text = fault.message.strip()
    for pattern, made in COMPLAINTS:
        found = pattern.search(text)
        if found:
            return made(found, fault, readable)
    what, *rest = text.splitlines()
    said = next((line for line in rest if line.startswith("Did you mean")), "")
    known = fault.candidates if fault.name and fault.kind != "NO_MATCHING_FUNCTION" else ()
    hint = did_you_mean(fault.name, known, otherwise="") or calm(said).replace("Did you", "did you")
    return EngineMessage(
        calm(what), hint or "look at the marked place; DuckDB says no more than this"
    )


def is_about_sql(fault: Fault) -> bool:
    """Whether the query itself is wrong, and not what it came upon in the rows."""
    text = fault.message.strip()
    return fault.kind == "SYNTAX_ERROR" or any(pattern.search(text) for pattern, _ in COMPLAINTS)


def calm(text: str) -> str:
    """Without exclamation marks, names in backticks."""
    return text.strip().rstrip("!.").replace('"', "`")


def _under(where: Where, word: str) -> Where:
    """The place of the word itself: the engine points at the start of `o.custmer_id`."""
    found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(where.text, where.column - 1)
    if found is None:
        return where
    return replace(where, column=found.start() + 1, width=len(word))


def _syntax(fault: Fault) -> EngineMessage:
    near = re.search(r'near "(.+?)"', fault.message)
    word = near.group(1) if near else ""
    meant = nearest(word, _WORDS.split())
    hint = f"did you mean `{meant}`?" if meant and meant != word.lower() else ""
    hint = hint or "look at what stands before it: a comma or a bracket too few or too many"
    return EngineMessage(f"this is not SQL: {calm(fault.message.splitlines()[0])}", hint, word)


def _column(found: re.Match[str], fault: Fault, readable: Readable) -> EngineMessage:
    """A column that nothing gives: shown are the columns of what is read, the nearest first."""
    name = found["column"]
    names = {column for columns in readable.values() for column in columns}
    close = nearest(name, (*fault.candidates, *names))
    near = {label: columns for label, columns in readable.items() if close in columns}
    shown = [_has(label, columns, close) for label, columns in (near or readable).items()]
    hint = f"did you mean `{close}`?" if close else "name one of the columns that are there"
    if not close and not readable:
        known = re.findall(r'"([^"]+)"', fault.message.partition("Candidate bindings:")[2])
        hint = f"DuckDB offers {listed(known)}" if known else hint
    return EngineMessage(f"unknown column `{name}`", hint, name, tuple(shown))


def _has(label: str, columns: Sequence[str], first: str | None, most: int = 8) -> str:
    names = [c for c in columns if c == first] + [c for c in columns if c != first]
    return f"`{label}` has {', '.join(names[:most])}" + (", …" if len(names) > most else "")


def _ambiguous(found: re.Match[str], _: Fault, __: Readable) -> EngineMessage:
    use = found["use"].replace('"', "`")
    return EngineMessage(f"ambiguous column `{found['column']}`", f"write {use}", found["column"])


def _ungrouped(found: re.Match[str], _: Fault, __: Readable) -> EngineMessage:
    name = found["column"]
    what = f"the column `{name}` is neither grouped by nor aggregated"
    return EngineMessage(what, f"add it to `group by`, or write `any_value({name})`", name)


def _call(found: re.Match[str], _: Fault, __: Readable) -> EngineMessage:
    name, kinds = found["name"], found["kinds"].replace("_LITERAL", "")
    what = f"`{name}` does not take ({kinds})"
    return EngineMessage(what, "cast what has another type, as in `amount::integer`")


def _table(found: re.Match[str], fault: Fault, __: Readable) -> EngineMessage:
    name = found["table"]
    known = re.findall(r'"(\w+)"', fault.message.partition("\n")[2])
    hint = did_you_mean(name, known, otherwise="there are: {}")
    return EngineMessage(f"`{name}` is no table of this query", hint or "join it first", name)


def _type(found: re.Match[str], fault: Fault, __: Readable) -> EngineMessage:
    name = found["name"]
    hint = did_you_mean(name, fault.candidates, otherwise="")
    return EngineMessage(
        f"unknown type `{name}`", hint or "write `integer`, `varchar`, `date` …", name
    )


def _function(found: re.Match[str], fault: Fault, __: Readable) -> EngineMessage:
    name = found["name"]
    hint = did_you_mean(name, fault.candidates, otherwise="")
    return EngineMessage(
        f"unknown function `{name}`", hint or "is it a macro? write `{{ … }}`", name
    )


def listed(columns: Iterable[str], most: int = 8) -> str:
    """The first of the names, and dots for the rest."""
    names = list(columns)
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


COMPLAINTS: tuple[
    tuple[re.Pattern[str], Callable[[re.Match[str], Fault, Readable], EngineMessage]], ...
] = (
    (re.compile(r'Referenced column "(?P<column>.+?)" (?:was )?not found'), _column),
    (re.compile(r'does not have a column named "(?P<column>.+?)"'), _column),
    (re.compile(r'Ambiguous reference to column name "(?P<column>.+?)" \(use: (?P<use>.+)\)'),
     _ambiguous),
    (re.compile(r'column "(?P<column>.+?)" must appear in the GROUP BY'), _ungrouped),
    (re.compile(r"function call \"(?P<name>[^(]+)\((?P<kinds>.*?)\)\""), _call),
    (re.compile(r"argument types '(?P<name>[^(]+)\((?P<kinds>.*?)\)'"), _call),
    (re.compile(r'Referenced table "(?P<table>.+?)" not found'), _table),
    (re.compile(r"Type with name (?P<name>\S+) does not exist"), _type),
    (re.compile(r"Function with name (?P<name>\S+) does not exist"), _function),
)  # fmt: skip
