"""Small random projects that change at random, as values: `Changing` writes itself to files.

A column's kind is known by its name (`KINDS`), so any two relations can be joined or put under
each other. What a model picks of its parents is kept by name as long as it is there, as a user
would; where it is gone, another is picked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

NUMBERS = tuple("abcdefgh")
TEXTS = tuple("stu")
STRUCT = "st"
# The schema of tables that another tool writes.
RAW = "ext"
# More rows than this are not made by joins and unions.
MOST = 400


class Unfit(Exception):  # noqa: N818 - a way out of a shape, not an error
    """A shape cannot be made over these parents."""


Written = tuple[str, list[str]]


@dataclass(slots=True)
class Seed:
    """A table by hand: columns by name, rows of texts. One that is `raw` is no file: another tool
    writes it into the warehouse."""

    columns: list[str]
    rows: list[list[str]]
    raw: bool = False

    def statements(self, name: str, before: Written | None) -> list[str]:
        """What that tool runs where it wrote something `before`: the rows that changed, where it
        can, in their places."""
        now = self.written()
        if before is None or before[0] != now[0]:
            make = [f"create schema if not exists {RAW}"]
            make.append(f"create or replace table {name} ({now[0]})")
            return make + [f"insert into {name} values ({row})" for row in now[1]]
        old, new = before[1], now[1]
        place = f"rowid = (select rowid from {name} order by rowid limit 1 offset {{}})"
        if len(old) > len(new):
            at = next((i for i, row in enumerate(new) if row != old[i]), len(new))
            if old[:at] + old[at + 1 :] == new:
                return [f"delete from {name} where {place.format(at)}"]
        if new[: len(old)] == old:
            return [f"insert into {name} values ({row})" for row in new[len(old) :]]
        if len(old) == len(new):
            listed = ", ".join(self.columns)
            return [
                f"update {name} set ({listed}) = row({row}) where {place.format(at)}"
                for at, row in enumerate(new)
                if row != old[at]
            ]
        return [f"delete from {name}", *(f"insert into {name} values ({row})" for row in new)]

    def written(self) -> Written:
        """What a table of it holds: its columns, and each row."""
        columns = ", ".join(f"{c} {self.type_of(i)}" for i, c in enumerate(self.columns))
        return columns, [", ".join(f"'{v}'" if v else "null" for v in row) for row in self.rows]

    def type_of(self, at: int) -> str:
        if self.columns[at] in TEXTS:
            return "varchar"
        return "bigint" if any(len(row[at]) > 9 for row in self.rows) else "int"

    def text(self) -> str:
        return "\n".join([",".join(self.columns), *map(",".join, self.rows)]) + "\n"


@dataclass(slots=True)
class Model:
    """A query of one shape over its parents, how it is kept, and how it is written."""

    shape: str
    parents: list[str]
    kept: str = "table"
    picks: dict[str, str] = field(default_factory=dict)
    refs: bool = True
    comment: str = ""
    upper: bool = False
    spread: bool = False
    turned: bool = False
    broken: bool = False
    check: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A model's query, the columns it gives, how many rows at most, and which columns of its
    first parent it reads, where that is known."""

    text: str
    columns: tuple[str, ...]
    rows: int
    reads: frozenset[str] | None = None
    ordered: bool = False
    # Its CTEs can be put in another order.
    turns: bool = False


@dataclass(frozen=True, slots=True)
class Parent:
    """What stands behind FROM, and what it gives."""

    name: str
    columns: tuple[str, ...]
    rows: int
    bare: str

    def of(self, names: Iterable[str]) -> list[str]:
        return [c for c in self.columns if c in names]

    @property
    def numbers(self) -> list[str]:
        return self.of(NUMBERS)

    @property
    def texts(self) -> list[str]:
        return self.of(TEXTS)

    @property
    def flat(self) -> list[str]:
        return self.of((*NUMBERS, *TEXTS))


@dataclass(slots=True)
class Pen:
    """Writes one model: it picks what the model picked before, where that is there."""

    model: Model
    seed: str
    data: str = ""

    def pick(self, key: str, among: Sequence[str]) -> str:
        if not among:
            raise Unfit
        known = self.model.picks.get(key, "")
        if known not in among:
            known = random.Random(f"{self.seed}{key}").choice(list(among))
            self.model.picks[key] = known
        return known

    def some(self, key: str, among: Sequence[str], most: int = 3) -> list[str]:
        """A few, in an order of their own."""
        if not among:
            raise Unfit
        known = [c for c in self.model.picks.get(key, "").split() if c in among]
        if not known:
            chance = random.Random(f"{self.seed}{key}")
            known = chance.sample(list(among), chance.randint(1, min(most, len(among))))
        self.model.picks[key] = " ".join(known)
        return known

    def number(self, key: str = "n") -> str:
        return self.pick(key, ("0", "1", "2", "3"))

    def free(self, key: str, taken: Iterable[str], names: Sequence[str] = NUMBERS) -> str:
        return self.pick(key, [n for n in names if n not in set(taken)])


