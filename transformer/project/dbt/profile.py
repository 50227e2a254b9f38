"""`profiles.yml`: the warehouse of a dbt project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.errors import TransformError, UsageError, Where, did_you_mean
from transformer.project.dbt.words import YamlRenderer, as_mapping, child
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
_IGNORED = frozenset(("keep_open", "use_credential_provider", "disable_transactions", "retries"))
# Keys whose values become part of relation names and paths: they may not hold secrets.
_NAMES = frozenset(("type", "path", "schema", "database", "threads", "extensions"))
# Keys of a profile whose values a template must not see.
_SECRET_WORDS = ("secret", "password", "pass", "token", "key", "credential", "remote", "plugins")


class SecretMapping(dict[str, Any]):
    """A mapping whose repr hides its values, which may be passwords."""

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{key}: …' for key in self)}}}"


class ProfileRequest(Struct, frozen=True):
    """The requested profile and target, and the folders to search."""

    folders: tuple[Path, ...]
    profile: str
    target: str | None = None
    threads: int | None = None
    target_path: str = field(default="target")


def folders(root: Path, option: Path | None, env: Mapping[str, str]) -> tuple[Path, ...]:
    """The folders to search for `profiles.yml`; an explicit one is the only one."""
    folder = option or (Path(env["DBT_PROFILES_DIR"]) if env.get("DBT_PROFILES_DIR") else None)
    if folder is not None:
        return (folder.expanduser(),)
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return (root, home / ".dbt")


def read_target(request: ProfileRequest, renderer: YamlRenderer) -> Target:
    """The target. Raises UsageError for an unknown profile, target or adapter."""
    path = _find_file(request.folders)
    try:
        tree = _without_lines(parse(read_file(path, FILE), FILE, lambda _: None))
    except TransformError as error:
        where = replace(error.where, text="") if error.where else None
        raise UsageError(error.what, where, error.hint) from None
    profiles = [key for key, _, _ in tree.entries()] if tree.is_map else []
    profile = child(tree, request.profile)
    if profile is None:
        raise UsageError(
            f"`{FILE}` has no profile `{request.profile}`",
            Where(FILE, 1),
            did_you_mean(request.profile, set(profiles) - {"config"}),
        )
    name, output = _output(profile, request, renderer)
    return _target(name, output, request, renderer)


def _without_lines(item: YamlItem) -> YamlItem:
    """The same without source lines, which may contain passwords."""
    where = replace(item.where, text="")
    if item.is_map:
        entries = item.entries()
        return YamlItem(
            {k: (replace(place, text=""), _without_lines(v)) for k, place, v in entries}, where
        )
    if item.is_list:
        return YamlItem(tuple(_without_lines(element) for element in item.value), where)
    return YamlItem(item.value, where)


def _find_file(places: tuple[Path, ...]) -> Path:
    for folder in places:
        saw(folder / FILE)
        if (folder / FILE).is_file():
            return folder / FILE
    searched = " nor in ".join(f"`{folder}`" for folder in places)
    raise UsageError(
        f"there is no `{FILE}` in {searched}",
        hint="create one, or pass its folder with --profiles-dir",
    )


def _output(
    profile: YamlItem, request: ProfileRequest, renderer: YamlRenderer
) -> tuple[str, YamlItem]:
    target_item = child(profile, "target")
    name = request.target or (renderer.scalar(target_item) if target_item else None) or "default"
    outputs = child(profile, "outputs")
    names = [key for key, _, _ in outputs.entries()] if outputs and outputs.is_map else []
    output = child(outputs, str(name))
    if output is None or not output.is_map:
        raise UsageError(
            f"the profile `{request.profile}` has no target `{name}`",
            outputs.where if outputs else profile.where,
            did_you_mean(str(name), names),
        )
    return str(name), output


def _target(name: str, output: YamlItem, request: ProfileRequest, renderer: YamlRenderer) -> Target:
    connecting = renderer.for_secrets()
    written = {
        key: (renderer if key in _NAMES else connecting).under(key, item, later=())
        for key, _, item in output.entries()
    }
    kind = written.get("type")
    if kind not in ADAPTERS:
        place = child(output, "type") or output
        raise UsageError(
            f"the target `{name}` wants the adapter `{kind}`; only DuckDB is supported",
            place.where,
            hint="add a target with `type: duckdb` to the profile, and choose it with --target",
        )
    path, catalog = _path(str(written.get("path") or MEMORY), name, output, request, renderer)
    schema = str(written.get("schema") or "main")
    threads = request.threads or _count(written.get("threads"))
    catalog = str(written.get("database") or catalog)
    if catalog.lower() in _RESERVED:
        raise UsageError(
            f"a warehouse cannot be named `{catalog}`: DuckDB reserves this name",
            (child(output, "database") or child(output, "path") or output).where,
            hint="give its file another name",
        )
    _say_unread(written, renderer)
    return Target(
        name=name,
        type=str(kind),
        path=path,
        schema=schema,
        threads=threads,
        publish=Publish("always", keep_failed=True),
        settings=SecretMapping(as_mapping(written.get("settings"))),
        catalog=catalog,
        profile=request.profile,
        extensions=tuple(_extensions(written.get("extensions"))),
        attach=tuple(SecretMapping(item) for item in _maps(written.get("attach"))),
        words=_visible_values(written)
        | {"profile_name": request.profile, "target_name": name, "name": name, "schema": schema}
        | {"database": catalog, "type": str(kind), "threads": threads, "path": path},
        places={key: (child(output, key) or output).where for key in ("path", "settings")},
        secrets=tuple(SecretMapping(item) for item in _maps(written.get("secrets"))),
    )


def _path(
    path: str, name: str, output: YamlItem, request: ProfileRequest, renderer: YamlRenderer
) -> tuple[str, str]:
    """The path of the file, and its catalog name in queries."""
    if path == MEMORY:
        renderer.notes.say(
            f"the target `{name}` is in memory; it is built as a file instead: "
            f"`{request.target_path}/memory.duckdb`"
        )
        return f"{request.target_path}/memory.duckdb", "memory"
    if path.split(":", 1)[0] in ("md", "motherduck"):
        raise UsageError(
            f"the target `{name}` is a MotherDuck database; only DuckDB files are supported",
            (child(output, "path") or output).where,
            hint="give the target a `path` to a file",
        )
    # As DuckDB names it: up to the first dot, leading dots aside.
    return path, PurePosixPath(path.split("?", 1)[0]).name.lstrip(".").split(".")[0]


def _count(value: Any) -> int:
    try:
        return max(1, int(value))
    except (TypeError, ValueError):
        return 1


def _extensions(value: Any) -> Iterator[str]:
    """Names of extensions; with a repository as `name from repository`."""
    for extension in value or ():
        if isinstance(extension, Mapping):
            repo = extension.get("repo") or extension.get("repository")
            yield f"{extension.get('name')} from {repo}" if repo else str(extension.get("name"))
        else:
            yield str(extension)


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    entries = value if isinstance(value, list) else [value] if value else []
    return (entry for entry in entries if isinstance(entry, Mapping))


def _visible_values(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of the profile that templates may see: plain values, no secrets."""
    visible = {
        key: value
        for key, value in profile.items()
        if isinstance(value, str | int | float | bool)
        and not any(word in key.lower() for word in _SECRET_WORDS)
    }
    return {"external_root": ".", "extensions": list(_extensions(profile.get("extensions")))} | {
        key: value for key, value in visible.items() if key != "extensions"
    }


def _say_unread(profile: Mapping[str, Any], renderer: YamlRenderer) -> None:
    for key, value in profile.items():
        if key not in _READ and key not in _IGNORED and isinstance(value, list | dict) and value:
            renderer.notes.say(f"`{key}` in `{FILE}` is ignored")
