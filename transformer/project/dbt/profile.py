"""`profiles.yml`: which warehouse a dbt project is built in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.errors import TransformError, UsageError, Where, did_you_mean
from transformer.project.dbt.words import YamlRenderer, child, mapping
from transformer.project.inputs import saw
from transformer.project.settings import read_file
from transformer.project.tree import YamlItem, parse
from transformer.project.values import Publish, Target

FILE = "profiles.yml"
ADAPTERS = ("duckdb",)
MEMORY = ":memory:"
_RESERVED = ("main", "system", "temp")
_WORDS = "type path schema database threads extensions settings attach secrets external_root"
_READ = frozenset(_WORDS.split())
_SILENT = frozenset(("keep_open", "use_credential_provider", "disable_transactions", "retries"))
# Keys whose values become names and places of relations: they may hold no secret.
_NAMES = frozenset(("type", "path", "schema", "database", "threads", "extensions"))
# Keys of a profile whose values a template must not see.
_CLOSED = ("secret", "password", "pass", "token", "key", "credential", "remote", "plugins")


class SecretMapping(dict[str, Any]):
    """A mapping whose values are not shown: there may be passwords among them."""

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{key}: …' for key in self)}}}"


class ProfileRequest(Struct, frozen=True):
    """What is asked for: where profiles may lie, which profile, which of its targets."""

    folders: tuple[Path, ...]
    profile: str
    target: str | None = None
    threads: int | None = None
    target_path: str = field(default="target")


def folders(root: Path, given: Path | None, env: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders in which `profiles.yml` is looked for; a named one is the only one."""
    named = given or (Path(env["DBT_PROFILES_DIR"]) if env.get("DBT_PROFILES_DIR") else None)
    if named is not None:
        return (named.expanduser(),)
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return (root, home / ".dbt")


def read_target(wanted: ProfileRequest, words: YamlRenderer) -> Target:
    """The target. Raises UsageError when there is no such profile, target or adapter."""
    path = _find(wanted.folders)
    try:
        tree = _closed(parse(read_file(path, FILE), FILE, lambda _: None))
    except TransformError as error:
        place = replace(error.where, text="") if error.where else None
        raise UsageError(error.what, place, error.hint) from None
    profiles = [key for key, _, _ in tree.entries()] if tree.is_map else []
    profile = child(tree, wanted.profile)
    if profile is None:
        raise UsageError(
            f"`{FILE}` has no profile `{wanted.profile}`",
            Where(FILE, 1),
            did_you_mean(wanted.profile, set(profiles) - {"config"}),
        )
    name, output = _output(profile, wanted, words)
    return _target(name, output, wanted, words)


def _closed(item: YamlItem) -> YamlItem:
    """The same without the lines it stands on: there may be passwords on them."""
    where = replace(item.where, text="")
    if item.is_map:
        entries = item.entries()
        return YamlItem({k: (replace(at, text=""), _closed(v)) for k, at, v in entries}, where)
    if item.is_list:
        return YamlItem(tuple(_closed(each) for each in item.value), where)
    return YamlItem(item.value, where)


def _find(places: tuple[Path, ...]) -> Path:
    for folder in places:
        saw(folder / FILE)
        if (folder / FILE).is_file():
            return folder / FILE
    looked = " nor in ".join(f"`{folder}`" for folder in places)
    raise UsageError(
        f"there is no `{FILE}` in {looked}",
        hint="write one, or name its folder with --profiles-dir",
    )


def _output(profile: YamlItem, wanted: ProfileRequest, words: YamlRenderer) -> tuple[str, YamlItem]:
    written = child(profile, "target")
    name = wanted.target or (words.scalar(written) if written else None) or "default"
    outputs = child(profile, "outputs")
    known = [key for key, _, _ in outputs.entries()] if outputs and outputs.is_map else []
    output = child(outputs, str(name))
    if output is None or not output.is_map:
        raise UsageError(
            f"the profile `{wanted.profile}` has no target `{name}`",
            outputs.where if outputs else profile.where,
            did_you_mean(str(name), known),
        )
    return str(name), output


