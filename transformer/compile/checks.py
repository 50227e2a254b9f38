"""Checks as nodes: named, their references resolved, SQL ones rendered."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.compile.context import RenderTrace, TemplateNames
from transformer.compile.jinja.macros import BUILT_IN, Macro
from transformer.compile.jinja.rendering import Rendering
from transformer.compile.namespace import DisabledError, Referable
from transformer.compile.naming import RelationRequest
from transformer.compile.nodes import CheckBody, Compiled, Graph, ModelBody, Node, SourceBody
from transformer.compile.rendering import finish, or_late, render, rendered_or_late, resolve
from transformer.compile.scope import Query, Scope, Template
from transformer.errors import ConfigError, GraphError, TransformError, Where, did_you_mean
from transformer.names import RelationName, slug
from transformer.project.values import CheckConfig, CheckSpec, SqlCheck

_CALL = re.compile(r"\s*(env_var|ref|var|source)\s*\(.*\)\s*\Z", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_DEFAULT_FAIL_CALC = CheckConfig().fail_calc
_STORED_AS = ("ephemeral", "table", "view")
_AUDIT = "dbt_test__audit"  # the schema of stored failures, as in dbt
# dbt's built-in tests, measured natively in one scan with other checks.
_NATIVE = frozenset({"not_null", "unique", "accepted_values", "relationships"})
# Tests of packages that are measured natively too, under the kinds of the same names.
_NATIVE_OF_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "dbt_utils": ("unique_combination_of_columns", "accepted_range", "expression_is_true"),
}


class CheckedNode(Struct, frozen=True):
    """A node with checks, and its relation."""

    node: Node
    relation: RelationName


def checks_of(
    checked: CheckedNode, scope: Scope, mistakes: list[TransformError]
) -> Iterator[tuple[Node, Query | None]]:
    """The checks of a node and its columns; a mistake in one does not affect the others."""
    described = checked.node.described
    specs = [*described.checks, *(check for column in described.columns for check in column.checks)]
    names: set[str] = set()
    for spec in specs:
        try:
            yield _check(checked, spec, scope, names)
        except DisabledError as error:
            if not scope.is_open:  # else it is disabled too
                mistakes.append(error.at(spec.where))
        except TransformError as error:
            if not scope.is_open:
                mistakes.append(error.at(spec.where))
                continue
            yield _failing_check(checked.node, spec, error.at(spec.where), scope), None


def _failing_check(node: Node, spec: CheckSpec, error: TransformError, scope: Scope) -> Node:
    """A check that cannot be compiled. In an open project it fails alone when it is run."""
    body = CheckBody(
        spec.kind, node.id, spec.column, spec.args, spec.config, spec.where, spec=spec,
        refused=error,
    )  # fmt: skip
    name = spec.name or f"{spec.kind}_{node.name}"
    return _node(name, body, (node.id,), scope, spec.package)


def _check(
    checked: CheckedNode, spec: CheckSpec, scope: Scope, names: set[str]
) -> tuple[Node, Query | None]:
    trace = RenderTrace()
    macro, query, related = _macro(spec, scope), None, None
    if macro is None:
        related = _relationship(spec, scope, trace)
    else:
        macro_call = _MacroCall(checked.node, spec, macro)
        query = or_late(
            lambda: _macro_query(macro_call, scope),
            lambda: _macro_query(macro_call, scope, execute=False),
            scope,
        )
    needs = tuple(dict.fromkeys((checked.node.id, *(query.needs if query else trace.needs))))
    body = CheckBody(
        kind=spec.kind if macro else spec.kind.rpartition(".")[2],
        on=checked.node.id,
        column=spec.args.get("column_name") or spec.column,
        args=spec.args if macro else _rendered_arguments(spec, scope),
        config=_rendered_where(
            _with_sql_config(spec.config, query.trace, spec.pinned) if query else spec.config,
            spec,
            scope,
        ),
        where=spec.where,
        to=related,
        query=finish_check(query, spec.where) if query and not query.late else None,
        spec=spec,
        late=bool(query and query.late),
    )
    name = spec.name or _name(spec, checked.node, names)
    names.add(name)
    body = _storing(body, spec.alias or name, scope)
    return _node(name, body, needs, scope, spec.package), query


def _rendered_arguments(spec: CheckSpec, scope: Scope) -> Mapping[str, Any]:
    """The rendered arguments of a check that is measured without a macro."""
    session = scope.session(RenderTrace(), spec.package)
    return {
        key: value if key == "to" else _argument(value, session, spec)
        for key, value in spec.args.items()
    }


def _rendered_where(config: CheckConfig, spec: CheckSpec, scope: Scope) -> CheckConfig:
    """The configuration with its `where` rendered."""
    if not config.where or "{" not in config.where:
        return config
    session = scope.session(RenderTrace(), spec.package)
    return replace(config, where=session.render(config.where, spec.where.path))


def _storing(body: CheckBody, name: str, scope: Scope) -> CheckBody:
    """The check with the relation for its failing rows, by dbt's rule in an open project."""
    config = body.config
    if not scope.is_open:
        return body
    if config.store_failures_as and config.store_failures_as not in _STORED_AS:
        error = ConfigError(
            f"`{config.store_failures_as}` is not a valid value of `store_failures_as`",
            body.where,
            hint=did_you_mean(config.store_failures_as, _STORED_AS, otherwise="available: {}"),
        )
        return replace(body, refused=error)
    store = config.store_failures or bool(scope.world.flags.get("STORE_FAILURES"))
    if config.store_failures_as:
        store = config.store_failures_as != "ephemeral"
    body = replace(body, config=replace(config, store_failures=store))
    if not store:
        return body
    options = {"schema": config.schema or _AUDIT, "alias": config.alias or name}
    facts = {"name": name, "resource_type": "test", "config": options, "version": None}
    placement = scope.placed(RelationRequest(name, options, facts))
    return replace(body, stored=placement.relation)


