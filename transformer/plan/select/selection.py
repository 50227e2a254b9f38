"""The selection as requested by the user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field


class EarlierRun(Struct, frozen=True):
    """Artifacts of an earlier run (`--state`), and the current `sources.json`; None if missing."""

    manifest: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None
    sources: Mapping[str, Any] | None = None
    present: Mapping[str, Any] | None = None


class Selection(Struct, frozen=True):
    """The requested selection. `only` restricts it to these ids, as for a retry."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selector: str | None = None
    kinds: tuple[str, ...] = ()
    not_kinds: tuple[str, ...] = ()
    indirect: str = "eager"
    earlier: EarlierRun = field(default_factory=EarlierRun)
    only: frozenset[str] | None = None

    @property
    def everything(self) -> bool:
        """Whether everything is selected."""
        is_narrowed = self.select or self.exclude or self.selector or self.kinds or self.not_kinds
        return not is_narrowed and self.only is None
