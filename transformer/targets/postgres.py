"""A table in Postgres: each batch is copied to a stage and lands in one transaction.

Rows are matched on the activation's key, so a batch that is sent again changes nothing. A row with
a value that a column of the table would round or cut off goes to quarantine. Timestamps without a
time zone are read as UTC. The driver is an extra: `pip install 'transformer-sql[postgres]'`.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from transformer.errors import ActivateError, ConfigError, did_you_mean
from transformer.names import Name, quoted
from transformer.project.schema import Field, Fields
from transformer.redaction import UNCLEAR_LOGIN, Secrets, unclear_login
from transformer.targets import (
    ATTEMPTS,
    Batch,
    Refused,
    Rejection,
    Shape,
    To,
    Transient,
    with_defaults,
)
from transformer.targets._postgres_exact import Column, Exact, cannot_hold, exact
from transformer.targets._postgres_sql import Statements, form_of, type_of

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

FIELDS: Fields = (
    Field("url", "text", "`postgresql://user:password@host/database`", required=True, secret=True),
    Field("schema", "text", "The table's schema", "public"),
    Field("table", "text", "The table", required=True),
    Field("create", "flag", "Make the table when there is none, with the key as primary key", True),
    Field("timeout", "number", "Seconds to wait for a connection", 10, least=0, most=3600),
    ATTEMPTS,
)

# SQLSTATE classes and codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
ROW_FAULTS = ("22", "23")  # data exception, integrity constraint violation
PASSING = ("08", "40", "53", "57", "55P03", "58")  # connection, rollback, resources, shutdown, lock
# A login that fails has no SQLSTATE: its words must do.
REFUSED_LOGIN = (
    *("authentication failed", "no pg_hba.conf entry", "no password supplied"),
    *("does not exist", "is not permitted to log in"),
)


@dataclass
class PostgresSession:
    """A table, and the connection to it while it lasts."""

    label: str
    place: str = field(repr=False)
    url: str = field(repr=False)
    timeout: int
    attempts: int
    statements: Statements
    secrets: Secrets
    driver: Any = field(repr=False)
    write_csv: Any = field(repr=False)
    forms: Mapping[str, str]
    whole: bool = False
    existed: bool = True
    exact: Exact | None = None
    connection: psycopg.Connection | None = field(repr=False, default=None)

    def intact(self) -> bool:
        """Whether the table was there: one that was dropped gets every row again."""
        return self.existed

    def send(self, batch: Batch) -> Sequence[Rejection]:
        """Rows with a value that a column would change. Another bad row makes Postgres refuse the
        batch, and the caller splits it."""
        try:
            connection = self.opened()
            with connection.transaction(), connection.cursor() as cursor:
                return self._land(cursor, batch)
        except self.driver.Error as error:
            raise self.judged(error) from None

    def close(self) -> None:
        """Close the connection, when there is one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def opened(self) -> psycopg.Connection:
        """The connection, a new one after a loss."""
        if self.connection is None:
            self.connection = self.driver.connect(
                self.url,
                autocommit=True,
                connect_timeout=self.timeout,
                application_name="transformer",
            )
        return self.connection

    def judged(self, error: psycopg.Error) -> Exception:
        """What the error means for the batch."""
        code = error.sqlstate or ""
        said = self.secrets.hidden(" ".join(str(error).split()))
        if code.startswith(ROW_FAULTS):
            return Refused(self.secrets.hidden(error.diag.message_primary or said), said)
        if any(phrase in said for phrase in REFUSED_LOGIN):
            return ActivateError(f"`{self.label}` does not let us in: {said}")
        lost = not code and isinstance(
            error, (self.driver.OperationalError, self.driver.InterfaceError)
        )
        if lost or code.startswith(PASSING):
            if lost or code.startswith(("08", "57")):
                self.close()
            return Transient(said)
        return ActivateError(f"`{self.label}` refused a batch: {said}")

    def _land(self, cursor: psycopg.Cursor, batch: Batch) -> Sequence[Rejection]:
        cursor.execute(self.statements.stage)
        if batch.removed.num_rows:
            self._copied(cursor, self.statements.copy_keys, batch.removed)
            cursor.execute(self.statements.delete)
        if not batch.rows.num_rows:
            return ()
        changed: Sequence[Rejection] = ()
        if self.exact:
            cursor.execute(self.exact.prepare)
        self._copied(cursor, self.statements.copy_rows, batch.rows)
        if self.exact:
            changed = self._changed(cursor, self.exact, batch)
        cursor.execute(self.statements.insert)
        self._verify(cursor.rowcount, batch.rows.num_rows - len(changed))
        return changed

    def _changed(self, cursor: psycopg.Cursor, exact: Exact, batch: Batch) -> Sequence[Rejection]:
        """The rows with a value that a column would change; they are taken out of the stage."""
        self._copied(cursor, exact.copy, batch.rows.select(exact.names))
        found = cursor.execute(exact.find).fetchall()
        if found:
            cursor.execute(exact.drop, [[number for number, _, _ in found]])
        return [
            Rejection(
                batch.removed.num_rows + number - 1,
                f"`{exact.checks[which].name}` is {exact.checks[which].shown} there, which would"
                f" change {value}",
            )
            for number, which, value in found
        ]

    def _copied(self, cursor: psycopg.Cursor, statement: str, rows: pa.Table) -> None:
        with cursor.copy(statement) as copy:
            copy.write(self.write_csv(rows))

    def _verify(self, landed: int, sent: int) -> None:
        if self.statements.updates and landed != sent:
            raise ActivateError(
                f"`{self.label}` took {landed:,} of {sent:,} rows; the batch was taken back",
                hint="a trigger or a rule of the table drops rows",
            )


