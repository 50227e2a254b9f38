"""A BI user: opens the file, asks, holds it for a moment, and again, until its input ends.

Prints how often it opened the file and how many different builds it saw. Ends with 1 at once on
any error, or when two tables of one build disagree.
"""

from __future__ import annotations

import select
import sys
import time

import duckdb


def main() -> None:
    opened, seen = 0, set()
    while not select.select([sys.stdin], [], [], 0)[0]:  # its end counts too: who asked is gone
        with duckdb.connect(sys.argv[1], read_only=True) as con:
            found = con.execute(
                "select (select max(n) from one), (select n from two), (select rows from two)"
            ).fetchone()
            time.sleep(0.005)
            again = con.execute("select n from two").fetchone()
        assert found is not None
        assert again is not None
        assert found[0] == found[1] == again[0], (found, again)
        assert found[2] == 5000, found
        opened += 1
        seen.add(found[0])
    print(opened, len(seen))


if __name__ == "__main__":
    main()
