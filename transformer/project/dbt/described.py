"""A node's description in a property file: text, columns, tests."""

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
from transformer.project.dbt.words import YamlRenderer, as_flag, as_mapping, child, texts
from transformer.project.tree import YamlItem
from transformer.project.values import CheckSpec, Column, Described

_TESTS = ("data_tests", "tests")
_FACTS = ("deprecation_date", "time_spine", "version", "latest_version")


class DescriptionReader(Struct, frozen=True):
    """Reads the descriptions of nodes in one package, whose name is `package`."""

    renderer: YamlRenderer
    docs: DocBlocks
    checks: DbtCheckReader
    package: str

    def described(
        self, item: YamlItem, subject: TestSubject, file: PackageFile, tags: tuple[str, ...] = ()
    ) -> Described:
        """The description of an entry. `tags` are inherited by its tests."""
        config = self.config(item)
        quoted = as_flag(self._plain(item, "quote_columns") or False)
        columns = tuple(
            self._column(entry, subject, file, (quoted, tags)) for entry in _blocks(item, "columns")
        )
        name = child(item, "name")
        return Described(
            description=self.docs.describe(child(item, "description"), self.renderer, self.package),
            columns=columns,
            checks=self.checks.read(child(item, *_TESTS), subject, file, tags=tags),
            meta=as_mapping(config.get("meta")),
            where=name.where if name else item.where,
            constraints=self._constraints(item),
            facts=self._facts(item),
        )

    def _facts(self, item: YamlItem) -> dict[str, Any]:
        """Keys of an entry that do not affect the build."""
        facts = {key: self._plain(item, key) for key in _FACTS if child(item, key)}
        if facts.get("deprecation_date") is not None:
            facts["deprecation_date"] = moment_text(facts["deprecation_date"])
        return facts

    def config(self, item: YamlItem) -> dict[str, Any]:
        """The configuration of an entry: its `config:` and the allowed top-level keys."""
        block = child(item, "config")
        top_level = {
            key: self._plain(item, key)
            for key in ("tags", "meta", "docs", "access", "group", "contract")
        }
        return with_top_level(top_level, as_mapping(self.renderer.value(block) if block else None))

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
        quote = as_flag(written) if written is not None else above[0]
        sql_name = '"' + name.replace('"', '""') + '"' if quote else name
        place = child(item, "name") or item
        data_type = self._plain(item, "data_type")
        return Column(
            name=name,
            where=place.where,
            description=self.docs.describe(child(item, "description"), self.renderer, self.package),
            data_type=None if data_type is None else str(data_type),
            checks=self.checks.read(
                child(item, *_TESTS), subject, file, (name, sql_name, tags), above[1]
            ),
            tags=tags,
            meta=as_mapping(config.get("meta")),
            quote=quote,
            constraints=self._constraints(item),
            granularity=self._plain(item, "granularity"),
        )

    def _constraints(self, item: YamlItem) -> tuple[dict[str, Any], ...]:
        constraints = self._plain(item, "constraints")
        return tuple(constraint for constraint in constraints or () if isinstance(constraint, dict))

    def _plain(self, item: YamlItem, key: str) -> Any:
        value = child(item, key)
        return self.renderer.under(key, value) if value else None


def moment_text(value: Any) -> str:
    """A date or time as dbt writes it: ISO 8601, in UTC if no time zone is given."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def every_check(described: Described) -> Iterator[CheckSpec]:
    """The checks of a node and of its columns."""
    yield from described.checks
    for column in described.columns:
        yield from column.checks


def with_checks(described: Described, more: tuple[CheckSpec, ...]) -> Described:
    """The same with further checks from other files."""
    return replace(described, checks=(*described.checks, *more)) if more else described


def _blocks(item: YamlItem, key: str) -> Iterator[YamlItem]:
    entries = child(item, key)
    for entry in entries.value if entries is not None and entries.is_list else ():
        if entry.is_map and "name" in entry.value:
            yield entry
