"""Data tests as they stand in dbt's YAML, named as dbt names them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from transformer.project.dbt.configs import cleaned, options, united
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.words import LATER, YamlRenderer, child, texts, truth
from transformer.project.tree import YamlItem
from transformer.project.values import CheckConfig, CheckSpec

_WORDS = (
    "severity tags enabled where limit warn_if error_if fail_calc store_failures"
    " store_failures_as meta database schema alias group sql_header"
)
_CONFIG = frozenset(_WORDS.split())
_KIND = re.compile(r"(?:(?P<package>[A-Za-z_]\w*)\.)?(?P<name>[A-Za-z_]\w*)\Z")
# A name longer than this is shortened where it names a table.
_LONGEST = 63


class TestSubject(Struct, frozen=True):
    """What checks are attached to: its name in theirs, and how their `model` calls it."""

    name: str
    call: str
    prefix: str = ""


def model_subject(name: str, version: str | None = None) -> TestSubject:
    """A model, seed or snapshot, or one version of a model."""
    if version:
        return TestSubject(f"{name}_v{version}", f"ref('{name}', version='{version}')")
    return TestSubject(name, f"ref('{name}')")


def source_subject(source: str, table: str) -> TestSubject:
    """A table of a source."""
    return TestSubject(f"{source}_{table}", f"source('{source}', '{table}')", "source_")


class WrittenTest(Struct, frozen=True):
    """A test as it is written, its parts told apart."""

    kind: str
    package: str | None
    name: str | None
    args: Mapping[str, Any]
    config: Mapping[str, Any]
    description: str = ""


class DbtCheckReader(Struct, frozen=True):
    """Reads the test lists of one package's files."""

    project: ProjectFile
    root: ProjectFile
    words: YamlRenderer

    def read(
        self,
        item: YamlItem | None,
        subject: TestSubject,
        file: PackageFile,
        column: tuple[str, str, tuple[str, ...]] | None = None,
        tags: tuple[str, ...] = (),
    ) -> tuple[CheckSpec, ...]:
        """The checks of a list; disabled ones are left out. A column is its name, the name as a
        query writes it, and its tags."""
        if item is None or item.value is None:
            return ()
        if not item.is_list:
            self.words.notes.mistake("tests are a list", item.where, "begin each with `- `")
            return ()
        found = (self._one(each, subject, file, column, tags) for each in item.value)
        return tuple(check for check in found if check is not None and check.config.enabled)

    def _one(
        self,
        item: YamlItem,
        subject: TestSubject,
        file: PackageFile,
        column: tuple[str, str, tuple[str, ...]] | None,
        tags: tuple[str, ...],
    ) -> CheckSpec | None:
        name, sought = column[:2] if column else (None, None)
        written = self._written(item, sought)
        if written is None:
            return None
        full, short = names(written, subject)
        fqn = (*_yaml_folders(file), full)
        config = self._config(written, fqn, (*tags, *(column[2] if column else ())))
        args = dict(written.args)
        if args.get("column_name") == name:
            args.pop("column_name", None)
        return CheckSpec(
            kind=f"{written.package}.{written.kind}" if written.package else written.kind,
            args=args,
            config=check_config(config),
            where=item.where,
            name=full,
            column=name,
            package=self.project.package,
            suffix=suffix(full, written, subject),
            description=written.description,
            fqn=fqn,
            alias=str(config.get("alias") or (short if short != full else "")),
            given=frozenset(written.config) | frozenset(self._over(fqn)),
        )

    def _config(
        self, written: WrittenTest, fqn: tuple[str, ...], tags: tuple[str, ...]
    ) -> dict[str, Any]:
        below = options(self.project.tree("tests"), (self.project.name, *fqn))
        return united(below, {"tags": tags}, cleaned(written.config), self._over(fqn))

    def _over(self, fqn: tuple[str, ...]) -> dict[str, Any]:
        """What the project's own tree says of a package's test."""
        if not self.project.package:
            return {}
        return options(self.root.tree("tests"), (self.project.name, *fqn))

    def _written(self, item: YamlItem, column: str | None) -> WrittenTest | None:
        kind, body = _kind_and_body(item)
        found = _KIND.match(kind) if kind else None
        if found is None or body is None:
            self.words.notes.mistake(
                "a test is a name, or a name with its arguments",
                item.where,
                hint="write `- unique` or `- accepted_values: {arguments: {values: [a, b]}}`",
            )
            return None
        return self._parts(found, body, column)

    def _parts(self, kind: re.Match[str], body: YamlItem, column: str | None) -> WrittenTest:
        entries = dict(body.value)
        arguments = entries.get("arguments")
        if arguments and (arguments[1].is_map or arguments[1].value is None):
            entries.pop("arguments")
            entries |= arguments[1].value or {}
        block = entries.pop("config", None)
        beside = {key: entries.pop(key) for key in tuple(entries) if key in _CONFIG}
        written = {**beside, **(block[1].value if block and block[1].is_map else {})}
        config = {
            key: value.plain() if key in LATER else self.words.value(value)
            for key, (_, value) in written.items()
        }
        name = entries.pop("name", None)
        described = entries.pop("description", None)
        args = {key: value.plain() for key, (_, value) in entries.items()}
        if column is not None:
            args["column_name"] = column
        return WrittenTest(
            kind=kind["name"],
            package=kind["package"],
            name=str(name[1].value) if name and name[1].value else None,
            args=args,
            config={key: value for key, value in config.items() if value is not None},
            description=str(described[1].value or "") if described else "",
        )


