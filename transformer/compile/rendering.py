"""From template to query: rendered, plain names resolved, ephemeral parents inlined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from transformer.compile.context import RenderTrace
from transformer.compile.dbt.adapter import NeedsWarehouse
from transformer.compile.namespace import Namespace, cte_name
from transformer.compile.nodes import Compiled
from transformer.compile.scope import Query, Scope, Template
from transformer.compile.sql.canonical import canonical_digest
from transformer.compile.sql.edits import Edit, spliced
from transformer.compile.sql.reader import QueryReading, read, without_end
from transformer.compile.sql.source_map import in_template
from transformer.compile.sql.table_refs import TAKES_TABLES, TableUse
from transformer.compile.sql.volatility import UNKNOWN, volatility_of
from transformer.compile.world import CONNECTING_ONLY
from transformer.errors import RenderError, SqlError, TransformError
from transformer.names import literal, quoted

_ONE_QUERY = "write one `select …` or `with … select …`; the tool creates the table or view"


def render(template: Template, scope: Scope, *, incremental: bool = False) -> Query:
    """The template's query. Raises TransformError at the template's line, NeedsWarehouse if it
    queries the warehouse and none is open."""
    trace = RenderTrace()
    rendered = rendered_text(template, scope, trace, incremental=incremental)
    if template.free and read(without_end(rendered), scope.grammar).refused:
        return Query(rendered, (), tuple(trace.needs), None, trace, False, volatility=UNKNOWN)
    return resolve(
        rendered, scope, trace, lambda at: in_template(template.path, template.text, rendered, at)
    )


def rendered_text(
    template: Template,
    scope: Scope,
    trace: RenderTrace,
    *,
    incremental: bool = False,
    execute: bool = True,
) -> str:
    """The text rendered by Jinja. Raises TransformError, NeedsWarehouse."""
    session = scope.session(
        trace,
        template.package,
        this=template.this,
        incremental=incremental,
        options=template.options,
        node=template.facts,
        execute=execute,
    )
    return session.render(template.text, template.path)


def referred(template: Template, scope: Scope) -> Query:
    """A late query with the template's references, without executing anything (dbt's parsing)."""
    trace = RenderTrace()
    text = rendered_text(template, scope, trace, execute=False)
    return Query(text, (), tuple(trace.needs), None, trace, parsed=False, late=True)


def or_late(now: Callable[[], Query], later: Callable[[], Query], scope: Scope) -> Query:
    """The result of `now`; that of `later` if `now` needs the warehouse or, in an open project,
    fails. Raises TransformError."""
    try:
        return now()
    except NeedsWarehouse:
        return later()
    except TransformError:
        if not scope.is_open:
            raise
        return later()


def rendered_or_late(template: Template, scope: Scope) -> Query:
    """The template's query, or a late one. Raises TransformError."""
    whole = or_late(lambda: render(template, scope), lambda: referred(template, scope), scope)
    if not whole.late and scope.is_open and "execute" in whole.trace.names_read:
        # References in the branch for `not execute` count as well.
        first = referred(template, scope)
        return replace(whole, needs=tuple(dict.fromkeys((*whole.needs, *first.needs))))
    return whole


def resolve(rendered: str, scope: Scope, trace: RenderTrace, place: Any) -> Query:
    """The rendered text with plain names resolved to relations."""
    text = without_end(rendered)
    if any(secret in text for secret in scope.world.secrets):
        raise RenderError(
            "this SQL contains a secret",
            place(0),
            hint=CONNECTING_ONLY,
        )
    reading = read(text, scope.grammar)
    if reading.refused:
        raise SqlError(reading.refused.why, place(reading.refused.at), hint=_ONE_QUERY)
    _refuse_computed_names(reading, scope, trace, place)
    splices: list[Edit] = []
    needs = list(trace.needs)
    for use in reading.uses:
        splice, need = _resolved(use, scope.index, place)
        if splice:
            splices.append(splice)
        if need and need not in needs:
            needs.append(need)
    replacements = [(splice.start, splice.end, splice.text) for splice in splices]
    return Query(
        text,
        tuple(splices),
        tuple(needs),
        reading.with_end,
        trace,
        reading.parsed,
        canonical=canonical_digest(reading.tokens, replacements) if reading.tokens.texts else text,
        volatility=volatility_of(reading.tokens.texts) if reading.tokens.texts else UNKNOWN,
    )


