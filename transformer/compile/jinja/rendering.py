"""Rendering: macros that call each other, `return`, errors at the template's line.

Every macro is compiled separately. Names that a template does not define are looked up on use in
the rendering's session, so macros can call each other across files, and their use is recorded.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.utils import missing
from msgspec import Struct, field

from transformer.compile.dbt.adapter import NeedsWarehouse
from transformer.compile.jinja.environment import (
    CURRENT,
    PackageNamespace,
    environment,
    marked,
    syntax_error,
    word_of,
)
from transformer.compile.jinja.fast_path import ConstantCall, parts
from transformer.compile.jinja.limits import begin, end
from transformer.compile.jinja.macros import Macro, MacroLibrary
from transformer.errors import RenderError, TransformError, Where, did_you_mean


class MacroReturn(Exception):  # noqa: N818 - a way out of a macro, not an error
    """Carries a macro's native result through Jinja, which only returns text."""

    def __init__(self, value: Any) -> None:
        super().__init__("return() outside a macro")
        self.value = value


class Rendering(Struct):
    """One rendering: its context, and the used macros (name -> path)."""

    library: MacroLibrary
    context: dict[str, Any]
    used: dict[str, str] = field(default_factory=dict)
    package: str = ""
    # The names that templates read, including `execute`.
    names_read: set[str] = field(default_factory=set)
    replaced: Mapping[str, Any] = field(default_factory=dict)
    _bound: dict[tuple[str, str], Callable[..., Any]] = field(default_factory=dict)

    def macro(self, name: str, home: str = "") -> Any:
        """The value of a name in this rendering, in a file of the package `home`: a macro as a
        callable, a package's namespace, or Jinja's `missing`."""
        if name in self.replaced:
            return lambda *_, **__: self.replaced[name]
        macro = self.library.find(name, self.package, home)
        if macro is not None:
            return self.bound(macro)
        if name in self.library.packages or (name and name == self.library.root):
            return missing if name in self.context else PackageNamespace(self, name)
        return missing

    def bound(self, macro: Macro) -> Callable[..., Any]:
        """The macro as a callable in this rendering."""
        key = (macro.package, macro.name)
        if macro.package and macro.qualified in self.replaced:
            return lambda *_, **__: self.replaced[macro.qualified]
        if key not in self._bound:
            self._bound[key] = _bound(macro, self)
        return self._bound[key]

    def dispatch(self, name: str, namespace: str | None = None) -> Callable[..., Any]:
        """The macro for `adapter.dispatch`. Raises RenderError if there is no implementation."""
        macro = self.library.dispatched(name, namespace, self.package)
        if macro is None:
            searched = ", ".join(self.library.searched(namespace))
            raise RenderError(
                f"no macro `duckdb__{name}` or `default__{name}` was found",
                hint=f"searched in {searched}"
                if searched
                else "check the second argument of `adapter.dispatch`, and the packages",
            )
        return self.bound(macro)

    def render(self, text: str, path: str) -> str:
        """The rendered text. Raises RenderError at the template's line."""
        if "{" not in text and "\r" not in text:
            return text.removesuffix("\n")
        pieces = parts(text)
        fast = None if pieces is None else self._fast_rendering(pieces)
        if fast is not None:
            return fast
        try:
            template = self.library.env.from_string(text)
        except TemplateSyntaxError as error:
            raise syntax_error(error, path, text) from None
        return str(self._guarded(lambda: template.render(self.context), text, path))

    def rendered(self, string: str) -> str:
        """A text rendered from within a template."""
        return self.render(str(string), "")

    def _fast_rendering(self, pieces: Sequence[str | ConstantCall]) -> str | None:
        """The rendering of texts and plain calls; None if Jinja has to do it."""
        token, limit_token = CURRENT.set(self), begin()
        try:
            return "".join(
                piece if isinstance(piece, str) else self._call_text(piece) for piece in pieces
            )
        except NeedsWarehouse:
            raise
        except Exception:
            return None  # Jinja reports the error and its place
        finally:
            CURRENT.reset(token)
            end(limit_token)

    def _call_text(self, call: ConstantCall) -> str:
        self.names_read.add(call.name)
        self.library.asked.add(call.name)
        value = self.macro(call.name)
        if value is missing:
            value = self.context[call.name]
        if not call.called:
            return str(value)
        if hasattr(value, "jinja_pass_arg") or not self.library.env.is_safe_callable(value):
            raise TypeError(call.name)
        return str(value(*call.arguments, **(call.named or {})))

    def evaluate(self, expression: str, where: Where) -> Any:
        """The native value of a Jinja expression. Raises RenderError at its place."""
        try:
            compiled = self.library.env.compile_expression(expression, undefined_to_none=False)
        except TemplateSyntaxError as error:
            raise syntax_error(error, where.path, expression).moved(where) from None
        try:
            return self._guarded(lambda: compiled(self.context), expression, where.path)
        except TransformError as error:
            raise error.moved(where) from None

    def call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        path: str,
        positional: Sequence[Any] = (),
    ) -> Any:
        """The result of a macro, given by its plain name or as `package.name`; it must exist.
        Raises RenderError."""
        package, _, plain = name.rpartition(".")
        package_macro = self.library.own(plain, package) if package else None
        macro = self.bound(package_macro) if package_macro else self.macro(name)
        return self._guarded(lambda: macro(*positional, **arguments), "", path)

    def _guarded(self, work: Callable[[], Any], text: str, path: str) -> Any:
        token, limit_token = CURRENT.set(self), begin()
        try:
            return work()
        except MacroReturn as returned:
            return returned.value
        except NeedsWarehouse:
            raise
        except TransformError as error:
            if error.where is not None:
                raise
            where = _place(error, text, path, error.what)
            raise error.moved(where, self._stack(error, error.what)) from None
        except RecursionError:
            raise RenderError(
                "the macros call each other endlessly",
                Where.in_text(path, text, 1),
                "look for a macro that calls itself",
            ) from None
        except Exception as error:
            raise self._error(error, text, path) from None
        finally:
            CURRENT.reset(token)
            end(limit_token)

    def _error(self, error: Exception, text: str, path: str) -> RenderError:
        what = str(error).replace("'", "`").rstrip(".")
        hint = "check this line, and the macros that it calls"
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
        word = word_of(what)
        names = (*self.library.macros, *(k for k in self.context if not k.startswith("_")))
        otherwise = f"`{{% set {word} = … %}}` defines it, `var('{word}')` reads a variable"
        return did_you_mean(word, names, otherwise="") or otherwise

    def _signature(self, what: str) -> str:
        """The hint with the signature of a macro that was called with wrong arguments."""
        macro = self.library.macros.get(word_of(what)) if what.startswith("macro `") else None
        if macro is None:
            return ""
        line = Where.in_text(macro.path, self.library.texts.get(macro.path, ""), macro.line).text
        head = re.search(r"\w+\s*\([^)]*\)", line)
        return f"it is `{head.group(0) if head else macro.name}`, at {macro.path}:{macro.line}"

    def _stack(self, error: BaseException, what: str) -> tuple[Where, ...]:
        """The macro lines in the traceback, outermost first."""
        texts = self.library.texts
        places = [(p, n) for p, n in _frames(error) if p in texts]
        lines = [Where.in_text(p, texts[p], n) for p, n in places]
        if lines:
            path, line = places[-1]
            lines[-1] = marked(Where.in_text(path, texts[path], line), what)
        return tuple(lines)