def _kind_and_body(item: YamlItem) -> tuple[str | None, YamlItem | None]:
    """The kind of a test and what stands with it, in every spelling."""
    if isinstance(item.value, str):
        return item.value, YamlItem({}, item.where)
    if not item.is_map or not item.value:
        return None, None
    flat = child(item, "test_name")
    if flat is not None:
        rest = {key: each for key, each in item.value.items() if key != "test_name"}
        return str(flat.value), YamlItem(rest, item.where)
    (kind, _, body), *more = item.entries()
    if body.value is None:  # its keys may stand on the same level
        rest = {key: item.value[key] for key, _, _ in more}
        return kind, YamlItem(rest, item.where)
    return (kind, body) if body.is_map and not more else (None, None)


def names(written: WrittenTest, subject: TestSubject) -> tuple[str, str]:
    """The name of a test, and the shorter one of its table."""
    if written.name:
        return written.name, written.name
    flat: list[str] = []
    for key in sorted(written.args):
        value = written.args[key]
        parts = value.values() if isinstance(value, dict) else value
        flat += [str(part) for part in (parts if isinstance(value, dict | list) else [value])]
    unique = "__".join(re.sub("[^0-9a-zA-Z_]+", "_", part) for part in flat)
    kind = f"{subject.prefix}{written.kind}"
    kind = f"{written.package}_{kind}" if written.package else kind
    base = f"{kind}_{subject.name}"
    full = f"{base}_{unique}"
    return full, f"{base[:30]}_{_md5(full)}" if len(full) > _LONGEST else full


def suffix(name: str, written: WrittenTest, subject: TestSubject) -> str:
    """What follows the name in the test's id: a hash of all that it was made of."""
    model = f"{{{{ get_where_subquery({subject.call}) }}}}"
    made_of = {
        "namespace": written.package,
        "name": written.kind,
        "kwargs": {**written.args, "model": model},
    }
    return _md5(name + repr(_hashable(made_of)))[-10:]


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hashable(value[key]) for key in sorted(value)}
    return [_hashable(each) for each in value] if isinstance(value, list) else str(value)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _yaml_folders(file: PackageFile) -> tuple[str, ...]:
    return tuple(file.local.split("/")[1:-1])


def check_config(written: Mapping[str, Any]) -> CheckConfig:
    """How a test's result counts, from its merged configuration."""
    kept_as = written.get("store_failures_as")
    return CheckConfig(
        severity=str(written.get("severity") or "error").lower(),
        where=_text(written, "where"),
        warn_if=str(written.get("warn_if") or "!= 0"),
        error_if=str(written.get("error_if") or "!= 0"),
        limit=_whole(written.get("limit")),
        store_failures=truth(written.get("store_failures") or False),
        tags=texts(written.get("tags")),
        enabled=truth(written.get("enabled")),
        fail_calc=str(written.get("fail_calc") or "count(*)"),
        schema=_text(written, "schema"),
        meta=written.get("meta") or {},
        store_failures_as=str(kept_as).lower() if kept_as else None,
        alias=_text(written, "alias"),
        database=_text(written, "database"),
        group=_text(written, "group"),
        sql_header=_text(written, "sql_header"),
    )


def _text(written: Mapping[str, Any], key: str) -> str | None:
    value = written.get(key)
    return None if value is None else str(value)


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
