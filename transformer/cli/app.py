"""The command `transform`: all commands, in the order in which people meet them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import cleandoc
from typing import Annotated

import typer

from transformer import __version__
from transformer.cli import building, dbt, looking, quarantine
from transformer.cli.argv import CommandGroup
from transformer.cli.guard import GlobalOptions

_COMMANDS = (
    looking.init,
    building.build,
    looking.plan,
    building.run,
    building.test,
    building.load,
    building.seed,
    building.snapshot,
    building.activate,
    looking.show,
    looking.ls,
    looking.compile,
    looking.debug,
    looking.clean,
    building.retry,
    building.clone,
    dbt.deps,
    dbt.parse,
    dbt.run_operation,
)
_GROUPS = {
    "source": (
        """
        Looks at sources.

        Example: transform source freshness
        """,
        (dbt.freshness,),
    ),
    "docs": (
        """
        Writes what documentation is made of, and serves it.

        Example: transform docs generate
        """,
        (dbt.generate, dbt.serve),
    ),
    "quarantine": (
        """
        Shows quarantined rows, tries them again.

        Example: transform quarantine show crm.contacts
        """,
        (quarantine.show, quarantine.retry),
    ),
}


def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", "-d", help="Show where in the tool an error comes from")
    ] = False,
) -> None:
    GlobalOptions.debug = debug
    if version:
        typer.echo(f"transform {__version__}")
        raise typer.Exit


def _made(*commands: Callable[..., None], groups: bool) -> typer.Typer:
    made = typer.Typer(
        help="""
        Organizes raw data into one DuckDB file, transforms it with SQL models, and activates it.

        Example: transform init shop && cd shop && transform build
        """,
        cls=CommandGroup,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # rich's help costs a third of a second at every start
        pretty_exceptions_enable=False,
    )
    made.callback(invoke_without_command=True)(_main)
    for each in commands:
        made.command()(each)
    for name, (text, members) in _GROUPS.items() if groups else ():
        group = typer.Typer(help=cleandoc(text), no_args_is_help=True, rich_markup_mode=None)
        for each in members:
            group.command()(each)
        made.add_typer(group, name=name)
    return made


app = _made(*_COMMANDS, groups=True)


def line(words: Sequence[str]) -> typer.Typer:
    """The command line for these words. Where the first names a command, that is all that is made
    ready: the rest would take longer than many a command does."""
    named = next((each for each in _COMMANDS if words and each.__name__ == words[0]), None)
    return _made(named, groups=False) if named else app
