"""Keep a place outside in step with a model: `sync`, `preview`, `reset`, `quarantined`.

A sync reads the model once, compares it with the ledger, and sends what differs batch by batch.
It may be killed at any instant: the next one sends what is missing, and a batch whose outcome
is unknown goes out again as it was, under the id it had.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from msgspec import Struct, field

from transformer.errors import ActivateError
from transformer.names import literal, quoted
from transformer.project.paths import Places
from transformer.project.values import Activation
from transformer.sync.delivery import WORLD, Delivery, SyncClock, patiently
from transformer.sync.diff import SyncDiff
from transformer.sync.ledger import SyncLedger, attached, copied
from transformer.sync.mapping import Fields, Form, SentField, keys_of, mapped
from transformer.targets import (
    BatchShape,
    TargetBatch,
    TargetConnection,
    TargetRequest,
    find,
    with_defaults,
)

SAMPLES = 5
WHOLE = 2**62  # rows of a batch that is never cut


class SyncJob(Struct, frozen=True):
    """What to send: the activation, SQL that selects its model's rows, where the ledger is, and
    the warehouse whose readers may read that too."""

    activation: Activation
    select: str
    ledger: Path
    places: Places
    warehouse: Path | None = None


class SyncResult(Struct, frozen=True):
    """How a sync went, in rows.

    `added`, `changed` and `removed` are rows that the target took; one that mode `append` found
    there already is `unchanged`. `rejected` were refused by the target now; `withheld` were refused
    before, did not change since, and were not sent again; `quarantined` are in quarantine when it
    ends. `label` names the target without any secret, and `answer` is what it said of the first row
    it refused.
    """

    label: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    sent: int = 0
    rejected: int = 0
    withheld: int = 0
    quarantined: int = 0
    answer: str = ""


class SyncPreview(Struct, frozen=True):
    """What a sync would send, in rows, and up to five of each class.

    A sample has `key`, `before` (as sent last, or None) and `after` (as it would be sent, or None).
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    # Why nothing of it would be sent.
    refused: str = ""
    samples: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)


def sync(
    job: SyncJob,
    con: duckdb.DuckDBPyConnection,
    world: SyncClock = WORLD,
    retry: bool = False,
) -> SyncResult:
    """Send what differs; with `retry`, rows that the target refused before are tried again.

    ActivateError says how much was sent and how much is left; the next sync goes on from there.
    The model is read by a cursor of its own: what `con` has not committed is not seen.
    """
    with _cursor(con) as own, attached(own, job.ledger, job.warehouse) as alias:
        ledger = SyncLedger(own, alias, job.activation.name, world.clock)
        ledger.settle()
        fields = _read_model(job, own)
        with closing(_connected(job, _shape(job, own, fields), world)) as session:
            lost = ledger.moved(session.place) or not session.intact()
            if lost and not session.whole:
                # What was there is gone, or it is another place: it gets everything.
                ledger.forget()
            difference = _difference(job, fields, alias)
            _compare(own, difference, retry, session.whole)
            _check_removals(own, job.activation, ledger)
            own.execute(difference.out(_run_id(world), _size(job, session)))
            forms = getattr(session, "forms", {})
            return _Sync(own, difference, ledger, job, lost, forms).run(session, world)


def preview(job: SyncJob, con: duckdb.DuckDBPyConnection, retry: bool = False) -> SyncPreview:
    """What `sync` would send. The target is not asked, and nothing is written anywhere."""
    with _cursor(con) as own, copied(own, job.ledger, job.activation.name) as alias:
        ledger = SyncLedger(own, alias, job.activation.name, WORLD.clock)
        ledger.settle()
        difference = _difference(job, _read_model(job, own), alias)
        _compare(own, difference, retry, whole=False)
        refused = ""
        try:
            _check_removals(own, job.activation, ledger)
        except ActivateError as error:
            refused = error.what
        counts = _counts(own)
        return SyncPreview(
            **{name: counts.get(name, 0) for name in ("added", "changed", "removed", "unchanged")},
            quarantined=counts.get("withheld", 0) + _faults(own),
            refused=refused,
            samples={name: _samples(own, name) for name in ("added", "changed", "removed")},
        )


def reset(job: SyncJob, con: duckdb.DuckDBPyConnection, world: SyncClock = WORLD) -> None:
    """Forget what was sent for the activation: the next sync sends everything."""
    with _cursor(con) as own, attached(own, job.ledger, job.warehouse) as alias:
        SyncLedger(own, alias, job.activation.name, world.clock).forget()


def quarantined(con: duckdb.DuckDBPyConnection, ledger: Path) -> pa.Table:
    """Every row in quarantine: activation, key, payload, reason, answer, noted_at, attempts."""
    with _cursor(con) as own, copied(own, ledger) as alias:
        rows: pa.Table = own.execute(
            f"from {alias}.quarantine order by activation, noted_at, key"
        ).to_arrow_table()
        return rows


