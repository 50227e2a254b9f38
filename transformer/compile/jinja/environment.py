"""The tool's Jinja environment: sandbox, tags, undefined names, places of errors."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined, Undefined, nodes
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing
from msgspec.structs import replace

from transformer.compile.jinja.fast_path import ConstantCall, parts
from transformer.compile.jinja.limits import LimitedSandbox
from transformer.errors import RenderError, Where, did_you_mean

if TYPE_CHECKING:
    from transformer.compile.jinja.rendering import Rendering

# The current rendering. Not a template variable, since templates could reach Python through it.
CURRENT: ContextVar[Rendering | None] = ContextVar("rendering", default=None)
_UNCLOSED = re.compile(r"innermost block that needs to be closed is `(?P<block>\w+)`")
Strict = StrictUndefined


class _LookupContext(Context):
    """Resolves names in this order: the template's own, macros (a project may override built-in
    names, as in dbt), the context of the rendering."""

    def resolve_or_missing(self, key: str) -> Any:
        if key in self.vars:
            return self.vars[key]
        session = CURRENT.get()
        if session is not None:
            session.names_read.add(key)
            session.library.asked.add(key)
            macro = session.macro(key, session.library.package_of(self.name) or "")
            if macro is not missing:
                return macro
        return super().resolve_or_missing(key)


class _TestBlock(Extension):
    """`{% test name(model, column_name) %} … {% endtest %}`: the macro `test_name`."""

    tags = {"test", "data_test"}  # noqa: RUF012 - Jinja's own way to declare tags

    def parse(self, parser: Parser) -> nodes.Node:
        opening = next(parser.stream)
        node = nodes.Macro(lineno=opening.lineno)
        node.name = "test_" + parser.parse_assign_target(name_only=True).name
        parser.parse_signature(node)
        node.body = parser.parse_statements((f"name:end{opening.value}",), drop_needle=True)
        return node


class _MaterializationBlock(Extension):
    """`{% materialization name, adapter='duckdb' %} … {% endmaterialization %}`: a macro."""

    tags = {"materialization"}  # noqa: RUF012 - Jinja's own way to declare tags

    def parse(self, parser: Parser) -> nodes.Node:
        node = nodes.Macro(lineno=next(parser.stream).lineno)
        name, adapter = parser.parse_assign_target(name_only=True).name, "default"
        while parser.stream.skip_if("comma"):
            if parser.stream.skip_if("name:default"):
                continue
            key = parser.parse_assign_target(name_only=True).name
            parser.stream.expect("assign")
            value = parser.parse_expression()
            if key == "adapter" and isinstance(value, nodes.Const):
                adapter = str(value.value)
        node.name = f"materialization_{name}_{adapter}"
        node.args, node.defaults = [], []
        node.body = parser.parse_statements(("name:endmaterialization",), drop_needle=True)
        return node


# dbt's macros that are context functions here.
_DBT_MACROS = frozenset({"is_incremental", "run_query", "statement"})


class PackageNamespace:
    """A package in templates: `dbt_utils.star`."""

    __slots__ = ("__name", "__session")

    def __init__(self, session: Rendering, name: str) -> None:
        self.__session, self.__name = session, name

    def __getattr__(self, name: str) -> Any:
        macro = self.__session.library.own(name, self.__name)
        if macro is None and self.__name == "dbt" and name in _DBT_MACROS:
            return self.__session.context[name]
        if macro is None:
            raise AttributeError(f"the package `{self.__name}` has no macro `{name}`")
        return self.__session.bound(macro)


def no_macro(package: PackageNamespace, name: str) -> RenderError:
    """The error for a missing macro of a package."""
    session, package_name = package._PackageNamespace__session, package._PackageNamespace__name
    macros = session.library.packages.get(
        "" if package_name == session.library.root else package_name, {}
    )
    return RenderError(
        f"the package `{package_name}` has no macro `{name}`",
        hint=did_you_mean(name, macros, otherwise="check for a typo or a missing package"),
    )


class _Sandbox(LimitedSandbox):
    context_class = _LookupContext

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(
            obj, PackageNamespace
        ):  # its macros, whatever they are called, and nothing else
            return all(attr not in vars(kind) for kind in type(obj).__mro__)
        return not attr.startswith("_") and super().is_safe_attribute(obj, attr, value)


class LenientUndefined(Undefined):
    """Undefined values in an open project: they render as empty text, as in dbt.

    While only references are collected, their attributes are undefined too, and may be called.
    When executing, both fail by name. Calling an unknown name always fails.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._fail() if _executes() else LenientUndefined(obj=self, name=name)

    def __getitem__(self, key: Any) -> Any:
        return self._fail() if _executes() else self

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Raises UndefinedError, unless only references are collected."""
        return self._fail() if self._undefined_obj is missing or _executes() else self

    def _fail(self) -> Any:
        kind = type(self._undefined_obj)
        if isinstance(self._undefined_obj, PackageNamespace):
            raise no_macro(self._undefined_obj, str(self._undefined_name))
        if kind.__module__.startswith("transformer."):  # how templates call it, not its class
            shown = kind.__name__.strip("_").lower()
            raise UndefinedError(f"`{shown}` has no attribute `{self._undefined_name}`")
        return self._fail_with_undefined_error()


def _executes() -> bool:
    """Whether the current rendering executes, rather than only collects references."""
    session = CURRENT.get()
    return session is not None and bool(session.context.get("execute"))


def environment(undefined: type[Undefined] = StrictUndefined) -> SandboxedEnvironment:
    """A new sandboxed environment with dbt's tags and filters."""
    sandbox = _Sandbox(
        undefined=undefined,
        extensions=[
            "jinja2.ext.do",
            "jinja2.ext.loopcontrols",
            _TestBlock,
            _MaterializationBlock,
        ],
    )
    # In YAML every Jinja value is text; these filters convert it.
    sandbox.filters |= {
        "as_bool": _as_bool,
        "as_number": float,
        "as_native": _unchanged,
        "as_text": str,
    }
    return sandbox


