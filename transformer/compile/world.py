"""What the outside says to a rendering: environment, clock, and how the tool was called."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformer.redaction import SHORTEST

SECRET_PREFIXES = ("TRANSFORM_SECRET_", "DBT_ENV_SECRET_")
# Where a secret may stand: from there it enters no SQL, no name and no artifact.
CONNECTING_ONLY = (
    "secrets are for `url`, `path`, `headers` and `settings` in YAML; with dbt, for `profiles.yml`"
)


@dataclass(frozen=True, slots=True)
class RenderWorld:
    """The world as templates see it. `invocation` tells one call of the tool from another;
    `flags` are those of the command line, by dbt's names."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    now: datetime.datetime = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    full_refresh: bool = False
    command: str = "build"
    invocation: str = ""
    flags: Mapping[str, Any] = field(default_factory=dict)
    # What the call names: `select`, `exclude`, `vars`; and the ids that this comes to.
    asked: Mapping[str, Any] = field(default_factory=dict)
    selected: tuple[str, ...] = ()
    # Who hears what templates tell the user: `log(…, info=true)`, `print`, warnings.
    hear: Callable[[str], object] = field(default=str, repr=False, compare=False)

    @property
    def secrets(self) -> frozenset[str]:
        """The values of secret variables: they may stand in no SQL, whichever way they came."""
        return secrets_of(self.env)


def secrets_of(env: Mapping[str, str]) -> frozenset[str]:
    """The values of the variables that are secret by their name; very short ones tell nothing."""
    return frozenset(
        v for k, v in env.items() if k.startswith(SECRET_PREFIXES) and len(v) >= SHORTEST
    )
