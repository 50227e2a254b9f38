"""Snapshots: a record of how rows changed (SCD2), with dbt's column names."""

from __future__ import annotations

from datetime import datetime

from transformer.compile.nodes import SnapshotBody
from transformer.errors import SqlError
from transformer.names import Name, literal, quoted
from transformer.plan.materialize import DELTA, Statement, fits
from transformer.steps import Columns, RelationState

_OWN = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to", "dbt_is_deleted")


def snapshot(
    relation: Name, body: SnapshotBody, read: Columns, existing: RelationState | None, now: datetime
) -> tuple[Statement, ...]:
    """The statements that bring the record up to date.

    A current record has no `dbt_valid_to`. A record whose row changed ends when its successor
    begins: at `updated_at`, or now for the strategy `check`.
    """
    made = _Snapshot(relation, body, read, f"timestamp {literal(_stamp(now))}")
    return tuple(made.first() if existing is None else made.next(existing))


def _stamp(now: datetime) -> str:
    return now.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")


class _Snapshot:
    def __init__(self, relation: Name, body: SnapshotBody, read: Columns, now: str) -> None:
        self.relation, self.body, self.now = relation.sql(), body, now
        self.read = [(name, kind) for name, kind in read if name.lower() not in _OWN]
        self.since = (
            f"coalesce(s.{quoted(body.updated_at)}::timestamp, timestamp '1970-01-01')"
            if body.strategy == "timestamp" and body.updated_at
            else now
        )
        self.deletes = body.hard_deletes == "new_record"

    def own(self, since: str) -> str:
        """The record's own columns, for a row `s` of the source that is true from `since` on."""
        deleted = ", 'False' as dbt_is_deleted" if self.deletes else ""
        return (
            f"{self.scd_id('s', since)} as dbt_scd_id, {self.since} as dbt_updated_at,"
            f" {since} as dbt_valid_from, null::timestamp as dbt_valid_to{deleted}"
        )

    def scd_id(self, alias: str, since: str) -> str:
        """What tells records apart: the key and the time, as JSON, lest they run together."""
        keys = ", ".join(f"{alias}.{quoted(k)}::varchar" for k in self.body.unique_key)
        return f"md5(to_json([{keys}, ({since})::varchar])::varchar)"

    def guard(self) -> Statement:
        """Refuses a key that is missing or stands twice: its history could not be told apart."""
        keys = ", ".join(quoted(k) for k in self.body.unique_key)
        missing = " or ".join(f"bool_or({quoted(k)} is null)" for k in self.body.unique_key)
        what = literal(f"the key `{', '.join(self.body.unique_key)}` is missing or stands twice")
        return Statement(
            f"select error({what}) from (select 1 from {self.body.reads.sql()}"
            f" group by {keys} having count(*) > 1 or {missing} limit 1)"
        )

    def first(self) -> list[Statement]:
        """Every row of the source, as current records."""
        rows = f"select s.*, {self.own(self.since)} from {self.body.reads.sql()} s"
        return [self.guard(), Statement(f"create or replace table {self.relation} as {rows}")]

    def next(self, existing: RelationState) -> list[Statement]:
        """Ends the records that changed or vanished, and begins their successors."""
        names = [name for name, _ in self.read]
        made = [self.guard(), *self.columns(existing)]
        made += [Statement(self.changed()), Statement(self.ended())]
        listed = ", ".join([*(quoted(n) for n in names), *self.own_names()])
        made.append(
            Statement(f"insert into {self.relation} ({listed}) select {listed} from {DELTA}")
        )
        return [*made, *self.vanished(names)]

    def columns(self, existing: RelationState) -> list[Statement]:
        """What has to change in the table's columns. Raises SqlError for a type that would lose."""
        before = {name.lower(): kind for name, kind in existing.columns}
        wanted = [*self.read, *([("dbt_is_deleted", "VARCHAR")] if self.deletes else [])]
        target, made = f"alter table {self.relation}", []
        for name, kind in wanted:
            old = before.get(name.lower())
            if old is None:
                default = " default 'False'" if name == "dbt_is_deleted" else ""
                made.append(Statement(f"{target} add column {quoted(name)} {kind}{default}"))
            elif not fits(kind, old) and not fits(old, kind):
                raise SqlError(
                    f"`{name}` of the snapshot `{self.body.snapshot.name}` was {old}, and is {kind}"
                    " now",
                    self.body.snapshot.where,
                    hint="cast it in the model that the snapshot reads",
                )
            elif not fits(kind, old):
                made.append(Statement(f"{target} alter {quoted(name)} type {kind}"))
        return made

    def own_names(self) -> tuple[str, ...]:
        return _OWN if self.deletes else _OWN[:4]

    def same(self, one: str, other: str) -> str:
        return " and ".join(
            f"{one}.{quoted(k)} = {other}.{quoted(k)}" for k in self.body.unique_key
        )

    def changed(self) -> str:
        """The rows that are new or differ from their current record. One that comes back is true
        from the end of its last record on, whatever its `updated_at` says."""
        deleted = " or t.dbt_is_deleted = 'True'" if self.deletes else ""
        keys = ", ".join(quoted(k) for k in self.body.unique_key)
        since = f"greatest({self.since}, e.__ended, t.dbt_valid_from)"
        if self.deletes:  # the record of its absence was true until now
            since = f"case when t.dbt_is_deleted = 'True' then {self.now} else {since} end"
        return (
            f"create or replace temp table {DELTA} as select s.*, {self.own(since)}"
            f" from {self.body.reads.sql()} s"
            f" left join (select *, true as __known from {self.relation}"
            f" where dbt_valid_to is null) t"
            f" on {self.same('s', 't')}"
            f" left join (select {keys}, max(dbt_valid_to) as __ended from {self.relation}"
            f" group by {keys}) e on {self.same('s', 'e')}"
            f" where t.__known is null or ({self.differs()}){deleted}"
        )

    def differs(self) -> str:
        if self.body.strategy == "timestamp":
            return f"{self.since} > t.dbt_valid_from"
        wanted = [c.lower() for c in self.body.check_cols]
        checked = [n for n, _ in self.read if wanted == ["all"] or n.lower() in wanted]
        return " or ".join(f"s.{quoted(n)} is distinct from t.{quoted(n)}" for n in checked)

    def ended(self) -> str:
        return (
            f"update {self.relation} t set dbt_valid_to = s.dbt_valid_from from {DELTA} s"
            f" where {self.same('s', 't')} and t.dbt_valid_to is null"
        )

    def vanished(self, names: list[str]) -> list[Statement]:
        """What becomes of records whose row is no longer in the source (`hard_deletes`)."""
        if self.body.hard_deletes == "ignore":
            return []
        missing = (
            f"t.dbt_valid_to is null and not exists"
            f" (select 1 from {self.body.reads.sql()} s where {self.same('s', 't')})"
        )
        ended = f"update {self.relation} t set dbt_valid_to = {self.now} where {missing}"
        if not self.deletes:
            return [Statement(ended)]
        listed = ", ".join(quoted(n) for n in names)
        gone = f"{missing} and t.dbt_is_deleted = 'False'"
        kept = (
            f"create or replace temp table {DELTA} as select {listed},"
            f" {self.scd_id('t', self.now)} as dbt_scd_id,"
            f" {self.now} as dbt_updated_at, {self.now} as dbt_valid_from,"
            f" null::timestamp as dbt_valid_to, 'True' as dbt_is_deleted"
            f" from {self.relation} t where {gone}"
        )
        all_names = ", ".join([listed, *_OWN])
        return [
            Statement(kept),
            Statement(f"update {self.relation} t set dbt_valid_to = {self.now} where {gone}"),
            Statement(f"insert into {self.relation} ({all_names}) select {all_names} from {DELTA}"),
        ]
