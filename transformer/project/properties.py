"""The YAML files beside models: properties of models, seeds, snapshots, sources, activations."""

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
    """Description and configuration in YAML of a node that has a file."""

    name: str
    described: Described
    config: Mapping[str, Any]
    where: Where


class Properties(Struct):
    """The content of all property files, in the order of the files."""

    reader: YamlReader
    checks: CheckReader
    vocabulary: Vocabulary
    models: list[NodePatch] = field(default_factory=list)
    seeds: list[NodePatch] = field(default_factory=list)
    snapshots: list[tuple[str, Snapshot]] = field(default_factory=list)
    sources: list[SourceTable] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)

    def read(self, text: str, path: str) -> None:
        """Reads one file; invalid YAML is a single mistake."""
        try:
            tree = parse(text, path)
        except TransformError as error:
            self.reader.mistakes.append(error)
            return
        block = self.reader.block(tree, PROPERTIES, f"`{path}`")
        self.models += [self._patch(entry) for entry in block["models"]]
        self.seeds += [self._patch(entry) for entry in block["seeds"]]
        for entry in block["snapshots"]:
            patch = self._patch(entry)
            snapshot = Snapshot(
                patch.name, entry["relation"] or "", patch.where, patch.config, patch.described
            )
            self.snapshots.append((path, snapshot))
        for entry in block["sources"]:
            self.sources += self._tables(entry)
        activations = [self._activation(entry) for entry in block["activations"]]
        self.activations += [entry for entry in activations if entry]

    def _described(self, block: MappingBlock) -> Described:
        columns = tuple(self._column(column) for column in block["columns"])
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
        return [self._table(source, table) for table in source["tables"] if table["enabled"]]

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
                hint="name the column with the time when a row arrived, such as `_loaded_at`",
            )
            return None
        return Freshness(column, block["warn_after"], block["error_after"], block["filter"])

    def _load(
        self, source_load: YamlItem | None, table_load: YamlItem | None, where: Where
    ) -> Load | None:
        if source_load is None and table_load is None:
            return None
        if any(item is not None and not item.is_map for item in (source_load, table_load)):
            return Load("", {}, where, broken=True)  # already noted as a mistake
        entries = {
            **(source_load.value if source_load else {}),
            **(table_load.value if table_load else {}),
        }
        place = (table_load or source_load or YamlItem({}, where)).where
        kind_entry = entries.get("kind")
        kind = self.reader.word(kind_entry[1], "kind") if kind_entry else None
        fields = self._kind(kind, "source", kind_entry[0] if kind_entry else place)
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
        kinds = self.vocabulary.sources if what == "source" else self.vocabulary.targets
        if kind is None:
            self.reader.mistake(
                f"this {what} has no `kind`", where, hint=f"known: {', '.join(sorted(kinds))}"
            )
            return None
        if kind not in kinds:
            self.reader.mistake(
                f"unknown kind of {what} `{kind}`", where, did_you_mean(kind, kinds)
            )
        return kinds.get(kind)

    def _activation(self, block: MappingBlock) -> Activation | None:
        if not block["enabled"]:
            return None
        target = block.items.get("to")
        if target is None or not target.is_map:
            return None
        kind_entry = target.value.get("kind")
        kind = self.reader.word(kind_entry[1], "kind") if kind_entry else None
        fields = self._kind(kind, "target", kind_entry[1].where if kind_entry else target.where)
        if fields is None or kind is None:
            return None
        rest = YamlItem({k: v for k, v in target.value.items() if k != "kind"}, target.where)
        values = self.reader.block(rest, fields, f"`to` of kind `{kind}`").values
        options = {name: plain_option(value) for name, value in values.items()}
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
    """Places of an activation's values; each entry of `fields` has its own."""
    places = {key: block.value_place(key) for key in block.places}
    fields = block.items.get("fields")
    for _, where, item in fields.entries() if fields and fields.is_map else ():
        places[f"fields.{item.value}"] = item.where if item.value else where
    return places
