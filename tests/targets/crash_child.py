"""A sync in a process of its own, to be killed: `python crash_child.py <settings as JSON>`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

from transformer.errors import Where
from transformer.project.paths import Places
from transformer.project.values import Activation
from transformer.sync.delivery import SyncClock
from transformer.sync.sync import SyncJob, sync


def main() -> None:
    given = json.loads(sys.argv[1])
    folder = Path(given["folder"])
    activation = Activation(
        "out",
        "people",
        given["kind"],
        given["options"],
        ("id",),
        Where("models/_people.yml", 1),
        mode=given["mode"],
        batch_size=given["batch_size"],
    )
    job = SyncJob(activation, "select * from people", folder / "w.sync.duckdb", Places(folder))
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as con:
        print("ready", flush=True)
        sync(job, con, SyncClock(on_progress=lambda done, _: print(done, flush=True)))
    print("done", flush=True)


if __name__ == "__main__":
    main()
