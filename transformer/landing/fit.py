"""The type of each column, and how the table changes for it, under `on_schema_change`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.dialects.widening import is_decimal, widens
from transformer.errors import LoadError
from transformer.landing.staged import (
    NOTHING,
    PART,
    ROW,
    SURE,
    UNKNOWN,
    Cursor,
    ReaderSession,
    Staged,
)
from transformer.landing.types import (
    EXACT_IN_DOUBLE,
    INTEGERS,
    SAMPLE,
    USUAL,
    ColumnSlot,
    Notation,
    common_type,
    exact_double,
    infer,
    infer_lists,
    listed,
    with_new_fields,
)
from transformer.names import RelationName, fold, quoted
from transformer.project.values import Load
from transformer.steps import LOAD_COLUMNS, Columns

_OWN_NAMES = frozenset(name for name, _ in LOAD_COLUMNS)


class Landing(Struct, frozen=True):
    """One load into a table: the target, the rules, and the table's existing columns.

    `relanded` parts were loaded before and are read again in full: their rows are replaced. Of
    `retried` parts only the quarantined rows are loaded. `order` is the order of the parts: in a
    merge the later row wins. `since` is set when a table is read from a cursor value on.
    """

    node: str
    target: RelationName
    load: Load
    batch: str
    now: datetime
    declared: Mapping[str, str] = field(default_factory=dict)
    existing: Columns = ()
    relanded: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    since: Cursor | None = None

    @property
    def fresh(self) -> bool:
        """Whether the table is rebuilt from scratch."""
        return self.load.mode == "replace" or not self.existing


class BeyondSample(Struct, frozen=True):
    """What a first attempt learned from rows beyond the sample: columns, and types of text."""

    columns: Columns = ()
    kinds: Mapping[str, str] = {}


class FittedColumns(Struct, frozen=True):
    """The columns as they will be: how each gets its type, what is altered, what is refused.

    `recast` are columns whose declared type differs from the stored one. `open` are text columns
    whose inferred type a later row may still change.
    """

    slots: Mapping[str, ColumnSlot]
    added: Columns = ()
    widened: Columns = ()
    recast: Columns = ()
    extra: tuple[str, ...] = ()
    open: frozenset[str] = frozenset()
    partial: bool = False

    @property
    def kinds(self) -> dict[str, str]:
        """The type of each column."""
        return {name: _stored_type(slot.kind) for name, slot in self.slots.items()}

    @property
    def names(self) -> list[str]:
        """The columns that are loaded."""
        extra = set(self.extra)
        return [name for name in self.slots if name not in extra]


def _stored_type(kind: str) -> str:
    return "VARCHAR" if kind == UNKNOWN else kind


class _Wanted(Struct, frozen=True):
    """Every offered column: its name in the table, its declared type and its stored type."""

    existing: Mapping[str, tuple[str, str]]
    declared: Mapping[str, str]
    offered: Mapping[str, str]

    def named(self, name: str) -> str:
        return self.existing.get(fold(name), (name, ""))[0]

    def stored(self, name: str) -> str:
        return self.existing.get(fold(name), ("", ""))[1]


def fit(
    session: ReaderSession, landing: Landing, staged: Staged, learned: BeyondSample
) -> FittedColumns:
    """How each column gets its type, under the policy `on_schema_change`. Raises LoadError."""
    wanted = _Wanted(
        {fold(n): (n, k) for n, k in landing.existing if n not in _OWN_NAMES},
        {fold(n): k for n, k in landing.declared.items()},
        {n: _raw(k) for n, k in staged.columns},
    )
    unknown = [n for n, k in wanted.offered.items() if k == UNKNOWN]
    unknown = [
        n for n in unknown if fold(n) not in wanted.declared and wanted.stored(n) != "VARCHAR"
    ]
    sampled, guessed = guess(session, staged, [n for n in unknown if n not in learned.kinds])
    guessed |= {n: learned.kinds[n] for n in unknown if n in learned.kinds}
    fitted = _fitted(session, landing, wanted, (staged, guessed, learned))
    _apply_policy(landing, wanted, fitted)
    if wanted.existing and landing.load.on_schema_change == "quarantine":
        new = {n for n, _ in fitted.added}
        slots = {
            n: _slot(
                staged,
                (n, s.offered),
                wanted.stored(n) or s.kind,
                declared=fold(n) in wanted.declared,
            )
            for n, s in fitted.slots.items()
        }
        extra = tuple(n for n in wanted.offered if wanted.named(n) in new)
        return FittedColumns(slots, recast=fitted.recast, extra=extra)
    return FittedColumns(
        fitted.slots, fitted.added, fitted.widened, fitted.recast,
        open=frozenset(unknown), partial=sampled >= SAMPLE or bool(learned.kinds),
    )  # fmt: skip


def guess(
    session: ReaderSession, staged: Staged, columns: list[str], most: int | None = SAMPLE
) -> tuple[int, dict[str, str]]:
    """The number of rows in the sample, and the types that these text columns have in it."""
    if not columns:
        return 0, {}
    limit = f" limit {most}" if most else ""
    sample = "create or replace temp table __sample as select"
    if staged.again:
        session.run(f"create or replace temp table __looked as from ({staged.rows}){limit}")
        session.run(f"{sample} {listed(columns)} from ({_exactly(session, staged)})")
    else:
        session.run(f"{sample} {listed(columns)} from ({staged.rows}){limit}")
    sampled_table = "__looked" if staged.again else "__sample"
    sampled = int(session.rows(f"select count(*) from {sampled_table}")[0][0])
    rows = "select __values from __sample"
    return sampled, infer_lists(session, rows, columns, staged.notation or USUAL)


def _exactly(session: ReaderSession, staged: Staged) -> str:
    """The query of the sampled rows, with every digit."""
    if staged.again is None or not session.rows(f"select 1 from __looked where not {SURE} limit 1"):
        return "from __looked"
    picked = ", ".join((*staged.kept, PART, ROW))
    session.run(
        f"create or replace temp table __unsure as select {picked} from __looked where not {SURE}"
    )
    names = ", ".join(quoted(name) for name, _ in staged.columns)
    exact = staged.again.rows("__unsure", staged.columns)
    return (
        f"select {names} from __looked where {SURE} union all by name select {names} from ({exact})"
    )


def merge_json_columns(columns: Columns, later: Columns) -> Columns:
    """JSON columns merged with those found later; numbers and texts under one key stay JSON."""
    columns_by_name = {fold(name): (name, kind) for name, kind in columns}
    for name, kind in later:
        first_name, old = columns_by_name.get(fold(name), (name, NOTHING))
        both = old if kind in (old, NOTHING) else kind if old == NOTHING else "JSON"
        columns_by_name[fold(name)] = (first_name, both)
    return tuple(columns_by_name.values())


def _raw(kind: str) -> str:
    """The type in a raw table: an enum becomes text, since its values may change later."""
    return "VARCHAR" if kind.startswith("ENUM(") else kind


def _slot(staged: Staged, column: tuple[str, str], kind: str, *, declared: bool) -> ColumnSlot:
    """The slot of a `column`: its name, and the type the source gives."""
    name, offered = column
    notation: Notation = staged.notation or USUAL
    is_text = name in staged.texts
    # Text that the source wrote for its own type: whatever casts is exact.
    sure = declared or (is_text and kind == offered)
    return ColumnSlot(kind, offered, staged.text or is_text, declared=sure, notation=notation)


def _fitted(
    session: ReaderSession,
    landing: Landing,
    wanted: _Wanted,
    staging: tuple[Staged, Mapping[str, str], BeyondSample],
) -> FittedColumns:
    staged, guessed, learned = staging
    slots: dict[str, ColumnSlot] = {}
    added: list[tuple[str, str]] = []
    widened: list[tuple[str, str]] = []
    recast: list[tuple[str, str]] = []
    for name, offered in wanted.offered.items():
        declared, stored = wanted.declared.get(fold(name)), wanted.stored(name)
        new = guessed.get(name, "VARCHAR" if offered in (UNKNOWN, NOTHING) else offered)
        kind = declared or new
        if stored and not declared and not (landing.fresh and learned.kinds.get(name) == "VARCHAR"):
            kind = _kept_type(
                session, landing, (wanted.named(name), stored), (new, name in guessed)
            )
        slots[name] = _slot(staged, (name, offered), kind, declared=declared is not None)
        column = wanted.named(name)
        if not stored:
            if wanted.existing or not declared:
                added.append((column, _stored_type(kind)))
        elif stored != kind:
            (recast if declared else widened).append((column, kind))
    return FittedColumns(slots, tuple(added), tuple(widened), tuple(recast))


def _kept_type(
    session: ReaderSession, landing: Landing, column: tuple[str, str], new: tuple[str, bool]
) -> str:
    """The type of an existing column that receives another one: widened, or unchanged."""
    (name, stored), (kind, text) = column, new
    if kind in (UNKNOWN, stored) or (text and kind == "VARCHAR"):
        return stored
    if not text and (both := common_type(stored, kind) or with_new_fields(stored, kind)):
        return both
    if widens(stored, kind) and (text or not is_decimal(stored)):
        return kind if _exact_as_double(session, landing, name, (stored, kind)) else stored
    return stored


def _exact_as_double(
    session: ReaderSession, landing: Landing, name: str, kinds: tuple[str, str]
) -> bool:
    """Whether the stored whole numbers are exact as DOUBLEs."""
    old, new = kinds
    if landing.fresh or new != "DOUBLE" or old not in INTEGERS:
        return True
    largest = session.rows(f"select max(abs({quoted(name)}::hugeint)) from {landing.target.sql()}")
    return (largest[0][0] or 0) <= EXACT_IN_DOUBLE


def _apply_policy(landing: Landing, wanted: _Wanted, fitted: FittedColumns) -> None:
    if wanted.existing and landing.load.on_schema_change == "freeze":
        _refuse_changes(landing, wanted, (*fitted.added, *fitted.widened))


def _refuse_changes(landing: Landing, wanted: _Wanted, changed: Columns) -> None:
    folded = {fold(n) for n in wanted.offered}
    gone = [name for key, (name, _) in wanted.existing.items() if key not in folded]
    if not changed and not gone:
        return
    listed = [f"+{n} {k}" for n, k in changed] + [f"−{n}" for n in gone]
    raise LoadError(
        f"the columns of `{landing.target}` changed: {', '.join(listed)}",
        landing.load.place("on_schema_change"),
        hint="the table is unchanged; `on_schema_change: evolve` adds new columns",
    )


class RowSet(Struct, frozen=True):
    """Typed rows: the table that holds them, and a condition that selects them."""

    table: str
    where: str


def relearned(
    session: ReaderSession, landing: Landing, fitted: FittedColumns, place: RowSet, left: str | None
) -> dict[str, str]:
    """The types that rows beyond the sample need, by column, where they differ.

    `place` holds the rows that landed, `left` selects those that did not fit. A column that
    existed before, or whose values landed, only gets a type that holds all of them exactly.
    """
    existing = {fold(n) for n, _ in landing.existing}
    names = [n for n in fitted.open if n not in fitted.extra]
    kinds: dict[str, str] = {}
    empty = [n for n in names if fitted.slots[n].kind == UNKNOWN]
    if empty and fitted.partial:
        kinds |= infer(session, f"select * from {place.table} where {place.where}", empty)
        kinds = {n: kind for n, kind in kinds.items() if kind not in (UNKNOWN, "VARCHAR")}
    if left is None:
        return kinds
    notation = next(iter(fitted.slots.values())).notation if fitted.slots else USUAL
    inferred = infer(session, left, [n for n in names if n not in kinds], notation)
    for name, kind in inferred.items():
        old = fitted.slots[name].kind
        if kind in (UNKNOWN, old) and fitted.slots[name].offered == UNKNOWN:
            continue  # one statement per column would cost more than everything else
        new = _wider_type(session, place, name, (old, kind))
        if not _all_fit(session, left, name, replace(fitted.slots[name], kind=new)):
            new = "VARCHAR"
        if fold(name) in existing and new != old and not widens(old, new):
            if not (landing.fresh and _only_written_otherwise(session, left, name, old)):
                continue
            new = "VARCHAR"
        if old not in {new, "VARCHAR"}:
            kinds[name] = new
    return kinds


def _only_written_otherwise(session: ReaderSession, left: str, name: str, kind: str) -> bool:
    """Whether a lenient cast would accept what does not fit: `007` is a code, so the column is."""
    trimmed = f"nullif(trim({quoted(name)}), '')"
    unlike = f"{trimmed} is not null and try_cast({trimmed} as {kind}) is null"
    return not session.rows(f"select 1 from ({left}) where {unlike} limit 1")


def _all_fit(session: ReaderSession, left: str, name: str, slot: ColumnSlot) -> bool:
    value = slot.value(quoted(name))
    fits = slot.fits(quoted(name), value)
    return fits is None or not session.rows(f"select 1 from ({left}) where not {fits} limit 1")


def _wider_type(session: ReaderSession, place: RowSet, name: str, kinds: tuple[str, str]) -> str:
    """The first type that fits the landed values of the old type and all values of the new one."""
    old, new = kinds
    if new in (UNKNOWN, old):
        return old
    pair = {old, new}
    if pair <= {"BIGINT", "HUGEINT"}:
        return "HUGEINT"
    if pair == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    if "DOUBLE" in pair and pair <= {"BIGINT", "HUGEINT", "DOUBLE"}:
        text = f"{quoted(name)}::varchar"
        inexact = f"not {exact_double(text, f'{quoted(name)}::double')}"
        inexact_row = f"select 1 from {place.table} where {place.where} and {inexact} limit 1"
        return "VARCHAR" if old != "DOUBLE" and session.rows(inexact_row) else "DOUBLE"
    if old == UNKNOWN and not session.rows(
        f"select 1 from {place.table} where {place.where} and {quoted(name)} is not null limit 1"
    ):
        return new
    return "VARCHAR"
