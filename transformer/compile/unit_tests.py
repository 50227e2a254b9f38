"""Unit tests: a model's query over rows that the test gives, compared with rows it expects.

The inputs become subqueries under the names that ephemeral models have, with the types of the
relations they stand for; so the query is made late, when these are there.
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
# However many rows differ, it is one failure, as in dbt.
_FAILURES = "(count(*) > 0)::int"


def unit_nodes(
    project: Project, scope: Scope, nodes: Mapping[str, Node], mistakes: list[TransformError]
) -> Iterator[Node]:
    """The unit tests of a project as checks that come before their models."""
    for kept in project.kept:
        if kept.kind != "unit_test":
            continue
        try:
            found = scope.index.ref(*_model_words(kept), package=kept.package)
        except TransformError as error:
            if str(kept.content.get("model")) not in scope.index.disabled:
                mistakes.append(error.at(kept.where))
            continue
        try:
            if found.id in nodes and _enabled(kept):
                yield _node(kept, nodes[found.id], project)
        except ConfigError as error:
            mistakes.append(error)


def _model_words(kept: ArtifactOnly) -> tuple[str, ...]:
    return (str(kept.content.get("model") or ""),)


def _config(kept: ArtifactOnly) -> Mapping[str, Any]:
    """What it is configured with. Raises ConfigError where that is no mapping."""
    written = kept.content.get("config") or {}
    if not isinstance(written, Mapping):
        raise ConfigError(f"the `config` of `{kept.name}` must be a mapping", kept.where)
    return written


def _enabled(kept: ArtifactOnly) -> bool:
    config = _config(kept)
    return str(config.get("enabled", True)).lower() != "false"


def _node(kept: ArtifactOnly, model: Node, project: Project) -> Node:
    config = _config(kept)
    tags = config.get("tags") or ()
    return Node(
        id=f"unit_test.{kept.package or project.name}.{model.name}.{kept.name}",
        kind="check",
        name=kept.name,
        path=kept.where.path,
        body=CheckBody(
            KIND,
            None,
            None,
            kept.content,
            CheckConfig(
                fail_calc=_FAILURES,
                tags=(tags,) if isinstance(tags, str) else tuple(tags),
            ),
            kept.where,
            late=True,
            before=model.id,
        ),
        needs=model.needs,
        tags=(tags,) if isinstance(tags, str) else tuple(tags),
        where=kept.where,
        package=kept.package,
        fqn=(*model.fqn[:-1], model.name, kept.name),
    )


class _Fixture(Struct, frozen=True):
    """Rows given for an input: as mappings, or as a query."""

    rows: Sequence[Mapping[str, Any]] = ()
    query: str = ""


class _Given(Namespace):
    """An index in which the inputs of a unit test stand for what they are given for."""

    real: Namespace = field(default_factory=lambda: Namespace(""))
    fixtures: Mapping[str, _Fixture] = field(default_factory=dict)

    def ref(self, *words: str, version: str | None = None, package: str = "") -> Referable:
        """The input that is given for a node."""
        return self._fixed(self.real.ref(*words, version=version, package=package))

    def source(self, *words: str, package: str = "") -> Referable:
        """The input that is given for a source table."""
        return self._fixed(self.real.source(*words, package=package))

    def _fixed(self, found: Referable) -> Referable:
        if found.id not in self.fixtures:
            raise RenderError(
                f"the unit test gives no rows for `{found.name}`",
                hint="name it under `given:`; `rows: []` stands for none",
            )
        return replace(found, name=_label(found), ephemeral=True)

    def plain(self, parts: tuple[str, ...], where: Callable[[], Where]) -> Referable | None:
        """A plain name means an input too, where one is given for it."""
        found = self.real.plain(parts, where)
        return self._fixed(found) if found and found.id in self.fixtures else None


def _label(node: Referable) -> str:
    return node.name.replace(".", "__") + (f"_v{node.version}" if node.version else "")


def unit_query(node: Node, graph: Graph, scope: Scope) -> Compiled:
    """The query of the rows that differ. Raises TransformError."""
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
        wanted = self.wanted(expected, types)
        listed = ", ".join(quoted(n) for n in wanted)
        given = expected.query or _rows("expect", expected.rows, {n: types[n] for n in wanted})
        casts = ", ".join(f"cast({quoted(n)} as {types[n]}) as {quoted(n)}" for n in wanted)
        return (
            f"with __actual as (select {listed} from ({actual}\n)),"
            f" __expected as (select {casts} from ({given}\n))"
            f" select 'missing' as difference, * from"
            f" (from __expected except all from __actual)"
            f" union all select 'unexpected', * from (from __actual except all from __expected)"
        )

    def wanted(self, expected: _Fixture, types: Mapping[str, str]) -> list[str]:
        """The columns that are compared: those that are expected, all of the model's otherwise."""
        if expected.query:
            asked = list(self.warehouse.rows(f"select * from ({expected.query}\n) limit 0")[0])
        else:
            asked = list(dict.fromkeys(n for row in expected.rows for n in row))
        folded = {name.lower(): name for name in types}
        for name in asked:
            if name.lower() not in folded:
                raise GraphError(
                    f"`{self.model.name}` gives no column `{name}`",
                    hint=did_you_mean(name, types, otherwise="it gives {}"),
                )
        return [folded[n.lower()] for n in asked] or list(types)

    def actual(self) -> str:
        """The model's query over the given rows."""
        fixtures, parents = self.inputs()
        overrides = self.body.args.get("overrides") or {}
        index = self.scope.index
        given = _Given(
            index.project,
            disabled=index.disabled,
            open=True,
            packages=index.packages,
            real=index,
            fixtures=fixtures,
        )
        package = self.model.package
        known = self.scope.vars_of.get(package, self.scope.vars)
        macros = dict(overrides.get("macros") or {})
        incremental = str(macros.pop("is_incremental", "false")).lower() == "true"
        world = self.scope.world
        env = {k: str(v) for k, v in (overrides.get("env_vars") or {}).items()}
        # What is given is few rows, and all of them are meant.
        flags = {name: value for name, value in world.flags.items() if name != "EMPTY"}
        scope = replace(
            self.scope,
            index=given,
            vars_of={**self.scope.vars_of, package: {**known, **(overrides.get("vars") or {})}},
            world=dataclasses.replace(world, env={**world.env, **env}, flags=flags),
            replaced=macros,
        )
        template = template_of(self.model, scope)
        if _THIS in fixtures and template.this:
            template = replace(template, this=replace(template.this, name=_THIS, ephemeral=True))
        query = render(template, scope, incremental=incremental)
        return finish(query, self.model.path, "", parents).text

    def inputs(self) -> tuple[dict[str, _Fixture], list[EphemeralParent]]:
        """What is given, by node id, and the subqueries of it."""
        fixtures: dict[str, _Fixture] = {}
        parents: list[EphemeralParent] = []
        for each in self.body.args.get("given") or ():
            found = self.input(str(each.get("input") or ""))
            fixture = _fixture(each, self.body.where)
            key, label = (found.id, _label(found)) if found.id != _THIS else (_THIS, _THIS)
            fixtures[key] = fixture
            query = self.filled(fixture) or _rows(found.name, fixture.rows, self.types(found))
            parents.append(EphemeralParent(label, query))
        return fixtures, parents

    def filled(self, fixture: _Fixture) -> str:
        """The query of a fixture with its Jinja filled in: a file may hold any."""
        session = self.scope.session(RenderTrace(), self.model.package)
        return session.render(fixture.query, self.body.where.path)

    def input(self, written: str) -> Referable:
        """The node that an input stands for: `ref('x')`, `source('a', 'b')` or `this`."""
        if written.strip() == _THIS and self.model.relation:
            return Referable(_THIS, _THIS, self.model.relation, database=self.model.database)
        index = self.scope.index
        words = written.partition("(")[2].rpartition(")")[0].split(",")
        named = [w.partition("=")[2] or w for w in words]
        version = next((w.partition("=")[2] for w in words if "=" in w), None)
        plain = [w.strip(" '\"") for w, n in zip(words, named, strict=True) if w == n]
        if written.strip().startswith("source"):
            return index.source(*plain, package=self.model.package)
        wanted = version.strip(" '\"") if version else None
        return index.ref(*plain, version=wanted, package=self.model.package)

    def types(self, found: Referable) -> dict[str, str]:
        """The columns of what the input stands for."""
        database = found.database or self.scope.target.catalog or None
        relation: RelationName = found.relation
        held = self.warehouse.columns(database, relation.schema, relation.table)
        return dict(held or ())