class _Sync(Struct, frozen=True):
    """A compared model, ready to be sent."""

    con: duckdb.DuckDBPyConnection
    difference: SyncDiff
    ledger: SyncLedger
    job: SyncJob
    lost: bool
    # How the target wants each field, where that is not as a typed value.
    forms: Mapping[str, Form] = field(default_factory=dict)

    def run(self, session: TargetConnection, world: SyncClock) -> SyncResult:
        self.ledger.write_plan()
        if not session.whole:
            self.ledger.goes_to(session.place)
        delivery = Delivery(session, self.ledger, world)
        total = _one(self.con, "select count(*) from sync_out")
        try:
            for batch in self._whole(session, world) if session.whole else self._batches():
                delivery.deliver(batch)
                world.on_progress(min(delivery.sent + delivery.rejected, total), total)
        except ActivateError as error:
            raise _stopped(error, delivery, total).at(
                self.job.activation.where
            ) from error.__cause__
        finally:
            self.ledger.settle()
        return self._summed(session, delivery, total)

    def _batches(self) -> Iterator[TargetBatch]:
        listed = self.con.execute(
            "select batch, min(position) from sync_out group by batch, again "
            "order by not again, batch"
        ).fetchall()
        for name, first in listed:
            forms = self.forms
            rows, documents = self._rows(self.difference.batch(False, forms), name)
            removed, keys = self._rows(self.difference.batch(True, forms), name, only_keys=True)
            yield TargetBatch(name, rows, documents, removed, keys, first)

    def _whole(self, session: TargetConnection, world: SyncClock) -> Iterator[TargetBatch]:
        found = self.con.execute("select min(batch) from sync_out").fetchone()
        name = found[0] if found else None
        if name is None and not self.lost:
            return
        rows, documents = self._rows(self.difference.state(self.forms))
        none = rows.select([each.name for each in keys_of(self.difference.fields)])[:0]
        batch = TargetBatch(name or f"{_run_id(world)}0", rows, documents, none)
        if name is None:
            self.ledger.whole(batch)
        yield batch
        # Not before: a run that dies until here has written nothing there.
        self.ledger.goes_to(session.place)

    def _rows(self, query: str, *batch: str, only_keys: bool = False) -> tuple[pa.Table, Any]:
        fields = self.difference.fields
        try:
            table = self.con.execute(query, batch).to_arrow_table()
        except duckdb.Error as error:
            raise self._unsendable(error) from error
        documents = table.column("doc")
        sent = keys_of(fields) if only_keys else fields
        return _named(table.drop_columns(["doc"]), sent, self.forms), documents

    def _unsendable(self, error: duckdb.Error) -> ActivateError:
        """The error, with the field whose values have no form at the target."""
        for each in self.difference.fields:
            value = each.written(self.forms.get(each.name, "typed"))
            try:
                self.con.execute(f"select count({value}) from sync_out").fetchall()
            except duckdb.Error as own:
                return ActivateError(
                    f"a value of `{each.name}` cannot be sent: {str(own).splitlines()[0]}",
                    hint=f"cast `{each.column}` of the model to a type that the target has, or to"
                    " text",
                )
        return ActivateError(f"a value cannot be sent: {str(error).splitlines()[0]}")

    def _summed(self, session: TargetConnection, delivery: Delivery, total: int) -> SyncResult:
        counts = _counts(self.con)
        refused = f"{self.ledger.mine} and status in ('rejected', 'retry')"
        taken = dict(
            self.con.execute(
                "select class, count(*) from sync_out where key not in "
                f"(select key from {self.ledger.alias}.rows where {refused}) group by class"
            ).fetchall()
        )
        already = int(getattr(session, "already", 0))
        return SyncResult(
            session.label,
            added=taken.get("added", 0) - already,
            changed=taken.get("changed", 0),
            removed=taken.get("removed", 0),
            unchanged=counts.get("unchanged", 0) + already,
            sent=total if session.whole else delivery.sent,
            rejected=delivery.rejected,
            withheld=counts.get("withheld", 0),
            answer=delivery.answer or self.ledger.answer(),
            quarantined=self.ledger.in_quarantine(),
        )


