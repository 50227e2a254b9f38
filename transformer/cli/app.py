"""The command `transform`: all commands, in the order in which people meet them."""

from __future__ import annotations

from typing import Annotated

import typer

from transformer import __version__
from transformer.cli import building, looking, quarantine
from transformer.cli.guard import State

app = typer.Typer(
    help="""
    Organizes raw data into one DuckDB file, transforms it with SQL models, and activates it.

    Example: transform init shop && cd shop && transform build
    """,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's help costs a third of a second at every start
    pretty_exceptions_enable=False,
)
_quarantine = typer.Typer(
    help="""
    Shows quarantined rows, tries them again.

    Example: transform quarantine show crm.contacts
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where in the tool an error comes from")
    ] = False,
) -> None:
    State.debug = debug
    if version:
        typer.echo(f"transform {__version__}")
        raise typer.Exit


for _command in (
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
):
    app.command()(_command)
for _command in (quarantine.show, quarantine.retry):
    _quarantine.command()(_command)
app.add_typer(_quarantine, name="quarantine")
