"""The command `transform`: all commands, in the order in which people meet them."""

from __future__ import annotations

from typing import Annotated

import typer

from transformer import __version__
from transformer.cli import building, dbt, looking, quarantine
from transformer.cli.argv import Words
from transformer.cli.guard import State

app = typer.Typer(
    help="""
    Organizes raw data into one DuckDB file, transforms it with SQL models, and activates it.

    Example: transform init shop && cd shop && transform build
    """,
    cls=Words,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's help costs a third of a second at every start
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", "-d", help="Show where in the tool an error comes from")
    ] = False,
) -> None:
    State.debug = debug
    if version:
        typer.echo(f"transform {__version__}")
        raise typer.Exit


def _group(name: str, help: str, *commands: object) -> None:  # noqa: A002 - typer's word
    made = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)
    for each in commands:
        made.command()(each)  # type: ignore[type-var]
    app.add_typer(made, name=name)


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
    building.retry,
    building.clone,
    dbt.deps,
    dbt.parse,
    dbt.run_operation,
):
    app.command()(_command)
_group(
    "source",
    """
    Looks at sources.

    Example: transform source freshness
    """,
    dbt.freshness,
)
_group(
    "docs",
    """
    Writes what documentation is made of, and serves it.

    Example: transform docs generate
    """,
    dbt.generate,
    dbt.serve,
)
_group(
    "quarantine",
    """
    Shows quarantined rows, tries them again.

    Example: transform quarantine show crm.contacts
    """,
    quarantine.show,
    quarantine.retry,
)
