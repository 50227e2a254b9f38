"""Syncs a model's rows to a target: `sync`, `preview`, `reset`, `quarantined`.

A sync reads the model once, compares it with the sync ledger, and sends the differences in batches.
It may be killed at any time: the next one sends what is missing, and a batch whose outcome is
unknown is sent again unchanged, with the same id.
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
from transformer.sync.delivery import DEFAULT_CLOCK, Delivery, SyncClock, with_retries
from transformer.sync.diff import SyncDiff
from transformer.sync.ledger import SyncLedger, attached_ledger, ledger_copy
from transformer.sync.mapping import Fields, Form, SentField, fields_to_send, keys_of
from transformer.targets import (
    BatchShape,
    TargetBatch,
    TargetConnection,
    TargetRequest,
    find,
    with_defaults,
)

SAMPLES = 5
WHOLE = 2**62  # batch size for targets that take everything at once


class SyncJob(Struct, frozen=True):
    """What to send: the activation, the query of its model's rows, the ledger's path, and the
    warehouse from which the ledger takes its file permissions."""

    activation: Activation
    select: str
    ledger: Path
    places: Places
    warehouse: Path | None = None


class SyncResult(Struct, frozen=True):
    """The result of a sync, in rows.

    `added`, `changed` and `removed` rows were accepted by the target; rows that mode `append` found
    there already are `unchanged`. `rejected` rows were refused now; `withheld` ones were refused
    before, have not changed, and were not sent; `quarantined` counts all in quarantine at the end.
    `label` names the target without secrets; `answer` is its answer to the first refused row.
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
    """What a sync would send: row counts, and up to five samples of each class.

    A sample has `key`, `before` (as last sent, or None) and `after` (as it would be sent, or None).
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    quarantined: int = 0
    # Why the sync would fail without sending anything.
    refused: str = ""
    samples: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)


def sync(
    job: SyncJob,
    con: duckdb.DuckDBPyConnection,
    clock: SyncClock = DEFAULT_CLOCK,
    retry: bool = False,
) -> SyncResult:
    """Sends the differences; with `retry`, also rows that the target refused before.

    Raises ActivateError, which tells how many rows were sent and are left; the next sync continues
    there. The model is read through a separate cursor, which does not see uncommitted changes.
    """
    with _cursor(con) as own, attached_ledger(own, job.ledger, job.warehouse) as alias:
        ledger = SyncLedger(own, alias, job.activation.name, clock.now)
        ledger.settle()
        fields = _read_model(job, own)
        with closing(_connected(job, _shape(job, own, fields), clock)) as session:
            lost = ledger.moved(session.place) or not session.intact()
            if lost and not session.whole:
                # The target lost its rows, or is another one: send everything.
                ledger.forget()
            difference = _difference(job, fields, alias)
            _compare(own, difference, retry, session.whole)
            _check_removals(own, job.activation, ledger)
            own.execute(difference.out(_run_id(clock), _size(job, session)))
            forms = getattr(session, "forms", {})
            return _Sync(own, difference, ledger, job, lost, forms).run(session, clock)


def preview(job: SyncJob, con: duckdb.DuckDBPyConnection, retry: bool = False) -> SyncPreview:
    """What `sync` would send. The target is not contacted, and nothing is written."""
    with _cursor(con) as own, ledger_copy(own, job.ledger, job.activation.name) as alias:
        ledger = SyncLedger(own, alias, job.activation.name, DEFAULT_CLOCK.now)
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


def reset(job: SyncJob, con: duckdb.DuckDBPyConnection, clock: SyncClock = DEFAULT_CLOCK) -> None:
    """Forgets what the activation has sent: the next sync sends everything."""
    with _cursor(con) as own, attached_ledger(own, job.ledger, job.warehouse) as alias:
        SyncLedger(own, alias, job.activation.name, clock.now).forget()


def quarantined(con: duckdb.DuckDBPyConnection, ledger: Path) -> pa.Table:
    """Every row in quarantine: activation, key, payload, reason, answer, noted_at, attempts."""
    with _cursor(con) as own, ledger_copy(own, ledger) as alias:
        rows: pa.Table = own.execute(
            f"from {alias}.quarantine order by activation, noted_at, key"
        ).to_arrow_table()
        return rows


class _Sync(Struct, frozen=True):
    """A model that was compared with the ledger, ready to be sent."""

    con: duckdb.DuckDBPyConnection
    difference: SyncDiff
    ledger: SyncLedger
    job: SyncJob
    lost: bool
    # The form of fields that the target does not take as typed values.
    forms: Mapping[str, Form] = field(default_factory=dict)

    def run(self, session: TargetConnection, clock: SyncClock) -> SyncResult:
        self.ledger.write_plan()
        if not session.whole:
            self.ledger.goes_to(session.place)
        delivery = Delivery(session, self.ledger, clock)
        total = _count(self.con, "select count(*) from sync_out")
        try:
            for batch in self._whole_batch(session, clock) if session.whole else self._batches():
                delivery.deliver(batch)
                clock.on_progress(min(delivery.sent + delivery.rejected, total), total)
        except ActivateError as error:
            raise _stopped_error(error, delivery, total).at(
                self.job.activation.where
            ) from error.__cause__
        finally:
            self.ledger.settle()
        return self._result(session, delivery, total)

    def _batches(self) -> Iterator[TargetBatch]:
        batches = self.con.execute(
            "select batch, min(position) from sync_out group by batch, again "
            "order by not again, batch"
        ).fetchall()
        for name, first in batches:
            forms = self.forms
            rows, documents = self._rows(self.difference.batch(False, forms), name)
            removed, keys = self._rows(self.difference.batch(True, forms), name, only_keys=True)
            yield TargetBatch(name, rows, documents, removed, keys, first)

    def _whole_batch(self, session: TargetConnection, clock: SyncClock) -> Iterator[TargetBatch]:
        row = self.con.execute("select min(batch) from sync_out").fetchone()
        name = row[0] if row else None
        if name is None and not self.lost:
            return
        rows, documents = self._rows(self.difference.state(self.forms))
        no_rows = rows.select([key.name for key in keys_of(self.difference.fields)])[:0]
        batch = TargetBatch(name or f"{_run_id(clock)}0", rows, documents, no_rows)
        if name is None:
            self.ledger.whole(batch)
        yield batch
        # Only now: a run that dies earlier has not written to the target.
        self.ledger.goes_to(session.place)

    def _rows(self, query: str, *batch: str, only_keys: bool = False) -> tuple[pa.Table, Any]:
        fields = self.difference.fields
        try:
            table = self.con.execute(query, batch).to_arrow_table()
        except duckdb.Error as error:
            raise self._unsendable(error) from error
        documents = table.column("doc")
        sent = keys_of(fields) if only_keys else fields
        return _with_target_names(table.drop_columns(["doc"]), sent, self.forms), documents

    def _unsendable(self, error: duckdb.Error) -> ActivateError:
        """The error for a query that failed, naming the field whose values cannot be written."""
        for sent_field in self.difference.fields:
            value = sent_field.written(self.forms.get(sent_field.name, "typed"))
            try:
                self.con.execute(f"select count({value}) from sync_out").fetchall()
            except duckdb.Error as cause:
                return ActivateError(
                    f"a value of `{sent_field.name}` cannot be sent: {str(cause).splitlines()[0]}",
                    hint=f"cast `{sent_field.column}` in the model to a type that the target"
                    " supports, or to text",
                )
        return ActivateError(f"a value cannot be sent: {str(error).splitlines()[0]}")

    def _result(self, session: TargetConnection, delivery: Delivery, total: int) -> SyncResult:
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
    """A separate cursor in the same catalog, with its own settings and temporary tables."""
    location = con.execute("select current_database(), current_schema()").fetchone() or ("", "")
    with closing(con.cursor()) as own:
        own.execute(f"use {quoted(location[0])}.{quoted(location[1])}")
        # The text of a timestamp must not depend on the machine's time zone.
        own.execute("set TimeZone = 'UTC'")
        yield own


def _read_model(job: SyncJob, con: duckdb.DuckDBPyConnection) -> Fields:
    """The fields to send; creates `sync_model` with their rows. Raises ActivateError."""
    try:
        columns = {row[0]: row[1] for row in con.execute(f"describe {job.select}").fetchall()}
        fields = fields_to_send(job.activation, columns)
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
    """Raises ActivateError if more rows would be removed than `max_removed` allows: a model that
    lost its rows is usually a mistake."""
    removed, stored = _counts(con).get("removed", 0), ledger.holds()
    if removed <= activation.max_removed * stored:
        return
    raise ActivateError(
        f"{removed:,} of {stored:,} rows are no longer in `{activation.model}` and would be"
        " removed, more than "
        f"`max_removed` ({100 * activation.max_removed:g} %); nothing was sent",
        activation.place("max_removed"),
        hint="check the model; if it is right, set `max_removed: 100 %` on the activation",
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
    slots = ", ".join(
        f"{sent_field.written('typed')} as {sent_field.slot}" for sent_field in fields
    )
    empty = con.execute(f"select {slots} from sync_model limit 0").to_arrow_table()
    keys = tuple(sent_field.name for sent_field in keys_of(fields))
    return BatchShape(
        job.activation.name, job.activation.mode, keys, _with_target_names(empty, fields, {}).schema
    )


def _with_target_names(table: pa.Table, fields: Fields, forms: Mapping[str, Form]) -> pa.Table:
    """The table with the target's column names; JSON and HUGEINT columns are marked."""
    schema = pa.schema(
        pa.field(
            sent_field.name,
            _plain(column.type),
            metadata=_mark(sent_field) if forms.get(sent_field.name, "typed") == "typed" else None,
        )
        for sent_field, column in zip(fields, table.schema, strict=True)
    )
    return pa.table(table.columns, schema.names).cast(schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) and kind.tz else kind


