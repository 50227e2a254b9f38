"""A table in Postgres: each batch is copied to a stage and lands in one transaction.

Rows are matched on the activation's key, so a batch that is sent again changes nothing. A row goes
to quarantine when a column of the table would round or cut off a value, when a constraint or a
trigger refuses it, and when it is not in the table afterwards, or is still there after its removal,
because a trigger or a rule passed it over. Timestamps without a time zone are read as UTC.

A statement that runs into `lock_timeout` or `statement_timeout` is tried again, `attempts` times in
all. A build asks whether the table is the one that was written to: one that was dropped, or made
again since, gets every row.

The driver is an extra: `pip install 'transformer-sql[postgres]'`.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from transformer.errors import ActivateError, ConfigError, did_you_mean
from transformer.names import RelationName, quoted
from transformer.project.paths import Places
from transformer.project.schema import Field, Fields
from transformer.project.values import Options
from transformer.redaction import UNCLEAR_LOGIN, Secrets, unclear_login
from transformer.targets import (
    ATTEMPTS,
    BatchRefused,
    BatchShape,
    Rejection,
    TargetBatch,
    TargetRequest,
    Transient,
    with_defaults,
)
from transformer.targets._passed_over import SkippedRows
from transformer.targets._patience import Deadline
from transformer.targets._postgres_connection import answer, connected, place_of
from transformer.targets._postgres_exact import ExactCopy, PostgresColumn, cannot_hold, exact
from transformer.targets._postgres_sql import (
    Statements,
    Timeouts,
    empty,
    form_of,
    identity,
    type_of,
)

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

FIELDS: Fields = (
    Field("url", "text", "`postgresql://user:password@host/database`", required=True, secret=True),
    Field("schema", "text", "The table's schema", "public"),
    Field("table", "text", "The table", required=True),
    Field("create", "flag", "Make the table when there is none, with the key as primary key", True),
    Field("timeout", "number", "Seconds to wait for a connection", 10, least=0, most=3600),
    Field(
        "lock_timeout",
        "number",
        "Seconds that a statement waits for a lock of somebody else",
        10,
        least=0.001,
        most=3600,
    ),
    Field(
        "statement_timeout",
        "number",
        "Seconds that a statement may take, locks included",
        60,
        least=0.001,
        most=86_400,
    ),
    ATTEMPTS,
)

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
# Data exceptions, constraints, views' checks, what PL/pgSQL raises, too long for an index.
ROW_FAULTS = ("22", "23", "44", "P0", "54000")
# The functions of the server that refuse a row, whatever the code: RAISE, and row-level security.
ROW_JUDGES = ("exec_stmt_raise", "ExecWithCheckOptions")
PASSING = ("08", "40", "53", "57", "55P03", "58")  # connection, rollback, resources, shutdown, lock
# Seconds: a limit of the server's own fires before ours; how long a plan looks for a table.
GRACE = 5.0
LONGEST_LOOK = 3
MOST_ROUNDS = 4  # in which a batch is cut down to what the table takes
# A login that fails has no SQLSTATE: its words must do.
REFUSED_LOGIN = (
    *("authentication failed", "no pg_hba.conf entry", "no password supplied"),
    *("does not exist", "is not permitted to log in"),
)


class _BatchRedone(Exception):  # noqa: N818 - ends a transaction, and is never shown
    """The batch is done again, without the rows that the table passed over."""


@dataclass
class PostgresConnection:
    """A table, and the connection to it while it lasts."""

    label: str
    place: str = field(repr=False)
    url: str = field(repr=False)
    timeout: int
    patience: Deadline
    attempts: int
    statements: Statements
    secrets: Secrets
    driver: Any = field(repr=False)
    write_csv: Any = field(repr=False)
    forms: Mapping[str, str]
    whole: bool = False
    existed: bool = True
    emptied: bool = False
    exact: ExactCopy | None = None
    connection: psycopg.Connection | None = field(repr=False, default=None)
    # Rows of mode `append` that the table had already.
    already: int = 0

    def intact(self) -> bool:
        """Whether the table was there, with rows: one that was dropped or emptied gets every row
        again. In mode `append` others may take the rows away."""
        return self.existed and not self.emptied

    def send(self, batch: TargetBatch) -> Sequence[Rejection]:
        """Rows with a value that a column would change, and rows that the table does not take
        without a word. One that raises an error makes Postgres refuse the batch, and the caller
        splits it."""
        passed_over = SkippedRows()
        with self.patience:
            try:
                for _ in range(MOST_ROUNDS):
                    found = self._landed(batch, passed_over)
                    if found is not None:
                        return found
            except self.driver.Error as error:
                raise self.judged(error) from None
        raise ActivateError(
            f"`{self.label}` passes over other rows each time; the batch was taken back",
            hint="look at the table's triggers and rules",
        )

    def close(self) -> None:
        """Close the connection, when there is one."""
        if self.connection is not None:
            self.patience.let_go()
            self.connection.close()
            self.connection = None

    def opened(self) -> psycopg.Connection:
        """The connection, a new one after a loss."""
        if self.connection is None:
            self.connection = connected(self.driver, self.url, self.timeout)
            self.patience.holds(self.connection.fileno())
            self.patience.beat()
        return self.connection

    def judged(self, error: psycopg.Error) -> Exception:
        """What the error means for the batch."""
        code = error.sqlstate or ""
        said = self.secrets.hidden(" ".join(str(error).split()))
        if self.patience.over and not code:
            self.close()
            return Transient(f"no answer within {self.patience.seconds:g} s")
        judge = error.diag.source_function in ROW_JUDGES and not code.startswith(PASSING)
        if code.startswith(ROW_FAULTS) or judge:
            return BatchRefused(self.secrets.hidden(error.diag.message_primary or said), said)
        if any(phrase in said for phrase in REFUSED_LOGIN):
            return ActivateError(f"`{self.label}` does not let us in: {said}")
        lost = not code and isinstance(
            error, (self.driver.OperationalError, self.driver.InterfaceError)
        )
        if lost or code.startswith(PASSING):
            if lost or code.startswith(("08", "57P")):
                self.close()
            return Transient(said)
        return ActivateError(f"`{self.label}` refused a batch: {said}")

    def _landed(self, batch: TargetBatch, passed_over: SkippedRows) -> Sequence[Rejection] | None:
        """The rows refused, once the others are in the table. None where it passed over rows: then
        nothing has changed there, and `passed_over` knows them."""
        connection = self.opened()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                self._run(cursor, self.statements.stage)
                more = self._remove(cursor, batch, passed_over)
                changed, there, lost = self._put(cursor, batch, passed_over)
                if more or lost:
                    raise _BatchRedone
                self.patience.beat()
        except _BatchRedone:
            return None
        self.already += there
        return [*passed_over.rejections(batch), *changed]

    def _remove(self, cursor: psycopg.Cursor, batch: TargetBatch, passed_over: SkippedRows) -> bool:
        """Whether removed rows are still there, beside those passed over before."""
        if not batch.removed.num_rows:
            return False
        self._copied(cursor, self.statements.copy_keys, batch.removed)
        self._drop(cursor, self.statements.drop_keys, passed_over.removed)
        self._run(cursor, self.statements.delete)
        return passed_over.adds_removed(self._numbers(cursor, self.statements.present))

    def _put(
        self, cursor: psycopg.Cursor, batch: TargetBatch, passed_over: SkippedRows
    ) -> tuple[Sequence[Rejection], int, bool]:
        """The rows that a column would change, how many were there already, and whether the table
        passed over more than those before."""
        if not batch.rows.num_rows:
            return (), 0, False
        changed: Sequence[Rejection] = ()
        if self.exact:
            self._run(cursor, self.exact.prepare)
        self._copied(cursor, self.statements.copy_rows, batch.rows)
        if self.exact:
            changed = self._changed(cursor, self.exact, batch)
        self._drop(cursor, self.statements.drop_rows, passed_over.rows)
        twice = self._numbers(cursor, self.statements.twice)
        self._drop(cursor, self.statements.drop_rows, twice)
        passed_over.twice = twice
        unwritten = self._numbers(cursor, self.statements.insert)
        absent = self._numbers(cursor, self.statements.absent)
        lost = unwritten | absent if self.statements.updates else absent
        return changed, len(unwritten - lost), passed_over.adds(lost)

    def _changed(
        self, cursor: psycopg.Cursor, exact: ExactCopy, batch: TargetBatch
    ) -> Sequence[Rejection]:
        """The rows with a value that a column would change; they are taken out of the stage."""
        self._copied(cursor, exact.copy, batch.rows.select(exact.names))
        found = self._run(cursor, exact.find).fetchall()
        self._drop(cursor, self.statements.drop_rows, [number for number, _, _ in found])
        return [
            Rejection(
                batch.removed.num_rows + number - 1,
                f"`{exact.checks[which].name}` is {exact.checks[which].shown} there, which would"
                f" change {value}",
            )
            for number, which, value in found
        ]

    def _run(self, cursor: psycopg.Cursor, statement: str, *given: Any) -> psycopg.Cursor:
        """The cursor, after a statement that has come to an end in time."""
        self.patience.beat()
        return cursor.execute(statement, given or None)

    def _numbers(self, cursor: psycopg.Cursor, statement: str) -> set[int]:
        return {number for (number,) in self._run(cursor, statement).fetchall()}

    def _drop(self, cursor: psycopg.Cursor, statement: str, numbers: Collection[int]) -> None:
        if numbers:
            self._run(cursor, statement, sorted(numbers))

    def _copied(self, cursor: psycopg.Cursor, statement: str, rows: pa.Table) -> None:
        self.patience.beat()
        with cursor.copy(statement) as copy:
            copy.write(self.write_csv(rows))


def seen(options: Options, _: Places, kept: bool) -> str | None:
    """The place as it is now, empty where the table or all its rows are gone; None where it cannot
    be seen."""
    try:
        import psycopg  # noqa: PLC0415 - an optional extra
        import psycopg.conninfo  # noqa: PLC0415
    except ImportError:
        return None
    given = with_defaults(FIELDS, options)
    url, table = str(given["url"]), RelationName(str(given["schema"]), str(given["table"]))
    patience = Deadline(LONGEST_LOOK)
    try:
        connection = connected(psycopg, url, min(int(given["timeout"]), LONGEST_LOOK))
        patience.holds(connection.fileno())
        with patience, connection:
            found = connection.execute(identity(table)).fetchone()
            if not found or (kept and answer(connection.execute(empty(table)))):
                return ""
            return place_of(psycopg, url, table, found[0])
    except psycopg.Error:
        return None
    finally:
        patience.let_go()


def connect(to: TargetRequest) -> PostgresConnection:
    """A session on the table, which exists and has a unique key when this returns."""
    driver = _driver(to)
    options = with_defaults(FIELDS, to.options)
    if unclear_login(str(options["url"])):
        raise ConfigError(UNCLEAR_LOGIN[0], to.where, UNCLEAR_LOGIN[1])
    table = RelationName(str(options["schema"]), str(options["table"]))
    limits = Timeouts(float(options["lock_timeout"]), float(options["statement_timeout"]))
    session = PostgresConnection(
        f"postgres {table}",
        place="",
        url=str(options["url"]),
        timeout=max(int(options["timeout"]), 1),
        patience=Deadline(limits.statement + GRACE),
        attempts=int(options["attempts"]),
        statements=Statements.of(to.shape, table, limits),
        secrets=to.secrets.and_of([str(options["url"])]),
        driver=driver,
        write_csv=_csv_writer(),
        forms={},
    )
    try:
        with session.patience:
            found = _prepare(session, to.shape, bool(options["create"]))
        session.place = place_of(driver, session.url, table, found)
    except driver.Error as error:
        judged = session.judged(error)
        session.close()
        raise judged from None
    except ActivateError as error:
        session.close()
        raise error.at(to.where) from None
    return session


def _driver(to: TargetRequest) -> Any:
    try:
        import psycopg  # noqa: PLC0415 - an optional extra
        import psycopg.conninfo  # noqa: PLC0415
    except ImportError:
        raise ActivateError(
            "the target kind `postgres` needs its driver",
            to.where,
            hint="pip install 'transformer-sql[postgres]'",
        ) from None
    return psycopg


def _csv_writer() -> Any:
    from pyarrow import csv  # noqa: PLC0415 - heavy, and only a connection needs it

    # Valid values are quoted and nulls are not: that is how COPY tells '' from null.
    style = csv.WriteOptions(include_header=False, quoting_style="all_valid")

    def written(rows: pa.Table) -> bytes:
        out = io.BytesIO()
        csv.write_csv(rows, out, style)
        return out.getvalue()

    return written


def _prepare(session: PostgresConnection, shape: BatchShape, create: bool) -> int:
    """Make the table or hold it against the shape, before anything is sent; what tells the table
    from a later one of its name."""
    connection = session.opened()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(session.statements.settings)
        known = _columns(session, cursor)
        session.existed = bool(known)
        if not known and not create:
            raise ActivateError(f"there is no table `{session.label}`", hint="set `create: true`")
        if not known:
            session.patience.beat()
            cursor.execute(session.statements.create)
            known = _columns(session, cursor)
        _fit(session, shape, known)
        session.patience.beat()
        _check_key(session, shape, cursor)
        found = cursor.execute(session.statements.identity).fetchone()
        if session.existed and session.statements.updates:
            session.emptied = answer(cursor.execute(session.statements.empty))
    return int(found[0]) if found else 0


def _fit(
    session: PostgresConnection, shape: BatchShape, known: Mapping[str, PostgresColumn]
) -> None:
    """Hold the table's columns against the shape."""
    session.forms = {
        f.name: form_of(f, known[f.name].category if f.name in known else "") for f in shape.schema
    }
    for each in shape.fields:
        if each not in known:
            raise ActivateError(
                f"`{session.label}` has no column `{each}`", hint=did_you_mean(each, known)
            )
    session.exact = _exact(session, shape, known)


def _columns(session: PostgresConnection, cursor: psycopg.Cursor) -> dict[str, PostgresColumn]:
    rows = cursor.execute(session.statements.columns).fetchall()
    return {name: PostgresColumn(*rest) for name, *rest in rows}


def _exact(
    session: PostgresConnection, shape: BatchShape, known: Mapping[str, PostgresColumn]
) -> ExactCopy | None:
    sent = {each.name: type_of(each) for each in shape.schema}
    for name, kind in sent.items():
        if cannot_hold(kind, known[name]):
            raise ActivateError(
                f"`{name}` of `{session.label}` is `{known[name].shown}` and would lose a part of"
                f" every `{kind}`",
                hint="cast the column of the model, or change the column of the table",
            )
    return exact(sent, known)


def _check_key(session: PostgresConnection, shape: BatchShape, cursor: psycopg.Cursor) -> None:
    try:
        cursor.execute(session.statements.explain)
    except session.driver.errors.InvalidColumnReference:
        keys = ", ".join(quoted(each) for each in shape.key)
        raise ActivateError(
            f"`{session.label}` has no unique constraint on its key ({', '.join(shape.key)})",
            hint=f"alter table {session.statements.table} add unique ({keys})",
        ) from None
