"""Data tests in dbt's YAML, named as dbt names them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from transformer.project.dbt.configs import merge_layers, normalized_config, options
from transformer.project.dbt.files import PackageFile
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.words import LATER, YamlRenderer, as_flag, child, texts
from transformer.project.tree import YamlItem
from transformer.project.values import CheckConfig, CheckSpec

_WORDS = (
    "severity tags enabled where limit warn_if error_if fail_calc store_failures"
    " store_failures_as meta database schema alias group sql_header"
)
_CONFIG = frozenset(_WORDS.split())
_KIND = re.compile(r"(?:(?P<package>[A-Za-z_]\w*)\.)?(?P<name>[A-Za-z_]\w*)\Z")
# Longer names are shortened when they name a table.
_LONGEST = 63


class TestSubject(Struct, frozen=True):
    """What checks are attached to: its part of the test's name, and the Jinja call for `model`."""

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
    """A test as written, split into its parts."""

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
    renderer: YamlRenderer

    def read(
        self,
        item: YamlItem | None,
        subject: TestSubject,
        file: PackageFile,
        column: tuple[str, str, tuple[str, ...]] | None = None,
        tags: tuple[str, ...] = (),
    ) -> tuple[CheckSpec, ...]:
        """The enabled checks of a list. `column` is its name, the name as SQL, and its tags."""
        if item is None or item.value is None:
            return ()
        if not item.is_list:
            self.renderer.notes.mistake("tests must be a list", item.where, "begin each with `- `")
            return ()
        checks = (self._check(entry, subject, file, column, tags) for entry in item.value)
        return tuple(check for check in checks if check is not None and check.config.enabled)

    def _check(
        self,
        item: YamlItem,
        subject: TestSubject,
        file: PackageFile,
        column: tuple[str, str, tuple[str, ...]] | None,
        tags: tuple[str, ...],
    ) -> CheckSpec | None:
        name, sql_name = column[:2] if column else (None, None)
        written = self._written(item, sql_name)
        if written is None:
            return None
        full_name, short_name = test_names(written, subject)
        fqn = (*_yaml_folders(file), full_name)
        config = self._config(written, fqn, (*tags, *(column[2] if column else ())))
        args = dict(written.args)
        if args.get("column_name") == name:
            args.pop("column_name", None)
        return CheckSpec(
            kind=f"{written.package}.{written.kind}" if written.package else written.kind,
            args=args,
            config=check_config(config),
            where=item.where,
            name=full_name,
            column=name,
            package=self.project.package,
            suffix=id_suffix(full_name, written, subject),
            description=written.description,
            fqn=fqn,
            alias=str(config.get("alias") or (short_name if short_name != full_name else "")),
            pinned=frozenset(written.config) | frozenset(self._root_options(fqn)),
        )

    def _config(
        self, written: WrittenTest, fqn: tuple[str, ...], tags: tuple[str, ...]
    ) -> dict[str, Any]:
        from_folders = options(self.project.tree("tests"), (self.project.name, *fqn))
        return merge_layers(
            from_folders, {"tags": tags}, normalized_config(written.config), self._root_options(fqn)
        )

    def _root_options(self, fqn: tuple[str, ...]) -> dict[str, Any]:
        """The root project's configuration for a package's test."""
        if not self.project.package:
            return {}
        return options(self.root.tree("tests"), (self.project.name, *fqn))

    def _written(self, item: YamlItem, column: str | None) -> WrittenTest | None:
        kind, body = _kind_and_body(item)
        match = _KIND.match(kind) if kind else None
        if match is None or body is None:
            self.renderer.notes.mistake(
                "a test must be a name, or a name with arguments",
                item.where,
                hint="write `- unique` or `- accepted_values: {arguments: {values: [a, b]}}`",
            )
            return None
        return self._parts(match, body, column)

    def _parts(self, kind: re.Match[str], body: YamlItem, column: str | None) -> WrittenTest:
        entries = dict(body.value)
        arguments = entries.get("arguments")
        if arguments and (arguments[1].is_map or arguments[1].value is None):
            entries.pop("arguments")
            entries |= arguments[1].value or {}
        block = entries.pop("config", None)
        top_level = {key: entries.pop(key) for key in tuple(entries) if key in _CONFIG}
        written = {**top_level, **(block[1].value if block and block[1].is_map else {})}
        config = {
            key: value.plain() if key in LATER else self.renderer.value(value)
            for key, (_, value) in written.items()
        }
        name = entries.pop("name", None)
        description = entries.pop("description", None)
        args = {key: value.plain() for key, (_, value) in entries.items()}
        if column is not None:
            args["column_name"] = column
        return WrittenTest(
            kind=kind["name"],
            package=kind["package"],
            name=str(name[1].value) if name and name[1].value else None,
            args=args,
            config={key: value for key, value in config.items() if value is not None},
            description=str(description[1].value or "") if description else "",
        )


