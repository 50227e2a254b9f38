"""Jinja as the tool speaks it: a sandbox, macros that see each other, `return`, places of errors.

Every macro is compiled by itself. A name that a template does not define is looked up, when it
is used, in the session of the rendering: so macros call each other across files, and the
rendering knows which ones it used.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, nodes
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from transformer.errors import RenderError, TransformError, Where, did_you_mean

# The rendering that is going on. It is no variable of a template: templates could reach through it.
_CURRENT: ContextVar[Session | None] = ContextVar("rendering", default=None)
_OPEN = re.compile(r"innermost block that needs to be closed is `(?P<block>\w+)`")
_HEAD = re.compile(r"{%[-+]?\s*(macro|test)\s+(?P<name>\w+)")


class Returned(Exception):  # noqa: N818 - a way out of a macro, not an error
    """Carries a macro's native result through Jinja, which only knows text."""

    def __init__(self, value: Any) -> None:
        super().__init__("return() outside a macro")
        self.value = value


class _LookupContext(Context):
    def resolve_or_missing(self, key: str) -> Any:
        found = super().resolve_or_missing(key)
        session = _CURRENT.get()
        if found is missing and session is not None:
            return session.macro(key)
        return found


class _TestBlock(Extension):
    """`{% test name(model, column_name) %} … {% endtest %}`: the macro `test_name`."""

    tags = {"test"}  # noqa: RUF012 - Jinja's own way to declare tags

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        node = nodes.Macro(lineno=line)
        node.name = "test_" + parser.parse_assign_target(name_only=True).name
        parser.parse_signature(node)
        node.body = parser.parse_statements(("name:endtest",), drop_needle=True)
        return node


class _Sandbox(SandboxedEnvironment):
    context_class = _LookupContext

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return not attr.startswith("_") and super().is_safe_attribute(obj, attr, value)


def environment() -> Environment:
    """A fresh sandboxed environment with the tags and filters of dbt's SQL."""
    made = _Sandbox(
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols", _TestBlock],
    )
    # In YAML every Jinja value is text; these say what the text is meant to be.
    made.filters |= {"as_bool": _as_bool, "as_number": float, "as_native": _same, "as_text": str}
    return made


