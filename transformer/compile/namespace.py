"""The names that can be referenced, and their relations in the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, field

from transformer.errors import GraphError, Where, did_you_mean
from transformer.names import RelationName, quoted

# System schemas, whose tables are never models.
_SYSTEM = frozenset({"information_schema", "pg_catalog", "_transform", "_transform_failures"})


class DisabledError(GraphError):
    """A reference to a disabled node."""


class Referable(Struct, frozen=True):
    """A node that others can reference. An ephemeral one is a CTE rather than a relation.

    `database` is its catalog if not the warehouse, `reads` a call such as `read_parquet('…')` if
    it is not a table. A plain name refers to the `latest` of several versions.
    """

    id: str
    name: str
    relation: RelationName
    ephemeral: bool = False
    package: str = ""
    version: str | None = None
    latest: bool = True
    database: str = ""
    reads: str = ""
    # The column with the time of each row, by which microbatches and samples are filtered.
    event_time: str = ""
    # Whether the tool creates it; a source loaded by others is only read.
    makes: bool = True

    def sql(self) -> str:
        """How a query names it."""
        if self.ephemeral:
            return quoted(cte_name(self.name))
        if self.reads:
            return self.reads
        return f"{quoted(self.database)}." * bool(self.database) + self.relation.sql()


class NamespaceEntries(Struct, frozen=True):
    """A namespace as plain values: each node once, and its names."""

    nodes: tuple[Referable, ...]
    named: tuple[tuple[str, str, str | None, int], ...]
    plain: tuple[tuple[str, int], ...]
    sourced: tuple[tuple[str, str, str, int], ...]
    sources: tuple[tuple[str, str, int], ...]
    functions: tuple[tuple[str, int], ...]
    disabled: frozenset[str]


def cte_name(name: str) -> str:
    """The name of the CTE that an ephemeral model becomes (dbt's own form)."""
    return f"__dbt__cte__{name}"


class Namespace(Struct):
    """All referable nodes by name.

    In an `open` project unknown names in SQL are left to the engine.
    """

    project: str
    nodes: dict[str, Referable] = field(default_factory=dict)
    sources: dict[tuple[str, str], Referable] = field(default_factory=dict)
    relations: dict[tuple[str, str], Referable] = field(default_factory=dict)
    functions: dict[str, Referable] = field(default_factory=dict)
    disabled: frozenset[str] = frozenset()
    open: bool = False
    packages: frozenset[str] = frozenset()
    # By package, name and version; a plain name has the version None.
    _named: dict[tuple[str, str, str | None], Referable] = field(default_factory=dict)
    _sourced: dict[tuple[str, str, str], Referable] = field(default_factory=dict)

    def add(self, node: Referable) -> Referable | None:
        """Adds a model, seed or snapshot; returns the existing node if the name is taken."""
        existing = self._named.get((node.package, node.name, node.version))
        if existing is not None:
            return existing
        self._named[node.package, node.name, node.version] = node
        if node.latest:
            self._named.setdefault((node.package, node.name, None), node)
            if node.name not in self.nodes or not node.package:
                self.nodes[node.name] = node
        if node.ephemeral:
            return None
        return self._relation(node)

    def add_source(self, source: str, table: str, node: Referable) -> Referable | None:
        """Adds a source table; returns the existing one if the name is taken."""
        if (node.package, source, table) in self._sourced:
            return self._sourced[node.package, source, table]
        self._sourced[node.package, source, table] = node
        if (source, table) not in self.sources or not node.package:
            self.sources[source, table] = node
        return self._relation(node)

    def add_function(self, node: Referable) -> Referable | None:
        """Adds a user-defined function; returns the existing one if the name is taken."""
        if node.name in self.functions and not (node.package and self.functions[node.name]):
            return self.functions[node.name]
        self.functions.setdefault(node.name, node)
        return None

    def listed(self) -> NamespaceEntries:
        """The content as plain values."""
        mappings = (self._named, self._sourced, self.nodes, self.sources, self.functions)
        nodes = {id(node): node for names in mappings for node in names.values()}
        positions = {node_key: position for position, node_key in enumerate(nodes)}
        return NamespaceEntries(
            tuple(nodes.values()),
            tuple((*key, positions[id(node)]) for key, node in self._named.items()),
            tuple((name, positions[id(node)]) for name, node in self.nodes.items()),
            tuple((*key, positions[id(node)]) for key, node in self._sourced.items()),
            tuple((*key, positions[id(node)]) for key, node in self.sources.items()),
            tuple((name, positions[id(node)]) for name, node in self.functions.items()),
            self.disabled,
        )

    def filled(self, entries: NamespaceEntries) -> Namespace:
        """The same namespace, filled with the entries."""
        nodes = entries.nodes
        self._named = {(p, n, v): nodes[position] for p, n, v, position in entries.named}
        self.nodes = {name: nodes[position] for name, position in entries.plain}
        self._sourced = {(p, s, t): nodes[position] for p, s, t, position in entries.sourced}
        self.sources = {(s, t): nodes[position] for s, t, position in entries.sources}
        self.functions = {name: nodes[position] for name, position in entries.functions}
        self.disabled = entries.disabled
        for node in (*self._named.values(), *self._sourced.values()):
            if not node.ephemeral:
                self.relations.setdefault(node.relation.key(), node)
        return self

    def function(self, *args: str) -> Referable:
        """The node of `function('name')` or `function('package', 'name')`. Raises GraphError."""
        name = args[-1] if args else ""
        if name not in self.functions:
            raise GraphError(
                f"there is no function `{name}`",
                hint=did_you_mean(name, self.functions, otherwise="available: {}"),
            )
        return self.functions[name]

    def _relation(self, node: Referable) -> Referable | None:
        existing = self.relations.setdefault(node.relation.key(), node)
        return None if existing is node else existing

    def ref(self, *args: str, version: str | None = None, package: str = "") -> Referable:
        """The node of `ref('name')` or `ref('package', 'name')` in a file of the package: the
        package's, then the project's, then any other's. Raises GraphError."""
        if len(args) not in (1, 2):
            raise GraphError("`ref` takes a name, or a package and a name")
        name = args[-1]
        if len(args) == 2 and args[0] not in (self.project, *self.packages):
            raise GraphError(
                f"there is no package `{args[0]}`", hint=f"did you mean `{self.project}`?"
            )
        if len(args) == 2:
            owner = "" if args[0] == self.project else args[0]
            node = self._named.get((owner, name, version))
        else:
            node = self._named.get((package, name, version)) or self._named.get(("", name, version))
            node = node or self._in_any_package(name, version)
        if node is None:
            raise self._missing(name)
        return node

    def _in_any_package(self, name: str, version: str | None) -> Referable | None:
        if version is None:
            return self.nodes.get(name)
        candidates = (self._named.get((package, name, version)) for package in self.packages)
        return next((node for node in candidates if node), None)

    def source(self, *args: str, package: str = "") -> Referable:
        """The node of `source('source', 'table')`. Raises GraphError."""
        if len(args) != 2:
            raise GraphError("`source` takes the names of the source and the table")
        node = self._sourced.get((package, *args)) or self.sources.get((args[0], args[1]))
        if node is None:
            names = [f"{s}.{t}" for s, t in self.sources]
            raise GraphError(
                f"there is no source `{args[0]}.{args[1]}`",
                hint=did_you_mean(".".join(args), names),
            )
        return node

    def plain(self, parts: tuple[str, ...], where: Callable[[], Where]) -> Referable | None:
        """The node of a table name in SQL; None for names that the engine resolves.

        Raises GraphError, with the closest names, for an unknown name.
        """
        if self.open:
            return self.perhaps(parts)
        lowered = tuple(part.lower() for part in parts[-2:])
        if len(parts) == 1:
            node = self.nodes.get(parts[0]) or self._folded(parts[0])
            if node:
                return node
            if lowered[0].startswith(("duckdb_", "pg_", "__dbt__cte__")):
                return None
        else:
            node = self._source_folded(parts[-2], parts[-1]) or self.relations.get(
                (lowered[0], lowered[1])
            )
            if node or lowered[0] in _SYSTEM:
                return node
        raise self._unknown(parts, where())

    def perhaps(self, parts: tuple[str, ...]) -> Referable | None:
        """The node of the name, or None if it is not one of the project's."""
        if len(parts) == 1:
            return self.nodes.get(parts[0]) or self._folded(parts[0])
        node = self.relations.get((parts[-2].lower(), parts[-1].lower()))
        if not self.open:
            return self._source_folded(parts[-2], parts[-1]) or node
        return node if node and (len(parts) == 2 or not node.database) else None

    def calls(self, function: str) -> bool:
        """Whether the function is one of the project's."""
        return function in self.functions or self._folded(function) is not None

    def _source_folded(self, silo: str, table: str) -> Referable | None:
        node = self.sources.get((silo, table))
        if node is None:
            folded_key = (silo.lower(), table.lower())
            items = self.sources.items()
            node = next((n for (s, t), n in items if (s.lower(), t.lower()) == folded_key), None)
        return node

    def _folded(self, name: str) -> Referable | None:
        lowered = name.lower()
        return next((n for k, n in self.nodes.items() if k.lower() == lowered), None)

    def _missing(self, name: str) -> GraphError:
        if name in self.disabled:
            return DisabledError(
                f"the model `{name}` is disabled", hint="enable it, or remove the reference"
            )
        return GraphError(
            f"there is no model, seed or snapshot `{name}`",
            hint=did_you_mean(name, self.nodes, otherwise="available: {}"),
        )

    def _unknown(self, parts: tuple[str, ...], where: Where) -> GraphError:
        name = ".".join(parts)
        if parts[-1] in self.disabled:
            return DisabledError(f"the model `{name}` is disabled", where, hint="enable it")
        names: Iterable[str] = (*self.nodes, *(f"{s}.{t}" for s, t in self.sources))
        return GraphError(
            f"there is no model, seed, source or CTE `{name}`",
            where,
            hint=did_you_mean(name, names, otherwise="available: {}"),
        )
