"""Macros by package: read from files, compiled by themselves, found by dbt's rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jinja2 import Environment, Template, Undefined, nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment

from transformer.compile.jinja.environment import (
    LenientUndefined,
    Strict,
    environment,
    syntax_error,
)
from transformer.errors import RenderError, TransformError, Where
from transformer.project.dbt.blocks import macros_that
from transformer.project.values import MacroFile

# The package of the macros that dbt projects find without naming it.
BUILT_IN = "dbt"
_CONFIGURES = re.compile(r"\bconfig\s*\(")
_HEAD = re.compile(r"{%[-+]?\s*(macro|test)\s+(?P<name>\w+)")
_BLOCKS = frozenset(("macro", "test", "data_test", "materialization"))
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
# Tags, and what may hide them: comments, raw text and expressions.
_TOKEN = re.compile(
    r"{#.*?#}"
    r"|{%[-+]?\s*raw\s*[-+]?%}.*?{%[-+]?\s*endraw\s*[-+]?%}"
    rf"|{{{{(?:[^'\"}}]|{_QUOTED}|}}(?!}}))*}}}}"
    rf"|{{%[-+]?\s*(?P<word>[A-Za-z_]\w*)(?:[^'\"%]|{_QUOTED}|%(?!}}))*%}}"
    r"|{#",
    re.DOTALL,
)


@dataclass(slots=True)
class Macro:
    """One macro, compiled by itself when it is first used, and where it stands. Of a built-in one
    there is only the text until then: there are hundreds of them, and few are used."""

    name: str
    path: str
    line: int
    source: nodes.Macro | str = field(repr=False)
    env: Environment = field(repr=False)
    package: str = ""
    _template: Template | None = field(default=None, repr=False)

    @property
    def qualified(self) -> str:
        """Its name with the package it is of; the project's own have none."""
        return f"{self.package}.{self.name}" if self.package else self.name

    @property
    def template(self) -> Template:
        """The macro as a template of its own."""
        if self._template is None:
            node = self.source
            if isinstance(node, str):
                node = next(self.env.parse(node, self.path, self.path).find_all(nodes.Macro))
            self._template = _as_template(self.env, node, self.path)
        return self._template


