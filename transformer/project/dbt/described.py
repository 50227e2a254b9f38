"""What a property file says of a node: description, columns, tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.project.dbt.checks import DbtCheckReader, TestSubject
from transformer.project.dbt.configs import with_top_level
from transformer.project.dbt.docs import DocBlocks
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.words import YamlRenderer, child, mapping, texts, truth
from transformer.project.tree import YamlItem
from transformer.project.values import CheckSpec, Column, Described

_TESTS = ("data_tests", "tests")
_FACTS = ("deprecation_date", "time_spine", "version", "latest_version")


class DescriptionReader(Struct, frozen=True):
    """Reads what is said of nodes in the files of one package. `package` is its name."""

    words: YamlRenderer
    docs: DocBlocks
    checks: DbtCheckReader
    package: str

    def described(
        self, item: YamlItem, subject: TestSubject, file: PackageFile, tags: tuple[str, ...] = ()
    ) -> Described:
        """What an entry says. `tags` are those its tests have from above."""
        config = self.config(item)
        quotes = truth(self._plain(item, "quote_columns") or False)
        columns = tuple(
            self._column(each, subject, file, (quotes, tags)) for each in _blocks(item, "columns")
        )
        name = child(item, "name")
        return Described(
            description=self.docs.describe(child(item, "description"), self.words, self.package),
            columns=columns,
            checks=self.checks.read(child(item, *_TESTS), subject, file, tags=tags),
            meta=mapping(config.get("meta")),
            where=name.where if name else item.where,
            constraints=self._constraints(item),
            facts=self._facts(item),
        )

    def _facts(self, item: YamlItem) -> dict[str, Any]:
        """What an entry says of itself beside what is built of it."""
        found = {key: self._plain(item, key) for key in _FACTS if child(item, key)}
        if found.get("deprecation_date") is not None:
            found["deprecation_date"] = moment_text(found["deprecation_date"])
        return found

    def config(self, item: YamlItem) -> dict[str, Any]:
        """The configuration of an entry: its `config:`, and what may stand beside it."""
        block = child(item, "config")
        beside = {
            key: self._plain(item, key)
            for key in ("tags", "meta", "docs", "access", "group", "contract")
        }
        return with_top_level(beside, mapping(self.words.value(block) if block else None))

    def _column(
        self,
        item: YamlItem,
        subject: TestSubject,
        file: PackageFile,
        above: tuple[bool, tuple[str, ...]],
    ) -> Column:
        name = str(self._plain(item, "name") or "")
        config = self.config(item)
        tags = texts(config.get("tags"))
        written = self._plain(item, "quote")
        quote = truth(written) if written is not None else above[0]
        sought = '"' + name.replace('"', '""') + '"' if quote else name
        at = child(item, "name") or item
        data_type = self._plain(item, "data_type")
        return Column(
            name=name,
            where=at.where,
            description=self.docs.describe(child(item, "description"), self.words, self.package),
            data_type=None if data_type is None else str(data_type),
            checks=self.checks.read(
                child(item, *_TESTS), subject, file, (name, sought, tags), above[1]
            ),
            tags=tags,
            meta=mapping(config.get("meta")),
            quote=quote,
            constraints=self._constraints(item),
            granularity=self._plain(item, "granularity"),
        )

    def _constraints(self, item: YamlItem) -> tuple[dict[str, Any], ...]:
        found = self._plain(item, "constraints")
        return tuple(each for each in found or () if isinstance(each, dict))

    def _plain(self, item: YamlItem, key: str) -> Any:
        found = child(item, key)
        return self.words.under(key, found) if found else None


def moment_text(written: Any) -> str:
    """A date or a time as dbt writes it: ISO 8601, in UTC where no zone is given."""
    try:
        found = datetime.fromisoformat(str(written))
    except ValueError:
        return str(written)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()


def every_check(described: Described) -> Iterator[CheckSpec]:
    """The checks of a node and of its columns."""
    yield from described.checks
    for column in described.columns:
        yield from column.checks


def with_checks(described: Described, more: tuple[CheckSpec, ...]) -> Described:
    """The same with checks that other files put on the node."""
    return replace(described, checks=(*described.checks, *more)) if more else described


def _blocks(item: YamlItem, key: str) -> Iterator[YamlItem]:
    found = child(item, key)
    for each in found.value if found is not None and found.is_list else ():
        if each.is_map and "name" in each.value:
            yield each