def connect(to: To) -> PostgresSession:
    """A session on the table, which exists and has a unique key when this returns."""
    driver = _driver(to)
    options = with_defaults(FIELDS, to.options)
    if unclear_login(str(options["url"])):
        raise ConfigError(UNCLEAR_LOGIN[0], to.where, UNCLEAR_LOGIN[1])
    table = Name(str(options["schema"]), str(options["table"]))
    session = PostgresSession(
        f"postgres {table}",
        place=_place(driver, str(options["url"]), table),
        url=str(options["url"]),
        timeout=max(int(options["timeout"]), 1),
        attempts=int(options["attempts"]),
        statements=Statements.of(to.shape, table),
        secrets=to.secrets.and_of([str(options["url"])]),
        driver=driver,
        write_csv=_csv_writer(),
        forms={},
    )
    try:
        _prepare(session, to.shape, bool(options["create"]))
    except driver.Error as error:
        judged = session.judged(error)
        session.close()
        raise judged from None
    except ActivateError as error:
        session.close()
        raise error.at(to.where) from None
    return session


def _place(driver: Any, url: str, table: Name) -> str:
    try:
        parts = driver.conninfo.conninfo_to_dict(url)
    except driver.Error:
        # Connecting says what is wrong with it.
        parts = {}
    server = [str(parts.get(each, "")) for each in ("host", "port", "dbname")]
    return " ".join([*server, table.sql()])


def _driver(to: To) -> Any:
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


def _prepare(session: PostgresSession, shape: Shape, create: bool) -> None:
    """Make the table or hold it against the shape, before anything is sent."""
    cursor = session.opened().cursor()
    known = _columns(session, cursor)
    session.existed = bool(known)
    if not known and not create:
        raise ActivateError(f"there is no table `{session.label}`", hint="set `create: true`")
    if not known:
        cursor.execute(session.statements.create)
        known = _columns(session, cursor)
    session.forms = {
        f.name: form_of(f, known[f.name].category if f.name in known else "") for f in shape.schema
    }
    for each in shape.fields:
        if each not in known:
            raise ActivateError(
                f"`{session.label}` has no column `{each}`", hint=did_you_mean(each, known)
            )
    session.exact = _exact(session, shape, known)
    _check_key(session, shape, cursor)


def _columns(session: PostgresSession, cursor: psycopg.Cursor) -> dict[str, Column]:
    rows = cursor.execute(session.statements.columns).fetchall()
    return {name: Column(*rest) for name, *rest in rows}


def _exact(session: PostgresSession, shape: Shape, known: Mapping[str, Column]) -> Exact | None:
    sent = {each.name: type_of(each) for each in shape.schema}
    for name, kind in sent.items():
        if cannot_hold(kind, known[name]):
            raise ActivateError(
                f"`{name}` of `{session.label}` is `{known[name].shown}` and would lose a part of"
                f" every `{kind}`",
                hint="cast the column of the model, or change the column of the table",
            )
    return exact(sent, known)


def _check_key(session: PostgresSession, shape: Shape, cursor: psycopg.Cursor) -> None:
    try:
        cursor.execute(session.statements.explain)
    except session.driver.errors.InvalidColumnReference:
        keys = ", ".join(quoted(each) for each in shape.key)
        raise ActivateError(
            f"`{session.label}` has no unique constraint on its key ({', '.join(shape.key)})",
            hint=f"alter table {session.statements.table} add unique ({keys})",
        ) from None