def _node(name: str, body: CheckBody, needs: tuple[str, ...], scope: Scope, package: str) -> Node:
    suffix = f".{body.spec.suffix}" if body.spec and body.spec.suffix else ""
    return Node(
        id=f"test.{package or scope.index.project}.{name}{suffix}",
        kind="check",
        name=name,
        path=body.where.path,
        body=body,
        needs=needs,
        tags=body.config.tags,
        options={"severity": body.config.severity},
        where=body.where,
        package=package,
        fqn=body.file.fqn if body.file else body.spec.fqn if body.spec else (),
    )


def _name(spec: CheckSpec, node: Node, names: set[str]) -> str:
    parts = [spec.kind, node.name.replace(".", "_"), spec.column or ""]
    name = "_".join(filter(None, parts))
    if name in names or not spec.column:
        name = "_".join(filter(None, (name, slug(" ".join(_flat(spec.args))) if spec.args else "")))
    base, count = name[:120].strip("_"), 1
    name = base
    while name in names:
        count += 1
        name = f"{base}_{count}"
    return name


def _flat(args: Mapping[str, Any]) -> Iterator[str]:
    for value in args.values():
        yield from (str(v) for v in value) if isinstance(value, list | tuple) else (str(value),)


def _macro(spec: CheckSpec, scope: Scope) -> Macro | None:
    """The macro with the check's query; None if it is measured natively. Raises GraphError for an
    unknown test."""
    package, _, kind = spec.kind.rpartition(".")
    name, library = f"test_{kind}", scope.library
    macro = library.own(name, package) if package else library.find(name, spec.package)
    if macro is None and scope.is_open:
        names = [name.removeprefix("test_") for p in library.packages.values() for name in p]
        raise GraphError(
            f"there is no test `{spec.kind}`",
            spec.where,
            hint=did_you_mean(kind, names, otherwise="")
            or "install its package with `transform deps`",
        )
    if macro is None:
        return None
    if spec.config.fail_calc != _DEFAULT_FAIL_CALC:
        return macro  # `fail_calc` refers to columns of the macro's query
    native = kind in _NATIVE and macro.package == BUILT_IN
    if kind in _NATIVE_OF_PACKAGES.get(macro.package, ()):
        native = _is_simple(spec)
    return None if native and _is_unchanged(spec, scope, macro.package) else macro


