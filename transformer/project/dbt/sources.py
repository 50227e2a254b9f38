"""Sources: tables in the warehouse, in another database, or in files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from transformer.project.dbt.checks import source_subject
from transformer.project.dbt.configs import merge_layers, normalized_config, options
from transformer.project.dbt.described import DescriptionReader
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.properties import PropertyEntry
from transformer.project.dbt.words import LATER, YamlRenderer, as_flag, as_mapping, child, texts
from transformer.project.tree import YamlItem
from transformer.project.values import Freshness, SourceTable

_PERIODS = {"minute": 60, "hour": 3600, "day": 86400, "second": 1, "week": 604800}
_MISSING: Any = object()


class SourceReader(Struct, frozen=True):
    """Reads the sources of one package. `catalog` is the warehouse's catalog."""

    project: ProjectFile
    root: ProjectFile
    describer: DescriptionReader
    catalog: str

    @property
    def renderer(self) -> YamlRenderer:
        """The renderer for this package's files."""
        return self.describer.renderer

    def read(
        self, entry: PropertyEntry, patch: PropertyEntry | None = None
    ) -> Iterator[tuple[SourceTable, bool]]:
        """The tables of a source, and whether each is enabled. `patch` is another package's
        override."""
        source = _patched(entry.item, patch.item, ("tables", "overrides")) if patch else entry.item
        tables = {str(_name(table)): table for table in _tables(entry.item)}
        patches = {str(_name(table)): table for table in _tables(patch.item)} if patch else {}
        for name, item in tables.items():
            table = _patched(item, patches[name]) if name in patches else item
            yield self._table(entry, source, table)

    def _table(
        self, entry: PropertyEntry, source: YamlItem, table: YamlItem
    ) -> tuple[SourceTable, bool]:
        source_values, values = self._plain(source), self._plain(table)
        source_name, name = (
            str(source_values.get("name") or entry.name),
            str(values.get("name") or ""),
        )
        fqn = (*entry.file.folders, source_name, name)
        config = self._config(fqn, source_values, values)
        identifier = str(values.get("identifier") or name)
        schema = str(source_values.get("schema") or source_name)
        database = str(source_values.get("database") or source_values.get("catalog") or "")
        source_tags = texts(source_values.get("tags"))
        tags = tuple(dict.fromkeys((*source_tags, *texts(values.get("tags")))))
        described = self.describer.described(
            table, source_subject(source_name, name), entry.file, tags
        )
        described = replace(described, facts=self._facts(source, source_values, values))
        names = {"name": name, "identifier": identifier, "schema": schema, "database": database}
        place = child(table, "name") or table
        source_table = SourceTable(
            source=source_name,
            name=name,
            schema=schema,
            identifier=identifier,
            where=place.where,
            described=described,
            freshness=self._freshness(source_values, values, config),
            tags=texts(config.get("tags")),
            package=self.project.package,
            fqn=fqn,
            database="" if database in ("", self.catalog) else database,
            reads=_read_call({**names, "source": source_name}, config, self.renderer),
            config=config,
        )
        return source_table, as_flag(config.get("enabled"))

    def _facts(
        self, source: YamlItem, source_values: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Description, meta and quoting of the source, by dbt's names."""
        describe, renderer = self.describer.docs.describe, self.renderer
        quoting = {**as_mapping(source_values.get("quoting")), **as_mapping(values.get("quoting"))}
        parts = ("database", "schema", "identifier", "column")
        return {
            "source_description": describe(
                child(source, "description"), renderer, self.describer.package
            ),
            "source_meta": as_mapping(
                source_values.get("meta") or as_mapping(source_values.get("config")).get("meta")
            ),
            "quoting": {part: quoting.get(part) for part in parts},
        }

    def _plain(self, item: YamlItem) -> dict[str, Any]:
        """The rendered values of an entry, without its tables, columns and tests."""
        return {
            key: value.plain() if key in LATER else self.renderer.under(key, value)
            for key, _, value in item.entries()
            if key not in ("tables", "columns", "description", "tests", "data_tests")
        }

    def _config(
        self, fqn: tuple[str, ...], source_values: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        layers = [options(self.project.tree("sources"), (self.project.name, *fqn))]
        for entry in (source_values, values):
            top_level = {
                k: entry[k] for k in ("enabled", "tags", "meta") if entry.get(k) is not None
            }
            layers += [
                normalized_config(top_level),
                normalized_config(as_mapping(entry.get("config"))),
            ]
        for entry in (source_values, values):
            layers.append({k: entry[k] for k in ("loader", "external") if entry.get(k) is not None})
        if self.project.package:
            layers.append(options(self.root.tree("sources"), (self.project.name, *fqn)))
        return merge_layers(*layers)

    def _freshness(
        self, source_values: Mapping[str, Any], values: Mapping[str, Any], config: Mapping[str, Any]
    ) -> Freshness | None:
        layers = (self.root.tree("sources"), source_values, as_mapping(source_values.get("config")))
        rules: dict[str, Any] | None = None
        for layer in (*layers, values, as_mapping(values.get("config"))):
            written = layer.get("freshness", layer.get("+freshness", _MISSING))
            if written is not _MISSING:
                rules = None if written is None else _merged_rules(rules or {}, as_mapping(written))
        if not rules or not (rules.get("warn_after") or rules.get("error_after")):
            return None
        configs = as_mapping(values.get("config")), as_mapping(source_values.get("config"))
        by_precedence = (values, configs[0], source_values, configs[1], config)
        column = _first_set("loaded_at_field", *by_precedence)
        query = _first_set("loaded_at_query", *by_precedence)
        if not column and not query:
            self.renderer.notes.say("`freshness` without a `loaded_at_field` is ignored")
            return None
        warn, error = (_seconds(rules.get(key)) for key in ("warn_after", "error_after"))
        filter_ = rules.get("filter")
        row_filter = None if filter_ is None else str(filter_)
        # dbt rejects both at once; a table's own field overrides an inherited query.
        return Freshness(str(column or ""), warn, error, row_filter, "" if column else str(query))


def _first_set(key: str, *layers: Mapping[str, Any]) -> Any:
    """The value in the first layer that has the key, even if it is None."""
    return next((layer[key] for layer in layers if key in layer), None)


def _merged_rules(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in upper.items():
        current = merged.get(key)
        are_mappings = isinstance(current, Mapping) and isinstance(value, Mapping)
        merged[key] = {**as_mapping(current), **as_mapping(value)} if are_mappings else value
    return merged


def _seconds(rule: Any) -> int | None:
    if not isinstance(rule, Mapping) or not rule.get("count") or not rule.get("period"):
        return None
    try:
        period = _PERIODS[str(rule["period"]).removesuffix("s")]
        return int(rule["count"]) * period
    except (KeyError, TypeError, ValueError):
        return None


def _read_call(names: Mapping[str, str], config: Mapping[str, Any], renderer: YamlRenderer) -> str:
    """How DuckDB reads a table that is a file: a call as written, or a quoted path."""
    meta = as_mapping(config.get("meta"))
    merged = {**meta, **config}
    location = merged.get("external_location")
    if merged.get("plugin"):
        renderer.notes.say(f"`plugin: {merged['plugin']}` of a source is ignored")
    if not location:
        return ""
    text = _formatted(str(location), str(merged.get("formatter") or "newstyle"), {**meta, **names})
    return text if "(" in text or text.startswith("'") else "'" + text.replace("'", "''") + "'"


def _formatted(text: str, style: str, names: Mapping[str, Any]) -> str:
    if style == "oldstyle":
        return re.sub(r"%\((\w+)\)s", lambda match: str(names.get(match[1], match[0])), text)
    if style == "template":
        return Template(text).safe_substitute(names)
    return re.sub(r"\{(\w+)\}", lambda match: str(names.get(match[1], match[0])), text)


def _tables(source: YamlItem) -> Iterator[YamlItem]:
    tables = child(source, "tables")
    for table in tables.value if tables is not None and tables.is_list else ():
        if table.is_map and "name" in table.value:
            yield table


def _name(item: YamlItem) -> Any:
    name = child(item, "name")
    return name.value if name else None


def _patched(item: YamlItem, patch: YamlItem, without: tuple[str, ...] = ()) -> YamlItem:
    replaced = {key: value for key, value in patch.value.items() if key not in without}
    return YamlItem({**item.value, **replaced}, item.where)
