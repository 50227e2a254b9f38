"""Unit tests: a model's query over given input rows, compared with expected rows.

Inputs become CTEs under the names of ephemeral models, with the types of the relations that they
replace; so the query is rendered late, when these exist.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.compile.context import RenderTrace
from transformer.compile.dbt.adapter import WarehouseConnection
from transformer.compile.models import template_of
from transformer.compile.namespace import Namespace, Referable
from transformer.compile.nodes import CheckBody, Compiled, Graph, Node
from transformer.compile.rendering import EphemeralParent, finish, render
from transformer.compile.scope import Scope
from transformer.errors import (
    ConfigError,
    GraphError,
    RenderError,
    TransformError,
    Where,
    did_you_mean,
)
from transformer.names import RelationName, literal, quoted
from transformer.project.values import ArtifactOnly, CheckConfig, Project

KIND = "unit"
_THIS = "this"
# Any number of different rows is one failure, as in dbt.
_FAILURES = "(count(*) > 0)::int"


def unit_nodes(
    project: Project, scope: Scope, nodes: Mapping[str, Node], mistakes: list[TransformError]
) -> Iterator[Node]:
    """The unit tests of a project, as checks that run before their models."""
    for unit_test in project.artifact_only:
        if unit_test.kind != "unit_test":
            continue
        try:
            model = scope.index.ref(*_model_name(unit_test), package=unit_test.package)
        except TransformError as error:
            if str(unit_test.content.get("model")) not in scope.index.disabled:
                mistakes.append(error.at(unit_test.where))
            continue
        try:
            if model.id in nodes and _enabled(unit_test):
                yield _node(unit_test, nodes[model.id], project)
        except ConfigError as error:
            mistakes.append(error)


def _model_name(unit_test: ArtifactOnly) -> tuple[str, ...]:
    return (str(unit_test.content.get("model") or ""),)


def _config(unit_test: ArtifactOnly) -> Mapping[str, Any]:
    """Its configuration. Raises ConfigError if that is not a mapping."""
    config = unit_test.content.get("config") or {}
    if not isinstance(config, Mapping):
        raise ConfigError(f"the `config` of `{unit_test.name}` must be a mapping", unit_test.where)
    return config


def _enabled(unit_test: ArtifactOnly) -> bool:
    config = _config(unit_test)
    return str(config.get("enabled", True)).lower() != "false"


def _node(unit_test: ArtifactOnly, model: Node, project: Project) -> Node:
    config = _config(unit_test)
    tags = config.get("tags") or ()
    return Node(
        id=f"unit_test.{unit_test.package or project.name}.{model.name}.{unit_test.name}",
        kind="check",
        name=unit_test.name,
        path=unit_test.where.path,
        body=CheckBody(
            KIND,
            None,
            None,
            unit_test.content,
            CheckConfig(
                fail_calc=_FAILURES,
                tags=(tags,) if isinstance(tags, str) else tuple(tags),
            ),
            unit_test.where,
            late=True,
            before=model.id,
        ),
        needs=model.needs,
        tags=(tags,) if isinstance(tags, str) else tuple(tags),
        where=unit_test.where,
        package=unit_test.package,
        fqn=(*model.fqn[:-1], model.name, unit_test.name),
    )


class _Fixture(Struct, frozen=True):
    """The rows for an input: as mappings, or as a query."""

    rows: Sequence[Mapping[str, Any]] = ()
    query: str = ""


class _FixtureNamespace(Namespace):
    """A namespace in which the inputs of a unit test replace the real nodes."""

    real: Namespace = field(default_factory=lambda: Namespace(""))
    fixtures: Mapping[str, _Fixture] = field(default_factory=dict)

    def ref(self, *args: str, version: str | None = None, package: str = "") -> Referable:
        """The input that replaces a node."""
        return self._as_fixture(self.real.ref(*args, version=version, package=package))

    def source(self, *args: str, package: str = "") -> Referable:
        """The input that replaces a source table."""
        return self._as_fixture(self.real.source(*args, package=package))

    def _as_fixture(self, node: Referable) -> Referable:
        if node.id not in self.fixtures:
            raise RenderError(
                f"the unit test has no rows for `{node.name}`",
                hint="add it under `given:`; `rows: []` means no rows",
            )
        return replace(node, name=_label(node), ephemeral=True)

    def plain(self, parts: tuple[str, ...], where: Callable[[], Where]) -> Referable | None:
        """The input for a plain name, if there is one."""
        node = self.real.plain(parts, where)
        return self._as_fixture(node) if node and node.id in self.fixtures else None


def _label(node: Referable) -> str:
    return node.name.replace(".", "__") + (f"_v{node.version}" if node.version else "")


def unit_query(node: Node, graph: Graph, scope: Scope) -> Compiled:
    """The query for the rows that differ. Raises TransformError."""
    body = node.body
    if not isinstance(body, CheckBody) or body.before is None or scope.warehouse is None:
        raise TypeError(node.id)
    model = graph[body.before]
    try:
        text = _Unit(body, model, scope, scope.warehouse).text()
    except TransformError as error:
        raise error.at(body.where) from None
    return Compiled(text, node.path, where=body.where)


class _Unit(Struct, frozen=True):
    body: CheckBody
    model: Node
    scope: Scope
    warehouse: WarehouseConnection

    def text(self) -> str:
        actual = self.actual()
        names, kinds, _ = self.warehouse.rows(f"select * from ({actual}\n) limit 0")
        expected = _fixture(self.body.args.get("expect") or {}, self.body.where)
        expected = replace(expected, query=self.filled(expected))
        types = dict(zip(names, kinds, strict=True))
        columns = self.compared_columns(expected, types)
        column_list = ", ".join(quoted(name) for name in columns)
        expected_rows = expected.query or _rows(
            "expect", expected.rows, {name: types[name] for name in columns}
        )
        casts = ", ".join(
            f"cast({quoted(name)} as {types[name]}) as {quoted(name)}" for name in columns
        )
        return (
            f"with __actual as (select {column_list} from ({actual}\n)),"
            f" __expected as (select {casts} from ({expected_rows}\n))"
            f" select 'missing' as difference, * from"
            f" (from __expected except all from __actual)"
            f" union all select 'unexpected', * from (from __actual except all from __expected)"
        )

    def compared_columns(self, expected: _Fixture, types: Mapping[str, str]) -> list[str]:
        """The columns to compare: the expected ones, else all of the model's."""
        if expected.query:
            names = list(self.warehouse.rows(f"select * from ({expected.query}\n) limit 0")[0])
        else:
            names = list(dict.fromkeys(column for row in expected.rows for column in row))
        by_folded_name = {name.lower(): name for name in types}
        for name in names:
            if name.lower() not in by_folded_name:
                raise GraphError(
                    f"`{self.model.name}` has no column `{name}`",
                    hint=did_you_mean(name, types, otherwise="it returns {}"),
                )
        return [by_folded_name[column.lower()] for column in names] or list(types)

    def actual(self) -> str:
        """The model's query over the given rows."""
        fixtures, parents = self.inputs()
        overrides = self.body.args.get("overrides") or {}
        index = self.scope.index
        inputs_index = _FixtureNamespace(
            index.project,
            disabled=index.disabled,
            open=True,
            packages=index.packages,
            real=index,
            fixtures=fixtures,
        )
        package = self.model.package
        variables = self.scope.vars_of.get(package, self.scope.vars)
        macros = dict(overrides.get("macros") or {})
        incremental = str(macros.pop("is_incremental", "false")).lower() == "true"
        world = self.scope.world
        env = {k: str(v) for k, v in (overrides.get("env_vars") or {}).items()}
        # All given rows count, even with `--empty`.
        flags = {name: value for name, value in world.flags.items() if name != "EMPTY"}
        scope = replace(
            self.scope,
            index=inputs_index,
            vars_of={**self.scope.vars_of, package: {**variables, **(overrides.get("vars") or {})}},
            world=dataclasses.replace(world, env={**world.env, **env}, flags=flags),
            replaced=macros,
        )
        template = template_of(self.model, scope)
        if _THIS in fixtures and template.this:
            template = replace(template, this=replace(template.this, name=_THIS, ephemeral=True))
        query = render(template, scope, incremental=incremental)
        return finish(query, self.model.path, "", parents).text

    def inputs(self) -> tuple[dict[str, _Fixture], list[EphemeralParent]]:
        """The fixtures by node id, and their CTEs."""
        fixtures: dict[str, _Fixture] = {}
        parents: list[EphemeralParent] = []
        for given_input in self.body.args.get("given") or ():
            node = self.input(str(given_input.get("input") or ""))
            fixture = _fixture(given_input, self.body.where)
            key, label = (node.id, _label(node)) if node.id != _THIS else (_THIS, _THIS)
            fixtures[key] = fixture
            query = self.filled(fixture) or _rows(node.name, fixture.rows, self.types(node))
            parents.append(EphemeralParent(label, query))
        return fixtures, parents

    def filled(self, fixture: _Fixture) -> str:
        """The rendered query of a fixture: it may contain Jinja."""
        session = self.scope.session(RenderTrace(), self.model.package)
        return session.render(fixture.query, self.body.where.path)

    def input(self, written: str) -> Referable:
        """The node that an input replaces: `ref('x')`, `source('a', 'b')` or `this`."""
        if written.strip() == _THIS and self.model.relation:
            return Referable(_THIS, _THIS, self.model.relation, database=self.model.database)
        index = self.scope.index
        args = written.partition("(")[2].rpartition(")")[0].split(",")
        values = [w.partition("=")[2] or w for w in args]
        version = next((w.partition("=")[2] for w in args if "=" in w), None)
        positional = [w.strip(" '\"") for w, n in zip(args, values, strict=True) if w == n]
        if written.strip().startswith("source"):
            return index.source(*positional, package=self.model.package)
        chosen_version = version.strip(" '\"") if version else None
        return index.ref(*positional, version=chosen_version, package=self.model.package)

    def types(self, node: Referable) -> dict[str, str]:
        """The types of the replaced relation's columns, by name."""
        database = node.database or self.scope.target.catalog or None
        relation: RelationName = node.relation
        columns = self.warehouse.columns(database, relation.schema, relation.table)
        return dict(columns or ())


