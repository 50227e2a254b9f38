"""Files of which only a part arrived, or that change while they are read: nothing of them lands."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.landing.test_excel import document, ods
from tests.projects import query, transform, write
from tests.sources.lab import Lab, lab
from tests.sources.test_remote import web
from transformer.engines import duckdb as engine
from transformer.errors import LoadError
from transformer.landing.source_file import SourceFile
from transformer.landing.whole import decompress
from transformer.run.arrivals import reader

ROWS = 400


def _csv(rows: int = ROWS) -> bytes:
    return b"a,b\n" + b"".join(b"%d,word %d\n" % (n, n * 7919 % 1000) for n in range(rows))


def _objects() -> list[dict[str, Any]]:
    return [{"a": n, "b": f"word {n * 7919 % 1000}", "c": {"d": [n, n]}} for n in range(ROWS)]


def _ndjson() -> bytes:
    return "".join(json.dumps(o) + "\n" for o in _objects()).encode()


def _array() -> bytes:
    return json.dumps(_objects(), indent=1).encode() + b"\n"


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def _book() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    for n in range(ROWS):
        book.active.append([n, f"word {n * 7919 % 1000}"])
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def _document() -> bytes:
    rows = [("a", "b"), *((f"x{n}", f"word {n * 7919 % 1000}") for n in range(ROWS))]
    cells = [[ods('office:value-type="string"', text) for text in row] for row in rows]
    lines = (f"<table:table-row>{''.join(row)}</table:table-row>" for row in cells)
    return document("".join(lines))


def _parquet() -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(_objects()), made)
    return made.getvalue()


FILES: dict[str, Callable[[], bytes]] = {
    "a.csv.gz": lambda: gzip.compress(_csv()),
    "a.tsv.gz": lambda: gzip.compress(_csv().replace(b",", b"\t")),
    "a.csv.zst": lambda: _zstd(_csv()),
    "a.ndjson.gz": lambda: gzip.compress(_ndjson()),
    "a.ndjson.zst": lambda: _zstd(_ndjson()),
    "a.json.gz": lambda: gzip.compress(_array()),
    "a.json": _array,
    "a.xlsx": _book,
    "a.ods": _document,
    "a.parquet": _parquet,
}


def _kept(here: Lab, name: str, content: bytes) -> str:
    """What is said of a file that is not whole; the table stays as it was."""
    rows, version = here.rows(), here.version()
    here.write(name, content)
    with pytest.raises(LoadError) as error:
        here.load()
    assert (here.rows(), here.version(), here.quarantine()) == (rows, version, [])
    return str(error.value)


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("name", list(FILES))
def test_a_file_that_was_cut_off_keeps_the_old_table(tmp_path: Path, name: str, mode: str) -> None:
    whole = FILES[name]()
    # Not the line end behind an array: without it, the array is as whole as with it.
    length = len(whole.rstrip())
    with lab(tmp_path, path=f"*{name[1:]}", mode=mode) as here:
        if name == "a.ods":
            here.change(sheet="S")
        here.write(name, whole)
        here.load()
        assert len(here.rows()) == ROWS
        for cut in [*(length * n // 20 for n in range(1, 20)), length - 1]:
            _kept(here, name, whole[:cut])


@pytest.mark.parametrize("objects", [1, 7, 399])
def test_an_array_of_json_that_ends_behind_an_object_keeps_the_old_table(
    tmp_path: Path, objects: int
) -> None:
    texts = [json.dumps(o) for o in _objects()]
    with lab(tmp_path, path="a.json") as here:
        here.write("a.json", "[" + ", ".join(texts) + "]")
        here.load()
        for end in ("", ",", ",\n", "  \n"):
            said = _kept(here, "a.json", ("[" + ",".join(texts[:objects]) + end).encode())
            assert "`a.json` cannot be read as json: the list is not closed" in said


def test_gzip_with_a_wrong_check_sum_or_length_keeps_the_old_table(tmp_path: Path) -> None:
    whole = gzip.compress(_csv())
    with lab(tmp_path, path="a.csv.gz") as here:
        here.write("a.csv.gz", whole)
        here.load()
        for place in (-8, -5, -4, -1):  # of its check sum and its length
            wrong = bytearray(whole)
            wrong[place] ^= 1
            assert "`a.csv.gz` is incomplete or damaged" in _kept(here, "a.csv.gz", bytes(wrong))
        assert "incomplete or damaged" in _kept(here, "a.csv.gz", whole + b"more that is not gzip")
        assert "incomplete or damaged" in _kept(here, "a.csv.gz", whole + whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.xlsx", "xl/worksheets/sheet1.xml"),
        ("a.xlsx", "xl/styles.xml"),  # says which numbers are days
        ("a.xlsx", "xl/workbook.xml"),
        ("a.ods", "content.xml"),
    ],
)
def test_a_sheet_with_a_wrong_check_sum_keeps_the_old_table(
    tmp_path: Path, name: str, part: str
) -> None:
    whole = FILES[name]()
    with zipfile.ZipFile(io.BytesIO(whole)) as book:
        checked = book.getinfo(part).CRC
    wrong = whole.replace(struct.pack("<I", checked), struct.pack("<I", checked ^ 1))
    assert wrong != whole
    with lab(tmp_path, path=name) as here:
        if name == "a.ods":
            here.change(sheet="S")
        here.write(name, whole)
        here.load()
        refused = _kept(here, name, wrong)
    assert re.search(f"`{name}` is (not an Excel workbook|incomplete or damaged):", refused)


def test_several_members_of_gzip_land_whole(tmp_path: Path) -> None:
    """Empty members too, and zeros behind the last one, as tapes leave them."""
    head, rest = b"a\n1\n", b"2\n3\n"
    parts = [gzip.compress(text) for text in (b"", head, b"", rest, b"")]
    with lab(tmp_path, path="a.csv.gz") as here:
        here.write("a.csv.gz", b"".join(parts) + bytes(512))
        here.load()
        assert here.rows() == [(1,), (2,), (3,)]


def test_several_frames_of_zstd_land_whole(tmp_path: Path) -> None:
    with lab(tmp_path, path="a.csv.zst") as here:
        here.write("a.csv.zst", _zstd(b"a\n1\n") + _zstd(b"2\n3\n"))
        here.load()
        assert here.rows() == [(1,), (2,), (3,)]
        assert "incomplete or damaged" in _kept(here, "a.csv.zst", _zstd(b"a\n1\n") + b"no frame")


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_packed_text_without_room_for_a_copy_is_read_to_its_end_all_the_same(
    tmp_path: Path, ending: str
) -> None:
    whole = gzip.compress(_csv()) if ending == "gz" else _zstd(_csv())
    file, copy = tmp_path / f"a.csv.{ending}", tmp_path / "copy"
    given = SourceFile(0, "a", str(file), {})
    file.write_bytes(whole)
    assert decompress(given, copy, 100) == given
    assert not copy.exists()
    made = decompress(given, copy, 1 << 20)
    assert (made.path, copy.read_bytes()) == (str(copy), _csv())
    file.write_bytes(whole[:-9])
    with pytest.raises(LoadError, match="incomplete or damaged"):
        decompress(given, copy, 100)


def test_copies_of_packed_files_are_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    with lab(tmp_path, path="a.csv.gz") as here:
        here.write("a.csv.gz", gzip.compress(_csv()))
        here.load()
        assert not list(aside.iterdir())
        _kept(here, "a.csv.gz", gzip.compress(_csv())[:-3])
        assert not list(aside.iterdir())


@pytest.mark.parametrize("name", [n for n in FILES if n != "a.tsv.gz"])
def test_a_remote_file_that_was_cut_off_keeps_the_old_table(tmp_path: Path, name: str) -> None:
    there = tmp_path / "there"
    there.mkdir()
    whole = FILES[name]()
    with web(there) as host, lab(tmp_path, path=f"http://{host}/{name}") as here:
        if name == "a.ods":
            here.change(sheet="S")
        (there / name).write_bytes(whole)
        here.load()
        assert len(here.rows()) == ROWS
        for share in (0.25, 0.5, 0.95):
            _kept(here, f"there/{name}", whole[: int(len(whole) * share)])


def test_a_file_that_grows_while_it_is_read_keeps_the_old_table(tmp_path: Path) -> None:
    """A writer that appends whole lines all the time, as a log does."""
    with lab(tmp_path, path="a.csv", mode="append") as here:
        file = here.write("a.csv", _csv())
        here.load()
        done = threading.Event()

        def write() -> None:
            with file.open("ab", buffering=0) as out:
                while not done.is_set():
                    out.write(b"1,more\n")
                    time.sleep(0.0005)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            rows = here.rows()
            with pytest.raises(LoadError, match="changed while it was read"):
                here.load()
            assert here.rows() == rows
        finally:
            done.set()
            writer.join()
        here.load()
        assert len(here.rows()) == file.read_bytes().count(b"\n") - 1


@pytest.mark.parametrize(
    "change",
    ["write(b'a,b\\n9,other\\n')", "seek(4) and out.write(b'8')", "truncate(1000)"],
)
def test_a_file_that_changes_behind_its_digest_is_noticed(tmp_path: Path, change: str) -> None:
    """By another process, which gives it back its times."""
    script = (
        "import os, sys; path = sys.argv[1]; stat = os.stat(path)\n"
        f"with open(path, 'r+b') as out: out.{change}\n"
        "os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))\n"
    )
    with lab(tmp_path, path="a.csv") as here, engine.loose() as session:
        file = here.write("a.csv", _csv())
        way = reader(here.request)
        parts = way.parts(session)
        assert way.digest(parts[0])
        way.confirm(session, parts)
        subprocess.run([sys.executable, "-c", script, str(file)], check=True)
        with pytest.raises(LoadError, match=r"`a\.csv` changed while it was read"):
            way.confirm(session, parts)


def test_a_remote_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.csv").write_bytes(_csv())
    with web(there) as host, lab(tmp_path, path=f"http://{host}/a.csv") as here:
        way = reader(here.request)
        with engine.loose() as session:
            parts = way.parts(session)
            way.confirm(session, parts)
            (there / "a.csv").write_bytes(_csv(ROWS + 1))
            with pytest.raises(LoadError, match="changed while it was read"):
                way.confirm(session, parts)


@pytest.mark.parametrize(("verify", "value"), [("metadata", 1), ("content", 2)])
def test_a_change_that_keeps_size_and_time_is_seen_where_content_is_verified(
    tmp_path: Path, verify: str, value: int
) -> None:
    root = write(
        tmp_path,
        {
            "data/a.csv": "id\n1\n",
            "models/_all.yml": f"""
                sources:
                  - name: crm
                    tables: [{{name: t, load: {{kind: files, path: data/a.csv, verify: {verify}}}}}]
            """,
            "models/m.sql": "select id from crm.t",
        },
    )
    transform(root, "build")
    file = root / "data" / "a.csv"
    before = file.stat()
    file.write_text("id\n2\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    transform(root, "build")
    assert query(root / "warehouse.duckdb", "from m") == [(value,)]