Shape = Callable[[Pen, Sequence[Parent]], Made]


def select(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    names = pen.some("columns", p.flat)
    where = pen.pick("where", ("", *p.numbers))
    bound = f" where {where} >= {pen.number()} or {where} is null" if where else ""
    reads = frozenset((*names, where) if where else names)
    return Made(f"select {', '.join(names)} from {p.name}{bound}", tuple(names), p.rows, reads)


def renamed(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one = pen.pick("one", p.numbers)
    new = pen.free("new", ())
    read = f"{{{{ plus('{one}') }}}}" if pen.number("way") < "2" else f"{one} + {{{{ var('k') }}}}"
    return Made(f"select ({read})::int as {new} from {p.name}", (new,), p.rows, frozenset({one}))


def star(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    return Made(f"select * from {p.name}", p.columns, p.rows)


def star_and(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one, new = pen.pick("one", p.numbers), pen.free("new", p.columns)
    text = f"select *, ({one} % 7 + {pen.number()})::int as {new} from {p.name}"
    return Made(text, (*p.columns, new), p.rows)


def without(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    out = pen.pick("out", p.flat)
    left = tuple(c for c in p.columns if c != out)
    if not set(left) & set(NUMBERS):
        raise Unfit
    return Made(f"select * exclude ({out}) from {p.name}", left, p.rows, frozenset(left))


def replaced(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one = pen.pick("one", p.numbers)
    text = f"from {p.name} select * replace (({one} + {pen.number()})::int as {one})"
    return Made(text, p.columns, p.rows)


def by_pattern(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    last = pen.pick("last", p.numbers)
    found = tuple(c for c in p.numbers if c <= last)
    return Made(f"select columns('^[a-{last}]$') from {p.name}", found, p.rows, frozenset(found))


def doubled(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    if p.rows > MOST // 2:
        raise Unfit
    text = f"select * from {p.name} union all select * from {p.name}"
    return Made(text, p.columns, p.rows * 2)


def under(pen: Pen, over: Sequence[Parent]) -> Made:
    """By place: which columns stand where counts."""
    p, q = over
    most = min(len(p.columns), len(q.columns))
    if p.rows + q.rows > MOST or any(
        _kind(c) != _kind(d) for c, d in zip(p.columns[:most], q.columns[:most], strict=True)
    ):
        raise Unfit
    if len(p.columns) != len(q.columns):
        raise Unfit
    text = f"select * from {p.name} union all select * from {q.name}"
    return Made(text, p.columns, p.rows + q.rows)


def by_name(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    if p.rows + q.rows > MOST:
        raise Unfit
    more = tuple(c for c in q.columns if c not in p.columns)
    text = f"select * from {p.name} union all by name select * from {q.name}"
    return Made(text, (*p.columns, *more), p.rows + q.rows)


def joined(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    if p.rows * q.rows > MOST:
        raise Unfit
    one, other = pen.pick("one", p.numbers), pen.pick("other", q.numbers)
    new = pen.free("new", p.columns)
    text = (
        f"select p.*, q.{other} as {new} from {p.name} p left join {q.name} q on p.{one} = q.{one}"
    )
    if one not in q.columns:
        text = text.replace(f"q.{one}", f"q.{other}")
    return Made(text, (*p.columns, new), p.rows * max(1, q.rows))


def natural(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    shared = [c for c in p.flat if c in q.flat]
    if not shared or p.rows * q.rows > MOST or STRUCT in p.columns:
        raise Unfit
    text = f"select * from {p.name} p natural join {q.name} q"
    return Made(text, (*p.columns, *(c for c in q.columns if c not in p.columns)), p.rows * q.rows)


def using(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    shared = [c for c in p.numbers if c in q.numbers]
    if p.rows * q.rows > MOST:
        raise Unfit
    one = pen.pick("one", shared)
    text = (
        f"select {one}, count(*)::int as {pen.free('new', [one])} from {p.name} p join {q.name} q"
    )
    text += f" using ({one}) group by {one}"
    return Made(text, (one, pen.free("new", [one])), p.rows)


def grouped(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    by, summed = pen.pick("by", p.flat), pen.pick("summed", p.numbers)
    n = pen.free("count", [by])
    total = pen.free("sum", [by, n])
    text = (
        f"select {by}, count(*)::int as {n}, (sum({summed}) % 100)::int as {total}"
        f" from {p.name} group by {by} having count(*) > 0"
    )
    return Made(text, (by, n, total), p.rows, frozenset({by, summed}))


def grouped_by_all(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    new = pen.free("new", p.columns)
    text = f"select *, count(*)::int as {new} from {p.name} group by all order by all"
    return Made(text, (*p.columns, new), p.rows)


def windowed(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    by, one = pen.pick("by", p.numbers), pen.pick("one", p.flat)
    new = pen.free("new", [one])
    told = pen.pick(
        "told",
        ("rank() over (order by {0})", "sum({0}) over (partition by {0})", "count(*) over ()"),
    ).format(by)
    text = f"select {one}, ({told} % 100)::int as {new} from {p.name}"
    return Made(text, (one, new), p.rows)


def first_ones(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    names = ", ".join(names_ := pen.some("columns", p.flat))
    text = f"select {names} from {p.name} order by {names} limit {pen.number()} + 1"
    return Made(text, tuple(names_), p.rows, ordered=True)


def listed(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one, new = pen.pick("one", p.flat), pen.free("new", (), TEXTS)
    text = f"select list({one} order by {one})::varchar as {new}, 1 as a from {p.name}"
    return Made(text, (new, "a"), 1, ordered=True)


def distinct(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    names = pen.some("columns", p.numbers)
    return Made(
        f"select distinct {', '.join(names)} from {p.name}", tuple(names), p.rows, frozenset(names)
    )


def except_(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    one, other = pen.pick("one", p.numbers), pen.pick("other", q.numbers)
    word = pen.pick("word", ("except", "intersect", "union"))
    text = f"select {one} from {p.name} {word} select {other} from {q.name}"
    return Made(text, (one,), p.rows + q.rows)


def turned(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    names = pen.some("columns", p.numbers)
    text = (
        f"select s, a from (unpivot (select {', '.join(names)} from {p.name})"
        " on columns(*) into name s value a)"
    )
    if p.rows * len(names) > MOST:
        raise Unfit
    return Made(text, ("s", "a"), p.rows * len(names), frozenset(names))


def widened(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    on, by = pen.pick("on", p.numbers), pen.pick("by", p.flat)
    if on == by:
        raise Unfit
    new = pen.free("new", [by])
    text = (
        f'select {by}, "1"::int as {new} from (pivot {p.name} on {on} in (0, 1, 2)'
        f" using count(*) group by {by})"
    )
    return Made(text, (by, new), p.rows)


def within(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    one, other = pen.pick("one", p.numbers), pen.pick("other", q.numbers)
    text = f"select * from {p.name} where {one} in (select {other} from {q.name})"
    return Made(text, p.columns, p.rows)


def captured(pen: Pen, over: Sequence[Parent]) -> Made:
    """A plain name in the subquery means the inner table's column, or the outer one's."""
    p, q = over
    one = pen.pick("one", [*p.numbers, *q.numbers])
    names = pen.some("columns", p.flat)
    text = (
        f"select {', '.join(names)} from {p.name}"
        f" where exists (select 1 from {q.name} where {one} > {pen.number()})"
    )
    return Made(text, tuple(names), p.rows)


def correlated(pen: Pen, over: Sequence[Parent]) -> Made:
    p, q = over
    one, other = pen.pick("one", p.numbers), pen.pick("other", q.numbers)
    new = pen.free("new", [one])
    text = (
        f"select {one}, (select count(*) from {q.name} q where q.{other} = p.{one})::int as {new}"
        f" from {p.name} p"
    )
    return Made(text, (one, new), p.rows)


def in_parts(pen: Pen, over: Sequence[Parent]) -> Made:
    """Two CTEs that can be put in any order."""
    p, q = over
    one = pen.pick("one", p.flat)
    other, new = pen.pick("other", q.numbers), pen.free("new", [one])
    parts = [
        f"x as (select {one} from {p.name})",
        f"y as materialized (select max({other}) as m from {q.name})",
    ]
    text = f"with {_in_turn(pen, parts)} select x.{one}, y.m::int as {new} from x, y"
    return Made(text, (one, new), p.rows, turns=True)


def shadowing(pen: Pen, over: Sequence[Parent]) -> Made:
    """A CTE with the name of a table: what stands before it reads the table."""
    p, q = over
    if not q.bare:
        raise Unfit
    one = pen.pick("one", p.numbers)
    new = pen.free("new", [one])
    parts = [
        f"{q.bare} as (select {one} from {p.name} where {one} > 0)",
        f"counted as (select count(*)::int as n from {q.bare})",
    ]
    text = f"with {_in_turn(pen, parts)} select {one}, n as {new} from {p.name}, counted"
    return Made(text, (one, new), p.rows)


def imported(pen: Pen, over: Sequence[Parent]) -> Made:
    """As people write: all that is read stands at the top."""
    (p, *_) = over
    names = pen.some("columns", p.flat)
    listed_ = ", ".join(names)
    text = (
        f"with source as (select * from {p.name}), chosen as (select {listed_} from source)"
        " select * from chosen"
    )
    return Made(text, tuple(names), p.rows, frozenset(names))


def as_row(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    new = pen.free("new", (), TEXTS)
    text = f"select p::varchar as {new}, 1 as a from {p.name} as p"
    return Made(text, (new, "a"), p.rows)


def in_struct(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one, other = pen.pick("one", p.numbers), pen.pick("other", p.numbers)
    text = f"select {one}, {{'x': {one}::int, 'y': {other}::int}} as {STRUCT} from {p.name}"
    return Made(text, (one, STRUCT), p.rows, frozenset({one, other}))


def out_of_struct(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    if STRUCT not in p.columns:
        raise Unfit
    key, new = pen.pick("key", ("x", "y")), pen.free("new", ())
    return Made(f"select {STRUCT}.{key} as {new} from {p.name}", (new,), p.rows)


def spread(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    if STRUCT not in p.columns:
        raise Unfit
    return Made(f"select x as a, y as b from (select {STRUCT}.* from {p.name})", ("a", "b"), p.rows)


def recursive(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one = pen.pick("one", p.numbers)
    text = (
        f"with recursive r as (select {one} from {p.name} union"
        f" select {one} + 1 from r where {one} < {pen.number()}) select {one}::int as {one} from r"
    )
    return Made(text, (one,), p.rows + 40)


def from_file(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    one, new = pen.pick("one", p.numbers), pen.free("new", ())
    text = f"select (a + {pen.number()})::int as {new}, (select max({one}) from {p.name})::int as b"
    if new == "b":
        raise Unfit
    return Made(f"{text} from read_csv('{pen.data}')", (new, "b"), 9)


def summary(pen: Pen, over: Sequence[Parent]) -> Made:
    (p, *_) = over
    text = f"select column_name as s, max as t, count::int as a from (summarize {p.name})"
    return Made(text, ("s", "t", "a"), len(p.columns))


def tallied(pen: Pen, over: Sequence[Parent]) -> Made:
    """An incremental model whose every run brings every key: it equals what is made anew."""
    (p, *_) = over
    one = pen.pick("one", p.numbers)
    text = (
        f"select k::int as a, (select count(*) from {p.name} where {one} = k)::int as b"
        " from range(5) keys(k) {% if is_incremental() %} where k >= 0 {% endif %}"
    )
    return Made(text, ("a", "b"), 5)


def _kind(name: str) -> str:
    return STRUCT if name == STRUCT else "text" if name in TEXTS else "number"


def _in_turn(pen: Pen, parts: Sequence[str]) -> str:
    return ", ".join(reversed(parts) if pen.model.turned else parts)


ONE: tuple[Shape, ...] = (
    select, renamed, star, star_and, without, replaced, by_pattern, doubled, grouped,
    grouped_by_all, windowed, first_ones, listed, distinct, turned, widened, imported, as_row,
    in_struct, out_of_struct, spread, recursive, from_file, summary, tallied,
)  # fmt: skip
TWO: tuple[Shape, ...] = (
    under, by_name, joined, natural, using, except_, within, captured, correlated, in_parts,
    shadowing,
)  # fmt: skip
SHAPES = {shape.__name__: shape for shape in (*ONE, *TWO)}
PAIRED = {shape.__name__ for shape in TWO}
KEPT = ("table", "table", "table", "view", "ephemeral")
# Shapes that many star readers hang on are made more often.
WEIGHTS = {"star": 4, "select": 4, "without": 2, "imported": 2, "natural": 2, "captured": 2}
WORDS = re.compile(
    r"\b(select|from|where|with|as|and|or|group by|order by|union all|union|left|join|on|in|exists"
    r"|is|null|limit|distinct|having|using|natural|partition by|except|intersect|all)\b"
)
_FIXED = re.compile(r"('[^']*'|\"[^\"]*\"|\{\{.*?\}\}|\{%.*?%\})")


@dataclass(slots=True)
class Changing:
    """A project. `data` is a file that its queries name; `order` is that of the models."""

    chance: random.Random
    data: Path
    seeds: dict[str, Seed] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    plus: int = 1
    plus_note: str = ""
    k: int = 1
    rows: list[int] = field(default_factory=lambda: [1, 2, 3])
    # What the raw files hold that a source loads.
    raw: dict[str, list[int]] = field(default_factory=lambda: {"first": [1]})
    made: dict[str, Made] = field(default_factory=dict)
    count: int = 0
    # What the other tool wrote into the warehouse of each folder.
    wrote: dict[Path, Written] = field(default_factory=dict)

    # ---------------------------------------------------------------- what it is

    def start(self) -> None:
        for name in ("raw", "base")[: self.chance.randint(1, 2)]:
            columns = self.chance.sample(NUMBERS[:5], 3) + self.chance.sample(TEXTS, 1)
            self.seeds[name] = Seed(columns, [], raw=self.chance.random() < 0.4)
            for _ in range(self.chance.randint(2, 4)):
                self.seeds[name].rows.append([self.cell(c) for c in columns])
        for _ in range(self.chance.randint(3, 9)):
            self.add_model()
        self.settle()

    def cell(self, column: str) -> str:
        if column in TEXTS:
            return self.chance.choice("xyz")
        return self.chance.choice(["0", "1", "2", "3", "4"])

    def names(self) -> list[str]:
        return [*self.seeds, *self.models]

    def selector(self, name: str) -> str:
        """What means it on the command line."""
        is_raw = name in self.seeds and self.seeds[name].raw
        return f"source:{RAW}.{name}" if is_raw else name

    def is_made(self, name: str) -> bool:
        """Whether a build makes a relation of it."""
        if name in self.seeds:
            return not self.seeds[name].raw
        model = self.models[name]
        return model.kept in ("table", "view") or model.shape == "tallied"

    def above(self, name: str) -> list[str]:
        """What the model may read: seeds, and models before it."""
        order = list(self.models)
        return [*self.seeds, *order[: order.index(name)]]

    def settle(self) -> None:
        """Makes every model's text; a shape that does not fit its parents becomes another."""
        self.made = {}
        known = {n: (tuple(s.columns), len(s.rows)) for n, s in self.seeds.items()}
        for name, model in self.models.items():
            made = self.drawn(name, model, known)
            self.made[name] = made
            known[name] = (made.columns, made.rows)

    def drawn(self, name: str, model: Model, known: dict[str, tuple[tuple[str, ...], int]]) -> Made:
        parents = [each for each in model.parents if each in known]
        model.parents = parents or [self.chance.choice(list(known))]
        if model.shape in PAIRED and len(model.parents) < 2:
            model.parents.append(self.chance.choice(list(known)))
        over = [self.parent(p, model, known[p]) for p in model.parents]
        pen = Pen(model, name, str(self.data))
        try:
            return SHAPES[model.shape](pen, over)
        except Unfit:
            model.shape = "star"
            model.picks = {}
            return star(pen, over)

    def parent(self, name: str, model: Model, made: tuple[tuple[str, ...], int]) -> Parent:
        if name in self.seeds and self.seeds[name].raw:
            said = f"{{{{ source('{RAW}', '{name}') }}}}" if model.refs else f"{RAW}.{name}"
            return Parent(said, *made, bare="")
        return Parent(f"{{{{ ref('{name}') }}}}" if model.refs else name, *made, bare=name)

    def text(self, name: str) -> str:
        model, made = self.models[name], self.made[name]
        query = made.text
        if model.broken and model.kept == "table":
            query = f"select * from ({query}) where error('broken') is null"
        pieces = _FIXED.split(query)
        for i in range(0, len(pieces), 2):
            if model.upper:
                pieces[i] = WORDS.sub(lambda m: m[0].upper(), pieces[i])
            if model.spread:
                pieces[i] = pieces[i].replace(" ", "\n   ")
            if model.comment:
                pieces[i] = pieces[i].replace(",", f", /* {model.comment} */", 1)
        said = f"-- {model.comment}\n" if model.comment else ""
        return f"{self.config(model)}\n{said}{''.join(pieces)}\n"

    @staticmethod
    def config(model: Model) -> str:
        if model.shape == "tallied":
            return "{{ config(materialized='incremental', unique_key='a') }}"
        return f"{{{{ config(materialized='{model.kept}') }}}}"

    def files(self) -> dict[str, str]:
        """Every file of the project."""
        made = {f"models/{name}.sql": self.text(name) for name in self.models}
        made |= {f"seeds/{n}.csv": seed.text() for n, seed in self.seeds.items() if not seed.raw}
        raw = [f"{{name: {name}}}" for name, seed in self.seeds.items() if seed.raw]
        if raw:
            made["models/_s.yml"] = f"sources: [{{name: {RAW}, tables: [{', '.join(raw)}]}}]\n"
        note = f"{{# {self.plus_note} #}}" if self.plus_note else ""
        made["macros/m.sql"] = (
            f"{note}{{% macro plus(x) %}}({{{{ x }}}} + {self.plus}){{% endmacro %}}\n"
        )
        made |= {f"raw/{n}.csv": "a\n" + "".join(f"{i}\n" for i in r) for n, r in self.raw.items()}
        made["models/_f.yml"] = (
            "sources: [{name: landed, tables: [{name: files,"
            " load: {kind: files, path: 'raw/*.csv'}}]}]\n"
        )
        made["models/landed.sql"] = (
            "{{ config(materialized='table') }}"
            " select sum(a) as n, count(*) as c from {{ source('landed', 'files') }}\n"
        )
        made["transform.yml"] = f"name: changing\nvars: {{k: {self.k}}}\n"
        listed_ = [self.described(name) for name, model in self.models.items() if model.check]
        made["models/_m.yml"] = "models:\n" + "".join(listed_) if listed_ else "models: []\n"
        return made

    def described(self, name: str) -> str:
        """The check of a model; it only warns, for a failure is no difference."""
        column = next((c for c in self.made[name].columns if c in NUMBERS), "")
        if not column:
            return f"  - name: {name}\n"
        other = self.models[name].parents[0]
        able = other in self.seeds or self.models[other].kept in ("table", "view")
        there = self.seeds[other].columns if other in self.seeds else self.made[other].columns
        field_ = next((c for c in there if c in NUMBERS), "")
        kind = self.models[name].check
        warn = "config: {severity: warn}"
        told = f"{kind}: {{{warn}}}"
        if kind == "relationships":
            if not able or not field_:
                return f"  - name: {name}\n"
            is_raw = other in self.seeds and self.seeds[other].raw
            to = f'"source({RAW!r}, {other!r})"' if is_raw else f"ref('{other}')"
            told = f"relationships: {{to: {to}, field: {field_}, {warn}}}"
        return f"  - {{name: {name}, columns: [{{name: {column}, data_tests: [{{{told}}}]}}]}}\n"

    def write(self, root: Path) -> None:
        """Writes what changed, and removes what is gone; the other tool writes its tables."""
        self.write_files(root)
        self.write_raw(root / "warehouse.duckdb")

    def write_files(self, root: Path) -> None:
        """The files alone."""
        files = self.files()
        for folder in ("models", "seeds", "macros", "raw"):
            for path in (root / folder).glob("*"):
                if f"{folder}/{path.name}" not in files:
                    path.unlink()
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text() != text:
                path.write_text(text)

    def write_raw(self, warehouse: Path) -> None:
        """Another tool writes its tables, where they are other ones than it wrote before."""
        if not warehouse.exists():
            self.wrote = {k: v for k, v in self.wrote.items() if k.parent != warehouse.parent}
        for name, seed in self.seeds.items():
            place = warehouse.with_name(name)
            before = self.wrote.get(place)
            if not seed.raw or before == seed.written():
                continue
            with duckdb.connect(str(warehouse)) as con:
                for statement in seed.statements(f"{RAW}.{name}", before):
                    con.execute(statement)
            self.wrote[place] = seed.written()

    # ---------------------------------------------------------------- how it changes

    def add_model(self) -> str:
        self.count += 1
        name, chance = f"m{self.count}", self.chance
        names = list(SHAPES)
        shape = chance.choices(names, [WEIGHTS.get(n, 1) for n in names])[0]
        near = self.names()[-4:] + list(self.seeds)
        parents = [chance.choice(near) for _ in range(1 + (shape in PAIRED))]
        model = Model(shape, parents, chance.choice(KEPT), refs=chance.random() < 0.5)
        model.check = chance.choice(["", "", "not_null", "unique", "relationships"])
        self.models[name] = model
        return f"add {name} {shape}"

    def any_model(self) -> tuple[str, Model]:
        return self.chance.choice(list(self.models.items()))

    def say(self) -> str:
        name, model = self.any_model()
        model.comment = self.chance.choice(["why", "select from where", "it's", "a 'b", ""])
        return f"comment in {name}"

    def lay(self) -> str:
        name, model = self.any_model()
        model.spread = not model.spread
        return f"layout of {name}"

    def shout(self) -> str:
        name, model = self.any_model()
        model.upper = not model.upper
        return f"case of {name}"

    def turn(self) -> str:
        found = [(n, m) for n, m in self.models.items() if self.made[n].turns]
        if not found:
            return self.say()
        name, model = self.chance.choice(found)
        model.turned = not model.turned
        return f"CTEs of {name}"

    def note_macro(self) -> str:
        self.plus_note = self.chance.choice(["", "adds", "adds one"])
        return "comment in the macro"

    def turn_shadow(self) -> str:
        found = [(n, m) for n, m in self.models.items() if m.shape == "shadowing"]
        if not found:
            return self.repick()
        name, model = self.chance.choice(found)
        model.turned = not model.turned
        return f"CTE before table in {name}"

    def repick(self) -> str:
        name, model = self.any_model()
        if model.picks:
            key = self.chance.choice(list(model.picks))
            words = model.picks[key].split()
            if len(words) > 1:
                self.chance.shuffle(words)
                model.picks[key] = " ".join(words[: self.chance.randint(1, len(words))])
            elif key == "n":
                model.picks[key] = self.chance.choice("0123")
            else:
                model.picks[key] = self.chance.choice([*NUMBERS, *TEXTS])
        return f"query of {name}"

    def widen(self) -> str:
        found = [m for m in self.models.values() if "columns" in m.picks]
        if not found:
            return self.repick()
        model = self.chance.choice(found)
        model.picks["columns"] += " " + self.chance.choice([*NUMBERS, *TEXTS])
        words = list(dict.fromkeys(model.picks["columns"].split()))
        self.chance.shuffle(words)
        model.picks["columns"] = " ".join(words)
        return "a column more, and their order"

    def reshape(self) -> str:
        name, model = self.any_model()
        model.shape, model.picks = self.chance.choice(list(SHAPES)), {}
        if model.shape in PAIRED:
            model.parents = [self.chance.choice(self.above(name)) for _ in range(2)]
        if model.shape == "tallied":
            # It is to begin with no rows: what was a table would go on as it is.
            name = self.called_anew(name)
        return f"{name} becomes {model.shape}"

    def any_seed(self) -> Seed:
        return self.chance.choice(list(self.seeds.values()))

    def value(self) -> str:
        seed = self.any_seed()
        row, at = self.chance.choice(seed.rows), self.chance.randrange(len(seed.columns))
        row[at] = self.cell(seed.columns[at])
        return f"a value of {seed.columns[at]}"

    def shuffle_rows(self) -> str:
        self.chance.shuffle(self.any_seed().rows)
        return "the order of rows"

    def shuffle_columns(self) -> str:
        seed = self.any_seed()
        order = self.chance.sample(range(len(seed.columns)), len(seed.columns))
        seed.columns = [seed.columns[i] for i in order]
        seed.rows = [[row[i] for i in order] for row in seed.rows]
        return "the order of a seed's columns"

    def add_column(self) -> str:
        seed = self.any_seed()
        free = [c for c in (*NUMBERS, *TEXTS) if c not in seed.columns]
        if not free or len(seed.columns) > 6:
            return self.value()
        name, at = self.chance.choice(free), self.chance.randint(0, len(seed.columns))
        seed.columns.insert(at, name)
        for row in seed.rows:
            row.insert(at, self.cell(name))
        return f"a seed has {name}"

    def drop_column(self) -> str:
        seed = self.any_seed()
        at = self.chance.randrange(len(seed.columns))
        left = [c for i, c in enumerate(seed.columns) if i != at]
        if not set(left) & set(NUMBERS):
            return self.value()
        del seed.columns[at]
        for row in seed.rows:
            del row[at]
        return "a seed has a column less"

    def rename_column(self) -> str:
        seed = self.any_seed()
        at = self.chance.randrange(len(seed.columns))
        pool = TEXTS if seed.columns[at] in TEXTS else NUMBERS
        free = [c for c in pool if c not in seed.columns]
        if not free:
            return self.value()
        seed.columns[at] = self.chance.choice(free)
        return "a seed's column has another name"

    def retype(self) -> str:
        """One value makes a column of whole numbers one of fractions, or back."""
        seed = self.any_seed()
        at = self.chance.randrange(len(seed.columns))
        if seed.columns[at] in TEXTS:
            return self.value()
        row = self.chance.choice(seed.rows)
        row[at] = "" if row[at] else "3000000000"
        return f"the type of {seed.columns[at]}"

    def rows_of_seed(self) -> str:
        seed = self.any_seed()
        if len(seed.rows) > 1 and self.chance.random() < 0.5:
            del seed.rows[self.chance.randrange(len(seed.rows))]
            return "a row less"
        if len(seed.rows) < 6:
            seed.rows.append([self.cell(c) for c in seed.columns])
        return "a row more"

    def macro(self) -> str:
        self.plus = self.chance.randint(1, 3)
        return "the macro"

    def variable(self) -> str:
        self.k = self.chance.randint(1, 3)
        return "the variable"

    def keep(self) -> str:
        name, model = self.any_model()
        model.kept = self.chance.choice(KEPT)
        return f"{name} is kept as {model.kept}"

    def rename(self) -> str:
        name, _ = self.any_model()
        return f"{name} is called {self.called_anew(name)}"

    def called_anew(self, name: str) -> str:
        self.count += 1
        new = f"n{self.count}"
        self.models = {new if n == name else n: m for n, m in self.models.items()}
        for model in self.models.values():
            model.parents = [new if p == name else p for p in model.parents]
        return new

    def swap(self) -> str:
        """Two models take each other's names, and so each other's tables."""
        free = [n for n, m in self.models.items() if m.shape != "tallied"]
        if len(free) < 2:
            return self.repick()
        one, other = self.chance.sample(free, 2)
        told = {one: other, other: one}
        self.models = {told.get(n, n): m for n, m in self.models.items()}
        for model in self.models.values():
            model.parents = [told.get(p, p) for p in model.parents]
        return f"{one} and {other} change names"

    def remove(self) -> str:
        if len(self.models) < 3:
            return self.add_model()
        name, gone = self.any_model()
        del self.models[name]
        for model in self.models.values():
            model.parents = [gone.parents[0] if p == name else p for p in model.parents]
        return f"{name} is gone"

    def grow(self) -> str:
        return self.add_model() if len(self.models) < 10 else self.remove()

    def check(self) -> str:
        name, model = self.any_model()
        model.check = self.chance.choice(["", "not_null", "unique", "relationships"])
        return f"check of {name}"

    def refer(self) -> str:
        name, model = self.any_model()
        model.refs = not model.refs
        return f"how {name} refers"

    def file(self) -> str:
        self.rows = [self.chance.randint(0, 5) for _ in range(self.chance.randint(1, 4))]
        self.write_data()
        return "the file"

    def raw_file(self) -> str:
        """A raw file comes, changes or goes; one stays always."""
        name = self.chance.choice(("first", "second", "third"))
        if name != "first" and name in self.raw and self.chance.random() < 0.4:
            del self.raw[name]
            return f"raw file {name} goes"
        self.raw[name] = [self.chance.randint(0, 9) for _ in range(self.chance.randint(1, 4))]
        return f"raw file {name}"

    def write_data(self) -> None:
        self.data.write_text("a\n" + "".join(f"{n}\n" for n in self.rows))

    def spoil(self) -> str:
        name, model = self.any_model()
        model.broken = True
        return f"{name} is broken"

    def mend(self) -> str:
        for model in self.models.values():
            model.broken = False
        return "all is mended"

    def change(self) -> str:
        """Some edit; what it was."""
        kinds = list(EDITS)
        edit = self.chance.choices(kinds, [EDITS[kind] for kind in kinds])[0]
        told = edit(self)
        self.settle()
        return told

    def touch_up(self) -> str:
        """An edit that says nothing new."""
        edit = self.chance.choice((Changing.say, Changing.lay, Changing.shout, Changing.turn))
        told = edit(self)
        self.settle()
        return told


EDITS: dict[Callable[[Changing], str], int] = {
    Changing.say: 1,
    Changing.lay: 1,
    Changing.shout: 1,
    Changing.turn: 2,
    Changing.note_macro: 1,
    Changing.turn_shadow: 2,
    Changing.repick: 5,
    Changing.widen: 3,
    Changing.reshape: 3,
    Changing.value: 5,
    Changing.shuffle_rows: 2,
    Changing.shuffle_columns: 3,
    Changing.add_column: 3,
    Changing.drop_column: 4,
    Changing.rename_column: 3,
    Changing.retype: 2,
    Changing.rows_of_seed: 2,
    Changing.macro: 1,
    Changing.variable: 1,
    Changing.keep: 4,
    Changing.rename: 2,
    Changing.swap: 1,
    Changing.remove: 2,
    Changing.grow: 3,
    Changing.check: 2,
    Changing.refer: 1,
    Changing.file: 2,
    Changing.raw_file: 2,
    Changing.spoil: 1,
}
