"""A secret given by the environment stands in no byte that is written, and in no word printed."""

from __future__ import annotations

from pathlib import Path

from tests.postgres import new_database
from tests.projects import transform, write
from tests.servers import Answer, receiver

MARK = "s3cr3t-marker-7f1e"
FILES = {
    "data/people.csv": "id,name\n1,ann\n2,bob\nx,eve\n",
    "models/_all.yml": """
        sources:
          - name: crm
            load: {kind: files}
            tables:
              - name: people
                load: {path: data/people.csv, max_quarantined: 1}
                columns: [{name: id, data_type: BIGINT}]
          - name: far
            load: {kind: database, url: "{{ env_var('TRANSFORM_SECRET_URL') }}"}
            tables: [{name: things}]
        models:
          - name: all_people
            data_tests: [{row_count: {min: 1}}]
        activations:
          - name: out
            model: all_people
            key: id
            to:
              kind: http
              url: "{{ env_var('URL') }}/{{ env_var('DBT_ENV_SECRET_PATH') }}"
              headers: {Authorization: "Bearer {{ env_var('TRANSFORM_SECRET_TOKEN') }}"}
              attempts: 1
    """,
    "models/all_people.sql": "{{ config(materialized='table') }} select id, name from crm.people",
    "models/things.sql": "select * from far.things",
}


def everything_under(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def check_no_secret(root: Path, *said: str) -> None:
    for text in said:
        assert MARK not in text
    for name, data in everything_under(root).items():
        assert MARK.encode() not in data, name


def test_no_secret_is_written_or_printed_whatever_happens(tmp_path: Path) -> None:
    root = write(tmp_path, FILES)
    with receiver() as server:
        env = {
            "TRANSFORM_SECRET_TOKEN": MARK,
            "DBT_ENV_SECRET_PATH": f"hook-{MARK}",
            "TRANSFORM_SECRET_URL": f"postgres://someone:{MARK}@127.0.0.1:1/none",
            "URL": server.url,
        }
        # The database cannot be reached, the audience is refused, a model fails: all is told.
        done = [transform(root, "build", env=env, check=False)]
        (root / "models" / "things.sql").unlink()
        text = (root / "models" / "_all.yml").read_text()
        start, end = text.index("  - name: far"), text.index("models:")
        (root / "models" / "_all.yml").write_text(text[:start] + text[end:])
        server.script.append(Answer(401, body=f"who is {MARK}?"))
        done.append(transform(root, "build", env=env, check=False))
        server.refuses = lambda row: f"not with {MARK}" if row["id"] == 2 else None
        for words in (
            ("build",),
            ("build", "--json", "--full-refresh"),
            ("plan",),
            ("compile",),
            ("ls", "--json"),
            ("debug",),
            ("quarantine", "show"),
            ("activate", "--dry-run"),
            ("--debug", "build", "--full-refresh"),
        ):
            done.append(transform(root, *words, env=env, check=False))
        assert any(r.headers.get("authorization") == f"Bearer {MARK}" for r in server.requests)
    check_no_secret(root, *(d.stdout + d.stderr for d in done))


def test_a_secret_may_not_stand_in_sql(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {"models/a.sql": "select '{{ env_var('TRANSFORM_SECRET_TOKEN') }}' as t"},
    )
    done = transform(root, "build", env={"TRANSFORM_SECRET_TOKEN": MARK}, check=False)
    assert done.returncode == 1
    assert "is a secret: it cannot be used in SQL" in done.stderr
    check_no_secret(root, done.stdout, done.stderr)


def test_a_database_that_is_read_with_a_password_leaves_no_trace_of_it(tmp_path: Path) -> None:
    import psycopg

    url = new_database()
    with psycopg.connect(url) as con:
        con.execute("create table things as select 1 as id, 'a' as name")
        con.execute(f"create role reader login superuser password '{MARK}'")
    joined = f"{url}{'&' if '?' in url else '?'}user=reader&password={MARK}"
    files = {
        "models/_all.yml": """
            sources:
              - name: far
                load: {kind: database, url: "{{ env_var('DBT_ENV_SECRET_URL') }}"}
                tables: [{name: things}]
        """,
        "models/a.sql": "{{ config(materialized='table') }} select * from far.things",
    }
    root = write(tmp_path, files)
    done = transform(root, "build", env={"DBT_ENV_SECRET_URL": joined})
    again = transform(root, "--debug", "build", env={"DBT_ENV_SECRET_URL": joined})
    check_no_secret(root, done.stdout, done.stderr, again.stdout, again.stderr)
