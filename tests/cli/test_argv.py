"""How words are read that people write for dbt."""

from __future__ import annotations

import pytest
import typer.main

from transformer.cli.app import app
from transformer.cli.argv import normalized

GROUP = typer.main.get_command(app)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("run --select a b c --exclude d", "run --select a --select b --select c --exclude d"),
        ("run -s a b -x", "run -s a -s b -x"),
        ("run --models a b", "run --select a --select b"),
        ("run -m=a", "run --select a"),
        ("--target prod run", "run --target prod"),
        ("--no-use-colors --fail-fast test -s a", "test --no-use-colors --fail-fast -s a"),
        ("--threads 4 clean", "clean"),
        ("--log-format json --quiet build", "build --quiet"),
        ("build --log-level debug --no-partial-parse --target-path x", "build --target-path x"),
        ("build --warn-error-options={} --printer-width 80", "build"),
        ("--profiles-dir . docs generate --no-version-check", "docs generate --profiles-dir ."),
        ("docs --target x generate", "docs generate --target x"),
        ("list --output-keys name tags", "ls --output-keys name --output-keys tags"),
        ("build --resource-types model seed", "build --resource-type model --resource-type seed"),
        ("show --limit -1 --select a", "show --limit -1 --select a"),
        ("build --vars --quiet", "build --vars --quiet"),
        ("build --vars=--quiet", "build --vars --quiet"),
        ("deps --upgrade", "deps"),
        ("--version", "--version"),
        ("-h", "--help"),
        ("build -h", "build --help"),
        ("--debug build", "build --debug"),
        ("build -d", "build -d"),
        ("build --no-such", "build --no-such"),
        ("--no-such build", "build --no-such"),
        ("nothing -s a", "nothing -s a"),
        ("show a -- --limit", "show a -- --limit"),
    ],
)  # fmt: skip
def test_words(written: str, read: str) -> None:
    assert normalized(written.split(), GROUP) == read.split()
