"""Snapshots: the history of rows (SCD2), with dbt's column names."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

from transformer.compile.nodes import SnapshotBody, is_time, record_type
from transformer.errors import SqlError
from transformer.names import RelationName, literal, quoted
from transformer.plan.materialize import DELTA, Statement, fits
from transformer.steps import Columns, RelationState


class SnapshotInputs(Struct, frozen=True):
    """The inputs of a snapshot's update, except the columns that it reads."""

    relation: RelationName
    existing: RelationState | None
    now: datetime
    # Columns added by loading, whose changes do not count.
    loaders: frozenset[str] = frozenset()


def snapshot(record: SnapshotInputs, body: SnapshotBody, read: Columns) -> tuple[Statement, ...]:
    """The statements that update the snapshot. Raises SqlError.

    A current record has no `dbt_valid_to`. A record whose row changed ends when its successor
    begins: at `updated_at`, or now for the strategy `check` without one.
    """
    builder = _Snapshot(record, body, read)
    return tuple(builder.first() if record.existing is None else builder.next(record.existing))


def _stamp(now: datetime) -> str:
    return now.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


class _Snapshot:
    def __init__(self, record: SnapshotInputs, body: SnapshotBody, read: Columns) -> None:
        self.relation, self.body = record.relation.sql(), body
        self.now = f"timestamp {literal(_stamp(record.now))}"
        self.loaders = record.loaders
        self.own_names = body.own_names
        own = {name.lower() for name in self.own_names}
        self.read = [(name, kind) for name, kind in read if name.lower() not in own]
        self.scd, self.updated, self.begin, self.end, *rest = map(quoted, self.own_names)
        self.gone, self.deletes = (rest or [""])[0], bool(rest)
        current = body.snapshot.config.get("dbt_valid_to_current")
        self.kind = record_type(body, read)
        self.forever = f"({current or 'null'})::{self.kind}"
        self._keys()
        self._since()

    def _keys(self) -> None:
        """Adds computed columns for keys and `updated_at` that are expressions, to the source and
        to the stored records."""
        names = {name.lower() for name, _ in self.read}
        updated_at = [self.body.updated_at] if self.body.updated_at else []
        columns, computed = [], []
        for index, text in enumerate([*self.body.unique_key, *updated_at]):
            is_column = text.lower() in names or re.fullmatch(r"\w+", text) is not None
            columns.append(quoted(text if is_column else f"__key_{index}"))
            computed += [] if is_column else [f"({text}) as {columns[-1]}"]
        extra = ", ".join(computed)
        self.keys = columns[: len(self.body.unique_key)]
        self.at = columns[-1]
        self.computed = [expression.rpartition(" as ")[2] for expression in computed]
        self.source = (
            f"(select *, {extra} from {self.body.source} s)" if extra else self.body.source
        )
        self.stored = f"(select *, {extra} from {self.relation} t)" if extra else self.relation
        self.row = f"s.* exclude ({', '.join(self.computed)})" if extra else "s.*"

    def _since(self) -> None:
        self.row_time = self.since = self.now
        if self.body.updated_at:
            self.row_time = f"s.{self.at}"
            least = f"'1970-01-01'::{self.kind}" if is_time(self.kind) else "null"
            self.since = f"coalesce({self.row_time}::{self.kind}, {least})"
        if not is_time(self.kind) and self.body.hard_deletes != "ignore":
            raise SqlError(
                f"`{self.body.updated_at}` of the snapshot `{self.body.snapshot.name}` is"
                f" {self.kind}: it cannot be mixed with the time of a deletion",
                self.body.snapshot.where,
                hint="use a timestamp for `updated_at`, or set `hard_deletes: ignore`",
            )

    def current(self, alias: str) -> str:
        """The condition for current records."""
        open_end = f"{alias}.{self.end} is null"
        if self.forever.startswith("(null)"):
            return open_end
        return f"({open_end} or {alias}.{self.end} = {self.forever})"

    def own(self, since: str) -> str:
        """The snapshot's own columns, for a row `s` of the source that is valid from `since`."""
        deleted = f", 'False' as {self.gone}" if self.deletes else ""
        id_time = self.row_time if since == self.since else since
        return (
            f"{self.scd_id('s', id_time)} as {self.scd}, {self.since} as {self.updated},"
            f" {since} as {self.begin}, {self.forever} as {self.end}{deleted}"
        )

    def scd_id(self, alias: str, since: str) -> str:
        """The id of a record, from key and time (dbt's `snapshot_hash_arguments`)."""
        parts = (*(f"{alias}.{key}" for key in self.keys), f"({since})")
        joined = " || '|' || ".join(f"coalesce({p}::varchar, '')" for p in parts)
        return f"md5({joined})"

    def guard(self) -> list[Statement]:
        """Fails for missing or duplicate keys, whose histories could not be distinguished."""
        keys = ", ".join(self.keys)
        missing = " or ".join(f"bool_or({key} is null)" for key in self.keys)
        what = literal(f"the key `{', '.join(self.body.unique_key)}` is missing or not unique")
        refusal = (
            f"select error({what}) from (select 1 from {self.source}"
            f" group by {keys} having count(*) > 1 or {missing} limit 1)"
        )
        return [Statement(refusal)] if self.body.guarded else []

    def first(self) -> list[Statement]:
        """Creates the table with all rows of the source as current records."""
        rows = f"select {self.row}, {self.own(self.since)} from {self.source} s"
        return [*self.guard(), Statement(f"create or replace table {self.relation} as {rows}")]

    def next(self, existing: RelationState) -> list[Statement]:
        """Ends records that changed or were deleted, and inserts their successors."""
        if not self.read:  # the columns are unknown before the input exists
            own = {name.lower() for name in self.own_names}
            self.read = [c for c in existing.columns if c[0].lower() not in own]
        names = [name for name, _ in self.read]
        statements = [*self.guard(), *self.columns(existing)]
        statements += [Statement(self.changed()), Statement(self.ended())]
        column_list = ", ".join(quoted(n) for n in (*names, *self.own_names))
        statements.append(
            Statement(
                f"insert into {self.relation} ({column_list}) select {column_list} from {DELTA}"
            )
        )
        return [*statements, *self.vanished(names)]

    def columns(self, existing: RelationState) -> list[Statement]:
        """The changes to the table's columns. Raises SqlError for a lossy type change. A table
        whose snapshot columns have other names cannot be continued."""
        before = {name.lower(): kind for name, kind in existing.columns}
        missing = [name for name in self.own_names[:4] if name.lower() not in before]
        if missing:
            what = f"its table has no `{'`, `'.join(missing)}`: see `snapshot_meta_column_names`"
            return [Statement(f"select error({literal(what)})")]
        deleted = [(self.own_names[4], "VARCHAR")] if self.deletes else []
        target, changes = f"alter table {self.relation}", []
        for name, kind in [*self.read, *deleted]:
            old = before.get(name.lower())
            if old is None:
                default = " default 'False'" if (name, kind) in deleted else ""
                changes.append(Statement(f"{target} add column {quoted(name)} {kind}{default}"))
            elif not fits(kind, old) and not fits(old, kind):
                raise SqlError(
                    f"`{name}` of the snapshot `{self.body.snapshot.name}` was {old}, and is {kind}"
                    " now",
                    self.body.snapshot.where,
                    hint="cast it in the model that the snapshot reads",
                )
            elif not fits(kind, old):
                changes.append(Statement(f"{target} alter {quoted(name)} type {kind}"))
        return changes

    def same(self, left: str, right: str) -> str:
        """The condition for equal keys. NULL equals NULL: the row still exists."""
        return " and ".join(f"{left}.{key} is not distinct from {right}.{key}" for key in self.keys)

    def changed(self) -> str:
        """The rows that are new or differ from their current record. A reappearing row is valid
        from the end of its last record, regardless of its `updated_at`."""
        deleted = f" or t.{self.gone} = 'True'" if self.deletes else ""
        keys = ", ".join(self.keys)
        since = f"greatest({self.since}, e.__ended, t.{self.begin})"
        if self.deletes:  # the deletion record was valid until now
            since = f"case when t.{self.gone} = 'True' then {self.now} else {since} end"
        over = "" if self.forever.startswith("(null)") else (
            f" filter (where {self.end} <> {self.forever})"
        )  # fmt: skip
        ends = f", t.{self.scd} as __ends" if self.computed else ""
        return (
            f"create or replace temp table {DELTA} as select {self.row}, {self.own(since)}{ends}"
            f" from {self.source} s"
            f" left join (select *, true as __known from {self.stored} t"
            f" where {self.current('t')}) t"
            f" on {self.same('s', 't')}"
            f" left join (select {keys}, max({self.end}){over} as __ended from {self.stored}"
            f" group by {keys}) e on {self.same('s', 'e')}"
            f" where t.__known is null or ({self.differs()}){deleted}"
        )

    def differs(self) -> str:
        if self.body.strategy == "timestamp":
            return f"{self.since} > t.{self.begin}"
        check_cols = [c.lower() for c in self.body.check_cols]
        if check_cols == ["all"]:
            checked = [n for n, _ in self.read if n.lower() not in self.loaders]
        else:
            checked = [n for n, _ in self.read if n.lower() in check_cols]
        return (
            " or ".join(f"s.{quoted(n)} is distinct from t.{quoted(n)}" for n in checked) or "false"
        )

    def ended(self) -> str:
        same = f"t.{self.scd} = s.__ends" if self.computed else self.same("s", "t")
        return (
            f"update {self.relation} t set {self.end} = s.{self.begin} from {DELTA} s"
            f" where {same} and {self.current('t')}"
        )

    def vanished(self, names: list[str]) -> list[Statement]:
        """Handles records whose row is no longer in the source (`hard_deletes`)."""
        if self.body.hard_deletes == "ignore":
            return []
        missing = (
            f"{self.current('t')} and not exists"
            f" (select 1 from {self.source} s where {self.same('s', 't')})"
        )
        is_gone = f"{missing} and t.{self.gone} = 'False'" if self.deletes else missing
        selected = is_gone
        if self.computed:
            selected = f"t.{self.scd} in (select t.{self.scd} from {self.stored} t where {is_gone})"
        ended = Statement(f"update {self.relation} t set {self.end} = {self.now} where {selected}")
        if not self.deletes:
            return [ended]
        source_columns = ", ".join(f"t.{quoted(n)}" for n in names)
        deletion_records = (
            f"create or replace temp table {DELTA} as select {source_columns},"
            f" {self.scd_id('t', self.now)} as {self.scd},"
            f" {self.now} as {self.updated}, {self.now} as {self.begin},"
            f" {self.forever} as {self.end}, 'True' as {self.gone}"
            f" from {self.stored} t where {is_gone}"
        )
        all_columns = ", ".join(quoted(n) for n in (*names, *self.own_names))
        return [
            Statement(deletion_records),
            ended,
            Statement(
                f"insert into {self.relation} ({all_columns}) select {all_columns} from {DELTA}"
            ),
        ]
