"""The outside world of a rendering: environment, clock, and invocation."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transformer.redaction import SHORTEST

SECRET_PREFIXES = ("TRANSFORM_SECRET_", "DBT_ENV_SECRET_")
# Where secrets are allowed: they do not enter SQL, names or artifacts from there.
CONNECTING_ONLY = (
    "secrets are for `url`, `path`, `headers` and `settings` in YAML; with dbt, for `profiles.yml`"
)


@dataclass(frozen=True, slots=True)
class RenderWorld:
    """The world as templates see it. `invocation` identifies this call of the tool; `flags` are
    those of the command line, by dbt's names."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    now: datetime.datetime = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    full_refresh: bool = False
    command: str = "build"
    invocation: str = ""
    flags: Mapping[str, Any] = field(default_factory=dict)
    # The arguments of the call: `select`, `exclude`, `vars`; and the selected ids.
    arguments: Mapping[str, Any] = field(default_factory=dict)
    selected: tuple[str, ...] = ()
    # Prints the messages of templates: `log(…, info=true)`, `print`, warnings.
    hear: Callable[[str], object] = field(default=str, repr=False, compare=False)

    @property
    def secrets(self) -> frozenset[str]:
        """The values of secret variables, which must not appear in SQL in any way."""
        return secrets_of(self.env)


def secrets_of(env: Mapping[str, str]) -> frozenset[str]:
    """The values of variables that are secret by name, except very short ones."""
    return frozenset(
        v for k, v in env.items() if k.startswith(SECRET_PREFIXES) and len(v) >= SHORTEST
    )
