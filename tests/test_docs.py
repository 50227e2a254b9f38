"""The docs are true: guides are run, the reference is what the code says, nothing is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stories import agree, play, told
from transformer import sources, targets
from transformer.cli.app import app
from transformer.plan.check_kinds import CHECKS
from transformer.project import schema

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.mark.parametrize("guide", told(DOCS / "guides"), ids=lambda path: path.stem)
def test_every_guide_prints_what_it_says(guide: Path, tmp_path: Path) -> None:
    agree(play(guide, tmp_path))


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def reference() -> str:
    return "".join(path.read_text() for path in (DOCS / "reference").glob("*.md"))


def test_every_command_check_source_target_and_key_has_its_place() -> None:
    text = reference()
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"## `transform {command.callback.__name__}`" in text
    for kind in (*sources.kinds(), *targets.kinds()):
        assert f"## `kind: {kind}`" in text
    for kind in CHECKS:
        assert f"## `{kind}`" in text
    for _, field in (*schema.walk(schema.PROJECT), *schema.walk(schema.PROPERTIES)):
        assert f"| `{field.name}` |" in text


def test_every_command_has_an_example_in_its_help() -> None:
    for group in (app, *(g.typer_instance for g in app.registered_groups if g.typer_instance)):
        for command in group.registered_commands:
            assert "Example: `transform " in (command.callback.__doc__ or ""), command.callback


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not link.startswith(("http:", "https:")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_what_the_first_screen_of_the_readme_shows_is_what_is_printed(tmp_path: Path) -> None:
    """The README shows a build of the example; the figures in it are those of today."""
    from tests.projects import transform
    from tests.stories import evened
    from transformer.flows.start import start

    start(tmp_path / "shop")
    built = evened(transform(tmp_path / "shop", "build").stderr)
    again = evened(transform(tmp_path / "shop", "build").stderr)
    readme = evened((ROOT / "README.md").read_text())
    for line in [*built.splitlines(), *again.splitlines()]:
        assert line in readme, line


def test_the_changelog_names_the_version() -> None:
    from transformer import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
