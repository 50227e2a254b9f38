"""Offered rows with their types: every value is exact, or its row is still unsure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from msgspec import Struct

from transformer.landing.fit import FittedColumns, Landing
from transformer.landing.staged import PART, ROW, SURE, Staged
from transformer.landing.types import ColumnSlot, unquoted
from transformer.names import fold, literal, quoted

# The sequence that counts unsure rows.
UNSURE = "__unsure"
# More columns of one type than this are checked as a list.
_MANY = 100


class RowRefusal(Struct, frozen=True):
    """Why a row may be refused: the SQL condition, the column, the reason, the value to show."""

    condition: str
    column: str
    reason: str
    value: str


class TypedRows(Struct, frozen=True):
    """The rows of one query as they land, with the columns that every loaded row carries.

    One pass casts each value and compares the result with the text. Inside, columns have short
    names (`t1`, `v1`), which cannot clash with the source's.
    """

    landing: Landing
    fitted: FittedColumns
    rows: str
    sure: bool = False
    repeats: bool = False

    @property
    def _numbered(self) -> Mapping[str, tuple[int, ColumnSlot]]:
        return {name: (n, slot) for n, (name, slot) in enumerate(self.fitted.slots.items())}

    def _valued(self, more: str = "") -> str:
        """The rows with the text (`t1`) and the value (`v1`) of every column side by side."""
        texts = "".join(f"{quoted(name)} as t{n}, " for name, (n, _) in self._numbered.items())
        values = "".join(
            f", {slot.value(f't{n}')} as v{n}"
            for n, slot in self._numbered.values()
            if not slot.as_is
        )
        return (
            f"select *{values} from (select {texts}{PART}, {ROW}"
            f"{f', {SURE}' if self.sure else ''}{more} from ({self.rows}))"
        )

    def _values(self) -> dict[str, str]:
        """The SQL of each column's value as it lands."""
        numbered = self._numbered.items()
        return {name: f"t{n}" if slot.as_is else f"v{n}" for name, (n, slot) in numbered}

    def refusals(self) -> list[RowRefusal]:
        """Why rows may be refused, column by column."""
        return list(self._refusals())

    def _refusals(self, grouped: Container[str] = ()) -> Iterator[RowRefusal]:
        """The same as a generator, without the type checks of columns in `grouped`."""
        load = self.landing.load
        keys = {fold(k) for k in load.key} if load.mode == "merge" else set()
        value, extra = self._values(), set(self.fitted.extra)
        for name, (n, slot) in self._numbered.items():
            shown = unquoted(f"t{n}") if slot.offered == "JSON" else f"t{n}::varchar"
            if name in extra:
                yield RowRefusal(f"t{n} is not null", name, "is not a known column", shown)
                continue
            if name in grouped and fold(name) not in keys:
                continue
            fits = slot.fits(f"t{n}", f"v{n}")
            if fits and name not in grouped:
                yield RowRefusal(f"not {fits}", name, f"is not a valid {slot.kind}", shown)
            if fold(name) in keys:
                condition = f"({value[name]}) is null"
                if fits:
                    condition += f" and {fits}"
                yield RowRefusal(condition, name, "the key is missing", shown)

    @property
    def doubtful(self) -> bool:
        """Whether there may be rows that do not land as they are."""
        return self.sure or any(True for _ in self._refusals())

    def _exact(self) -> str:
        many = self._large_groups()
        grouped = {name for names in many.values() for name in names}
        conditions = [f"not ({r.condition})" for r in self._refusals(grouped)]
        conditions += [self._all_fit(slot, names) for slot, names in many.items()]
        if self.sure:
            conditions.insert(0, SURE)
        return " and ".join(conditions) or "true"

    def _large_groups(self) -> dict[ColumnSlot, list[str]]:
        """Slots shared by very many columns, and these columns."""
        columns_by_slot: dict[ColumnSlot, list[str]] = {}
        for name, slot in self.fitted.slots.items():
            if name not in self.fitted.extra:
                columns_by_slot.setdefault(slot, []).append(name)
        return {
            slot: names
            for slot, names in columns_by_slot.items()
            if len(names) > _MANY and slot.fits("x", "x") is not None
        }

    def _all_fit(self, slot: ColumnSlot, names: list[str]) -> str:
        """One condition over a list that all these columns' values are exact: planning thousands
        of single conditions takes longer than reading the rows."""
        numbered = self._numbered
        numbers = [numbered[name][0] for name in names]
        texts, values = (", ".join(f"{side}{n}" for n in numbers) for side in "tv")
        fits = slot.fits("x[1]", "x[2]")
        pairs = f"list_zip([{texts}], [{values}])"
        return f"list_bool_and(list_transform({pairs}, lambda x: {fits}))"

    def landed(self, extra: str = "") -> str:
        """The query of the rows that land as they are. It counts the others: landing and then
        deleting them would write all rows twice."""
        landing = self.landing
        value = self._values()
        values = [f"{value[n]} as {quoted(n)}" for n in self.fitted.names]
        source = f"{PART} || coalesce('#' || {ROW}, '')"
        if self.doubtful:
            unsure = f"nextval({literal(UNSURE)}) is null"  # never true, but counts the row
            source = f"case when {self._exact()} then {source} when {unsure} then '' end"
        own = (
            f"{literal(landing.now.isoformat())}::timestamptz as _loaded_at,"
            f" {literal(landing.batch)} as _batch,"
            f" {source} as _source"
        )
        query = f"select {', '.join([*values, own])}{extra} from ({self._valued()})"
        return f"select * from ({query}) where _source is not null" if self.doubtful else query

    def left(self, kept: tuple[str, ...]) -> str:
        """The query of the unsure rows, as they were offered."""
        texts = ", ".join(f"t{n} as {quoted(name)}" for name, (n, _) in self._numbered.items())
        picked = ", ".join(kept) or texts
        more = "".join(f", {column}" for column in kept)
        rows = self._valued(more)
        return f"select {picked}, {PART}, {ROW} from ({rows}) where not ({self._exact()})"

    def refused(self) -> str:
        """The query of the refused rows: part, row_number, column_name, value, reason, record.
        The column is the first that does not fit; the reason names the others too."""
        refusals = self.refusals()
        record = ", ".join(f"{quoted(name)} := t{n}" for name, (n, _) in self._numbered.items())
        reasons = ", ".join(
            f"case when {r.condition} then {literal(r.reason)} end" for r in refusals
        )
        named = ", ".join(
            f"case when {r.condition} then {literal(f'`{r.column}` {r.reason}')} end"
            for r in refusals
        )
        reason = (
            f"case when len(list_filter([{named}], lambda x: x is not null)) > 1"
            f" then concat_ws('; ', {named}) else coalesce({reasons}) end"
        )
        column = _first_match((r.condition, literal(r.column)) for r in refusals)
        value = _first_match((r.condition, r.value) for r in refusals)
        return (
            f"select {PART} as part, {ROW} as row_number, {column} as column_name,"
            f" {value} as value, {reason} as reason,"
            f" to_json(struct_pack({record}))::varchar as record"
            f" from ({self._valued()}) where not ({self._exact()})"
        )


def _first_match(pairs: Iterable[tuple[str, str]]) -> str:
    listed = " ".join(f"when {condition} then {value}" for condition, value in pairs)
    return f"case {listed} end"


def typed(landing: Landing, fitted: FittedColumns, staged: Staged, rows: str) -> TypedRows:
    """The typed rows of a query over staged columns."""
    return TypedRows(landing, fitted, rows, staged.sure, staged.repeats)
