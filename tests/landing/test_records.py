"""Nested JSON values stand as they were written, wherever the rows lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sources.lab import lab


@pytest.mark.parametrize(
    "text",
    [
        '{"k": {"a": 1.10, "b": [12345678901234567890.5]}}',
        '{"k": {"a": 1, "a": 2}}',
        '{"k": "1.10000000000000000001"}',
        '{"k": [{"z": 1e400}, {"z": -0.0}]}',
        '{"k": {"": 0.1, " ": 0.30000000000000000001}}',
    ],
)
@pytest.mark.parametrize("form", ["json", "ndjson", "records"])
def test_nested_values_stand_as_they_were_written(tmp_path: Path, form: str, text: str) -> None:
    written = {"json": f"[{text}]", "ndjson": text, "records": f'{{"rows": [{text}]}}'}[form]
    more: dict[str, Any] = {"records": "rows"} if form == "records" else {}
    ending = "ndjson" if form == "ndjson" else "json"
    with lab(tmp_path, path=f"a.{ending}", **more) as here:
        here.write(f"a.{ending}", written)
        here.load()
        ((held,),) = here.ask("select k::varchar from raw.things")
        bare = "".join(text.split('"k": ', 1)[1][:-1].split(" "))
        assert "".join(held.split(" ")) == bare.strip('"')