def _is_simple(spec: CheckSpec) -> bool:
    """Whether the arguments are plain: names, numbers, and text without Jinja."""
    columns = spec.args.get("combination_of_columns") or ()
    texts = [v for v in spec.args.values() if isinstance(v, str)]
    arguments = {"combination_of_columns", "min_value", "max_value", "inclusive", "expression"}
    return (
        set(spec.args) <= {*arguments, "column_name"}
        and all(_NAME.match(str(column)) for column in columns)
        and not any("{" in text for text in texts)
    )


def _is_unchanged(spec: CheckSpec, scope: Scope, package: str) -> bool:
    """Whether the package's macro is not overridden, and the columns are plain names."""
    name = f"test_{spec.kind.rpartition('.')[2]}"
    default = scope.library.dispatched(name, package, "")
    unchanged = default is None or default.package == package
    unchanged = unchanged and not _overrides_where(scope)
    column = str(spec.args.get("column_name") or spec.column or "x")
    field = str(spec.args.get("field") or "x")
    return (
        unchanged
        and bool(_NAME.match(column))
        and bool(_NAME.match(field))
        and _is_relation(spec, scope)
    )


def _overrides_where(scope: Scope) -> bool:
    """Whether the project overrides dbt's macro for the rows that a test reads."""
    name = "get_where_subquery"
    macros = (scope.library.find(name), scope.library.dispatched(name, BUILT_IN, ""))
    return any(macro is not None and macro.package != BUILT_IN for macro in macros)


def _is_relation(spec: CheckSpec, scope: Scope) -> bool:
    """Whether the target of a relationship is a table or view of the warehouse."""
    if "to" not in spec.args:
        return True
    related = _argument(spec.args["to"], scope.session(RenderTrace(), spec.package), spec)
    in_warehouse = getattr(related, "database", None) in (None, scope.target.catalog)
    return (
        bool(getattr(related, "schema", None))
        and in_warehouse
        and not getattr(related, "text", None)
    )


def _relationship(spec: CheckSpec, scope: Scope, trace: RenderTrace) -> RelationName | None:
    target = spec.args.get("to")
    if spec.kind != "relationships" or not target:
        return None
    text = str(target).strip().removeprefix("{{").removesuffix("}}").strip()
    if _CALL.match(text):
        relation = scope.session(trace, spec.package).evaluate(text, spec.where)
        if not relation.schema:
            raise GraphError(
                f"`{text}` is ephemeral: there is no relation to compare with",
                spec.where,
                hint="materialize it as a view or a table",
            )
        return RelationName(relation.schema, relation.identifier)
    node = scope.index.plain(tuple(text.split(".")), lambda: spec.where)
    if node is None:
        return None
    trace.needs.append(node.id)
    return node.relation


class _MacroCall(Struct, frozen=True):
    """The call of a test macro for a check of a node."""

    node: Node
    spec: CheckSpec
    macro: Macro


def _macro_query(check_call: _MacroCall, scope: Scope, *, execute: bool = True) -> Query:
    """The query of a `{% test %}` block called with relation, column and arguments; late unless
    `execute`."""
    node, spec, macro = check_call.node, check_call.spec, check_call.macro
    trace = RenderTrace()
    subject = _subject(node, scope)
    options = _options(spec.config)
    session = scope.session(trace, spec.package, this=subject, execute=execute, options=options)
    relation = TemplateNames(scope.index, scope.target, {}, scope.world, RenderTrace()).relation(
        subject
    )
    model: Any = relation
    if _overrides_where(scope):
        model = session.call("get_where_subquery", {}, spec.where.path, (relation,))
    elif spec.config.where:
        model = f"(select * from {relation} where {spec.config.where}) dbt_subquery"
    arguments: dict[str, Any] = {"model": model}
    if spec.column:
        arguments["column_name"] = spec.args.get("column_name") or spec.column
    for key, value in spec.args.items():
        arguments[key] = _argument(value, session, spec)
    text = str(session.call(macro.qualified, arguments, spec.where.path))
    if not execute:
        return Query(text, (), (node.id, *trace.needs), None, trace, parsed=False, late=True)
    query = resolve(text, scope, trace, lambda _: spec.where)
    needs = dict.fromkeys((node.id, *query.needs)) if node.ephemeral else query.needs
    return replace(query, needs=tuple(needs))


