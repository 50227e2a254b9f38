"""Limits of a rendering: iterations of loops and macros, length of texts, size of numbers. A
template that exceeds them fails at its line instead of running forever."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar, Token
from typing import Any

from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer
from msgspec import Struct

from transformer.errors import RenderError

# Takes seconds in otherwise empty loops.
ROUNDS = 1_000_000
# Maximum characters of a text, or items of a list.
LARGEST = 64 * 2**20
BITS = 1_000_000
_WIDTH = re.compile(r"\d+")


class _Rounds(Struct):
    left: int


_ROUNDS_LEFT: ContextVar[_Rounds | None] = ContextVar("rounds", default=None)


def begin() -> Token[_Rounds | None] | None:
    """Starts counting the iterations of a rendering; nested renderings share the count."""
    return _ROUNDS_LEFT.set(_Rounds(ROUNDS)) if _ROUNDS_LEFT.get() is None else None


def end(token: Token[_Rounds | None] | None) -> None:
    """Stops the count started by `begin`."""
    if token is not None:
        _ROUNDS_LEFT.reset(token)


class LimitedSandbox(SandboxedEnvironment):
    """A sandbox whose templates always terminate."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """The pieces as one text. Raises RenderError if it is too long."""
        parts, length = [], 0
        for piece in pieces:
            length += len(piece)
            if length > LARGEST:
                raise _too_large("text")
            parts.append(piece)
        return "".join(parts)

    def round(self) -> None:
        """Counts one iteration of a loop, or call of a macro. Raises RenderError after too many."""
        rounds = _ROUNDS_LEFT.get()
        if rounds is not None:
            rounds.left -= 1
            if rounds.left < 0:
                raise RenderError(
                    f"this template does not end: its loops ran {ROUNDS:,} times",
                    hint="check for nested loops and for a macro that calls itself",
                )

    def joined(self, *parts: Any) -> str:
        """The operator `~`."""
        return self.concat(map(str, parts))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """The result of an operator. Raises RenderError if it would be too large."""
        _check_operands(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> Any:
        return super()._generate(_COUNTING.visit(source), *args, **kwargs)


class _Counting(NodeTransformer):
    """Adds counting to every loop and macro, and the size check to every `~`."""

    def visit_For(self, node: nodes.For) -> Any:  # noqa: N802 - Jinja looks for this name
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> Any:  # noqa: N802 - likewise
        return self._counted(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - likewise
        self.generic_visit(node)
        return _call("joined", node.nodes, node.lineno)

    def _counted(self, node: Any) -> Any:
        self.generic_visit(node)
        node.body.insert(0, nodes.ExprStmt(_call("round", [], node.lineno), lineno=node.lineno))
        return node


def _call(name: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    own = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.Call(own, arguments, [], None, None, lineno=line)


_COUNTING = _Counting()


def _check_operands(operator: str, left: Any, right: Any) -> None:
    if operator == "+":
        if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            _check_size(len(left) + len(right), LARGEST)
    elif operator == "%":
        if isinstance(left, str):
            _check_size(max((int(n[:9]) for n in _WIDTH.findall(left)), default=0), LARGEST)
    elif isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length(), right.bit_length()
        power = left.bit_length() * max(right, 0) if abs(left) > 1 else 0
        _check_size(power if operator == "**" else sum(bits), BITS, "number")
    elif operator == "*":
        for text, count in ((left, right), (right, left)):
            if isinstance(text, str | list | tuple) and isinstance(count, int):
                _check_size(len(text) * count, LARGEST)


def _check_size(size: int, most: int, what: str = "text or list") -> None:
    if size > most:
        raise _too_large(what)


def _too_large(what: str) -> RenderError:
    return RenderError(
        f"this produces a {what} that is too large",
        hint=f"at most {LARGEST:,} characters or items, or {BITS:,} bits",
    )
