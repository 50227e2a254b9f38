"""YAML as a tree with source positions.

PyYAML composes it (with libyaml if available); lines and columns are kept with every key and
value, so that messages can show the place of a mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from transformer.errors import ConfigError, Where

_MERGE = "tag:yaml.org,2002:merge"
# More than anyone writes by hand; aliases of aliases expand to billions in a few lines.
DEEPEST, MOST = 100, 1_000_000


class YamlItem(Struct, frozen=True):
    """A YAML value and its place. `value` is a scalar, a tuple of items, or a dict of entries."""

    value: Any
    where: Where

    @property
    def is_map(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.value, tuple)

    def entries(self) -> Iterator[tuple[str, Where, YamlItem]]:
        """Key, the key's place, and the value, of a mapping."""
        for key, (where, item) in self.value.items():
            yield key, where, item

    def plain(self) -> Any:
        """The value without places."""
        if self.is_map:
            return {key: item.plain() for key, _, item in self.entries()}
        if self.is_list:
            return [item.plain() for item in self.value]
        return self.value


def parse(
    text: str, path: str, on_duplicate: Callable[[ConfigError], None] | None = None
) -> YamlItem:
    """The file's single document; an empty file is an empty mapping. Raises ConfigError. Duplicate
    keys are passed to `on_duplicate`, if given, and the last value counts."""
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        node = loader.get_single_node()
        if node is None:
            return YamlItem({}, Where(path, 1))
        return _Composer(loader, path, text.splitlines(), on_duplicate or _refuse).item(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines = text.splitlines()
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if line > len(lines) > 0:  # at the end of the file
            line, column = len(lines), len(lines[-1])
        raise ConfigError(
            f"this is not YAML: {error.problem or error.context}",
            Where.in_text(path, text, line, column),
            hint="check the indentation and the quotes on this line and the one above",
        ) from None
    except RecursionError:
        raise _too_deep(Where(path, 1)) from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(
            f"this is not YAML: an invalid character ({error.reason})",
            Where(path),
            hint="save the file as UTF-8 text",
        ) from None


def _too_deep(where: Where) -> ConfigError:
    return ConfigError(
        f"this is nested more than {DEEPEST} levels deep",
        where,
        hint="check for an extra `[` or `{`",
    )


def _refuse(error: ConfigError) -> None:
    raise error


class _Composer:
    def __init__(
        self, loader: Any, path: str, lines: list[str], twice: Callable[[ConfigError], None]
    ) -> None:
        self.loader, self.path, self.lines, self.on_duplicate = loader, path, lines, twice
        # Aliased values are built once. The node is kept too, so that its id stays unique.
        self.items: dict[int, tuple[Any, YamlItem, int]] = {}
        self.inside: list[int] = []

    def where(self, node: Any) -> Where:
        if node.id == "mapping" and node.value and not node.flow_style:
            return self.where(node.value[0][0])  # the place of a mapping is its first key
        line, column = node.start_mark.line, node.start_mark.column
        same_line = node.end_mark.line == line and node.id == "scalar"
        width = node.end_mark.column - column if same_line else 1
        text = self.lines[line] if line < len(self.lines) else ""
        return Where(self.path, line + 1, column + 1, max(width, 1), text)

    def item(self, node: Any) -> YamlItem:
        if id(node) not in self.items:
            if id(node) in self.inside:
                raise ConfigError("this alias is inside its own anchor", self.where(node))
            if len(self.inside) >= DEEPEST:
                raise _too_deep(self.where(node))
            self.inside.append(id(node))
            item = YamlItem(self.value(node), self.where(node))
            self.inside.pop()
            self.items[id(node)] = (node, item, self.size(node))
        return self.items[id(node)][1]

    def value(self, node: Any) -> Any:
        if node.id == "mapping":
            return self.mapping(node)
        if node.id == "sequence":
            return tuple(self.item(child) for child in node.value)
        try:
            return self.loader.construct_object(node)
        except ValueError as error:
            what = f"`{node.value[:40]}` is not a value: {error}"
            raise ConfigError(what, self.where(node), "quote it if it is text") from None

    def size(self, node: Any) -> int:
        """Number of values, with aliases expanded."""
        parts = node.value if node.id == "sequence" else ()
        if node.id == "mapping":
            parts = [value for _, value in node.value]
        size = 1 + sum(self.items[id(part)][2] for part in parts if id(part) in self.items)
        if size > MOST:
            raise ConfigError(
                f"aliases expand to more than {MOST:,} values",
                self.where(node),
                hint="aliases of aliases multiply their values",
            )
        return size

    def merged(self, node: Any) -> dict[str, tuple[Where, YamlItem]]:
        if node.id != "mapping":
            raise ConfigError(
                "`<<` takes a mapping, or a list of them", self.where(node), "write `<<: *name`"
            )
        item = self.item(node)
        return dict(item.value)

    def mapping(self, node: Any) -> dict[str, tuple[Where, YamlItem]]:
        entries: dict[str, tuple[Where, YamlItem]] = {}
        inherited: dict[str, tuple[Where, YamlItem]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                parts = value_node.value if value_node.id == "sequence" else [value_node]
                for part in reversed(parts):
                    inherited |= self.merged(part)
                continue
            key = key_node.value
            place = self.where(key_node)
            if not isinstance(key, str):
                raise ConfigError("a key must be a text", place)
            if key in entries:
                error = ConfigError(
                    f"the key `{key}` appears twice",
                    place,
                    hint=f"the first is on line {entries[key][0].line}; keep one of them",
                )
                self.on_duplicate(error)
            entries[key] = (place, self.item(value_node))
        return inherited | entries
