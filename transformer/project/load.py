"""Reads a native project: its folders, its YAML, and the optional `transform.yml`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from msgspec import Struct, field

from transformer.errors import ConfigError, UsageError, Where, did_you_mean, reason_of
from transformer.project.checks import CheckReader, custom_tests
from transformer.project.digests import native_digest
from transformer.project.inputs import saw, saw_folder
from transformer.project.paths import not_a_file, path_shown, unusable
from transformer.project.properties import NodePatch, Properties
from transformer.project.reader import Renderer, YamlReader
from transformer.project.schema import (
    CHECK_CONFIG,
    MODEL_CONFIG,
    SEED_CONFIG,
    SNAPSHOT_CONFIG,
    Vocabulary,
)
from transformer.project.settings import (
    FILE,
    ConfigTree,
    Settings,
    merge,
    read_file,
    read_settings,
    read_tree,
)
from transformer.project.values import (
    NOTHING,
    MacroFile,
    Model,
    Project,
    Seed,
    SqlCheck,
)

# Renders the Jinja of one YAML string: (text, place, vars) -> text.
YamlRenderer = Callable[[str, Where, Mapping[str, Any]], str]
T = TypeVar("T")


class ProjectRequest(Struct, frozen=True):
    """The project options from the command line."""

    root: Path
    target: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)


def load_project(
    request: ProjectRequest, vocabulary: Vocabulary, render: YamlRenderer, connecting: YamlRenderer
) -> Project:
    """The project in `request.root`, with its mistakes as values rather than raised.
    `connecting` renders values that may hold a secret, `render` all others.

    Raises UsageError if there is no project or no such target.
    """
    root = request.root
    if not root.is_dir():
        raise UsageError(f"there is no folder `{root}`", hint="name it with --project-dir")
    reader = YamlReader(_with_vars(request.vars, render), _with_vars(request.vars, connecting))
    settings = read_settings(root, reader, request.target, request.vars)
    reader.render = _with_vars(settings.vars, render)
    reader.connecting = _with_vars(settings.vars, connecting)
    files = _Files(root, reader)
    _is_project(root, settings)
    macros = tuple(
        MacroFile(path, files.text(path)) for path in files.under(settings, "macro-paths", ".sql")
    )
    checks = CheckReader(reader, vocabulary.checks, custom_tests(macros))
    checks.defaults = _tree(reader, settings, "data_tests", CHECK_CONFIG).options(settings.name, ())
    properties = Properties(reader, checks, vocabulary)
    for key in ("model-paths", "seed-paths"):
        for path in files.under(settings, key, ".yml", ".yaml"):
            properties.read(files.text(path), path)
    return _Assembly(settings, reader, files, properties).project(macros, checks)


def _with_vars(variables: Mapping[str, Any], render: YamlRenderer) -> Renderer:
    return lambda text, where: render(text, where, variables)


def _is_project(root: Path, settings: Settings) -> None:
    if (root / FILE).is_file() or any((root / p).is_dir() for p in settings.paths("model-paths")):
        return
    raise UsageError(
        f"`{root.name}` is not a project: it has neither {FILE} nor a folder `models`",
        hint="create one with `transform init NAME`, or choose one with `--project-dir`",
    )


def _tree(reader: YamlReader, settings: Settings, key: str, fields: Any) -> ConfigTree:
    return read_tree(reader, settings.block.items.get(key), fields, f"`{key}` of `{FILE}`")


class _Files:
    """The project's files as paths relative to the root; unreadable ones are noted as mistakes."""

    def __init__(self, root: Path, reader: YamlReader) -> None:
        self.root, self.reader = root, reader
        self.unread: set[str] = set()

    def under(self, settings: Settings, key: str, *endings: str) -> list[str]:
        paths: list[str] = []
        for folder in settings.paths(key):
            if reason := unusable(folder):
                what = f"`{key}`: this is not a path: {reason}"
                self.reader.mistake(what, settings.block.value_place(key))
                continue
            home = self.root / folder
            saw_folder(home)
            if not self.inside(home):
                place = settings.block.place(key)
                self.reader.mistake(f"the folder `{folder}` is outside the project", place)
                continue
            if not home.is_dir():
                if key in settings.block.places:
                    place = settings.block.place(key)
                    self.reader.mistake(f"there is no folder `{folder}`", place)
                continue
            below = PurePosixPath(folder).as_posix()
            paths += sorted(self.walked(home, below, endings), key=lambda path: path.split("/"))
        return paths

    def walked(self, home: Path, shown: str, endings: tuple[str, ...]) -> Iterator[str]:
        """The files below a folder, except hidden ones and folders behind links."""
        saw_folder(home)
        try:
            entries = list(os.scandir(home))
        except OSError as error:
            self.unreadable(shown, error)
            return
        for entry in entries:
            if entry.name.startswith((".", "__")):
                continue
            path = f"{shown}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self.walked(home / entry.name, path, endings)
            elif Path(entry.name).suffix in endings and self.check_usable(entry, path):
                yield path

    def check_usable(self, entry: os.DirEntry[str], path: str) -> bool:
        """Whether the file can be read; if not, that is noted as a mistake."""
        if reason := not_a_file(Path(entry.path)):
            self.reader.mistake(reason, Where(path_shown(path), 1), hint="remove or repair it")
            return False
        return not entry.is_symlink() or self.check_inside(Path(entry.path), path)

    def unreadable(self, shown: str, error: OSError) -> None:
        reason = reason_of(error)
        what = f"the folder `{shown}` cannot be read: {reason}"
        self.reader.mistake(what, Where(FILE), hint="check its permissions")

    def inside(self, path: Path) -> bool:
        """Whether the path, links resolved, is inside the project."""
        return path.resolve().is_relative_to(self.root.resolve())

    def check_inside(self, path: Path, shown: str) -> bool:
        if not self.inside(path):
            self.reader.mistake("this link points outside the project", Where(shown, 1))
        return self.inside(path)

    def text(self, path: str) -> str:
        try:
            return read_file(self.root / path, path)
        except ConfigError as error:
            self.reader.mistakes.append(error)
            self.unread.add(path)
        return ""

    def digest(self, path: str) -> str:
        saw(self.root / path)
        try:
            return native_digest((self.root / path).read_bytes())
        except OSError as error:
            what = f"this file cannot be read: {reason_of(error)}"
            self.reader.mistake(what, Where(path, 1), hint="check its permissions")
            return ""