def _as_bool(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() == "true"


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Macro:
    """One macro, compiled by itself, and where it stands."""

    name: str
    path: str
    line: int
    template: Template = field(repr=False)


@dataclass(frozen=True, slots=True)
class Library:
    """The project's macros by name, and the texts of their files for messages."""

    env: Environment
    macros: Mapping[str, Macro] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    # Macros in files that could not be read: that they are missing is no mistake of its own.
    broken: frozenset[str] = frozenset()


def read_library(files: Mapping[str, str]) -> tuple[Library, list[TransformError]]:
    """The macros of the files (path -> text) and the mistakes found in them."""
    env = environment()
    macros: dict[str, Macro] = {}
    mistakes: list[TransformError] = []
    broken: set[str] = set()
    for path, text in files.items():
        try:
            tree = env.parse(text, path, path)
        except TemplateSyntaxError as error:
            mistakes.append(syntax_error(error, path, text))
            broken |= {found["name"] for found in _HEAD.finditer(text)}
            continue
        for node in tree.find_all(nodes.Macro):
            if node.name in macros:
                first = macros[node.name]
                mistakes.append(
                    RenderError(
                        f"the macro `{node.name}` stands twice",
                        Where.in_text(path, text, node.lineno),
                        hint=f"the first is at {first.path}:{first.line}",
                    )
                )
                continue
            macros[node.name] = Macro(node.name, path, node.lineno, _alone(env, node, path))
    return Library(env, macros, dict(files), frozenset(broken)), mistakes


def _alone(env: Environment, node: nodes.Macro, path: str) -> Template:
    tree = nodes.Template([node], lineno=1)
    tree.set_environment(env)
    code = env.compile(tree, path, path)
    return Template.from_code(env, code, env.make_globals(None))


@dataclass(slots=True)
class Session:
    """One rendering: its context, and the macros it used (name -> path)."""

    library: Library
    context: dict[str, Any]
    used: dict[str, str] = field(default_factory=dict)
    _bound: dict[str, Callable[..., Any]] = field(default_factory=dict)

    def macro(self, name: str) -> Any:
        """The macro as a callable of this rendering, or Jinja's `missing`."""
        if name in self._bound:
            return self._bound[name]
        known = self.library.macros.get(name)
        if known is None:
            return missing
        self._bound[name] = _bound(known, self)
        return self._bound[name]

    def render(self, text: str, path: str) -> str:
        """The text rendered. Raises RenderError at the line of the template."""
        try:
            template = self.library.env.from_string(text)
        except TemplateSyntaxError as error:
            raise syntax_error(error, path, text) from None
        return str(self._guarded(lambda: template.render(self.context), text, path))

    def evaluate(self, expression: str, where: Where) -> Any:
        """The native value of an expression. Raises RenderError at its place."""
        try:
            compiled = self.library.env.compile_expression(expression, undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise syntax_error(error, where.path, expression).moved(where) from None
        try:
            return self._guarded(lambda: compiled(self.context), expression, where.path)
        except TransformError as error:
            raise error.moved(where) from None

    def call(self, name: str, arguments: Mapping[str, Any], path: str) -> Any:
        """What the macro returns. Raises RenderError; the macro must exist."""
        return self._guarded(lambda: self.macro(name)(**arguments), "", path)

    def _guarded(self, work: Callable[[], Any], text: str, path: str) -> Any:
        token = _CURRENT.set(self)
        try:
            return work()
        except Returned as returned:
            return returned.value
        except TransformError as error:
            if error.where is not None:
                raise
            where = _place(error, text, path, error.what)
            raise error.moved(where, self._stack(error, error.what)) from None
        except RecursionError:
            raise RenderError(
                "the macros call each other without end",
                Where.in_text(path, text, 1),
                "look for a macro that calls itself",
            ) from None
        except Exception as error:
            raise self._error(error, text, path) from None
        finally:
            _CURRENT.reset(token)

    def _error(self, error: Exception, text: str, path: str) -> RenderError:
        what = str(error).replace("'", "`").rstrip(".")
        hint = "look at the line, and at the macros that it calls"
        if isinstance(error, UndefinedError):
            hint = self._undefined(what)
        elif isinstance(error, SecurityError):
            what = f"the sandbox does not allow this: {what}"
            hint = "templates may not reach into Python"
        elif not isinstance(error, TemplateError | TypeError):
            what = f"{type(error).__name__}: {what}"
        where = _place(error, text, path, what)
        return RenderError(what, where, self._signature(what) or hint, (), self._stack(error, what))

    def _undefined(self, what: str) -> str:
        word = _word(what)
        known = (*self.library.macros, *(k for k in self.context if not k.startswith("_")))
        otherwise = f"`{{% set {word} = … %}}` defines it, `var('{word}')` reads a variable"
        return did_you_mean(word, known, otherwise="") or otherwise

    def _signature(self, what: str) -> str:
        """How a macro that was called with wrong arguments wants to be called."""
        macro = self.library.macros.get(_word(what)) if what.startswith("macro `") else None
        if macro is None:
            return ""
        line = Where.in_text(macro.path, self.library.texts.get(macro.path, ""), macro.line).text
        head = re.search(r"\w+\s*\([^)]*\)", line)
        return f"it is `{head.group(0) if head else macro.name}`, at {macro.path}:{macro.line}"

    def _stack(self, error: BaseException, what: str) -> tuple[Where, ...]:
        """The lines of macros on the error's way, outermost first."""
        texts = self.library.texts
        places = [(p, n) for p, n in _frames(error) if p in texts]
        plain = [Where.in_text(p, texts[p], n) for p, n in places]
        if plain:
            path, line = places[-1]
            plain[-1] = _marked(Where.in_text(path, texts[path], line), what)
        return tuple(plain)


def _bound(macro: Macro, session: Session) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        session.used[macro.name] = macro.path
        context = macro.template.new_context(session.context)
        for _ in macro.template.root_render_func(context):
            pass
        try:
            return context.vars[macro.name](*args, **kwargs)
        except Returned as returned:
            return returned.value

    return call


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    """Template lines on the error's way, outermost first: (path, line)."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")
        name = frame.f_code.co_filename
        if template is None and name.endswith((".sql", ".yml", ".yaml", "<template>")):
            # Jinja rewrites tracebacks so that they already speak of template lines.
            yield name, frame.f_lineno


def _place(error: BaseException, text: str, path: str, what: str) -> Where:
    """The template's own line on the error's way, the word of the message marked."""
    own = [line for name, line in _frames(error) if name == "<template>"]
    return _marked(Where.in_text(path, text, own[-1] if own else 1), what)


def _word(what: str) -> str:
    """The first name of a message."""
    return what.split("`")[1] if what.count("`") >= 2 else ""


def _marked(where: Where, what: str) -> Where:
    """The place with its mark under the word that the message names, else under the `{{`."""
    word = _word(what)
    for part in filter(None, (word, word.rpartition(".")[2])):
        found = re.search(rf"(?<!\w){re.escape(part)}(?!\w)", where.text)
        if found:
            return replace(where, column=found.start() + 1, width=len(part))
    call = re.search(r"{{.*?}}|{%.*?%}", where.text)
    if call:
        return replace(where, column=call.start() + 1, width=len(call.group(0)))
    bare = where.text.strip()
    return replace(where, column=where.text.find(bare) + 1, width=len(bare) or 1)


def render_text(text: str, where: Where, words: Mapping[str, Any]) -> str:
    """A string of YAML with its Jinja filled in. Raises RenderError at its place."""
    try:
        return str(_YAML.from_string(text).render(words))
    except TransformError as error:
        raise error.at(where) from None
    except (TemplateError, TypeError, ValueError) as error:
        raise RenderError(str(error).replace("'", "`"), where) from None


def syntax_error(error: TemplateSyntaxError, path: str, text: str) -> RenderError:
    """Jinja's complaint about a template, at its line."""
    what = (error.message or "this is not Jinja").replace("'", "`")
    open_block = _OPEN.search(what)
    if open_block:
        return _unclosed(open_block["block"], path, text, error.lineno)
    where = Where.in_text(path, text, error.lineno)
    last = what.split("`")[-2] if what.count("`") >= 2 else ""
    hint = "every `{%` block needs its `end…`, every `{{` its `}}`"
    return RenderError(what.rstrip("."), _marked(where, f"`{last}`"), hint)


def _unclosed(block: str, path: str, text: str, line: int) -> RenderError:
    opening = re.compile(rf"{{%[-+]?\s*{block}\b")
    lines = text.splitlines()[:line]
    at = next((n for n in range(len(lines), 0, -1) if opening.search(lines[n - 1])), line)
    where = _marked(Where.in_text(path, text, at), f"`{block}`")
    return RenderError(
        f"this `{block}` is never closed", where, hint=f"write `{{% end{block} %}}` behind it"
    )


def constant_calls(env: Environment, text: str, name: str) -> list[dict[str, Any]] | None:
    """The keyword arguments of calls of `name` that stand by themselves, when all are constants.

    None when a call cannot be read without rendering: inside a block, or with computed values.
    """
    tree = env.parse(text)
    every = [c for c in tree.find_all(nodes.Call) if _calls(c, name)]
    plain = [
        call
        for output in tree.body
        if isinstance(output, nodes.Output)
        for call in output.nodes
        if isinstance(call, nodes.Call) and _calls(call, name)
    ]
    if len(every) != len(plain) or any(c.args or c.dyn_kwargs for c in plain):
        return None
    try:
        return [{k.key: k.value.as_const() for k in call.kwargs} for call in plain]
    except nodes.Impossible:
        return None


def _calls(call: nodes.Call, name: str) -> bool:
    return isinstance(call.node, nodes.Name) and call.node.name == name


_YAML = environment()