def _as_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() == "true"


def _unchanged(value: Any) -> Any:
    return value


def syntax_error(error: TemplateSyntaxError, path: str, text: str) -> RenderError:
    """Jinja's syntax error in a template, at its line."""
    what = (error.message or "this is not Jinja").replace("'", "`")
    open_block = _UNCLOSED.search(what)
    if open_block:
        return _unclosed(open_block["block"], path, text, error.lineno)
    where = Where.in_text(path, text, error.lineno)
    last = what.split("`")[-2] if what.count("`") >= 2 else ""
    hint = "every `{%` block needs its `end…`, every `{{` its `}}`"
    return RenderError(what.rstrip("."), marked(where, f"`{last}`"), hint)


def _unclosed(block: str, path: str, text: str, line: int) -> RenderError:
    opening = re.compile(rf"{{%[-+]?\s*{block}\b")
    lines = text.splitlines()[:line]
    opening_line = next((n for n in range(len(lines), 0, -1) if opening.search(lines[n - 1])), line)
    where = marked(Where.in_text(path, text, opening_line), f"`{block}`")
    return RenderError(
        f"this `{block}` is never closed", where, hint=f"write `{{% end{block} %}}` after it"
    )


def word_of(what: str) -> str:
    """The first name in a message, or ""."""
    return what.split("`")[1] if what.count("`") >= 2 else ""


def marked(where: Where, what: str) -> Where:
    """The place, marking the name in the message if it is on the line, else the `{{ … }}`."""
    word = word_of(what)
    for part in filter(None, (word, word.rpartition(".")[2])):
        match = re.search(rf"(?<!\w){re.escape(part)}(?!\w)", where.text)
        if match:
            return replace(where, column=match.start() + 1, width=len(part))
    call = re.search(r"{{.*?}}|{%.*?%}", where.text)
    if call:
        return replace(where, column=call.start() + 1, width=len(call.group(0)))
    stripped = where.text.strip()
    return replace(where, column=where.text.find(stripped) + 1, width=len(stripped) or 1)


def constant_calls(env: Environment, text: str, name: str) -> list[dict[str, Any]] | None:
    """The keyword arguments of top-level calls of `name`, if all are constants.

    None if a call needs rendering (inside a block, or with computed values), or if the name is
    passed on or has an option set.
    """
    pieces = parts(text)
    if pieces is not None:
        calls = [
            piece for piece in pieces if isinstance(piece, ConstantCall) and piece.name == name
        ]
        simple = all(call.called and not call.arguments for call in calls)
        return [dict(call.named or {}) for call in calls] if simple else None
    tree = env.parse(text)
    called = [c.node for c in tree.find_all(nodes.Call) if _calls(c, name)]
    called += [a.node for a in tree.find_all(nodes.Getattr) if a.attr != "set"]
    names = [n for n in tree.find_all(nodes.Name) if n.name == name]
    if any(all(n is not node for node in called) for n in names):
        return None
    all_calls = [c for c in tree.find_all(nodes.Call) if _calls(c, name)]
    output_calls = [
        call
        for output in tree.body
        if isinstance(output, nodes.Output)
        for call in output.nodes
        if isinstance(call, nodes.Call) and _calls(call, name)
    ]
    if len(all_calls) != len(output_calls) or any(c.args or c.dyn_kwargs for c in output_calls):
        return None
    try:
        return [{k.key: k.value.as_const() for k in call.kwargs} for call in output_calls]
    except nodes.Impossible:
        return None


def _calls(call: nodes.Call, name: str) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name == name