class _Assembly:
    """Combines files, patches and configuration trees into the project's values."""

    def __init__(
        self, settings: Settings, reader: YamlReader, files: _Files, properties: Properties
    ) -> None:
        self.settings, self.reader = settings, reader
        self.files, self.properties = files, properties

    def project(self, macros: tuple[MacroFile, ...], checks: CheckReader) -> Project:
        models = tuple(self.models())
        seeds = tuple(self.seeds())
        snapshots = tuple(self.snapshots())
        self.unmatched(self.properties.models, [m.name for m in models], "model")
        self.unmatched(self.properties.seeds, [s.name for s in seeds], "seed")
        return Project(
            root=str(self.files.root),
            name=self.settings.name,
            target=self.settings.target,
            models=models,
            seeds=seeds,
            snapshots=snapshots,
            sources=tuple(self.properties.sources),
            activations=tuple(self.properties.activations),
            sql_checks=tuple(self.sql_checks(checks)),
            macros=macros,
            vars=self.settings.vars,
            allowed_paths=self.settings.paths("allowed-paths"),
            folders=tuple(
                folder
                for key in ("model-paths", "seed-paths", "macro-paths", "test-paths")
                for folder in self.settings.paths(key)
            ),
            drops_removed=self.settings.block["removed_models"] == "drop",
            mistakes=tuple(self.reader.mistakes),
            unread=frozenset(self.files.unread),
        )

    def models(self) -> Iterator[Model]:
        tree = self.tree("models", MODEL_CONFIG)
        patches = _by_name(self.properties.models)
        paths = self.files.under(self.settings, "model-paths", ".sql", ".py")
        for path in paths:
            name = Path(path).stem
            patch = patches.get(name)
            described = patch.described if patch else NOTHING
            config = self.config(tree, path, "model-paths", patch)
            if config.get("enabled", True) or patch is None:
                language: Any = "python" if path.endswith(".py") else "sql"
                yield Model(name, path, self.files.text(path), language, config, described)
        self.folders_exist(tree, paths, "model-paths", "models")

    def seeds(self) -> Iterator[Seed]:
        tree = self.tree("seeds", SEED_CONFIG)
        patches = _by_name(self.properties.seeds)
        paths = self.files.under(self.settings, "seed-paths", ".csv")
        for path in paths:
            name = Path(path).stem
            patch = patches.get(name)
            config = self.config(tree, path, "seed-paths", patch)
            if config.get("enabled", True):
                described = patch.described if patch else NOTHING
                yield Seed(name, path, self.files.digest(path), config, described)
        self.folders_exist(tree, paths, "seed-paths", "seeds")

    def snapshots(self) -> Iterator[Any]:
        tree = self.tree("snapshots", SNAPSHOT_CONFIG)
        for path, snapshot in self.properties.snapshots:
            folders = self.folders(path, "model-paths")
            config = merge(
                tree.options(self.settings.name, (*folders, snapshot.name)), snapshot.config
            )
            if config.get("enabled", True):
                yield type(snapshot)(
                    snapshot.name, snapshot.relation, snapshot.where, config, snapshot.described
                )

    def sql_checks(self, checks: CheckReader) -> Iterator[SqlCheck]:
        config = checks._config({})
        for path in self.files.under(self.settings, "test-paths", ".sql"):
            yield SqlCheck(Path(path).stem, path, self.files.text(path), config)

    def tree(self, key: str, fields: Any) -> ConfigTree:
        return _tree(self.reader, self.settings, key, fields)

    def folders(self, path: str, key: str) -> tuple[str, ...]:
        for home in self.settings.paths(key):
            below = f"{PurePosixPath(home).as_posix()}/"
            if path.startswith(below):
                return tuple(path.removeprefix(below).split("/")[:-1])
        return ()

    def config(
        self, tree: ConfigTree, path: str, key: str, patch: NodePatch | None
    ) -> Mapping[str, Any]:
        fqn = (*self.folders(path, key), Path(path).stem)
        inherited = tree.options(self.settings.name, fqn)
        return merge(inherited, patch.config) if patch else inherited

    def folders_exist(self, tree: ConfigTree, paths: list[str], key: str, what: str) -> None:
        """Notes folders in the tree that match nothing: most likely typos."""
        names = {self.settings.name: ()}
        for path in paths:
            fqn = (*self.folders(path, key), Path(path).stem)
            names |= dict.fromkeys(fqn, ())
        for folder in tree.folders():
            for part in folder:
                if part not in names:
                    self.reader.mistake(
                        f"`{what}` configures `{'/'.join(folder)}`, which does not exist",
                        self.settings.block.place(what),
                        did_you_mean(part, names, otherwise=""),
                    )
                    break

    def unmatched(self, patches: Iterable[NodePatch], names: list[str], what: str) -> None:
        first_places: dict[str, Where] = {}
        for patch in patches:
            if not patch.name:
                continue
            if patch.name not in names and patch.config.get("enabled", True):
                self.reader.mistake(
                    f"there is no {what} `{patch.name}`",
                    patch.where,
                    did_you_mean(patch.name, names),
                )
            if patch.name in first_places:
                self.reader.mistake(
                    f"the {what} `{patch.name}` is described twice",
                    patch.where,
                    hint=f"the first is at {first_places[patch.name]}",
                )
            first_places.setdefault(patch.name, patch.where)


def _by_name(patches: list[NodePatch]) -> dict[str, NodePatch]:
    return {patch.name: patch for patch in patches}