def _options(config: CheckConfig) -> dict[str, Any]:
    """The options that `config.get` returns in a test macro."""
    options = {name: getattr(config, name) for name in config.__struct_fields__}
    severity = "ERROR" if config.severity == "error" else config.severity
    store = config.store_failures or None
    return {**options, "severity": severity, "store_failures": store, "materialized": "test"}


def _subject(node: Node, scope: Scope) -> Referable:
    body = node.body
    reads = body.table.reads if isinstance(body, SourceBody) else ""
    relation = node.relation or RelationName(scope.target.schema, node.name)
    ephemeral = isinstance(body, ModelBody) and node.ephemeral
    return Referable(node.id, node.name, relation, ephemeral, database=node.database, reads=reads)


def _argument(value: Any, session: Rendering, spec: CheckSpec) -> Any:
    if isinstance(value, list | tuple):
        return [_argument(element, session, spec) for element in value]
    if isinstance(value, Mapping):
        return {key: _argument(element, session, spec) for key, element in value.items()}
    if isinstance(value, str) and _CALL.match(value):
        return session.evaluate(value, spec.where)
    if isinstance(value, str) and "{{" in value:
        stripped = value.strip()
        is_single = (
            stripped.startswith("{{") and stripped.endswith("}}") and stripped.count("{{") == 1
        )
        if is_single:
            return session.evaluate(stripped[2:-2].strip("-+ "), spec.where)
        return session.render(value, spec.where.path)
    return value


def finish_check(query: Query, where: Where) -> Compiled:
    """The query for the failing rows of a custom check, placed at its line in YAML."""
    compiled = finish(query, where.path, "", ())
    return Compiled(
        text=compiled.text,
        path=where.path,
        where=where,
        macros=compiled.macros,
        canonical=compiled.canonical,
        volatility=compiled.volatility,
    )


def sql_check(check: SqlCheck, scope: Scope) -> tuple[Node, Query]:
    """A SQL file of failing rows as a node. Raises TransformError at its line."""
    query = rendered_or_late(_template(check), scope)
    where = Where.in_text(check.path, check.text, 1, 1)
    body = CheckBody(
        "sql",
        None,
        None,
        {},
        _with_sql_config(check.config, query.trace, check.pinned),
        where,
        file=check,
        late=query.late,
    )
    body = _storing(body, check.name, scope)
    return _node(check.name, body, query.needs, scope, check.package), query


def _template(check: SqlCheck) -> Template:
    return Template(check.text, check.path, check.package)


def late_query(node: Node, graph: Graph, scope: Scope) -> Query | None:
    """The query of a late check, once the scope has a warehouse; None if it is measured natively.
    Raises TransformError."""
    body = node.body
    if not isinstance(body, CheckBody):
        raise TypeError(node.id)
    if body.file is not None:
        return render(_template(body.file), scope)
    if body.spec is None or body.on is None:
        raise TypeError(node.id)
    macro = _macro(body.spec, scope)
    return _macro_query(_MacroCall(graph[body.on], body.spec, macro), scope) if macro else None


def _with_sql_config(
    config: CheckConfig, trace: RenderTrace, pinned: Container[str]
) -> CheckConfig:
    """The configuration with the options in the SQL's `config(…)` that YAML does not set."""
    options = {
        name: value
        for name, value in trace.config.items()
        if name in config.__struct_fields__ and name not in pinned
    }
    if "tags" in options:
        tags = options["tags"]
        options["tags"] = (tags,) if isinstance(tags, str) else tuple(tags or ())
    if "severity" in options:
        options["severity"] = str(options["severity"]).lower()
    if options.get("store_failures_as"):
        options["store_failures_as"] = str(options["store_failures_as"]).lower()
    return replace(config, **options)
