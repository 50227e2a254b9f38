"""The file `.env` beside `dbt_project.yml`: defaults for environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from transformer.project.inputs import saw

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*?)\s*\Z")


def with_dotenv(root: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment with the file's variables as defaults; an unreadable file adds none."""
    path = root / ".env"
    saw(path)
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError):
        lines = []
    matches = (_LINE.match(match) for match in lines if not match.lstrip().startswith("#"))
    added = {match["name"]: _plain(match["value"]) for match in matches if match}
    return {**added, **env}


def _plain(value: str) -> str:
    if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
        return value[1:-1]
    return value.split(" #", maxsplit=1)[0].rstrip()
