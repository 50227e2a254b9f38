"""The SQL that runs in Postgres, as text: no driver here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from transformer.names import RelationName, literal, quoted
from transformer.targets import BatchShape
from transformer.targets._postgres_exact import ROWS, columns, counted, number_of

if TYPE_CHECKING:
    import pyarrow as pa

# Arrow's type name -> Postgres's. Decimals and marked texts are handled below.
TYPES = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "uint8": "smallint",
    "uint16": "integer",
    "uint32": "bigint",
    "uint64": "numeric(20)",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "binary": "bytea",
    "date32[day]": "date",
    "time64[us]": "time",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamptz",
}

KEYS = "transformer_keys"
# How a text is read must not depend on the server's settings.
SETTINGS = "; ".join(
    f"set local {name} = {value}"
    for name, value in (
        ("timezone", "'UTC'"),
        ("intervalstyle", "'postgres'"),
        ("extra_float_digits", "1"),
    )
)


class Timeouts(Struct, frozen=True):
    """Seconds that a statement may wait for a lock, and take in total."""

    lock: float
    statement: float

    def settings(self) -> str:
        """SQL that sets them for the current transaction."""
        return "; ".join(
            f"set local {name} = {max(round(seconds * 1000), 1)}"
            for name, seconds in (
                ("lock_timeout", self.lock),
                ("statement_timeout", self.statement),
            )
        )


class Statements(Struct, frozen=True):
    """All statements of one session. `updates`: existing rows are overwritten.

    Four return numbers of staged rows: `insert` those that Postgres does not report as written,
    `absent` and `present` those that are not, or still, in the table afterwards, `twice` those with
    the key of an earlier row, since a column may treat different keys of the model as equal.
    `drop_rows` and `drop_keys` take such numbers.
    """

    table: str
    columns: str
    identity: str
    empty: str
    create: str
    explain: str
    settings: str
    stage: str
    copy_rows: str
    copy_keys: str
    twice: str
    insert: str
    absent: str
    drop_rows: str
    delete: str
    present: str
    drop_keys: str
    updates: bool

    @staticmethod
    def of(shape: BatchShape, table: RelationName, limits: Timeouts) -> Statements:
        """The statements that sync rows of this shape to `table`."""
        fields, keys = _listed(shape.fields), _listed(shape.key)
        updates = shape.mode != "append"
        settings = f"{SETTINGS}; {limits.settings()}"
        number = number_of(shape.fields)
        conflict = _conflict(shape, updates)
        existing = f"select from {table.sql()} as there where"
        return Statements(
            table=table.sql(),
            columns=columns(table),
            identity=identity(table),
            empty=empty(table),
            create=_create(shape, table),
            explain=f"explain insert into {table.sql()} ({fields}) select {fields} "
            f"from {table.sql()} where false {conflict}",
            settings=settings,
            stage=f"{settings}; {_stage(ROWS, fields, table, number)}; "
            f"{_stage(KEYS, keys, table, number)}",
            copy_rows=f"copy {ROWS} ({fields}) from stdin (format csv)",
            copy_keys=f"copy {KEYS} ({keys}) from stdin (format csv)",
            twice=f"select {number} from (select {number}, row_number() over (partition by {keys} "
            f"order by {number}) as transformer_nth from {ROWS}) as numbered "
            "where transformer_nth > 1",
            insert=f"with landed as (insert into {table.sql()} ({fields}) select {fields} "
            f"from {ROWS} {conflict} returning {keys}) select {number} from {ROWS} as staged "
            f"where not exists (select from landed where {_same(shape, 'landed', 'staged')})",
            absent=f"select {number} from {ROWS} as staged "
            f"where not exists ({existing} {_same(shape, 'there', 'staged')})",
            drop_rows=f"delete from {ROWS} where {number} = any(%s)",
            delete=f"delete from {table.sql()} as there using {KEYS} as staged "
            f"where {_same(shape, 'there', 'staged')}",
            present=f"select {number} from {KEYS} as staged "
            f"where exists ({existing} {_same(shape, 'there', 'staged')})",
            drop_keys=f"delete from {KEYS} where {number} = any(%s)",
            updates=updates,
        )


def identity(table: RelationName) -> str:
    """The query of the table's oid, which a recreated table of the same name does not share."""
    return (
        "select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        f"where n.nspname = {literal(table.schema)} and c.relname = {literal(table.table)}"
    )


def empty(table: RelationName) -> str:
    """The query whether an existing table is empty; false if row-level security may hide rows."""
    relation = f"{literal(table.sql())}::regclass"
    return f"select not exists (select from {table.sql()}) and not row_security_active({relation})"


# Content that the Arrow type does not express. A HUGEINT may have 39 digits.
_HOLDS = {b"json": "jsonb", b"hugeint": "numeric(39,0)"}


def type_of(column: pa.Field) -> str:
    """The Postgres type that holds every value of an Arrow field."""
    content = (column.metadata or {}).get(b"holds")
    if content in _HOLDS:
        return _HOLDS[content]
    kind = column.type
    if is_list(kind):
        inner = kind.value_type
        # Postgres arrays are rectangular; nested lists need not be.
        return "jsonb" if holds_more(inner) else f"{_scalar(inner)}[]"
    return "jsonb" if holds_more(kind) else _scalar(kind)


def form_of(column: pa.Field, category: str) -> str:
    """The form in which values are sent to a column of this category (`A`: an array)."""
    return "array" if is_list(column.type) and category == "A" else "postgres"


def is_list(kind: pa.DataType) -> bool:
    """Whether the values are lists."""
    return str(kind).startswith(("list<", "large_list<", "fixed_size_list<"))


def holds_more(kind: pa.DataType) -> bool:
    """Whether the values are nested."""
    return bool(kind.num_fields)


def _scalar(kind: pa.DataType) -> str:
    name = str(kind)
    if name.startswith("decimal"):
        return f"numeric({kind.precision}, {kind.scale})"
    return TYPES.get(name, "text")


def _listed(names: tuple[str, ...], prefix: str = "") -> str:
    return ", ".join(prefix + quoted(name) for name in names)


def _create(shape: BatchShape, table: RelationName) -> str:
    columns = ", ".join(f"{quoted(column.name)} {type_of(column)}" for column in shape.schema)
    keys = _listed(shape.key)
    return f"create table if not exists {table.sql()} ({columns}, primary key ({keys}))"


def _stage(name: str, columns: str, table: RelationName, number: str) -> str:
    """An empty copy of some columns with a row number. It is dropped on commit: behind a connection
    pooler the next transaction may use another session."""
    return (
        f"create temp table {name} on commit drop "
        f"as select {columns} from {table.sql()} with no data; "
        f"alter table {name} add column {counted(number)}"
    )


def _conflict(shape: BatchShape, updates: bool) -> str:
    keys = _listed(shape.key)
    if not updates:
        return f"on conflict ({keys}) do nothing"
    values = [name for name in shape.fields if name not in shape.key] or list(shape.key)
    changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in values)
    return f"on conflict ({keys}) do update set {changes}"


def _same(shape: BatchShape, left: str, right: str) -> str:
    return " and ".join(f"{left}.{quoted(key)} = {right}.{quoted(key)}" for key in shape.key)