def _mark(field: SentField) -> dict[str, str] | None:
    if field.holds_json:
        return {"holds": "json"}
    return {"holds": "hugeint"} if field.kind.text == "HUGEINT" else None


def _connected(job: SyncJob, shape: BatchShape, clock: SyncClock) -> TargetConnection:
    activation = job.activation
    kind = find(activation.kind, activation.where)
    to = TargetRequest(
        activation.options, shape, job.places, activation.where, clock.now, clock.secrets
    )
    attempts = with_defaults(kind.FIELDS, activation.options).get("attempts") or 1
    try:
        return with_retries(lambda: kind.connect(to), int(attempts), clock)
    except ActivateError as error:
        raise error.at(activation.where) from None


def _size(job: SyncJob, session: TargetConnection) -> int:
    return WHOLE if session.whole else max(job.activation.batch_size, 1)


def _run_id(clock: SyncClock) -> str:
    return f"{clock.now():%Y%m%dT%H%M%S}-{secrets.token_hex(6)}-"


def _stopped_error(error: ActivateError, delivery: Delivery, total: int) -> ActivateError:
    left = total - delivery.sent - delivery.rejected
    label = delivery.session.label
    what = error.what if f"`{label}`" in error.what else f"`{label}`: {error.what}"
    goes_on = "the next build continues with the remaining rows"
    return ActivateError(
        what,
        error.where,
        hint=f"{error.hint}; {goes_on}" if error.hint else goes_on,
        detail=(*error.detail, f"{delivery.sent:,} rows were sent, {left:,} are left"),
    )


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(con.execute("select class, count(*) from sync_plan group by class").fetchall())


def _faults(con: duckdb.DuckDBPyConnection) -> int:
    return _count(con, "select count(*) from sync_model where fault is not null")


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


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
