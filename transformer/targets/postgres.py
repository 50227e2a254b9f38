"""A Postgres table: each batch is copied to a staging table and applied in one transaction.

Rows are matched on the activation's key, so sending a batch again changes nothing. A row is
quarantined if a column of the table would round or truncate a value, if a constraint or trigger
refuses it, or if a trigger or rule silently skips it: it is not in the table afterwards, or is
still there after its removal. Timestamps without a time zone are read as UTC.

A statement that exceeds `lock_timeout` or `statement_timeout` is retried, with `attempts` tries in
all. A build checks whether the table is still the one that was written to: if it was dropped or
recreated, it gets every row.

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
from transformer.targets._deadline import Deadline
from transformer.targets._postgres_connection import answer, open_connection, table_identity
from transformer.targets._postgres_exact import ExactCopy, PostgresColumn, cannot_hold, exact
from transformer.targets._postgres_sql import (
    Statements,
    Timeouts,
    empty,
    form_of,
    identity,
    type_of,
)
from transformer.targets._skipped_rows import SkippedRows

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

FIELDS: Fields = (
    Field("url", "text", "`postgresql://user:password@host/database`", required=True, secret=True),
    Field("schema", "text", "The table's schema", "public"),
    Field("table", "text", "The table", required=True),
    Field("create", "flag", "Create a missing table, with the key as its primary key", True),
    Field("timeout", "number", "Seconds to wait for a connection", 10, least=0, most=3600),
    Field(
        "lock_timeout",
        "number",
        "Seconds that a statement waits for a lock",
        10,
        least=0.001,
        most=3600,
    ),
    Field(
        "statement_timeout",
        "number",
        "Seconds that a statement may take, including waiting for locks",
        60,
        least=0.001,
        most=86_400,
    ),
    ATTEMPTS,
)

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
# Data exceptions, constraints, view checks, errors raised by PL/pgSQL, value too long for an index.
ROW_FAULTS = ("22", "23", "44", "P0", "54000")
# Server functions that refuse a row, whatever the code: RAISE, and row-level security.
ROW_JUDGES = ("exec_stmt_raise", "ExecWithCheckOptions")
PASSING = ("08", "40", "53", "57", "55P03", "58")  # connection, rollback, resources, shutdown, lock
# Seconds: our limit is longer than the server's by GRACE; a plan's check may take LONGEST_LOOK.
GRACE = 5.0
LONGEST_LOOK = 3
MOST_ROUNDS = 4  # of removing skipped rows from a batch
# A failed login has no SQLSTATE, only a message.
REFUSED_LOGIN = (
    *("authentication failed", "no pg_hba.conf entry", "no password supplied"),
    *("does not exist", "is not permitted to log in"),
)


class _BatchRedone(Exception):  # noqa: N818 - ends a transaction, and is never shown
    """The batch is retried without the rows that the table skipped."""


@dataclass
class PostgresConnection:
    """A table, and the current connection to it."""

    label: str
    place: str = field(repr=False)
    url: str = field(repr=False)
    timeout: int
    deadline: Deadline
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
    # Rows of mode `append` that the table already had.
    already: int = 0

    def intact(self) -> bool:
        """Whether the table existed, with rows: if dropped or emptied, it gets every row again. In
        mode `append` others may delete the rows."""
        return self.existed and not self.emptied

    def send(self, batch: TargetBatch) -> Sequence[Rejection]:
        """Returns rows with a value that a column would change, and rows that the table silently
        skips. A row that raises an error makes Postgres refuse the batch; the caller splits it."""
        skipped = SkippedRows()
        with self.deadline:
            try:
                for _ in range(MOST_ROUNDS):
                    rejections = self._apply_batch(batch, skipped)
                    if rejections is not None:
                        return rejections
            except self.driver.Error as error:
                raise self.translated(error) from None
        raise ActivateError(
            f"`{self.label}` skips different rows each time; the batch was rolled back",
            hint="check the table's triggers and rules",
        )

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self.connection is not None:
            self.deadline.release()
            self.connection.close()
            self.connection = None

    def opened(self) -> psycopg.Connection:
        """The connection; a new one if it was lost."""
        if self.connection is None:
            self.connection = open_connection(self.driver, self.url, self.timeout)
            self.deadline.watch(self.connection.fileno())
            self.deadline.beat()
        return self.connection

    def translated(self, error: psycopg.Error) -> Exception:
        """The driver's error as the exception that tells the caller what to do with the batch."""
        code = error.sqlstate or ""
        message = self.secrets.hidden(" ".join(str(error).split()))
        if self.deadline.over and not code:
            self.close()
            return Transient(f"no answer within {self.deadline.seconds:g} s")
        judge = error.diag.source_function in ROW_JUDGES and not code.startswith(PASSING)
        if code.startswith(ROW_FAULTS) or judge:
            return BatchRefused(self.secrets.hidden(error.diag.message_primary or message), message)
        if any(phrase in message for phrase in REFUSED_LOGIN):
            return ActivateError(f"`{self.label}` refused the login: {message}")
        lost = not code and isinstance(
            error, (self.driver.OperationalError, self.driver.InterfaceError)
        )
        if lost or code.startswith(PASSING):
            if lost or code.startswith(("08", "57P")):
                self.close()
            return Transient(message)
        return ActivateError(f"`{self.label}` refused a batch: {message}")

    def _apply_batch(self, batch: TargetBatch, skipped: SkippedRows) -> Sequence[Rejection] | None:
        """The refused rows, once the others are in the table. None if the table skipped rows: then
        the transaction was rolled back, and `skipped` has them."""
        connection = self.opened()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                self._run(cursor, self.statements.stage)
                keys_remain = self._remove_rows(cursor, batch, skipped)
                changed, existing, lost = self._write_rows(cursor, batch, skipped)
                if keys_remain or lost:
                    raise _BatchRedone
                self.deadline.beat()
        except _BatchRedone:
            return None
        self.already += existing
        return [*skipped.rejections(batch), *changed]

    def _remove_rows(
        self, cursor: psycopg.Cursor, batch: TargetBatch, skipped: SkippedRows
    ) -> bool:
        """Removes rows; returns whether more of them than known before are still in the table."""
        if not batch.removed.num_rows:
            return False
        self._copied(cursor, self.statements.copy_keys, batch.removed)
        self._drop(cursor, self.statements.drop_keys, skipped.removed)
        self._run(cursor, self.statements.delete)
        return skipped.adds_removed(self._numbers(cursor, self.statements.present))

    def _write_rows(
        self, cursor: psycopg.Cursor, batch: TargetBatch, skipped: SkippedRows
    ) -> tuple[Sequence[Rejection], int, bool]:
        """Writes rows; returns those that a column would change, how many existed already, and
        whether the table skipped more than known before."""
        if not batch.rows.num_rows:
            return (), 0, False
        changed: Sequence[Rejection] = ()
        if self.exact:
            self._run(cursor, self.exact.prepare)
        self._copied(cursor, self.statements.copy_rows, batch.rows)
        if self.exact:
            changed = self._changed_values(cursor, self.exact, batch)
        self._drop(cursor, self.statements.drop_rows, skipped.rows)
        twice = self._numbers(cursor, self.statements.twice)
        self._drop(cursor, self.statements.drop_rows, twice)
        skipped.twice = twice
        unwritten = self._numbers(cursor, self.statements.insert)
        absent = self._numbers(cursor, self.statements.absent)
        lost = unwritten | absent if self.statements.updates else absent
        return changed, len(unwritten - lost), skipped.adds(lost)

    def _changed_values(
        self, cursor: psycopg.Cursor, exact: ExactCopy, batch: TargetBatch
    ) -> Sequence[Rejection]:
        """The rows with a value that a column would change; deletes them from the staging table."""
        self._copied(cursor, exact.copy, batch.rows.select(exact.names))
        changed_values = self._run(cursor, exact.find).fetchall()
        self._drop(cursor, self.statements.drop_rows, [number for number, _, _ in changed_values])
        return [
            Rejection(
                batch.removed.num_rows + number - 1,
                f"column `{exact.checks[which].name}` is {exact.checks[which].shown} in Postgres,"
                f" which would change {value}",
            )
            for number, which, value in changed_values
        ]

    def _run(self, cursor: psycopg.Cursor, statement: str, *parameters: Any) -> psycopg.Cursor:
        """The cursor after running a statement, with the deadline restarted."""
        self.deadline.beat()
        return cursor.execute(statement, parameters or None)

    def _numbers(self, cursor: psycopg.Cursor, statement: str) -> set[int]:
        return {number for (number,) in self._run(cursor, statement).fetchall()}

    def _drop(self, cursor: psycopg.Cursor, statement: str, numbers: Collection[int]) -> None:
        if numbers:
            self._run(cursor, statement, sorted(numbers))

    def _copied(self, cursor: psycopg.Cursor, statement: str, rows: pa.Table) -> None:
        self.deadline.beat()
        with cursor.copy(statement) as copy:
            copy.write(self.write_csv(rows))


