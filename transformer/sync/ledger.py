"""The sync ledger: what each target has received, per key, in a separate DuckDB file.

    rows        one row per key: what the target has (`hash`, `payload`) and what is being sent or
                was refused (`try_hash`, `try_payload`)
    batches     what was sent, when, and with which outcome
    places      the target of each activation, as a hash
    quarantine  rows that are not sent: the reason, the target's answer, the number of attempts

A batch is `planned`, then `sending` just before it is sent, then `sent`; or `split` if the target
refused it as a whole, or `abandoned` if its rows changed before its outcome was known. These are
single-row writes. `settle` applies them to `rows`, at the end of a sync or at the start of the
next, so the process may die between any two of them.

`hash` is null if the target does not have the row, and empty if its content is unknown. A payload
is the document as sent, followed, after a record separator (RFC 7464), by the values that JSON does
not represent exactly.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import duckdb
import pyarrow as pa

from transformer.engines._files import (
    STORAGE,
    create_database,
    create_log,
    database_exists,
    remove_empty_log,
)
from transformer.errors import WarehouseError
from transformer.names import literal
from transformer.permissions import narrow
from transformer.targets import Rejection, TargetBatch

ALIAS = "transform_sync"
_LOST = "restore the file; if you delete its log too, everything is sent again"
TABLES = {
    "rows": "activation varchar, key varchar, hash varchar, payload varchar, status varchar, "
    "batch varchar, position bigint, try_hash varchar, try_payload varchar, sent_at timestamptz",
    "batches": "activation varchar, id varchar, started timestamptz, finished timestamptz, "
    "rows bigint, done bigint, status varchar, error varchar",
    "places": "activation varchar, place varchar",
    "quarantine": "activation varchar, key varchar, payload varchar, reason varchar, "
    "answer varchar, noted_at timestamptz, attempts bigint",
}

# The number of syncs in this process per file: DuckDB attaches a file once for all connections.
_users: Counter[str] = Counter()
_guard = Lock()


@contextmanager
def attached_ledger(
    con: duckdb.DuckDBPyConnection, path: Path, warehouse: Path | None = None
) -> Iterator[str]:
    """The alias of the attached ledger, which is created if missing, with the warehouse's
    permissions. Raises WarehouseError if another process uses it."""
    place = str(path.resolve())
    with _guard:
        if not _users[place]:
            if not database_exists(path, _LOST):
                create_database(path, warehouse or path)
            narrow(path, warehouse or path)
            _attach(con, path, f"(read_write, storage_version '{STORAGE}')", ALIAS)
            create_log(path)
            for name, columns in TABLES.items():
                con.execute(f"create table if not exists {ALIAS}.{name} ({columns})")
        _users[place] += 1
    try:
        yield ALIAS
    finally:
        with _guard:
            _users[place] -= 1
            if not _users[place]:
                con.execute(f"detach {ALIAS}")
                remove_empty_log(path)


@contextmanager
def ledger_copy(
    con: duckdb.DuckDBPyConnection, path: Path, activation: str | None = None
) -> Iterator[str]:
    """The alias of an in-memory copy for one activation or all; the file is only read."""
    copy = f"{ALIAS}_{secrets.token_hex(6)}"
    con.execute(f"attach ':memory:' as {copy} (read_write)")
    mine = f"where activation = {literal(activation)}" if activation is not None else ""
    try:
        for name, columns in TABLES.items():
            con.execute(f"create table {copy}.{name} ({columns})")
        with _read_only(con, path) as exists:
            for name in TABLES if exists else ():
                con.execute(f"insert into {copy}.{name} from {ALIAS}.{name} {mine}")
        yield copy
    finally:
        con.execute(f"detach {copy}")


@contextmanager
def _read_only(con: duckdb.DuckDBPyConnection, path: Path) -> Iterator[bool]:
    with _guard:
        if _users[str(path.resolve())] or not database_exists(path, _LOST):
            yield path.exists()
            return
        _attach(con, path, "(read_only)", ALIAS)
        try:
            yield True
        finally:
            con.execute(f"detach {ALIAS}")


def _attach(con: duckdb.DuckDBPyConnection, path: Path, options: str, alias: str) -> None:
    try:
        con.execute(f"attach {literal(str(path))} as {alias} {options}")
    except duckdb.IOException as error:
        raise WarehouseError(
            f"cannot open the sync ledger `{path.name}`: {str(error).splitlines()[0]}",
            hint="another process may be syncing; wait until it has finished",
        ) from error


@dataclass(frozen=True)
class SyncLedger:
    """One activation's part of the ledger. Every method runs one short transaction."""

    con: duckdb.DuckDBPyConnection
    alias: str
    activation: str
    clock: Callable[[], datetime]

    @property
    def mine(self) -> str:
        """The condition that a row belongs to this activation."""
        return f"activation = {literal(self.activation)}"

    def settle(self) -> None:
        """Applies finished batches to their rows, and forgets batches that were never sent."""
        rows, batches = f"{self.alias}.rows", f"{self.alias}.batches"
        answered = (
            f"(select id, done, finished, status from {batches} "
            f"where {self.mine} and (status = 'sent' or done > 0))"
        )
        landed = (
            f"rows.{self.mine} and rows.status = 'pending' and rows.batch = b.id "
            "and (b.status = 'sent' or rows.position < b.done)"
        )
        with self._transaction():
            self.con.execute(
                f"delete from {self.alias}.quarantine as q using {rows} as rows, {answered} as b "
                f"where q.{self.mine} and q.key = rows.key and {landed}"
            )
            self.con.execute(
                f"delete from {rows} as rows using {answered} as b "
                f"where {landed} and rows.try_payload is null"
            )
            self.con.execute(
                f"update {rows} as rows set status = 'sent', hash = try_hash, "
                "payload = try_payload, sent_at = b.finished, position = null, "
                f"try_hash = null, try_payload = null from {answered} as b where {landed}"
            )
            self._forget_planned()

    def _forget_planned(self) -> None:
        rows, batches = f"{self.alias}.rows", f"{self.alias}.batches"
        planned = f"(select id from {batches} where {self.mine} and status = 'planned')"
        waiting = f"{self.mine} and status = 'pending' and batch in {planned}"
        self.con.execute(f"delete from {rows} where {waiting} and hash is null")
        self.con.execute(
            f"update {rows} set status = 'sent', batch = null, position = null, "
            f"try_hash = null, try_payload = null where {waiting}"
        )
        self.con.execute(f"delete from {batches} where {self.mine} and status = 'planned'")

    def write_plan(self) -> None:
        """Records what `sync_out` is about to send, and what `sync_plan` found about the rest."""
        rows, batches = f"{self.alias}.rows", f"{self.alias}.batches"
        with self._transaction():
            self._tidy()
            self._note_faults()
            self.con.execute(
                f"update {batches} set status = 'abandoned' where {self.mine} "
                "and status = 'sending' and id not in (select batch from sync_again)"
            )
            self.con.execute(
                f"insert into {rows} (activation, key) select {literal(self.activation)}, key "
                f"from sync_out where key not in (select key from {rows} where {self.mine})"
            )
            self.con.execute(
                f"update {rows} as rows set status = 'pending', batch = o.batch, "
                "position = o.position, try_hash = o.hash, "
                "try_payload = case when o.class <> 'removed' then o.kept end "
                f"from sync_out as o where rows.{self.mine} and rows.key = o.key and not o.again"
            )
            self.con.execute(
                f"insert into {batches} (activation, id, rows, done, status) "
                f"select {literal(self.activation)}, batch, count(*), 0, 'planned' "
                "from sync_out where not again group by batch order by batch"
            )

    def _tidy(self) -> None:
        """Removes refused rows that no longer have to be sent."""
        not_wanted = "(select key from sync_plan where class in ('unchanged', 'gone'))"
        rows, refused = f"{self.alias}.rows", f"{self.mine} and status in ('rejected', 'retry')"
        self.con.execute(
            f"delete from {self.alias}.quarantine where {self.mine} and attempts > 0 "
            f"and key in {not_wanted}"
        )
        self.con.execute(
            f"delete from {rows} where {refused} and hash is null and key in {not_wanted}"
        )
        self.con.execute(
            f"update {rows} set status = 'sent', try_hash = null, try_payload = null "
            f"where {refused} and key in {not_wanted}"
        )

    def _note_faults(self) -> None:
        """Quarantines rows with an invalid key, with `attempts` 0; unchanged entries stay."""
        unchanged = "q.key = m.key and q.payload = m.doc and q.reason = m.fault"
        quarantine = f"{self.alias}.quarantine as q"
        self.con.execute(
            f"delete from {quarantine} where {self.mine} and attempts = 0 "
            f"and not exists (from sync_model as m where {unchanged})"
        )
        self.con.execute(
            f"insert into {self.alias}.quarantine by name "
            f"select {literal(self.activation)} as activation, key, doc as payload, "
            "fault as reason, ? as noted_at, 0 as attempts from sync_model as m "
            "where fault is not null and not exists "
            f"(from {quarantine} where {self.mine} and attempts = 0 and {unchanged})",
            [self.now()],
        )

    def begin(self, batch: TargetBatch) -> None:
        """Records that the batch is being sent: from now on its outcome is unknown."""
        with self._transaction():
            self.con.execute(
                f"update {self.alias}.batches set status = 'sending', "
                f"started = coalesce(started, ?) where {self.mine} and id = ?",
                [self.now(), batch.id],
            )

    def whole(self, batch: TargetBatch) -> None:
        """Records a batch that only repeats rows sent before."""
        self.con.execute(
            f"insert into {self.alias}.batches by name select ? as activation, ? as id, "
            "? as started, 0 as rows, 0 as done, 'sending' as status",
            [self.activation, batch.id, self.now()],
        )

    def answered(self, batch: TargetBatch, done: int, rejections: Sequence[Rejection]) -> None:
        """Records that the first `done` rows of the batch are processed, and which were refused."""
        ended = done >= len(batch)
        with self._transaction():
            if rejections:
                self._note_rejections(batch, rejections)
            self.con.execute(
                f"update {self.alias}.batches set done = ?, finished = ?, error = null, "
                f"status = case when ? then 'sent' else status end where {self.mine} and id = ?",
                [batch.first + done, self.now(), ended, batch.id],
            )

    def _note_rejections(self, batch: TargetBatch, rejections: Sequence[Rejection]) -> None:
        self.con.register("sync_refused", _table(batch, rejections))
        refused = (
            "(select key, doc, f.reason, f.answer, f.again from sync_out as o "
            "join sync_refused as f on o.position = f.position where o.batch = ?)"
        )
        quarantine = f"{self.alias}.quarantine"
        self.con.execute(
            f"create or replace temp table sync_attempts as select f.*, "
            f"coalesce(max(q.attempts), 0) + 1 as attempts from {refused} as f "
            f"left join {quarantine} as q on q.{self.mine} and q.key = f.key group by all",
            [batch.id],
        )
        self.con.execute(
            f"delete from {quarantine} where {self.mine} and key in (select key from sync_attempts)"
        )
        self.con.execute(
            f"insert into {quarantine} by name select ? as activation, key, doc as payload, "
            "reason, answer, ? as noted_at, attempts from sync_attempts",
            [self.activation, self.now()],
        )
        # A temporary failure is not `rejected`: the next sync sees a difference and sends it again.
        self.con.execute(
            f"update {self.alias}.rows as rows set position = null, "
            "status = case when f.again then 'retry' else 'rejected' end, "
            "hash = case when f.again and hash is not null then '' else hash end, "
            "try_hash = case when not f.again then try_hash end, "
            "try_payload = case when not f.again then try_payload end "
            f"from sync_attempts as f where rows.{self.mine} and rows.key = f.key"
        )
        self.con.unregister("sync_refused")

    def split(self, batch: TargetBatch) -> tuple[TargetBatch, TargetBatch]:
        """Splits a batch of which nothing landed into two halves with new ids."""
        half = len(batch) // 2
        halves = (
            batch.part(f"{batch.id}a", 0, half),
            batch.part(f"{batch.id}b", half, len(batch)),
        )
        moved = (
            f"set batch = batch || case when position < {half} then 'a' else 'b' end, "
            f"position = case when position < {half} then position else position - {half} end"
        )
        with self._transaction():
            for table in (f"{self.alias}.rows", "sync_out"):
                mine = f"{self.mine} and status = 'pending' and" if table != "sync_out" else ""
                self.con.execute(f"update {table} {moved} where {mine} batch = ?", [batch.id])
            self.con.execute(
                f"update {self.alias}.batches set status = 'split', finished = ? "
                f"where {self.mine} and id = ?",
                [self.now(), batch.id],
            )
            for part in halves:
                self.con.execute(
                    f"insert into {self.alias}.batches (activation, id, rows, done, status) "
                    "values (?, ?, ?, 0, 'planned')",
                    [self.activation, part.id, len(part)],
                )
        return halves

    def failed(self, batch: TargetBatch, reason: str) -> None:
        """Records why the sync stopped at this batch."""
        self.con.execute(
            f"update {self.alias}.batches set error = ? where {self.mine} and id = ?",
            [reason, batch.id],
        )

    def moved(self, place: str) -> bool:
        """Whether the activation previously had another target."""
        row = self.con.execute(
            f"select place <> md5(?) from {self.alias}.places where {self.mine}", [place]
        ).fetchone()
        return bool(row and row[0])

    def goes_to(self, place: str) -> None:
        """Records the activation's current target, if it is new."""
        current = self.con.execute(
            f"from {self.alias}.places where {self.mine} and place = md5(?)", [place]
        ).fetchone()
        if current:
            return
        with self._transaction():
            self.con.execute(f"delete from {self.alias}.places where {self.mine}")
            self.con.execute(
                f"insert into {self.alias}.places values (?, md5(?))", [self.activation, place]
            )

    def forget(self) -> None:
        """Forgets what was sent, so that the next sync sends everything; finished batches stay."""
        with self._transaction():
            self.con.execute(f"delete from {self.alias}.rows where {self.mine}")
            self.con.execute(f"delete from {self.alias}.quarantine where {self.mine}")
            self.con.execute(
                f"update {self.alias}.batches set status = 'abandoned' "
                f"where {self.mine} and status in ('planned', 'sending')"
            )

    def holds(self) -> int:
        """The number of this activation's rows that the target has, or may have."""
        row = self.con.execute(
            f"select count(*) from {self.alias}.rows "
            f"where {self.mine} and (hash is not null or status = 'pending')"
        ).fetchone()
        return int(row[0]) if row else 0

    def answer(self) -> str:
        """The target's latest answer to a refused row, shortened; "" if there is none."""
        row = self.con.execute(
            f"select reason, answer from {self.alias}.quarantine "
            f"where {self.mine} and attempts > 0 order by noted_at desc, key limit 1"
        ).fetchone()
        return short_answer(*row) if row else ""

    def in_quarantine(self) -> int:
        """The number of this activation's rows in quarantine."""
        row = self.con.execute(
            f"select count(*) from {self.alias}.quarantine where {self.mine}"
        ).fetchone()
        return int(row[0]) if row else 0

    def now(self) -> datetime:
        """The clock's time with a time zone; UTC is assumed if it has none."""
        timestamp = self.clock()
        return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.con.execute("begin")
        try:
            yield
        except BaseException:
            self.con.execute("rollback")
            raise
        self.con.execute("commit")


def short_answer(reason: str, answer: str | None) -> str:
    """A reason and the answer behind it, on one line of at most 300 characters."""
    detail = " ".join((answer or "").split())
    return (f"{reason}: {detail}" if detail and detail != reason else reason)[:300]


def _table(batch: TargetBatch, rejections: Sequence[Rejection]) -> pa.Table:
    return pa.table(
        {
            "position": pa.array(
                [batch.first + rejection.row for rejection in rejections], pa.int64()
            ),
            "reason": pa.array([rejection.reason for rejection in rejections], pa.string()),
            "answer": pa.array([rejection.answer for rejection in rejections], pa.string()),
            "again": pa.array([rejection.again for rejection in rejections], pa.bool_()),
        }
    )
