"""Relations in templates: they render as a table's name, with its parts as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from transformer.errors import RenderError
from transformer.names import quoted

_PARTS = ("database", "schema", "identifier")
_EPHEMERAL = "__dbt__cte__"


@dataclass(frozen=True, slots=True)
class RelationPolicy(Mapping[str, bool]):
    """A flag for each part of a relation's name."""

    database: bool = True
    schema: bool = True
    identifier: bool = True

    def __getitem__(self, part: str) -> bool:
        return bool(_part(self, part))

    def __iter__(self) -> Iterator[str]:
        return iter(_PARTS)

    def __len__(self) -> int:
        return len(_PARTS)

    def changed(self, **parts: bool | None) -> RelationPolicy:
        """The same with these parts set; None leaves a part unchanged."""
        return replace(self, **{k: v for k, v in parts.items() if v is not None})


@dataclass(frozen=True, slots=True)
class RelationPath(Mapping[str, str | None]):
    """The three parts of a relation's name."""

    database: str | None = None
    schema: str | None = None
    identifier: str | None = None

    def __getitem__(self, part: str) -> str | None:
        value: str | None = _part(self, part)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(_PARTS)

    def __len__(self) -> int:
        return len(_PARTS)


def _part(parts: Any, name: str) -> Any:
    if name not in _PARTS:
        raise KeyError(name)
    return getattr(parts, name)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Relation(Mapping[str, Any]):
    """A table, view or subquery. In SQL it is `"database"."schema"."identifier"`.

    Parts that are None or not included are omitted. `text` replaces the whole name: an expression
    that reads a file. It is a mapping because macros of packages test for that.
    """

    database: str | None = None
    schema: str | None = None
    identifier: str | None = None
    type: str | None = None
    text: str | None = None
    quote_policy: RelationPolicy = field(default_factory=RelationPolicy)
    include_policy: RelationPolicy = field(default_factory=RelationPolicy)

    # Types as templates write them: `api.Relation.View`.
    Table = "table"
    View = "view"
    CTE = "cte"
    External = "external"
    MaterializedView = "materialized_view"

    # ------------------------------------------------------------ constructors
    @classmethod
    def create(  # noqa: PLR0913, PLR0917 - the signature is dbt's
        cls,
        database: str | None = None,
        schema: str | None = None,
        identifier: str | None = None,
        type: str | None = None,  # noqa: A002
        quote_policy: Mapping[str, bool] | None = None,
        include_policy: Mapping[str, bool] | None = None,
        **_: Any,
    ) -> Relation:
        """A relation of these parts; options of other adapters are ignored."""
        return cls(
            _text(database),
            _text(schema),
            _text(identifier),
            _text(type),
            None,
            RelationPolicy().changed(**_name_parts(quote_policy)),
            RelationPolicy().changed(**_name_parts(include_policy)),
        )

    @classmethod
    def ephemeral(cls, name: str) -> Relation:
        """The reference to an ephemeral model: the name of its CTE."""
        return cls(
            identifier=cls.add_ephemeral_prefix(name),
            type=cls.CTE,
            quote_policy=RelationPolicy(identifier=False),
        )

    @classmethod
    def expression(cls, database: str | None, schema: str, identifier: str, text: str) -> Relation:
        """A relation that is read through an expression, such as a file source."""
        return cls(database, schema, identifier, cls.External, text)

    @staticmethod
    def add_ephemeral_prefix(name: str) -> str:
        """The name of an ephemeral model's CTE."""
        return _EPHEMERAL + name

    @staticmethod
    def scd_args(primary_key: str | list[str], updated_at: str) -> list[str]:
        """The columns that identify a snapshot's records."""
        keys = primary_key if isinstance(primary_key, list) else [primary_key]
        return [*keys, updated_at]

    # ------------------------------------------------------------ properties
    @property
    def name(self) -> str | None:
        """The last part."""
        return self.identifier

    @property
    def table(self) -> str | None:
        """The last part."""
        return self.identifier

    @property
    def path(self) -> RelationPath:
        """The three parts."""
        return RelationPath(self.database, self.schema, self.identifier)

    @property
    def is_table(self) -> bool:
        """Whether it is known to be a table."""
        return self.type == self.Table

    @property
    def is_view(self) -> bool:
        """Whether it is known to be a view."""
        return self.type == self.View

    @property
    def is_cte(self) -> bool:
        """Whether it refers to an ephemeral model."""
        return self.type == self.CTE

    @property
    def is_materialized_view(self) -> bool:
        """Whether it is a materialized view."""
        return self.type == self.MaterializedView

    @property
    def is_pointer(self) -> bool:
        """Whether it only points to another relation: never."""
        return False

    @property
    def can_be_renamed(self) -> bool:
        """Whether it is replaced by renaming: never, as with dbt-duckdb."""
        return False

    @property
    def can_be_replaced(self) -> bool:
        """Whether `create or replace` is used for it: never, as with dbt-duckdb."""
        return False

    @property
    def quote_character(self) -> str:
        """The quote character."""
        return '"'

    # ------------------------------------------------------------ variants
    def include(
        self,
        database: bool | None = None,
        schema: bool | None = None,
        identifier: bool | None = None,
    ) -> Relation:
        """The same, written with or without some of its parts."""
        policy = self.include_policy.changed(
            database=database, schema=schema, identifier=identifier
        )
        return replace(self, include_policy=policy)

    def quote(
        self,
        database: bool | None = None,
        schema: bool | None = None,
        identifier: bool | None = None,
    ) -> Relation:
        """The same, with or without quotes around some of its parts."""
        policy = self.quote_policy.changed(database=database, schema=schema, identifier=identifier)
        return replace(self, quote_policy=policy)

    def without_identifier(self) -> Relation:
        """Its schema."""
        return replace(self.include(identifier=False), identifier=None, text=None)

    def replace_path(self, **parts: str | None) -> Relation:
        """The same with other parts; None removes a part."""
        new_parts = {**self.path, **{k: _text(v) for k, v in _name_parts(parts).items()}}
        return replace(
            self,
            database=new_parts["database"],
            schema=new_parts["schema"],
            identifier=new_parts["identifier"],
            text=None,
        )

    def incorporate(
        self,
        path: Mapping[str, str | None] | None = None,
        type: str | None = None,  # noqa: A002
        quote_policy: Mapping[str, bool] | None = None,
        include_policy: Mapping[str, bool] | None = None,
        **_: Any,
    ) -> Relation:
        """The same with the given changes."""
        relation = self.replace_path(**path) if path else self
        return replace(
            relation,
            type=_text(type) or relation.type,
            quote_policy=relation.quote_policy.changed(**_name_parts(quote_policy)),
            include_policy=relation.include_policy.changed(**_name_parts(include_policy)),
        )

    def information_schema(self, view_name: str | None = None) -> InformationSchema:
        """The `INFORMATION_SCHEMA` views of its database."""
        view = view_name if isinstance(view_name, str) else None
        return InformationSchema(
            self.database,
            "INFORMATION_SCHEMA",
            view,
        )

    def information_schema_only(self) -> InformationSchema:
        """The schema `INFORMATION_SCHEMA`."""
        return self.information_schema()

    # ------------------------------------------------------------ queries
    def matches(
        self,
        database: str | None = None,
        schema: str | None = None,
        identifier: str | None = None,
    ) -> bool:
        """Whether it has the given parts, ignoring case."""
        parts = {"database": database, "schema": schema, "identifier": identifier}
        criteria = {k: v for k, v in parts.items() if v is not None}
        if not criteria:
            raise RenderError("`matches` needs a database, a schema or an identifier")
        return all(folded(self[part]) == folded(value) for part, value in criteria.items())

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute; `metadata` identifies it as a relation, for macros of packages."""
        return {"type": "DuckDBRelation"} if key == "metadata" else getattr(self, key, default)

    def render(self) -> str:
        """The text in SQL."""
        if self.text is not None:
            return self.text
        parts = ((part, getattr(self, part)) for part in _PARTS if self.include_policy[part])
        return ".".join(
            quoted(value) if self.quote_policy[part] else value
            for part, value in parts
            if value is not None
        )

    # ------------------------------------------------------------ as a value
    def __getitem__(self, key: str) -> Any:
        if key.startswith("_") or not hasattr(self, key):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter((*_PARTS, "type", "quote_policy", "include_policy"))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __str__(self) -> str:
        return self.render()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.render()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Relation) and (self.path, self.text) == (other.path, other.text)

    def __hash__(self) -> int:
        return hash((self.path, self.text))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InformationSchema(Relation):
    """The views on tables and columns: `system.INFORMATION_SCHEMA.view`.

    `database` is the database in question; the views themselves are in the engine's `system`.
    """

    @property
    def information_schema_view(self) -> str | None:
        """The view's name."""
        return self.identifier

    def replace(self, information_schema_view: str | None = None, **_: Any) -> InformationSchema:
        """The same schema, another view."""
        return replace(self, identifier=information_schema_view)

    def render(self) -> str:
        """The text in SQL."""
        view = self.identifier if self.include_policy.identifier else None
        return ".".join(filter(None, ("system", self.schema, view)))


def folded(name: object) -> str:
    """A name as DuckDB compares it: lower case, without quotes."""
    return str(name or "").strip('"').lower()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _name_parts(parts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {k: v for k, v in (parts or {}).items() if k in _PARTS}
