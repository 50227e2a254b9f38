"""A compiled project as bytes, and back: nodes are read when they are asked for.

MessagePack, never pickle: what is read can be nothing but values. What cannot be written exactly
is not written at all (`UnstorableError`), and the project is then compiled each time.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from typing import Any, get_origin, get_type_hints

import msgspec
from msgspec.structs import replace

from transformer.compile.model_config import options_of
from transformer.compile.nodes import (
    ActivationBody,
    CheckBody,
    Compiled,
    FreshnessBody,
    Graph,
    ModelBody,
    Node,
    SeedBody,
    SnapshotBody,
    SourceBody,
)
from transformer.errors import Where
from transformer.names import RelationName
from transformer.project.values import NOTHING, Described

_BODIES: Mapping[str, type] = {
    each.__name__: each
    for each in (
        ModelBody,
        SeedBody,
        SnapshotBody,
        SourceBody,
        FreshnessBody,
        CheckBody,
        ActivationBody,
    )
}
_TUPLE, _DATE, _MOMENT = 1, 2, 3


class UnstorableError(Exception):
    """A value that would not be the same when it is read again."""


class NodeHead(msgspec.Struct, array_like=True):
    """A node's head, which says what it is; the rest is read when it is asked for."""

    id: str
    kind: str
    name: str
    path: str
    needs: tuple[str, ...]
    relation: tuple[str, str] | None
    tags: tuple[str, ...]
    package: str
    fqn: tuple[str, ...]
    version: str | None
    database: str
    rest: msgspec.Raw


class _Rest(msgspec.Struct, array_like=True):
    kind: str
    body: msgspec.Raw
    options: Any
    described: Described | None
    where: Where | None


def stored(node: Node) -> NodeHead:
    """The node as it is written. Raises UnstorableError."""
    body: Any = node.body
    options: Any = node.options
    if isinstance(body, CheckBody) and body.refused is not None:
        raise UnstorableError(node.id)
    if isinstance(body, ModelBody):
        text = body.model.text
        options = None if options == options_of(body.config) else options
        body = replace(body, query=_slim(body.query, text), increment=_slim(body.increment, text))
    elif isinstance(body, CheckBody | SnapshotBody):
        body = replace(body, query=_slim(body.query, ""))
    described = None if node.described == NOTHING else loosened(node.described)
    rest = _Rest(
        type(body).__name__, msgspec.Raw(encode(body)), _exact(options), described, node.where
    )
    return NodeHead(
        node.id,
        node.kind,
        node.name,
        node.path,
        node.needs,
        (node.relation.schema, node.relation.table) if node.relation else None,
        tuple(node.tags),
        node.package,
        node.fqn,
        node.version,
        node.database,
        msgspec.Raw(_pack(rest)),
    )


def _slim(query: Compiled | None, template: str) -> Compiled | None:
    """The query without what is said elsewhere: its template, the texts of macros."""
    if query is None:
        return None
    return replace(
        query,
        called=dict.fromkeys(query.called, ""),
        template="\0" if query.template == template else query.template,
        rendered="\0" if query.rendered == query.text else query.rendered,
    )