def _fixture(fixture: Mapping[str, Any], where: Where) -> _Fixture:
    """Rows in one of dbt's three forms."""
    kind, rows = str(fixture.get("format") or "dict"), fixture.get("rows")
    if kind == "sql":
        return _Fixture(query=str(rows or "").strip().rstrip(";"))
    if kind == "csv":
        csv_rows = csv.DictReader(io.StringIO(str(rows or "").strip()))
        return _Fixture([{k: v or None for k, v in row.items()} for row in csv_rows])
    if rows is not None and not isinstance(rows, list | tuple):
        raise GraphError("`rows` must be a list of mappings", where, hint="or set `format: csv`")
    return _Fixture(list(rows or ()))


def _rows(input_name: str, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> str:
    """The given rows as a query, with typed columns; missing values are NULL."""
    known_names = {name.lower(): name for name in types}
    names = list(types) or list(dict.fromkeys(n for row in rows for n in row))
    unknown = next((n for row in rows for n in row if types and n.lower() not in known_names), None)
    if unknown is not None:
        raise GraphError(
            f"`{input_name}` has no column `{unknown}`, but the unit test has rows with it",
            hint=did_you_mean(unknown, types, otherwise="it has {}"),
        )
    selects = []
    for row in rows or ({},):
        folded_row = {n.lower(): v for n, v in row.items()}
        values = (_value(folded_row.get(n.lower()), types.get(n), n) for n in names)
        selects.append(f"select {', '.join(values)}")
    if not names:
        return "select null as __nothing limit 0"
    return " union all ".join(selects) + ("" if rows else " limit 0")


def _value(value: Any, kind: str | None, name: str) -> str:
    text = "null" if value is None else _literal(value)
    return f"cast({text} as {kind}) as {quoted(name)}" if kind else f"{text} as {quoted(name)}"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        return literal(json.dumps(value, default=str))
    return literal(str(value))
