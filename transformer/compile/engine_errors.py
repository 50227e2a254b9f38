"""Translates an engine's errors about a query: what is wrong, at which word, and what to do.
`COMPLAINTS` at the end is the table: a new wording is a pattern and a line there."""

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
    """A translated error. `word` is the word to mark, if known."""

    what: str
    hint: str
    word: str = ""
    detail: tuple[str, ...] = ()


Readable = Mapping[str, Sequence[str]]


def placed(query: Compiled, fault: Fault, readable: Readable) -> SqlError:
    """The engine's error at the user's line. `readable` are the columns of the inputs."""
    message = complaint(fault, _readable_by_alias(query, fault, readable))
    offset = fault.position or 0
    where = query.locate(offset)
    if message.word and where.column:
        where = _at_word(where, message.word)
        offset += max(0, query.text[offset:].find(message.word))
    return SqlError(message.what, where, message.hint, message.detail, query.beside(offset))


def _readable_by_alias(query: Compiled, fault: Fault, readable: Readable) -> Readable:
    """The inputs under the alias in the engine's message; all inputs if it names none."""
    alias = re.search(r'Table "(\w+)" does not have', fault.message)
    if alias is None:
        return readable
    names = {label: label.rpartition(".")[2] for label in readable}
    alias_pattern = rf'"\s+(?:as\s+)?"?{alias.group(1)}\b'
    labels = [
        label
        for label, name in names.items()
        if re.search(f'"{name}{alias_pattern}', query.text, re.I)
    ]
    return {label: readable[label] for label in labels} or readable


def complaint(fault: Fault, readable: Readable) -> EngineMessage:
    """The engine's error, translated."""
    if fault.kind == "SYNTAX_ERROR":
        return _syntax(fault)
    text = fault.message.strip()
    for pattern, to_message in COMPLAINTS:
        match = pattern.search(text)
        if match:
            return to_message(match, fault, readable)
    what, *rest = text.splitlines()
    suggestion = next((line for line in rest if line.startswith("Did you mean")), "")
    candidates = fault.candidates if fault.name and fault.kind != "NO_MATCHING_FUNCTION" else ()
    hint = did_you_mean(fault.name, candidates, otherwise="") or normalized(suggestion).replace(
        "Did you", "did you"
    )
    return EngineMessage(
        normalized(what), hint or "check the marked place; DuckDB reports no more than this"
    )


def is_about_sql(fault: Fault) -> bool:
    """Whether the query itself is wrong, rather than its data."""
    text = fault.message.strip()
    return fault.kind == "SYNTAX_ERROR" or any(pattern.search(text) for pattern, _ in COMPLAINTS)


def normalized(text: str) -> str:
    """The text without final punctuation, with names in backticks."""
    return text.strip().rstrip("!.").replace('"', "`")


def _at_word(where: Where, word: str) -> Where:
    """The place of the word itself: the engine reports the start of `o.custmer_id`."""
    match = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(where.text, where.column - 1)
    if match is None:
        return where
    return replace(where, column=match.start() + 1, width=len(word))


def _syntax(fault: Fault) -> EngineMessage:
    near = re.search(r'near "(.+?)"', fault.message)
    word = near.group(1) if near else ""
    close = nearest(word, _WORDS.split())
    hint = f"did you mean `{close}`?" if close and close != word.lower() else ""
    hint = hint or "check for a missing or extra comma or bracket before it"
    return EngineMessage(
        f"this is not SQL: {normalized(fault.message.splitlines()[0])}", hint, word
    )


def _column(match: re.Match[str], fault: Fault, readable: Readable) -> EngineMessage:
    """An unknown column; the detail lists the columns of the inputs, the closest first."""
    name = match["column"]
    names = {column for columns in readable.values() for column in columns}
    close = nearest(name, (*fault.candidates, *names))
    matching = {label: columns for label, columns in readable.items() if close in columns}
    lines = [
        _columns_line(label, columns, close) for label, columns in (matching or readable).items()
    ]
    hint = f"did you mean `{close}`?" if close else "use one of the existing columns"
    if not close and not readable:
        bindings = re.findall(r'"([^"]+)"', fault.message.partition("Candidate bindings:")[2])
        hint = f"DuckDB offers {abbreviated(bindings)}" if bindings else hint
    return EngineMessage(f"unknown column `{name}`", hint, name, tuple(lines))


def _columns_line(label: str, columns: Sequence[str], first: str | None, most: int = 8) -> str:
    names = [c for c in columns if c == first] + [c for c in columns if c != first]
    return f"`{label}` has {', '.join(names[:most])}" + (", …" if len(names) > most else "")


def _ambiguous(match: re.Match[str], _: Fault, __: Readable) -> EngineMessage:
    use = match["use"].replace('"', "`")
    return EngineMessage(f"ambiguous column `{match['column']}`", f"write {use}", match["column"])


def _ungrouped(match: re.Match[str], _: Fault, __: Readable) -> EngineMessage:
    name = match["column"]
    what = f"the column `{name}` is neither grouped nor aggregated"
    return EngineMessage(what, f"add it to `group by`, or write `any_value({name})`", name)


def _call(match: re.Match[str], _: Fault, __: Readable) -> EngineMessage:
    name, kinds = match["name"], match["kinds"].replace("_LITERAL", "")
    what = f"`{name}` does not take ({kinds})"
    return EngineMessage(what, "cast the arguments, as in `amount::integer`")


def _table(match: re.Match[str], fault: Fault, __: Readable) -> EngineMessage:
    name = match["table"]
    tables = re.findall(r'"(\w+)"', fault.message.partition("\n")[2])
    hint = did_you_mean(name, tables, otherwise="available: {}")
    return EngineMessage(f"`{name}` is not a table of this query", hint or "join it first", name)


def _type(match: re.Match[str], fault: Fault, __: Readable) -> EngineMessage:
    name = match["name"]
    hint = did_you_mean(name, fault.candidates, otherwise="")
    return EngineMessage(
        f"unknown type `{name}`", hint or "write `integer`, `varchar`, `date` …", name
    )


def _function(match: re.Match[str], fault: Fault, __: Readable) -> EngineMessage:
    name = match["name"]
    hint = did_you_mean(name, fault.candidates, otherwise="")
    return EngineMessage(
        f"unknown function `{name}`", hint or "if it is a macro, write `{{ … }}`", name
    )


def abbreviated(columns: Iterable[str], most: int = 8) -> str:
    """The first names, with an ellipsis for the rest."""
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