class CachedNode(Node):
    """A node whose head is there; what else it has is read when it is first asked for."""

    __slots__ = ("_head", "_texts")

    def __getattr__(self, name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(name)
        rest = _REST.decode(object.__getattribute__(self, "_head").rest)
        body = decode(rest.body, _BODIES[rest.kind])
        options, texts = rest.options, object.__getattribute__(self, "_texts")
        if isinstance(body, ModelBody):
            full = partial(_full, template=body.model.text, texts=texts)
            if body.query or body.increment:
                body = replace(body, query=full(body.query), increment=full(body.increment))
            options = options_of(body.config) if options is None else options
        elif isinstance(body, CheckBody | SnapshotBody) and body.query:
            body = replace(body, query=_full(body.query, template="", texts=texts))
        _set(self, "body", body)
        _set(self, "options", options)
        _set(self, "described", rest.described or NOTHING)
        _set(self, "where", rest.where)
        return getattr(self, name)


_LATER = frozenset(("body", "options", "described", "where"))
_set = object.__setattr__


def restored(head: NodeHead, texts: Mapping[str, str]) -> Node:
    """The node again; `texts` are those of the files of macros."""
    node = object.__new__(CachedNode)
    _set(node, "_head", head)
    _set(node, "_texts", texts)
    for name in ("id", "kind", "name", "path", "needs", "tags", "package", "fqn", "version",
                 "database"):  # fmt: skip
        _set(node, name, getattr(head, name))
    _set(node, "relation", RelationName(*head.relation) if head.relation else None)
    return node


def _full(query: Compiled | None, *, template: str, texts: Mapping[str, str]) -> Compiled | None:
    if query is None:
        return None
    return replace(
        query,
        called={path: texts.get(path, "") for path in query.called},
        template=template if query.template == "\0" else query.template,
        rendered=query.text if query.rendered == "\0" else query.rendered,
    )


def encode(value: Any) -> bytes:
    """Any of the project's values. Raises UnstorableError."""
    return _pack(loosened(value))


def _pack(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnstorableError(str(error)) from None


def decode(data: Any, kind: Any) -> Any:
    """A value of that type. Raises msgspec's errors."""
    return _decoder(kind).decode(data)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind, ext_hook=_ext)


def _ext(code: int, data: memoryview) -> Any:
    if code == _TUPLE:
        return tuple(_decoder(list).decode(data))
    text = bytes(data).decode()
    if code == _DATE:
        return datetime.date.fromisoformat(text)
    return datetime.datetime.fromisoformat(text)


_ENCODER = msgspec.msgpack.Encoder()
_REST = msgspec.msgpack.Decoder(_Rest, ext_hook=_ext)


def loosened(value: Any) -> Any:
    """The value with everything that a type says nothing about made exact: a tuple among options
    would be read as a list. It is the same object where nothing had to be done."""
    is_struct = isinstance(value, msgspec.Struct)
    if is_struct or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        changed = {
            name: items
            for name, exact in _loose(value.__class__)
            if (items := exact(old := getattr(value, name))) is not old
        }
        if not changed:
            return value
        return replace(value, **changed) if is_struct else dataclasses.replace(value, **changed)
    if isinstance(value, tuple):
        items = tuple(map(loosened, value))
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


@cache
def _loose(kind: type) -> list[tuple[str, Callable[[Any], Any]]]:
    """The fields of a value that may hold anything, and those that hold values of ours."""
    converters: list[tuple[str, Callable[[Any], Any]]] = []
    for name, hint in get_type_hints(kind).items():
        shown = str(hint)
        if "typing.Any" in shown:
            converters.append((name, _exact_each if get_origin(hint) is tuple else _exact))
        elif "transformer." in shown:
            converters.append((name, loosened))
    return converters


def _exact_each(value: tuple[Any, ...]) -> tuple[Any, ...]:
    items = tuple(map(_exact, value))
    return value if all(a is b for a, b in zip(items, value, strict=True)) else items


def _exact(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list or kind is tuple:
        items = [_exact(each) for each in value]
        if kind is tuple:
            return msgspec.msgpack.Ext(_TUPLE, _pack(items))
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    if isinstance(value, dict):
        exact = {_key(key): _exact(each) for key, each in value.items()}
        return value if all(exact[k] is v for k, v in value.items()) else exact
    if kind is datetime.date:
        return msgspec.msgpack.Ext(_DATE, value.isoformat().encode())
    if kind is datetime.datetime:
        return msgspec.msgpack.Ext(_MOMENT, value.isoformat().encode())
    raise UnstorableError(kind.__name__)


def _key(key: Any) -> Any:
    if type(key) not in _PLAIN:
        raise UnstorableError("a key that is no plain value")
    return key


_PLAIN = frozenset((str, int, float, bool, type(None)))


class CachedNodes(Mapping[str, Node]):
    """Nodes by id, each read when it is first asked for; `remade` are those compiled since,
    `read` those that there are by now."""

    def __init__(
        self, heads: Iterable[NodeHead], texts: Mapping[str, str], remade: Mapping[str, Node]
    ) -> None:
        self.heads = {head.id: head for head in heads}
        self.texts, self.remade, self.read = texts, remade, dict(remade)

    def __getitem__(self, node_id: str) -> Node:
        if node_id not in self.read:
            self.read[node_id] = restored(self.heads[node_id], self.texts)
        return self.read[node_id]

    def __contains__(self, node_id: object) -> bool:
        return node_id in self.heads

    def __iter__(self) -> Iterator[str]:
        return iter(self.heads)

    def __len__(self) -> int:
        return len(self.heads)


class CachedGraph(Graph, frozen=True):
    """A graph of which only what is asked for is read."""

    nodes: CachedNodes

    def edges(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """As ever; no node is read for it."""
        remade = self.nodes.remade
        return (
            (i, remade[i].needs if i in remade else head.needs)
            for i, head in self.nodes.heads.items()
        )