def _kind_and_body(item: YamlItem) -> tuple[str | None, YamlItem | None]:
    """The kind and the body of a test, in every spelling."""
    if isinstance(item.value, str):
        return item.value, YamlItem({}, item.where)
    if not item.is_map or not item.value:
        return None, None
    named = child(item, "test_name")
    if named is not None:
        rest = {key: value for key, value in item.value.items() if key != "test_name"}
        return str(named.value), YamlItem(rest, item.where)
    (kind, _, body), *more = item.entries()
    if body.value is None:  # its keys may be on the same level
        rest = {key: item.value[key] for key, _, _ in more}
        return kind, YamlItem(rest, item.where)
    return (kind, body) if body.is_map and not more else (None, None)


def test_names(written: WrittenTest, subject: TestSubject) -> tuple[str, str]:
    """The name of a test, and the possibly shorter name of its table."""
    if written.name:
        return written.name, written.name
    texts: list[str] = []
    for key in sorted(written.args):
        value = written.args[key]
        parts = value.values() if isinstance(value, dict) else value
        texts += [str(part) for part in (parts if isinstance(value, dict | list) else [value])]
    unique = "__".join(re.sub("[^0-9a-zA-Z_]+", "_", part) for part in texts)
    kind = f"{subject.prefix}{written.kind}"
    kind = f"{written.package}_{kind}" if written.package else kind
    base = f"{kind}_{subject.name}"
    full_name = f"{base}_{unique}"
    return full_name, f"{base[:30]}_{_md5(full_name)}" if len(full_name) > _LONGEST else full_name


def id_suffix(name: str, written: WrittenTest, subject: TestSubject) -> str:
    """The hash of name, arguments and subject that ends the test's id, as in dbt."""
    model = f"{{{{ get_where_subquery({subject.call}) }}}}"
    identity = {
        "namespace": written.package,
        "name": written.kind,
        "kwargs": {**written.args, "model": model},
    }
    return _md5(name + repr(_hashable(identity)))[-10:]


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hashable(value[key]) for key in sorted(value)}
    return [_hashable(element) for element in value] if isinstance(value, list) else str(value)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _yaml_folders(file: PackageFile) -> tuple[str, ...]:
    return tuple(file.local.split("/")[1:-1])


def check_config(written: Mapping[str, Any]) -> CheckConfig:
    """How a test's result is rated, from its merged configuration."""
    store_as = written.get("store_failures_as")
    return CheckConfig(
        severity=str(written.get("severity") or "error").lower(),
        where=_text(written, "where"),
        warn_if=str(written.get("warn_if") or "!= 0"),
        error_if=str(written.get("error_if") or "!= 0"),
        limit=_integer(written.get("limit")),
        store_failures=as_flag(written.get("store_failures") or False),
        tags=texts(written.get("tags")),
        enabled=as_flag(written.get("enabled")),
        fail_calc=str(written.get("fail_calc") or "count(*)"),
        schema=_text(written, "schema"),
        meta=written.get("meta") or {},
        store_failures_as=str(store_as).lower() if store_as else None,
        alias=_text(written, "alias"),
        database=_text(written, "database"),
        group=_text(written, "group"),
        sql_header=_text(written, "sql_header"),
    )


def _text(written: Mapping[str, Any], key: str) -> str | None:
    value = written.get(key)
    return None if value is None else str(value)


def _integer(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
