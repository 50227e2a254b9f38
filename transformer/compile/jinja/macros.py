"""Macros by package: read from files, compiled individually, looked up by dbt's rules."""

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

# The package of dbt's built-in macros, which are found without a prefix.
BUILT_IN = "dbt"
_CONFIGURES = re.compile(r"\bconfig\s*\(")
_HEAD = re.compile(r"{%[-+]?\s*(macro|test)\s+(?P<name>\w+)")
_BLOCKS = frozenset(("macro", "test", "data_test", "materialization"))
_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
# Tags, and the contexts that may hide them: comments, raw text and expressions.
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
    """One macro and its place, compiled individually on first use. Built-in macros are kept as
    text until then: there are hundreds, and few are used."""

    name: str
    path: str
    line: int
    source: nodes.Macro | str = field(repr=False)
    env: Environment = field(repr=False)
    package: str = ""
    _template: Template | None = field(default=None, repr=False)

    @property
    def qualified(self) -> str:
        """Its name prefixed by its package; the project's own macros have no prefix."""
        return f"{self.package}.{self.name}" if self.package else self.name

    @property
    def template(self) -> Template:
        """The macro as a separate template."""
        if self._template is None:
            node = self.source
            if isinstance(node, str):
                node = next(self.env.parse(node, self.path, self.path).find_all(nodes.Macro))
            self._template = _as_template(self.env, node, self.path)
        return self._template


@dataclass(frozen=True)
class MacroLibrary:
    """The macros by package and name, and the texts of their files for messages.

    The project itself is the package "". Unqualified names are looked up in the package of the
    rendered node, the project, `BUILT_IN`, and finally the package of the calling macro.
    """

    env: SandboxedEnvironment
    packages: Mapping[str, Mapping[str, Macro]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    # Macros in files that could not be parsed: their absence is not another mistake.
    broken: frozenset[str] = frozenset()
    root: str = ""
    # The names used in templates, over all renderings.
    asked: set[str] = field(default_factory=set)
    homes: Mapping[str, str] = field(default_factory=dict)
    dispatch: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def configuring(self) -> frozenset[str]:
        """The names of macros that may call `config(…)`, directly or indirectly."""
        texts = {path: text for path, text in self.texts.items() if self.homes[path] != BUILT_IN}
        return macros_that(texts, _CONFIGURES.search)

    @property
    def macros(self) -> Mapping[str, Macro]:
        """The project's own macros."""
        return self.packages.get("", {})

    def package_of(self, path: str | None) -> str | None:
        """The package of a macro file; None for other templates."""
        return self.homes.get(path or "")

    def find(self, name: str, package: str = "", home: str = "") -> Macro | None:
        """The macro for an unqualified name, for a node of `package`, in a file of `home`."""
        for package_name in (package, "", BUILT_IN, home):
            macro = self.packages.get(package_name, {}).get(name)
            if macro is not None:
                return macro
        return None

    def own(self, name: str, package: str) -> Macro | None:
        """The macro of exactly that package; the project's name works too."""
        return self.packages.get("" if package == self.root else package, {}).get(name)

    def searched(self, namespace: str | None) -> tuple[str, ...]:
        """The packages that `adapter.dispatch` searches, in order. Empty if names are looked up as
        unqualified: without a namespace, or with one that is not a package."""
        if namespace is None:
            return ()
        is_package = namespace == self.root or namespace in self.packages
        order = self.dispatch.get(namespace) or ((self.root, namespace) if is_package else ())
        if namespace == BUILT_IN and BUILT_IN not in order:
            order = (*order, BUILT_IN)
        return tuple(order)

    def dispatched(self, name: str, namespace: str | None, package: str) -> Macro | None:
        """The implementation for `adapter.dispatch`: packages in search order, in each the
        engine's before the default."""
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
        """The macro of a custom incremental strategy in the project or a package, or None."""
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
        """The macro of a materialization in the project's own files, or None."""
        forms = (f"materialization_{name}_duckdb", f"materialization_{name}_default")
        return next((self.macros[form] for form in forms if form in self.macros), None)

    def materialization(self, name: str) -> Macro | None:
        """The macro of a materialization: the project's, then any package's, or None."""
        forms = (f"materialization_{name}_duckdb", f"materialization_{name}_default")
        packages = ("", *(p for p in self.packages if p not in ("", BUILT_IN)), BUILT_IN)
        macros = (self.packages.get(p, {}).get(form) for p in packages for form in forms)
        return next((macro for macro in macros if macro), None)


def strategy_macro(name: str) -> str:
    """dbt's macro name for an incremental strategy."""
    return f"get_incremental_{name.replace('+', '_')}_sql"


def read_library(
    files: Iterable[MacroFile],
    *,
    undefined: type[Undefined] = Strict,
    root: str = "",
    dispatch: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[MacroLibrary, list[TransformError]]:
    """The macros of the files, and the mistakes in them."""
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
    """The unparsed macros of a built-in file, by name."""
    for text in _blocks(file.text):
        head = _HEAD.search(text)
        if head:
            name = f"test_{head['name']}" if head[1] == "test" else head["name"]
            line = text.count("\n", 0, head.start()) + 1
            yield name, Macro(name, file.path, line, text, env, file.package)


def _parsed(
    env: Environment, file: MacroFile, *, open_: bool
) -> tuple[list[nodes.Template], list[tuple[str, TransformError]]]:
    """The parsed file, and the texts with syntax errors. In an open project a file with errors is
    parsed block by block: text between the blocks does not matter."""
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
    """The blocks that define macros, padded with empty lines to keep line numbers. Unclosed
    blocks, comments and raw text extend to the end."""
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
