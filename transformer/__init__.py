"""transformer: organize, transform and activate data around one DuckDB file.

from transformer import Project

Project("shop").build()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformer.api import Project as Project

__version__ = "0.1.0"
__all__ = ["Project", "__version__"]


def __getattr__(name: str) -> Any:
    """`Project`, imported when it is first used: the command line does not need it to start."""
    if name != "Project":
        raise AttributeError(f"module `transformer` has no attribute `{name}`")
    from transformer.api import Project

    return Project
