"""Sources: tables that lie in the warehouse, in another one, or in files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.project.dbt.checks import source_subject
from transformer.project.dbt.configs import cleaned, options, united
from transformer.project.dbt.described import DescriptionReader
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.properties import PropertyEntry
from transformer.project.dbt.words import LATER, YamlRenderer, child, mapping, texts, truth
from transformer.project.tree import YamlItem
from transformer.project.values import Freshness, SourceTable

_PERIODS = {"minute": 60, "hour": 3600, "day": 86400, "second": 1, "week": 604800}
_MISSING: Any = object()


class SourceReader(Struct, frozen=True):
    """Reads the sources of one package. `catalog` is the warehouse's own name."""

    project: ProjectFile
    root: ProjectFile
    describer: DescriptionReader
    catalog: str

    @property
    def words(self) -> YamlRenderer:
        """The Jinja of this package's files."""
        return self.describer.words

    def read(
        self, entry: PropertyEntry, patch: PropertyEntry | None = None
    ) -> Iterator[tuple[SourceTable, bool]]:
        """The tables of a source, and whether each is switched on. `patch` is what another
        package says instead."""
        source = _patched(entry.item, patch.item, ("tables", "overrides")) if patch else entry.item
        own = {str(_name(each)): each for each in _tables(entry.item)}
        other = {str(_name(each)): each for each in _tables(patch.item)} if patch else {}
        for name, item in own.items():
            table = _patched(item, other[name]) if name in other else item
            yield self._table(entry, source, table)

    def _table(
        self, entry: PropertyEntry, source: YamlItem, table: YamlItem
    ) -> tuple[SourceTable, bool]:
        head, own = self._plain(source), self._plain(table)
        source_name, name = str(head.get("name") or entry.name), str(own.get("name") or "")
        fqn = (*entry.file.folders, source_name, name)
        config = self._config(fqn, head, own)
        identifier = str(own.get("identifier") or name)
        schema = str(head.get("schema") or source_name)
        database = str(head.get("database") or head.get("catalog") or "")
        above = texts(head.get("tags"))
        tags = tuple(dict.fromkeys((*above, *texts(own.get("tags")))))
        described = self.describer.described(
            table, source_subject(source_name, name), entry.file, tags
        )
        described = replace(described, facts=self._facts(source, head, own))
        place = {"name": name, "identifier": identifier, "schema": schema, "database": database}
        at = child(table, "name") or table
        made = SourceTable(
            source=source_name,
            name=name,
            schema=schema,
            identifier=identifier,
            where=at.where,
            described=described,
            freshness=self._freshness(head, own, config),
            tags=texts(config.get("tags")),
            package=self.project.package,
            fqn=fqn,
            database="" if database in ("", self.catalog) else database,
            reads=_reads({**place, "source": source_name}, config, self.words),
            config=config,
        )
        return made, truth(config.get("enabled"))

    def _facts(
        self, source: YamlItem, head: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What is said of the source, and how its names are quoted, by dbt's names."""
        describe, words = self.describer.docs.describe, self.words
        quoting = {**mapping(head.get("quoting")), **mapping(own.get("quoting"))}
        parts = ("database", "schema", "identifier", "column")
        return {
            "source_description": describe(
                child(source, "description"), words, self.describer.package
            ),
            "source_meta": mapping(head.get("meta") or mapping(head.get("config")).get("meta")),
            "quoting": {part: quoting.get(part) for part in parts},
        }

    def _plain(self, item: YamlItem) -> dict[str, Any]:
        """What an entry says, Jinja filled in; not what is below it."""
        return {
            key: each.plain() if key in LATER else self.words.under(key, each)
            for key, _, each in item.entries()
            if key not in ("tables", "columns", "description", "tests", "data_tests")
        }

    def _config(
        self, fqn: tuple[str, ...], head: Mapping[str, Any], own: Mapping[str, Any]
    ) -> dict[str, Any]:
        layers = [options(self.project.tree("sources"), (self.project.name, *fqn))]
        for each in (head, own):
            beside = {k: each[k] for k in ("enabled", "tags", "meta") if each.get(k) is not None}
            layers += [cleaned(beside), cleaned(mapping(each.get("config")))]
        for each in (head, own):
            layers.append({k: each[k] for k in ("loader", "external") if each.get(k) is not None})
        if self.project.package:
            layers.append(options(self.root.tree("sources"), (self.project.name, *fqn)))
        return united(*layers)

    def _freshness(
        self, head: Mapping[str, Any], own: Mapping[str, Any], config: Mapping[str, Any]
    ) -> Freshness | None:
        layers = (self.root.tree("sources"), head, mapping(head.get("config")))
        rules: dict[str, Any] | None = None
        for layer in (*layers, own, mapping(own.get("config"))):
            said = layer.get("freshness", layer.get("+freshness", _MISSING))
            if said is not _MISSING:
                rules = None if said is None else _over(rules or {}, mapping(said))
        if not rules or not (rules.get("warn_after") or rules.get("error_after")):
            return None
        column = _last("loaded_at_field", own, mapping(own.get("config")), head,
                       mapping(head.get("config")), config)  # fmt: skip
        query = _last("loaded_at_query", own, mapping(own.get("config")), head,
                      mapping(head.get("config")), config)  # fmt: skip
        if not column and not query:
            self.words.notes.say("`freshness` without a `loaded_at_field` is passed over")
            return None
        warn, error = (_seconds(rules.get(key)) for key in ("warn_after", "error_after"))
        chosen = rules.get("filter")
        narrow = None if chosen is None else str(chosen)
        # Both at once are a mistake with dbt; a table's own field beats a query above it.
        return Freshness(str(column or ""), warn, error, narrow, "" if column else str(query))


def _last(key: str, *layers: Mapping[str, Any]) -> Any:
    """The first of the layers that speaks of the key, whatever it says."""
    return next((layer[key] for layer in layers if key in layer), None)


def _over(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = {**mapping(below), **mapping(value)} if both else value
    return merged


def _seconds(rule: Any) -> int | None:
    if not isinstance(rule, Mapping) or not rule.get("count") or not rule.get("period"):
        return None
    try:
        period = _PERIODS[str(rule["period"]).removesuffix("s")]
        return int(rule["count"]) * period
    except (KeyError, TypeError, ValueError):
        return None


def _reads(names: Mapping[str, str], config: Mapping[str, Any], words: YamlRenderer) -> str:
    """How DuckDB reads a table that is a file: a call as it is written, or a path in quotes."""
    meta = mapping(config.get("meta"))
    said = {**meta, **config}
    written = said.get("external_location")
    if said.get("plugin"):
        words.notes.say(f"`plugin: {said['plugin']}` of a source is passed over")
    if not written:
        return ""
    text = _formatted(str(written), str(said.get("formatter") or "newstyle"), {**meta, **names})
    return text if "(" in text or text.startswith("'") else "'" + text.replace("'", "''") + "'"


def _formatted(text: str, style: str, names: Mapping[str, Any]) -> str:
    if style == "oldstyle":
        return re.sub(r"%\((\w+)\)s", lambda found: str(names.get(found[1], found[0])), text)
    if style == "template":
        return Template(text).safe_substitute(names)
    return re.sub(r"\{(\w+)\}", lambda found: str(names.get(found[1], found[0])), text)


def _tables(source: YamlItem) -> Iterator[YamlItem]:
    found = child(source, "tables")
    for each in found.value if found is not None and found.is_list else ():
        if each.is_map and "name" in each.value:
            yield each


def _name(item: YamlItem) -> Any:
    found = child(item, "name")
    return found.value if found else None


def _patched(item: YamlItem, patch: YamlItem, without: tuple[str, ...] = ()) -> YamlItem:
    more = {key: each for key, each in patch.value.items() if key not in without}
    return YamlItem({**item.value, **more}, item.where)