@dataclass(frozen=True)
class MacroLibrary:
    """The macros by package and name, and the texts of their files for messages.

    The project itself is the package without a name. Unqualified names are looked for in the
    package of the node that is rendered, then in the project, then in `BUILT_IN`, and at last in
    the package of the macro that asks.
    """

    env: SandboxedEnvironment
    packages: Mapping[str, Mapping[str, Macro]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    # Macros in files that could not be read: that they are missing is no mistake of its own.
    broken: frozenset[str] = frozenset()
    root: str = ""
    # The names that templates asked for, of all renderings together.
    asked: set[str] = field(default_factory=set)
    homes: Mapping[str, str] = field(default_factory=dict)
    dispatch: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def configuring(self) -> frozenset[str]:
        """The names of macros that may call `config(…)`, or call others that do."""
        texts = {path: text for path, text in self.texts.items() if self.homes[path] != BUILT_IN}
        return macros_that(texts, _CONFIGURES.search)

    @property
    def macros(self) -> Mapping[str, Macro]:
        """The project's own macros."""
        return self.packages.get("", {})

    def package_of(self, path: str | None) -> str | None:
        """Whose file it is; None for a template that is no macro file."""
        return self.homes.get(path or "")

    def find(self, name: str, package: str = "", home: str = "") -> Macro | None:
        """What an unqualified name means to a node of the package, in a file of the `home`."""
        for package_name in (package, "", BUILT_IN, home):
            macro = self.packages.get(package_name, {}).get(name)
            if macro is not None:
                return macro
        return None

    def own(self, name: str, package: str) -> Macro | None:
        """The macro of just that package; the project goes by its name too."""
        return self.packages.get("" if package == self.root else package, {}).get(name)

    def searched(self, namespace: str | None) -> tuple[str, ...]:
        """The packages in which `adapter.dispatch` looks, in order. None are named where it looks
        as for an unqualified name: without a namespace, or with one that is no package."""
        if namespace is None:
            return ()
        is_package = namespace == self.root or namespace in self.packages
        order = self.dispatch.get(namespace) or ((self.root, namespace) if is_package else ())
        if namespace == BUILT_IN and BUILT_IN not in order:
            order = (*order, BUILT_IN)
        return tuple(order)

    def dispatched(self, name: str, namespace: str | None, package: str) -> Macro | None:
        """The implementation that `adapter.dispatch` finds: by package in the order of search,
        then the engine's own before the default."""
        forms = (f"duckdb__{name}", f"default__{name}")
        order = self.searched(namespace)
        if not order:
            return next((macro for form in forms if (macro := self.find(form, package))), None)
        return next(
            (
                macro
                for package_name in order
                for form in forms
                if (macro := self.own(form, package_name))
            ),
            None,
        )

    def strategy(self, name: str) -> Macro | None:
        """The macro of an incremental strategy, where the project or a package has its own."""
        macro_name = strategy_macro(name)
        packages = (
            "",
            *(package_name for package_name in self.packages if package_name not in ("", BUILT_IN)),
        )
        return next(
            (
                macro
                for package_name in packages
                if (macro := self.packages.get(package_name, {}).get(macro_name))
            ),
            None,
        )

    def materialization_of_project(self, name: str) -> Macro | None:
        """The macro of a materialization of that name in the project's own files."""
        forms = (f"materialization_{name}_duckdb", f"materialization_{name}_default")
        return next((self.macros[form] for form in forms if form in self.macros), None)

    def materialization(self, name: str) -> Macro | None:
        """The macro of a materialization of that name: the project's, then anyone's."""
        forms = (f"materialization_{name}_duckdb", f"materialization_{name}_default")
        packages = ("", *(p for p in self.packages if p not in ("", BUILT_IN)), BUILT_IN)
        macros = (self.packages.get(p, {}).get(form) for p in packages for form in forms)
        return next((macro for macro in macros if macro), None)


def strategy_macro(name: str) -> str:
    """What dbt calls the macro of an incremental strategy."""
    return f"get_incremental_{name.replace('+', '_')}_sql"


def read_library(
    files: Iterable[MacroFile],
    *,
    undefined: type[Undefined] = Strict,
    root: str = "",
    dispatch: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[MacroLibrary, list[TransformError]]:
    """The macros of the files and the mistakes found in them."""
    files = tuple(files)
    env = environment(undefined)
    packages: dict[str, dict[str, Macro]] = {}
    mistakes: list[TransformError] = []
    broken: set[str] = set()
    for file in files:
        if file.package == BUILT_IN:
            packages.setdefault(BUILT_IN, {}).update(_unparsed_macros(env, file))
            continue
        trees, unparsed = _parsed(env, file, open_=issubclass(undefined, LenientUndefined))
        for text, error in unparsed:
            mistakes.append(error)
            broken |= {match["name"] for match in _HEAD.finditer(text)}
        for node in (node for tree in trees for node in tree.find_all(nodes.Macro)):
            _add(env, node, file, packages.setdefault(file.package, {}), mistakes)
    texts = {file.path: file.text for file in files}
    homes = {file.path: file.package for file in files}
    library = MacroLibrary(
        env, packages, texts, frozenset(broken), root, homes=homes, dispatch=dispatch or {}
    )
    return library, mistakes


def _unparsed_macros(env: Environment, file: MacroFile) -> Iterator[tuple[str, Macro]]:
    """The macros of a built-in file by name, not parsed yet."""
    for text in _blocks(file.text):
        head = _HEAD.search(text)
        if head:
            name = f"test_{head['name']}" if head[1] == "test" else head["name"]
            line = text.count("\n", 0, head.start()) + 1
            yield name, Macro(name, file.path, line, text, env, file.package)


def _parsed(
    env: Environment, file: MacroFile, *, open_: bool
) -> tuple[list[nodes.Template], list[tuple[str, TransformError]]]:
    """What the file holds, and the texts that could not be read. Where a file of an open project
    cannot be read as one, its blocks are read one by one: what stands outside does not matter."""
    try:
        return [env.parse(file.text, file.path, file.path)], []
    except TemplateSyntaxError as error:
        if not open_:
            return [], [(file.text, syntax_error(error, file.path, file.text))]
    trees: list[nodes.Template] = []
    unparsed: list[tuple[str, TransformError]] = []
    for text in _blocks(file.text):
        try:
            trees.append(env.parse(text, file.path, file.path))
        except TemplateSyntaxError as error:
            unparsed.append((text, syntax_error(error, file.path, file.text)))
    return trees, unparsed


def _blocks(text: str) -> Iterator[str]:
    """The blocks that define macros, each below as many empty lines as stand above it. One that
    is never closed reaches to the end; so does a comment, and raw text."""
    start, opened = 0, ""
    for token in _TOKEN.finditer(text):
        word = token["word"] or ""
        is_endless = word == "raw" or token[0] == "{#"
        if not opened and (is_endless or word in _BLOCKS):
            start, opened = token.start(), word or token[0]
        if is_endless:
            break
        if opened and word == f"end{opened}":
            yield "\n" * text.count("\n", 0, start) + text[start : token.end()]
            opened = ""
    if opened:
        yield "\n" * text.count("\n", 0, start) + text[start:]


def _add(
    env: Environment,
    node: nodes.Macro,
    file: MacroFile,
    macros: dict[str, Macro],
    mistakes: list[TransformError],
) -> None:
    first = macros.get(node.name)
    if first is None:
        macros[node.name] = Macro(node.name, file.path, node.lineno, node, env, file.package)
        return
    mistakes.append(
        RenderError(
            f"the macro `{node.name}` appears twice",
            Where.in_text(file.path, file.text, node.lineno),
            hint=f"the first is at {first.path}:{first.line}",
        )
    )


def _as_template(env: Environment, node: nodes.Macro, path: str) -> Template:
    tree = nodes.Template([node], lineno=1)
    tree.set_environment(env)
    code = env.compile(tree, path, path)
    return Template.from_code(env, code, env.make_globals(None))
