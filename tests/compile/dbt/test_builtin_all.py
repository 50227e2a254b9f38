"""The built-in macros as a whole: they are read only when they are used, so here all are."""

from __future__ import annotations

from collections import Counter

from jinja2 import nodes

from transformer.compile.jinja.environment import LenientUndefined, environment
from transformer.compile.jinja.macros import BUILT_IN, read_library
from transformer.project.dbt.load import BUILTIN
from transformer.project.values import MacroFile

FILES = [MacroFile(f"dbt/{p.name}", p.read_text("utf-8"), BUILT_IN) for p in BUILTIN.glob("*.sql")]


def test_every_built_in_macro_compiles() -> None:
    library, mistakes = read_library(FILES, undefined=LenientUndefined)
    assert not mistakes
    macros = library.packages[BUILT_IN]
    assert len(macros) > 300
    for macro in macros.values():
        assert macro.path in (macro.template.name, macro.template.filename)


def test_built_in_macros_stand_where_a_whole_reading_finds_them() -> None:
    env = environment(LenientUndefined)
    trees = [(f.path, env.parse(f.text, f.path, f.path)) for f in FILES]
    whole = [(n.name, path, n.lineno) for path, tree in trees for n in tree.find_all(nodes.Macro)]
    assert [name for name, count in Counter(n for n, _, _ in whole).items() if count > 1] == []
    library, _ = read_library(FILES, undefined=LenientUndefined)
    found = [(m.name, m.path, m.line) for m in library.packages[BUILT_IN].values()]
    assert sorted(found) == sorted(whole)