@contextmanager
def _cursor(con: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor of our own, in the same catalog: its settings and tables are nobody else's."""
    found = con.execute("select current_database(), current_schema()").fetchone() or ("", "")
    with closing(con.cursor()) as own:
        own.execute(f"use {quoted(found[0])}.{quoted(found[1])}")
        # The text of a timestamp must not depend on where the machine stands.
        own.execute("set TimeZone = 'UTC'")
        yield own


def _read_model(job: SyncJob, con: duckdb.DuckDBPyConnection) -> Fields:
    """The fields to send; `sync_model` holds their rows."""
    try:
        columns = {row[0]: row[1] for row in con.execute(f"describe {job.select}").fetchall()}
        fields = mapped(job.activation, columns)
        difference = _difference(job, fields, "")
        con.execute(difference.model(job.select))
        con.execute(difference.mark_twice())
    except duckdb.Error as error:
        raise ActivateError(
            f"cannot read the rows of `{job.activation.model}`: {error}", job.activation.where
        ) from error
    return fields


def _check_removals(
    con: duckdb.DuckDBPyConnection, activation: Activation, ledger: SyncLedger
) -> None:
    """Raises ActivateError where more would be taken away than the activation allows: a model that
    lost its rows is a mistake more often than it is meant."""
    removed, held = _counts(con).get("removed", 0), ledger.holds()
    if removed <= activation.max_removed * held:
        return
    raise ActivateError(
        f"{removed:,} of {held:,} rows left `{activation.model}` and would be removed, more than "
        f"`max_removed` ({100 * activation.max_removed:g} %); nothing was sent",
        activation.place("max_removed"),
        hint="look at the model; if it is right, set `max_removed: 100 %` on the activation",
    )


def _difference(job: SyncJob, fields: Fields, alias: str) -> SyncDiff:
    return SyncDiff(job.activation.name, job.activation.mode, fields, alias)


def _compare(
    con: duckdb.DuckDBPyConnection, difference: SyncDiff, retry: bool, whole: bool
) -> None:
    con.execute(difference.plan(retry))
    con.execute(difference.again(whole))
    con.execute(difference.mark_again())


def _shape(job: SyncJob, con: duckdb.DuckDBPyConnection, fields: Fields) -> BatchShape:
    slots = ", ".join(f"{each.written('typed')} as {each.slot}" for each in fields)
    empty = con.execute(f"select {slots} from sync_model limit 0").to_arrow_table()
    keys = tuple(each.name for each in keys_of(fields))
    return BatchShape(
        job.activation.name, job.activation.mode, keys, _named(empty, fields, {}).schema
    )


def _named(table: pa.Table, fields: Fields, forms: Mapping[str, Form]) -> pa.Table:
    """The table with the target's names; text that holds JSON is marked as such."""
    schema = pa.schema(
        pa.field(
            each.name,
            _plain(column.type),
            metadata=_mark(each) if forms.get(each.name, "typed") == "typed" else None,
        )
        for each, column in zip(fields, table.schema, strict=True)
    )
    return pa.table(table.columns, schema.names).cast(schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


def _mark(field: SentField) -> dict[str, str] | None:
    if field.holds_json:
        return {"holds": "json"}
    return {"holds": "hugeint"} if field.kind.text == "HUGEINT" else None


def _connected(job: SyncJob, shape: BatchShape, world: SyncClock) -> TargetConnection:
    activation = job.activation
    kind = find(activation.kind, activation.where)
    to = TargetRequest(
        activation.options, shape, job.places, activation.where, world.clock, world.secrets
    )
    attempts = with_defaults(kind.FIELDS, activation.options).get("attempts") or 1
    try:
        return patiently(lambda: kind.connect(to), int(attempts), world)
    except ActivateError as error:
        raise error.at(activation.where) from None


def _size(job: SyncJob, session: TargetConnection) -> int:
    return WHOLE if session.whole else max(job.activation.batch_size, 1)


def _run_id(world: SyncClock) -> str:
    return f"{world.clock():%Y%m%dT%H%M%S}-{secrets.token_hex(6)}-"


def _stopped(error: ActivateError, delivery: Delivery, total: int) -> ActivateError:
    left = total - delivery.sent - delivery.rejected
    label = delivery.session.label
    what = error.what if f"`{label}`" in error.what else f"`{label}`: {error.what}"
    goes_on = "the next build goes on with the rows that are left"
    return ActivateError(
        what,
        error.where,
        hint=f"{error.hint}; {goes_on}" if error.hint else goes_on,
        detail=(*error.detail, f"{delivery.sent:,} rows were sent, {left:,} are left"),
    )


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select class, count(*) from sync_plan group by class").fetchall())


def _faults(con: duckdb.DuckDBPyConnection) -> int:
    return _one(con, "select count(*) from sync_model where fault is not null")


def _one(con: duckdb.DuckDBPyConnection, query: str) -> int:
    found = con.execute(query).fetchone()
    return int(found[0]) if found else 0


def _samples(con: duckdb.DuckDBPyConnection, name: str) -> tuple[Mapping[str, Any], ...]:
    rows = con.execute(
        "select key, before, doc from sync_plan "
        f"where class = {literal(name)} order by key limit {SAMPLES}"
    ).fetchall()
    return tuple(
        {
            "key": json.loads(key),
            "before": json.loads(before.split("\x1e")[0]) if before else None,
            "after": json.loads(after) if after else None,
        }
        for key, before, after in rows
    )
