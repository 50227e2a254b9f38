"""The command `transform`: all commands, in the order of their use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import cleandoc
from typing import Annotated

import typer

from transformer import __version__
from transformer.cli import building, dbt, looking, quarantine
from transformer.cli.argv import CommandGroup

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
        Inspects sources.

        Example: transform source freshness
        """,
        (dbt.freshness,),
    ),
    "docs": (
        """
        Writes and serves documentation files.

        Example: transform docs generate
        """,
        (dbt.generate, dbt.serve),
    ),
    "quarantine": (
        """
        Shows and retries quarantined rows.

        Example: transform quarantine show crm.contacts
        """,
        (quarantine.show, quarantine.retry),
    ),
}


def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version")] = False,
) -> None:
    if version:
        typer.echo(f"transform {__version__}")
        raise typer.Exit


def _application(*commands: Callable[..., None], groups: bool) -> typer.Typer:
    application = typer.Typer(
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
    application.callback(invoke_without_command=True)(_main)
    for command in commands:
        application.command()(command)
    for name, (text, members) in _GROUPS.items() if groups else ():
        group = typer.Typer(help=cleandoc(text), no_args_is_help=True, rich_markup_mode=None)
        for command in members:
            group.command()(command)
        application.add_typer(group, name=name)
    return application


app = _application(*_COMMANDS, groups=True)


def line(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments. If the first one is a command, only that is set up:
    setting up all of them takes longer than many commands."""
    command = next(
        (candidate for candidate in _COMMANDS if arguments and candidate.__name__ == arguments[0]),
        None,
    )
    return _application(command, groups=False) if command else app
