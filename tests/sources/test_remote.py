"""Files behind `http://` and `s3://`: real servers on loopback."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.sources.lab import lab
from transformer.engines import duckdb as engine
from transformer.errors import LoadError
from transformer.sources import ReaderRequest
from transformer.sources._s3 import secret


class _Quiet(SimpleHTTPRequestHandler):
    dated = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name upstream
        """Says nothing."""

    def send_header(self, keyword: str, value: str) -> None:
        if self.dated or keyword != "Last-Modified":
            super().send_header(keyword, value)


@contextmanager
def web(folder: Path, *, dated: bool = True) -> Iterator[str]:
    kind = type("Handler", (_Quiet,), {"dated": dated})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("dated", [True, False])
def test_http(tmp_path: Path, dated: bool) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "a.csv").write_text("a\n1\nx,y\n")
    with web(there, dated=dated) as host:
        url = f"http://me:hunter2@{host}/a.csv?token=hunter2&v=1"
        with lab(tmp_path, path=url, mode="append") as here:
            here.load()
            assert here.rows() == [(1,)]
            assert here.sources() == [f"http://me:…@{host}/a.csv?token=…&v=1#1"]
            assert len(here.quarantine()) == 1
            assert "hunter2" not in here.everything()
            # Without a date nobody can tell whether it has changed.
            assert here.reason() == ("" if dated else "may have changed")
            here.load()
            assert here.rows() == [(1,)]
            (there / "a.csv").write_text("a\n1\n22\n")
            here.load()
            assert here.rows() == [(1,), (22,)]


def test_http_formats(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with lab(tmp_path) as here:
        here.ask(f"copy (select 1 as a) to '{there}/a.parquet'")
        (there / "b.ndjson").write_text('{"a": 2}\n')
    with web(there) as host, lab(tmp_path, path=f"http://{host}/a.parquet") as here:
        here.load()
        assert here.rows() == [(1,)]
        here.change(path=f"http://{host}/b.ndjson").load(full_refresh=True)
        assert here.rows() == [(2,)]
        with pytest.raises(LoadError, match="cannot be read"):
            here.change(path=f"http://{host}/nope.csv").load()


@pytest.mark.parametrize("name", ["a.csv", "a.ndjson"])
def test_an_overlong_line_elsewhere_waits_in_quarantine(tmp_path: Path, name: str) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with (there / name).open("wb") as out:
        out.write(b"a,b\n" if name == "a.csv" else b"")
        for number, length in enumerate((1, 40 << 20, 1)):
            value = b"x" * length
            row = b"%d,%s\n" if name == "a.csv" else b'{"a": %d, "b": "%s"}\n'
            out.write(row % (number, value))
    with web(there) as host, lab(tmp_path, path=f"http://{host}/{name}") as here:
        here.load()
        assert here.rows() == [(0, "x"), (2, "x")]
        assert [q[1] for q in here.quarantine()] == [2]


def test_many_files_elsewhere_may_be_of_any_encoding(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    for number, encoding in enumerate(("utf-8", "utf-16", "utf-8-sig")):
        (there / f"{number}.csv").write_text(f"a,b\n{number},é\n", encoding=encoding)
    with web(there) as host:
        paths = tuple(f"http://{host}/{number}.csv" for number in range(3))
        with lab(tmp_path, path=paths) as here:
            here.load()
            assert here.rows() == [(0, "é"), (1, "é"), (2, "é")]
            assert here.sources() == [f"{path}#1" for path in paths]


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A real S3 server with an empty bucket: its address and a client."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import boto3  # type: ignore[import-untyped]
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "s3cr3t-s3cr3t"}
        client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="lake")
        yield url, client
        server.stop()


def put(client: Any, key: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client.put_object(Bucket="lake", Key=key, Body=text.encode())


@pytest.mark.parametrize("prefix", ["AWS", "LAKE"])
def test_s3(
    tmp_path: Path, s3: tuple[str, Any], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, client = s3
    monkeypatch.setenv(f"{prefix}_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv(f"{prefix}_SECRET_ACCESS_KEY", "s3cr3t-s3cr3t")
    options: dict[str, Any] = {"endpoint": url}
    if prefix == "AWS":
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        options = {}
    put(client, f"{prefix}/a.csv", "a\n1\n")
    put(client, f"{prefix}/b.csv", "a,b\n2,x\n")
    path = f"s3://lake/{prefix}/*.csv"
    with lab(tmp_path, path=path, mode="append", credentials=prefix, **options) as here:
        here.load()
        assert here.rows() == [(1, None), (2, "x")]
        assert here.sources() == [f"s3://lake/{prefix}/{n}.csv#1" for n in "ab"]
        assert here.reason() == ""
        put(client, f"{prefix}/c.csv", "a\n3\n")
        assert here.reason() == "1 new file"
        here.load()
        assert len(here.rows()) == 3
        assert "s3cr3t" not in here.everything()
        assert "s3cr3t" not in str(here.ask("select * from duckdb_secrets()"))


def test_s3_mistakes(tmp_path: Path, s3: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    url, _ = s3
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-s3cr3t")
    for path in ("s3://nope/a.csv", "s3://lake/nope.csv", "s3://lake/nope/*.csv"):
        with lab(tmp_path, path=path, endpoint=url) as here:
            with pytest.raises(LoadError) as caught:
                here.load()
            assert caught.value.where
            assert "s3cr3t" not in str(caught.value)


def test_the_keys_of_a_source_count_for_its_bucket_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-s3cr3t")
    with lab(tmp_path, path="s3://lake/a/*.csv") as here, here.engine.session() as session:
        engine.load_extension(session, "httpfs")
        session.run(secret(ReaderRequest(here.table, here.places, None), "s3://lake/a/*.csv"))
        asked = "select name from which_secret('s3://{}/b.csv', 's3')"
        assert session.rows(asked.format("lake")) == [("__source_raw_things",)]
        assert session.rows(asked.format("lake2")) == []
        assert session.rows(asked.format("other")) == []