def _target(name: str, output: YamlItem, wanted: ProfileRequest, words: YamlRenderer) -> Target:
    connecting = words.for_secrets()
    written = {
        key: (words if key in _NAMES else connecting).under(key, each, later=())
        for key, _, each in output.entries()
    }
    kind = written.get("type")
    if kind not in ADAPTERS:
        place = child(output, "type") or output
        raise UsageError(
            f"the target `{name}` wants the adapter `{kind}`; only DuckDB runs here",
            place.where,
            hint="add a target with `type: duckdb` to the profile, and name it with --target",
        )
    path, catalog = _path(str(written.get("path") or MEMORY), name, output, wanted, words)
    schema = str(written.get("schema") or "main")
    threads = wanted.threads or _count(written.get("threads"))
    catalog = str(written.get("database") or catalog)
    if catalog.lower() in _RESERVED:
        raise UsageError(
            f"a warehouse cannot be called `{catalog}`: DuckDB keeps that name for itself",
            (child(output, "database") or child(output, "path") or output).where,
            hint="give its file another name",
        )
    _say_unread(written, words)
    return Target(
        name=name,
        type=str(kind),
        path=path,
        schema=schema,
        threads=threads,
        publish=Publish("always", keep_failed=True),
        settings=SecretMapping(mapping(written.get("settings"))),
        catalog=catalog,
        profile=wanted.profile,
        extensions=tuple(_extensions(written.get("extensions"))),
        attach=tuple(SecretMapping(each) for each in _maps(written.get("attach"))),
        words=_open(written)
        | {"profile_name": wanted.profile, "target_name": name, "name": name, "schema": schema}
        | {"database": catalog, "type": str(kind), "threads": threads, "path": path},
        places={key: (child(output, key) or output).where for key in ("path", "settings")},
        secrets=tuple(SecretMapping(each) for each in _maps(written.get("secrets"))),
    )


def _path(
    path: str, name: str, output: YamlItem, wanted: ProfileRequest, words: YamlRenderer
) -> tuple[str, str]:
    """The file, and the name that queries give it."""
    if path == MEMORY:
        words.notes.say(
            f"the target `{name}` is in memory; here it is a file, "
            f"`{wanted.target_path}/memory.duckdb`"
        )
        return f"{wanted.target_path}/memory.duckdb", "memory"
    if path.split(":", 1)[0] in ("md", "motherduck"):
        raise UsageError(
            f"the target `{name}` is a database in MotherDuck; only DuckDB files are built here",
            (child(output, "path") or output).where,
            hint="give the target a `path` to a file",
        )
    # As DuckDB names it: up to the first dot that the name does not begin with.
    return path, PurePosixPath(path.split("?", 1)[0]).name.lstrip(".").split(".")[0]


def _count(value: Any) -> int:
    try:
        return max(1, int(value))
    except (TypeError, ValueError):
        return 1


def _extensions(value: Any) -> Iterator[str]:
    """Names of extensions; one of another repository is written `name from repository`."""
    for each in value or ():
        if isinstance(each, Mapping):
            repo = each.get("repo") or each.get("repository")
            yield f"{each.get('name')} from {repo}" if repo else str(each.get("name"))
        else:
            yield str(each)


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else [value] if value else []
    return (each for each in entries if isinstance(each, Mapping))


def _open(written: Mapping[str, Any]) -> dict[str, Any]:
    """What a template may see of the profile: plain values that are no secrets."""
    plain = {
        key: value
        for key, value in written.items()
        if isinstance(value, str | int | float | bool)
        and not any(word in key.lower() for word in _CLOSED)
    }
    return {"external_root": ".", "extensions": list(_extensions(written.get("extensions")))} | {
        key: value for key, value in plain.items() if key != "extensions"
    }


def _say_unread(written: Mapping[str, Any], words: YamlRenderer) -> None:
    for key, value in written.items():
        if key not in _READ and key not in _SILENT and isinstance(value, list | dict) and value:
            words.notes.say(f"`{key}` in `{FILE}` is passed over")