def _fixture(written: Mapping[str, Any], where: Where) -> _Fixture:
    """Rows in one of dbt's three forms."""
    form, rows = str(written.get("format") or "dict"), written.get("rows")
    if form == "sql":
        return _Fixture(query=str(rows or "").strip().rstrip(";"))
    if form == "csv":
        found = csv.DictReader(io.StringIO(str(rows or "").strip()))
        return _Fixture([{k: v or None for k, v in row.items()} for row in found])
    if rows is not None and not isinstance(rows, list | tuple):
        raise GraphError("`rows` must be a list of mappings", where, hint="or say `format: csv`")
    return _Fixture(list(rows or ()))


def _rows(of: str, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> str:
    """The rows that are given of something as a query, each column with its type; what is not
    given is NULL."""
    folded = {name.lower(): name for name in types}
    names = list(types) or list(dict.fromkeys(n for row in rows for n in row))
    unknown = next((n for row in rows for n in row if types and n.lower() not in folded), None)
    if unknown is not None:
        raise GraphError(
            f"`{of}` has no column `{unknown}`, and the unit test gives rows with it",
            hint=did_you_mean(unknown, types, otherwise="it has {}"),
        )
    selects = []
    for row in rows or ({},):
        held = {n.lower(): v for n, v in row.items()}
        values = (_value(held.get(n.lower()), types.get(n), n) for n in names)
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