def current_place(options: Options, _: Places, must_have_rows: bool) -> str | None:
    """The current `place`; "" if the table or all its rows are gone; None if that is unknown."""
    try:
        import psycopg  # noqa: PLC0415 - an optional extra
        import psycopg.conninfo  # noqa: PLC0415
    except ImportError:
        return None
    settings = with_defaults(FIELDS, options)
    url, table = str(settings["url"]), RelationName(str(settings["schema"]), str(settings["table"]))
    deadline = Deadline(LONGEST_LOOK)
    try:
        connection = open_connection(psycopg, url, min(int(settings["timeout"]), LONGEST_LOOK))
        deadline.watch(connection.fileno())
        with deadline, connection:
            row = connection.execute(identity(table)).fetchone()
            if not row or (must_have_rows and answer(connection.execute(empty(table)))):
                return ""
            return table_identity(psycopg, url, table, row[0])
    except psycopg.Error:
        return None
    finally:
        deadline.release()


def connect(to: TargetRequest) -> PostgresConnection:
    """A session on the table, which then exists and has a unique key. Raises ActivateError, and
    Transient when a retry may help."""
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
        deadline=Deadline(limits.statement + GRACE),
        attempts=int(options["attempts"]),
        statements=Statements.of(to.shape, table, limits),
        secrets=to.secrets.and_of([str(options["url"])]),
        driver=driver,
        write_csv=_csv_writer(),
        forms={},
    )
    try:
        with session.deadline:
            table_id = _prepare(session, to.shape, bool(options["create"]))
        session.place = table_identity(driver, session.url, table, table_id)
    except driver.Error as error:
        translated = session.translated(error)
        session.close()
        raise translated from None
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

    # Values are quoted and nulls are not: this is how COPY distinguishes '' from null.
    style = csv.WriteOptions(include_header=False, quoting_style="all_valid")

    def written(rows: pa.Table) -> bytes:
        out = io.BytesIO()
        csv.write_csv(rows, out, style)
        return out.getvalue()

    return written


