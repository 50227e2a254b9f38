"""Descriptions, and the `{% docs %}` blocks that they reference."""

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
    """Blocks of text by package and name, the project's own under its name."""

    root: str
    texts: dict[tuple[str, str], str] = field(default_factory=dict)

    def read(self, project: ProjectFile) -> None:
        """Adds the blocks of a project's Markdown files."""
        folders = project.docs or project.every_folder
        for file in project.home.find(folders, ".md"):
            text = read_text(file.path, file.shown, project.home.notes)
            if "docs" in text:
                for block in blocks(text, "docs"):
                    self.texts.setdefault((project.name, block.name), block.body.strip())

    def find(self, names: Iterable[str], package: str) -> str | None:
        """The block called `doc('x')` or `doc('package', 'x')` in a file of the package."""
        *package_names, name = names
        homes = package_names or (package, self.root)
        for home in homes:
            if (home, name) in self.texts:
                return self.texts[home, name]
        others = (
            body for (_, block), body in self.texts.items() if block == name and not package_names
        )
        return next(others, None)

    def describe(self, item: YamlItem | None, renderer: YamlRenderer, package: str) -> str:
        """A description with its blocks filled in, or unchanged if it cannot be rendered."""
        if item is None or item.value is None:
            return ""
        text = str(item.value)
        if "{{" not in text and "{%" not in text:
            return text

        def doc(*names: str) -> str:
            block = self.find(names, package)
            if block is None:
                renderer.notes.say(f"there is no docs block `{'.'.join(names)}` ({item.where})")
            return block or ""

        try:
            return renderer.knowing(doc=doc).text(text, item.where)
        except TransformError as error:
            renderer.notes.say(f"a description cannot be rendered ({item.where}): {error.what}")
            return text