def _refuse_computed_names(
    reading: QueryReading, scope: Scope, trace: RenderTrace, place: Any
) -> None:
    """Raises SqlError for a query that reads a computed name, unless it uses `ref()`."""
    if scope.is_open or trace.needs:
        return
    for unread_table in reading.unread:
        raise SqlError(
            f"`{unread_table.function}(…)` reads a table whose name is computed",
            place(unread_table.at),
            hint="write the name literally, or declare the dependency: `-- {{ ref('name') }}`",
        )


def _resolved(use: TableUse, index: Namespace, place: Any) -> tuple[Edit | None, str | None]:
    if use.optional:
        return _resolved_optional(use, index)
    name = use.parts[-1]
    prefix = cte_name("")
    if len(use.parts) == 1 and name.startswith(prefix):  # what ref() wrote for an ephemeral model
        model_name = name.removeprefix(prefix)
        alias = None if use.aliased else Edit(use.end, use.end, f" as {quoted(model_name)}")
        return alias, None
    node = index.plain(use.parts, lambda: place(use.start))
    if node is None:
        return None, None
    if node.ephemeral:
        alias_text = "" if use.aliased else f" as {quoted(node.name)}"
        return Edit(use.start, use.end, node.sql() + alias_text), node.id
    renamed = not use.aliased and node.relation.table.lower() != name.lower()
    # `select a.x from a` still works if the relation of `a` has another name.
    alias_text = f" as {quoted(name)}" if renamed else ""
    return Edit(use.start, use.end, node.relation.sql() + alias_text), node.id


def _resolved_optional(use: TableUse, index: Namespace) -> tuple[Edit | None, str | None]:
    """Resolves a name that may not be a table: a file, or an argument of a function."""
    node = index.perhaps(use.parts)
    if node is None or (use.within not in ("", *TAKES_TABLES) and not index.calls(use.within)):
        return None, None
    if use.within in ("", "histogram", "histogram_values", "query_table"):
        replacement = node.sql() if not use.within else literal(node.sql())
        renamed = not use.aliased
        alias = f" as {quoted(use.parts[-1])}" if renamed else ""
        return Edit(use.start, use.end, replacement + alias), node.id
    return None, node.id


class EphemeralParent(NamedTuple):
    """An ephemeral model that a query reads: its name, text and canonical form."""

    name: str
    text: str
    canonical: str = ""


def finish(
    query: Query, model_path: str, template: str, parents: Sequence[EphemeralParent]
) -> Compiled:
    """The executable query. `parents` are the ephemeral models it depends on."""
    splices = (*query.splices, *_with_parents(query, parents))
    # Sorted, because the order of parents has no meaning.
    parent_texts = sorted(f"{parent.name}: {parent.canonical or parent.text}" for parent in parents)
    return Compiled(
        text=spliced(query.rendered, splices),
        path=model_path,
        template=template,
        rendered=query.rendered,
        splices=tuple(splices),
        macros=query.trace.macros,
        volatility=query.volatility,
        canonical=" ".join([query.canonical, *parent_texts]),
    )


def _with_parents(query: Query, parents: Sequence[EphemeralParent]) -> list[Edit]:
    if not parents:
        return []
    # The newline keeps a trailing comment of a parent from hiding the bracket.
    ctes = ", ".join(f"{quoted(cte_name(name))} as ({text}\n)" for name, text, _ in parents)
    if query.with_end is None:
        return [Edit(0, 0, f"with {ctes} ")]
    return [Edit(query.with_end, query.with_end, f" {ctes},")]
