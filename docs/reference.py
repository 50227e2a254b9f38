"""Writes `docs/reference/` from the code: every key, check, kind and command, said once.

python docs/reference.py          writes the pages
python docs/reference.py --check  ends with 1 when a page is not what the code says
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import typer.main

from transformer import sources, targets
from transformer.cli.app import app
from transformer.plan.check_kinds import CHECKS
from transformer.project import schema
from transformer.project.schema import Field, Fields
from transformer.warehouse.ledger import TABLES

HOME = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/reference.py from the code; `make docs` rewrites it. -->\n"


def pages() -> Iterator[tuple[str, str]]:
    yield "project.md", project()
    yield "properties.md", properties()
    yield "sources.md", kinds("Sources", "load", schema.LOAD, sources.vocabulary(), sources.find)
    made = {kind: targets.find(kind).FIELDS for kind in targets.kinds()}
    yield "targets.md", kinds("Targets", "to", (), made, targets.find)
    yield "checks.md", checks()
    yield "commands.md", commands()
    yield "ledger.md", ledger()


def rows(fields: Fields) -> str:
    lines = ["| key | what it is | default |", "|---|---|---|"]
    for each in fields:
        lines.append(f"| `{each.name}` | {described(each)} | {default(each)} |")
    return "\n".join(lines) + "\n"


def described(field: Field) -> str:
    doc = field.doc
    if field.choices:
        doc += ": " + ", ".join(f"`{c}`" for c in field.choices)
    if field.fields:
        doc += f" (see [below](#{field.name.replace('_', '_')}))"
    if field.aliases:
        doc += ". Also written " + ", ".join(f"`{a}`" for a in field.aliases)
    return doc.replace("|", "\\|")


def default(field: Field) -> str:
    if field.required:
        return "required"
    value = field.default
    if value in (None, "", ()):
        return ""
    shown = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"`{shown.lower() if isinstance(value, bool) else shown}`"


def sections(fields: Fields, seen: set[str]) -> str:
    """A table for the fields, then one for each block among them, once."""
    made = rows(fields)
    for each in fields:
        if each.fields and each.name not in seen:
            seen.add(each.name)
            made += f"\n## `{each.name}`\n\n{each.doc}.\n\n{sections(each.fields, seen)}"
    return made


def project() -> str:
    return (
        "# `transform.yml`\n\nThe project's own file. Everything in it has a default: a project"
        " needs none. Strings may hold `{{ env_var('NAME') }}` and `{{ var('name') }}`.\n\n"
        + sections(schema.PROJECT, set())
    )


def properties() -> str:
    return (
        "# Property files\n\nYAML beside models and seeds, in any file that ends with `.yml`.\n\n"
        + sections(schema.PROPERTIES, set())
        + "\n## Checks: `config`\n\nWhat every check understands, under `config:` or beside its"
        " arguments.\n\n" + rows(schema.CHECK_CONFIG)
    )


def kinds(title, word, shared, found, module) -> str:  # type: ignore[no-untyped-def]
    made = f"# {title}\n\n"
    if shared:
        made += f"What every kind understands under `{word}:`.\n\n{rows(shared)}\n"
    for kind, fields in sorted(found.items()):
        made += f"## `kind: {kind}`\n\n{inspect.getdoc(module(kind))}\n\n{rows(fields)}\n"
        for each in fields:
            made += (
                f"### `{each.name}`\n\n{each.doc}.\n\n{rows(each.fields)}\n" if each.fields else ""
            )
    return made


def checks() -> str:
    made = "# Checks\n\nUnder `data_tests:` of a column or a node.\n\n"
    for name, kind in sorted(CHECKS.items()):
        made += f"## `{name}`\n\n{inspect.cleandoc(kind.doc)}\n\n"
        made += rows(kind.fields) + "\n" if kind.fields else ""
    return made + (
        "## Your own\n\nA block `{% test name(model, column_name) %} … {% endtest %}` under"
        " `macro-paths` is a kind of check; a SQL file under `test-paths` is a check. Both return"
        " the failing rows.\n"
    )


def commands() -> str:
    group = typer.main.get_command(app)
    made = (
        "# Commands\n\nExit codes: 0 all is well, 1 something failed and was said, 2 usage, or the"
    )
    made += " tool's own fault.\n\n"
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        parts = getattr(command, "commands", None)
        for label, each in {f"{name} {n}": c for n, c in (parts or {}).items()}.items() or [
            (name, command)
        ]:
            made += f"## `transform {label}`\n\n{inspect.cleandoc(each.help or '')}\n\n"
            made += "| option | what it does |\n|---|---|\n"
            for option in each.params:
                if option.name == "help":
                    continue
                words = ", ".join(f"`{o}`" for o in option.opts) or f"`{option.name}`"
                made += f"| {words} | {getattr(option, 'help', '') or ''} |\n"
            made += "\n"
    return made


def ledger() -> str:
    made = "# The ledger\n\nTables of the schema `_transform` in every warehouse. Read them freely:"
    made += " `_transform.runs` says how fresh the file is.\n\n"
    for table in TABLES:
        made += f"## `_transform.{table.name}`\n\n{table.doc}\n\n| column | type |\n|---|---|\n"
        made += "".join(f"| `{n}` | {k} |\n" for n, k in table.columns) + "\n"
    return made


def main() -> int:
    wrong = []
    HOME.mkdir(exist_ok=True)
    for name, text in pages():
        path, whole = HOME / name, NOTE + "\n" + text.rstrip() + "\n"
        if "--check" not in sys.argv:
            path.write_text(whole, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != whole:
            wrong.append(name)
    if wrong:
        print(f"not what the code says: {', '.join(wrong)}; run `make docs`", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
