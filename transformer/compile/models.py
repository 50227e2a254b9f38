"""Models from template to query: rendered, plain names resolved, ephemeral parents put in."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from transformer.compile.config import ModelConfig, model_config, relation_name
from transformer.compile.context import Trace, Words, World
from transformer.compile.index import Index, Referable, cte_name
from transformer.compile.locate import in_template
from transformer.compile.nodes import Compiled
from transformer.compile.sql import (
    Splice,
    TableUse,
    canonical,
    read,
    refused,
    spliced,
    without_end,
)
from transformer.compile.templates import Library, Session, constant_calls
from transformer.errors import RenderError, SqlError, TransformError, Where
from transformer.names import Name, quoted
from transformer.project.values import Model, Options, Target

_ONE_QUERY = "write one `select …` or `with … select …`; the tool makes the table or view of it"


@dataclass(frozen=True, slots=True)
class Scope:
    """What every rendering of a project shares."""

    index: Index
    library: Library
    target: Target
    vars: Mapping[str, Any]
    world: World
    dialect: str

    def session(self, trace: Trace, **own: Any) -> Session:
        """A rendering with the words of one node."""
        words = Words(self.index, self.target, self.vars, self.world, trace, **own)
        return Session(self.library, words.context(), trace.macros)


@dataclass(frozen=True, slots=True)
class Query:
    """A query before ephemeral parents are put in: `needs` are ids, `ephemeral` among them."""

    rendered: str
    splices: tuple[Splice, ...]
    needs: tuple[str, ...]
    with_end: int | None
    trace: Trace
    parsed: bool = True


def configure(model: Model, scope: Scope) -> tuple[ModelConfig, list[TransformError]]:
    """The model's configuration, known before anything is rendered.

    `config()` calls with constant values are read as they stand; where one is computed or
    stands in a block, the template is rendered once for it, with every reference allowed.
    """
    if model.language == "python":
        written, mistakes = _python_options(model)
    elif "config" not in model.text:
        written, mistakes = {}, []
    else:
        written, mistakes = _sql_options(model, scope)
    config, wrong = model_config(model, written)
    return config, mistakes + wrong


def _sql_options(model: Model, scope: Scope) -> tuple[dict[str, Any], list[TransformError]]:
    try:
        calls = constant_calls(scope.library.env, model.text, "config")
    except Exception:
        return {}, []
    if calls is not None:
        return {key: value for call in calls for key, value in call.items()}, []
    trace = Trace()
    try:
        anything = _Anything(scope.index.project)
        replace(scope, index=anything).session(trace, this=Name("", model.name)).render(
            model.text, model.path
        )
    except TransformError:
        pass  # rendered again with the true names: a mistake is reported there, once
    return trace.config, []


class _Anything(Index):
    """An index in which every name means something, for a rendering that only asks for config."""

    def ref(self, *words: str) -> Referable:
        return Referable("", words[-1], Name("", words[-1]))

    def source(self, *words: str) -> Referable:
        return self.ref(*words)


def render(model: Model, scope: Scope, relation: Name, *, incremental: bool = False) -> Query:
    """The model's query. Raises TransformError at the template's line."""
    trace = Trace()
    session = scope.session(trace, this=relation, incremental=incremental, options=model.config)
    rendered = session.render(model.text, model.path)
    return resolve(
        rendered, scope, trace, lambda at: in_template(model.path, model.text, rendered, at)
    )


def resolve(rendered: str, scope: Scope, trace: Trace, place: Any) -> Query:
    """The rendered text with plain names resolved to relations."""
    text = without_end(rendered)
    if any(secret in text for secret in scope.world.secrets):
        raise RenderError(
            "a secret stands in this SQL",
            place(0),
            hint="secrets are for `load:`, `to:` and targets in YAML, not for `vars:`",
        )
    wrong = refused(text, scope.dialect)
    if wrong:
        raise SqlError(wrong[0], place(wrong[1]), hint=_ONE_QUERY)
    reading = read(text, scope.dialect)
    splices: list[Splice] = []
    needs = list(trace.needs)
    for use in reading.uses:
        splice, need = _resolved(use, scope.index, place)
        if splice:
            splices.append(splice)
        if need and need not in needs:
            needs.append(need)
    return Query(text, tuple(splices), tuple(needs), reading.with_end, trace, reading.parsed)


def _resolved(use: TableUse, index: Index, place: Any) -> tuple[Splice | None, str | None]:
    name = use.parts[-1]
    prefix = cte_name("")
    if len(use.parts) == 1 and name.startswith(prefix):  # what ref() wrote for an ephemeral model
        plain = name.removeprefix(prefix)
        alias = None if use.aliased else Splice(use.end, use.end, f" as {quoted(plain)}")
        return alias, None
    where: Where = place(use.start)
    found = index.plain(use.parts, where)
    if found is None:
        return None, None
    if found.ephemeral:
        alias_text = "" if use.aliased else f" as {quoted(found.name)}"
        return Splice(use.start, use.end, found.sql() + alias_text), found.id
    renamed = not use.aliased and found.relation.table.lower() != name.lower()
    # `select a.x from a` goes on to work where the relation of `a` has another name.
    alias_text = f" as {quoted(name)}" if renamed else ""
    return Splice(use.start, use.end, found.relation.sql() + alias_text), found.id


def finish(
    query: Query, model_path: str, template: str, parents: Sequence[tuple[str, str]]
) -> Compiled:
    """The query that runs. `parents` are the ephemeral models it stands on: (name, text)."""
    splices = (*query.splices, *_injected(query, parents))
    text = spliced(query.rendered, splices)
    return Compiled(
        text=text,
        path=model_path,
        template=template,
        rendered=query.rendered,
        splices=tuple(splices),
        macros=query.trace.macros,
    )


def _injected(query: Query, parents: Sequence[tuple[str, str]]) -> list[Splice]:
    if not parents:
        return []
    # Comments at the end of a parent must not swallow the bracket, hence the new line.
    ctes = ", ".join(f"{quoted(cte_name(name))} as ({text}\n)" for name, text in parents)
    if query.with_end is None:
        return [Splice(0, 0, f"with {ctes} ")]
    return [Splice(query.with_end, query.with_end, f" {ctes},")]


def with_canonical(compiled: Compiled, dialect: str) -> Compiled:
    """The same, with the tokens that tell whether it changed."""
    return replace(compiled, canonical=canonical(compiled.text, dialect))


def python_needs(model: Model, index: Index) -> tuple[tuple[str, ...], list[TransformError]]:
    """The references a Python model declares: calls of `.ref("…")` and `.source("…", "…")`."""
    needs: list[str] = []
    mistakes: list[TransformError] = []
    for call, words in _python_calls(model, ("ref", "source")):
        place = _python_place(model, call)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if words is None:
            mistakes.append(
                RenderError(
                    f"`{method}` needs its names written out",
                    place,
                    hint="the graph is made before Python runs: use string constants",
                )
            )
            continue
        try:
            node = index.ref(*words) if method == "ref" else index.source(*words)
            needs.append(node.id)
        except TransformError as error:
            mistakes.append(error.at(_argument_place(place, words)))
    return tuple(dict.fromkeys(needs)), mistakes


def python_code(model: Model, scope: Scope) -> str:
    """What a Python model is made of: its code without comments, the variables it asks for by
    name, the target. Files that it imports are not looked at."""
    firsts = [call.args[0] for call, _ in _python_calls(model, ("var",)) if call.args]
    names = [str(each.value) for each in firsts if isinstance(each, ast.Constant)]
    values = {name: scope.vars.get(name) for name in names}
    try:
        code = ast.dump(ast.parse(model.text))
    except SyntaxError:
        code = model.text
    return f"{code} {sorted(values.items(), key=str)} {scope.target.name}"


def _python_options(model: Model) -> tuple[Options, list[TransformError]]:
    written: dict[str, Any] = (
        {"materialized": "table"} if "materialized" not in model.config else {}
    )
    mistakes: list[TransformError] = []
    try:
        tree = ast.parse(model.text)
    except SyntaxError as error:
        where = Where.in_text(model.path, model.text, error.lineno or 1, error.offset or 1)
        hint = "look at this line and the one above"
        return written, [RenderError(f"this is not Python: {error.msg}", where, hint)]
    if not any(isinstance(n, ast.FunctionDef) and n.name == "model" for n in tree.body):
        mistakes.append(
            RenderError(
                "a Python model needs a function `model`",
                Where.in_text(model.path, model.text, 1, 1),
                hint="write `def model(project): return project.ref('…')`",
            )
        )
    for call, _ in _python_calls(model, ("config",)):
        for keyword in call.keywords:
            try:
                written[keyword.arg or ""] = ast.literal_eval(keyword.value)
            except ValueError:
                mistakes.append(
                    RenderError(f"`{keyword.arg}` must be a constant", _python_place(model, call))
                )
    return written, mistakes


def _python_calls(
    model: Model, methods: Iterable[str]
) -> list[tuple[ast.Call, tuple[str, ...] | None]]:
    try:
        tree = ast.parse(model.text)
    except SyntaxError:
        return []
    return [
        (node, _constants(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in methods
        and isinstance(node.func.value, ast.Name)
    ]


def _constants(call: ast.Call) -> tuple[str, ...] | None:
    values = [a.value if isinstance(a, ast.Constant) else None for a in call.args]
    return tuple(str(v) for v in values) if all(isinstance(v, str) for v in values) else None


def _python_place(model: Model, call: ast.Call) -> Where:
    width = (call.end_col_offset or 0) - call.col_offset
    return Where.in_text(model.path, model.text, call.lineno, call.col_offset + 1, width)


def _argument_place(call: Where, words: Sequence[str]) -> Where:
    """Where the last of the call's words stands in it."""
    at = call.text.find(words[-1], call.column) if words else -1
    return replace(call, column=at + 1, width=len(words[-1])) if at >= 0 else call


def relation_of(model: Model, config: ModelConfig, target: Target) -> Name:
    """The model's relation."""
    return relation_name(target, model.name, {"schema": config.schema, "alias": config.alias})