def _prepare(session: PostgresConnection, shape: BatchShape, create: bool) -> int:
    """Creates the table or checks it against the shape; returns its id (oid), which a recreated
    table does not share."""
    connection = session.opened()
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(session.statements.settings)
        columns = _columns(session, cursor)
        session.existed = bool(columns)
        if not columns and not create:
            raise ActivateError(f"there is no table `{session.label}`", hint="set `create: true`")
        if not columns:
            session.deadline.beat()
            cursor.execute(session.statements.create)
            columns = _columns(session, cursor)
        _fit(session, shape, columns)
        session.deadline.beat()
        _check_key(session, shape, cursor)
        row = cursor.execute(session.statements.identity).fetchone()
        if session.existed and session.statements.updates:
            session.emptied = answer(cursor.execute(session.statements.empty))
    return int(row[0]) if row else 0


def _fit(
    session: PostgresConnection, shape: BatchShape, columns: Mapping[str, PostgresColumn]
) -> None:
    """Checks the table's columns against the shape."""
    session.forms = {
        f.name: form_of(f, columns[f.name].category if f.name in columns else "")
        for f in shape.schema
    }
    for name in shape.fields:
        if name not in columns:
            raise ActivateError(
                f"`{session.label}` has no column `{name}`", hint=did_you_mean(name, columns)
            )
    session.exact = _exact(session, shape, columns)


def _columns(session: PostgresConnection, cursor: psycopg.Cursor) -> dict[str, PostgresColumn]:
    rows = cursor.execute(session.statements.columns).fetchall()
    return {name: PostgresColumn(*rest) for name, *rest in rows}


def _exact(
    session: PostgresConnection, shape: BatchShape, columns: Mapping[str, PostgresColumn]
) -> ExactCopy | None:
    sent = {column.name: type_of(column) for column in shape.schema}
    for name, kind in sent.items():
        if cannot_hold(kind, columns[name]):
            raise ActivateError(
                f"`{name}` of `{session.label}` is `{columns[name].shown}` and would lose a part of"
                f" every `{kind}`",
                hint="cast the column in the model, or change the table's column",
            )
    return exact(sent, columns)


def _check_key(session: PostgresConnection, shape: BatchShape, cursor: psycopg.Cursor) -> None:
    try:
        cursor.execute(session.statements.explain)
    except session.driver.errors.InvalidColumnReference:
        keys = ", ".join(quoted(column) for column in shape.key)
        raise ActivateError(
            f"`{session.label}` has no unique constraint on its key ({', '.join(shape.key)})",
            hint=f"alter table {session.statements.table} add unique ({keys})",
        ) from None