def _bound(macro: Macro, session: Rendering) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        session.used[macro.qualified] = macro.path
        context = macro.template.new_context(session.context)
        for _ in macro.template.root_render_func(context):
            pass
        try:
            return context.vars[macro.name](*args, **kwargs)
        except MacroReturn as returned:
            return returned.value

    return call


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    """Template lines in the traceback, outermost first: (path, line)."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        template = frame.f_globals.get("__jinja_template__")
        name = frame.f_code.co_filename
        if template is None and name.endswith((".sql", ".yml", ".yaml", "<template>")):
            # Jinja has already rewritten the traceback to template lines.
            yield name, frame.f_lineno


def _place(error: BaseException, text: str, path: str, what: str) -> Where:
    """The template's own line in the traceback, with the message's name marked."""
    template_lines = [line for name, line in _frames(error) if name == "<template>"]
    return marked(Where.in_text(path, text, template_lines[-1] if template_lines else 1), what)


def render_text(text: str, where: Where, names: Mapping[str, Any]) -> str:
    """A rendered string of YAML. Raises RenderError at its place."""
    limit_token = begin()
    try:
        return str(_YAML.from_string(text).render(names))
    except TransformError as error:
        raise error.at(where) from None
    except (TemplateError, TypeError, ValueError) as error:
        raise RenderError(str(error).replace("'", "`"), where) from None
    except Exception as error:
        raise RenderError(f"{type(error).__name__}: {error}", where) from None
    finally:
        end(limit_token)


_YAML = environment()
