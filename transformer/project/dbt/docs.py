"""Descriptions, and the `{% docs %}` blocks that they may quote."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from transformer.errors import TransformError
from transformer.project.dbt.blocks import blocks
from transformer.project.dbt.files import read_text
from transformer.project.dbt.projectfile import ProjectFile
from transformer.project.dbt.words import YamlRenderer
from transformer.project.tree import YamlItem


class DocBlocks(Struct):
    """Blocks of text by package and name. The project itself goes by its name here."""

    root: str
    texts: dict[tuple[str, str], str] = field(default_factory=dict)

    def read(self, project: ProjectFile) -> None:
        """Takes in the blocks of a project's Markdown files."""
        folders = project.docs or project.every_folder
        for file in project.home.find(folders, ".md"):
            text = read_text(file.path, file.shown, project.home.notes)
            if "docs" in text:
                for block in blocks(text, "docs"):
                    self.texts.setdefault((project.name, block.name), block.body.strip())

    def find(self, names: Iterable[str], package: str) -> str | None:
        """The block called `doc('x')` or `doc('package', 'x')` in a file of the package."""
        *named, name = names
        homes = named or (package, self.root)
        for home in homes:
            if (home, name) in self.texts:
                return self.texts[home, name]
        others = (text for (_, each), text in self.texts.items() if each == name and not named)
        return next(others, None)

    def describe(self, item: YamlItem | None, words: YamlRenderer, package: str) -> str:
        """A description with the blocks it quotes. One that cannot be filled in stays as it is."""
        if item is None or item.value is None:
            return ""
        text = str(item.value)
        if "{{" not in text and "{%" not in text:
            return text

        def doc(*names: str) -> str:
            found = self.find(names, package)
            if found is None:
                words.notes.say(f"there is no docs block `{'.'.join(names)}` ({item.where})")
            return found or ""

        try:
            return words.knowing(doc=doc).text(text, item.where)
        except TransformError as error:
            words.notes.say(f"a description cannot be filled in ({item.where}): {error.what}")
            return text
