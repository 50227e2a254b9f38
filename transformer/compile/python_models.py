"""Python models, analyzed without running them: references, options, code."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from transformer.compile.namespace import Namespace
from transformer.compile.scope import Scope
from transformer.errors import RenderError, TransformError, Where
from transformer.project.values import Model, Options


def python_needs(model: Model, index: Namespace) -> tuple[tuple[str, ...], list[TransformError]]:
    """The references a Python model declares: calls of `.ref("…")` and `.source("…", "…")`."""
    needs: list[str] = []
    mistakes: list[TransformError] = []
    for call, args in _python_calls(model, ("ref", "source")):
        place = _python_place(model, call)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if args is None:
            mistakes.append(
                RenderError(
                    f"`{method}` needs its names as string constants",
                    place,
                    hint="the graph is built before Python runs",
                )
            )
            continue
        try:
            node = index.ref(*args) if method == "ref" else index.source(*args)
            needs.append(node.id)
        except TransformError as error:
            mistakes.append(error.at(_argument_place(place, args)))
    return tuple(dict.fromkeys(needs)), mistakes


def python_code(model: Model, scope: Scope) -> str:
    """What determines a Python model: its code without comments, the variables it reads by name,
    the target. Imported files are not considered."""
    arguments = [call.args[0] for call, _ in _python_calls(model, ("var",)) if call.args]
    names = [str(argument.value) for argument in arguments if isinstance(argument, ast.Constant)]
    values = {name: scope.vars.get(name) for name in names}
    try:
        code = ast.dump(ast.parse(model.text))
    except SyntaxError:
        code = model.text
    return f"{code} {sorted(values.items(), key=str)} {scope.target.name}"


def python_options(model: Model) -> tuple[Options, list[TransformError]]:
    """The options set by `config(…)` in the model, and the mistakes."""
    written: dict[str, Any] = (
        {"materialized": "table"} if "materialized" not in model.config else {}
    )
    mistakes: list[TransformError] = []
    try:
        tree = ast.parse(model.text)
    except SyntaxError as error:
        where = Where.in_text(model.path, model.text, error.lineno or 1, error.offset or 1)
        hint = "check this line and the one above"
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


def _argument_place(call: Where, args: Sequence[str]) -> Where:
    """The place of the call's last argument."""
    index = call.text.find(args[-1], call.column) if args else -1
    return replace(call, column=index + 1, width=len(args[-1])) if index >= 0 else call
