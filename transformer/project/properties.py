"""The YAML files beside models: what is said of models, seeds, snapshots, sources, activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from transformer.errors import TransformError, Where, did_you_mean
from transformer.project.checks import CheckReader
from transformer.project.reader import MappingBlock, YamlReader
from transformer.project.schema import LOAD, PROPERTIES, Vocabulary
from transformer.project.settings import merge, plain_option
from transformer.project.tree import YamlItem, parse
from transformer.project.values import (
    Activation,
    Column,
    Described,
    Freshness,
    Load,
    Snapshot,
    SourceTable,
)


class NodePatch(Struct, frozen=True):
    """What YAML says of a node that has a file: its description and configuration."""

    name: str
    described: Described
    config: Mapping[str, Any]
    where: Where


class Properties(Struct):
    """Everything read from the property files, in the order of the files."""

    reader: YamlReader
    checks: CheckReader
    vocabulary: Vocabulary
    models: list[NodePatch] = field(default_factory=list)
    seeds: list[NodePatch] = field(default_factory=list)
    snapshots: list[tuple[str, Snapshot]] = field(default_factory=list)
    sources: list[SourceTable] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)

    def read(self, text: str, path: str) -> None:
        """Reads one file; a file that is no YAML is one mistake."""
        try:
            tree = parse(text, path)
        except TransformError as error:
            self.reader.mistakes.append(error)
            return
        block = self.reader.block(tree, PROPERTIES, f"`{path}`")
        self.models += [self._patch(each) for each in block["models"]]
        self.seeds += [self._patch(each) for each in block["seeds"]]
        for each in block["snapshots"]:
            patch = self._patch(each)
            made = Snapshot(
                patch.name, each["relation"] or "", patch.where, patch.config, patch.described
            )
            self.snapshots.append((path, made))
        for each in block["sources"]:
            self.sources += self._tables(each)
        found = [self._activation(each) for each in block["activations"]]
        self.activations += [each for each in found if each]

    def _described(self, block: MappingBlock) -> Described:
        columns = tuple(self._column(each) for each in block["columns"])
        return Described(
            description=block["description"].strip(),
            columns=columns,
            checks=self.checks.read(block.items.get("data_tests")),
            meta=block["meta"] or {},
            where=block.value_place("name"),
        )

    def _column(self, block: MappingBlock) -> Column:
        return Column(
            name=block["name"] or "",
            where=block.value_place("name"),
            description=block["description"].strip(),
            data_type=block["data_type"],
            checks=self.checks.read(block.items.get("data_tests"), block["name"]),
            tags=block["tags"],
            meta=block["meta"] or {},
        )

    def _patch(self, block: MappingBlock) -> NodePatch:
        config = (
            {k: plain_option(v) for k, v in block["config"].written().items()}
            if block["config"]
            else {}
        )
        upper: dict[str, Any] = {key: block[key] for key in ("tags", "meta") if block[key]}
        return NodePatch(
            block["name"] or "",
            self._described(block),
            merge(config, upper),
            block.value_place("name"),
        )

    def _tables(self, source: MappingBlock) -> list[SourceTable]:
        if not source["enabled"]:
            return []
        return [self._table(source, each) for each in source["tables"] if each["enabled"]]

    def _table(self, source: MappingBlock, table: MappingBlock) -> SourceTable:
        name = table["name"] or ""
        return SourceTable(
            source=source["name"] or "",
            name=name,
            schema=source["schema"] or source["name"] or "",
            identifier=table["identifier"] or name,
            where=table.value_place("name"),
            described=self._described(table),
            freshness=self._freshness(source, table),
            load=self._load(source.items.get("load"), table.items.get("load"), table.where),
            tags=(*source["tags"], *table["tags"]),
        )

    def _freshness(self, source: MappingBlock, table: MappingBlock) -> Freshness | None:
        block = table["freshness"] or source["freshness"]
        column = table["loaded_at_field"] or source["loaded_at_field"]
        if block is None:
            return None
        if not column:
            self.reader.mistake(
                "`freshness` needs a `loaded_at_field`",
                block.where,
                hint="name the column that says when a row came, such as `_loaded_at`",
            )
            return None
        return Freshness(column, block["warn_after"], block["error_after"], block["filter"])

    def _load(self, shared: YamlItem | None, own: YamlItem | None, where: Where) -> Load | None:
        if shared is None and own is None:
            return None
        if any(each is not None and not each.is_map for each in (shared, own)):
            return Load("", {}, where, broken=True)  # a mistake that is noted already
        entries = {**(shared.value if shared else {}), **(own.value if own else {})}
        place = (own or shared or YamlItem({}, where)).where
        kind_item = entries.get("kind")
        kind = self.reader.word(kind_item[1], "kind") if kind_item else None
        fields = self._kind(kind, "source", kind_item[0] if kind_item else place)
        if fields is None or kind is None:
            return Load(kind or "", {}, place, broken=True)
        before = len(self.reader.mistakes)
        block = self.reader.block(YamlItem(entries, place), (*LOAD, *fields), "`load`")
        self._load_makes_sense(block)
        common = {f.name for f in LOAD}
        options = {k: v for k, v in block.values.items() if k not in common}
        return Load(
            kind=kind,
            options=options,
            where=place,
            mode=block["mode"],
            key=block["key"],
            cursor=block["cursor"],
            on_schema_change=block["on_schema_change"],
            max_quarantined=block["max_quarantined"],
            max_removed=block["max_removed"],
            places={key: block.value_place(key) for key in block.places},
            broken=len(self.reader.mistakes) > before,
        )

    def _load_makes_sense(self, block: MappingBlock) -> None:
        if block["mode"] == "merge" and not block["key"]:
            self.reader.mistake(
                "mode `merge` needs a `key`",
                block.place("mode"),
                hint="name the columns that identify a row: `key: [id]`",
            )

    def _kind(self, kind: str | None, what: str, where: Where) -> Any:
        known = self.vocabulary.sources if what == "source" else self.vocabulary.targets
        if kind is None:
            self.reader.mistake(
                f"this {what} says no `kind`", where, hint=f"known: {', '.join(sorted(known))}"
            )
            return None
        if kind not in known:
            self.reader.mistake(
                f"unknown kind of {what} `{kind}`", where, did_you_mean(kind, known)
            )
        return known.get(kind)

    def _activation(self, block: MappingBlock) -> Activation | None:
        if not block["enabled"]:
            return None
        to = block.items.get("to")
        if to is None or not to.is_map:
            return None
        kind_entry = to.value.get("kind")
        kind = self.reader.word(kind_entry[1], "kind") if kind_entry else None
        fields = self._kind(kind, "target", kind_entry[1].where if kind_entry else to.where)
        if fields is None or kind is None:
            return None
        rest = YamlItem({k: v for k, v in to.value.items() if k != "kind"}, to.where)
        read = self.reader.block(rest, fields, f"`to` of kind `{kind}`").values
        options = {name: plain_option(value) for name, value in read.items()}
        return Activation(
            name=block["name"] or "",
            model=block["model"] or "",
            kind=kind,
            options=options,
            key=block["key"],
            where=block.value_place("model"),
            mode=block["mode"],
            fields={str(k): str(v) for k, v in (block["fields"] or {}).items()},
            batch_size=block["batch_size"],
            max_rejected=block["max_rejected"],
            max_removed=block["max_removed"],
            description=block["description"].strip(),
            tags=block["tags"],
            places=_places(block),
        )


def _places(block: MappingBlock) -> dict[str, Where]:
    """Where the values of an activation stand, those of `fields` each for itself."""
    places = {key: block.value_place(key) for key in block.places}
    fields = block.items.get("fields")
    for _, where, item in fields.entries() if fields and fields.is_map else ():
        places[f"fields.{item.value}"] = item.where if item.value else where
    return places
