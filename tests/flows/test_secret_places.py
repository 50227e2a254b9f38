"""A secret in any place that takes a text: it is refused there with its place, or it is used and
stands in no byte that is written or printed, in no form."""

from __future__ import annotations

import json
import shutil
import tempfile
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import forked
from tests.projects import environment, write
from tests.servers import Answer, receiver

# A place, and what usually stands there.
FILES = {
    "transform.yml": """
        name: "@name@"
        version: "@version@"
        vars: {least: "@var@"}
        models: {+tags: "@tree_tag@", +schema: "@tree_schema@"}
        targets:
          dev:
            path: "@target_path@"
            schema: "@target_schema@"
            settings: {memory_limit: "@setting@"}
    """,
    "data/people.csv": "id,name\n1,ann\n2,bob\nx,eve\n",
    "seeds/kinds.csv": "kind\na\n",
    "models/_all.yml": """
        sources:
          - name: crm
            description: "@source_description@"
            schema: "@source_schema@"
            load: {kind: files, delimiter: "@delimiter@"}
            tables:
              - name: people
                identifier: "@identifier@"
                load:
                  path: "@path@"
                  max_quarantined: 1
                  null_values: ["@null_value@"]
                columns: [{name: id, data_type: "@data_type@"}]
          - name: far
            load: {kind: database, url: "@far_url@", query: "@query@"}
            tables: [{name: things}]
        seeds:
          - name: kinds
            meta: {a: "@seed_meta@"}
            config: {alias: "@seed_alias@", delimiter: "@seed_delimiter@"}
        models:
          - name: everyone
            description: "@description@"
            meta: {owner: {team: ["@meta@"]}}
            tags: ["@tag@"]
            config: {alias: "@alias@", schema: "@schema@", materialized: "@materialized@"}
            columns:
              - name: name
                description: "@column_description@"
                data_type: "@column_type@"
                data_tests:
                  - accepted_values: {values: [ann, bob, "@accepted@"], severity: warn}
                  - not_null: {where: "@where@", name: "@check_name@"}
                  - expression_is_true: {expression: "@expression@"}
        activations:
          - name: out
            description: "@activation_description@"
            model: everyone
            key: id
            tags: ["@activation_tag@"]
            fields: {id: id, "name": "@field@"}
            to:
              kind: http
              url: "@url@"
              method: "@method@"
              headers: {Authorization: "@header@", X-Other: "@other_header@"}
              attempts: 1
    """,
    "models/everyone.sql": "select id, name, '@sql@' as t from {{ source('crm', 'people') }}",
    "macros/words.sql": "{% macro word() %}@macro@{% endmacro %}",
    "models/words.sql": "select '{{ word() }}' as w from {{ ref('kinds') }}",
}
USUAL = {
    "name": "shop", "version": "1", "var": "1", "tree_tag": "t", "tree_schema": "marts",
    "target_path": "warehouse.duckdb", "target_schema": "main", "setting": "2GB",
    "source_description": "d", "source_schema": "crm", "delimiter": ",", "identifier": "people",
    "path": "data/people.csv", "null_value": "-", "data_type": "BIGINT",
    "far_url": "duckdb:far.duckdb", "query": "select 1 as a", "seed_meta": "m",
    "seed_alias": "kinds", "seed_delimiter": ",", "description": "d", "meta": "m", "tag": "t",
    "alias": "everyone", "schema": "people", "materialized": "table", "column_description": "d",
    "column_type": "VARCHAR", "accepted": "cyd", "where": "id > 0", "check_name": "named",
    "expression": "<> ''", "activation_description": "d", "activation_tag": "t",
    "field": "name", "url": "URL/in", "method": "POST", "header": "none", "other_header": "none",
    "sql": "t", "macro": "w",
}  # fmt: skip
# Where a secret may stand, as people write it: alone, or as a part of the value.
USED = {
    "header": ["{S}", "Bearer {S}"],
    "other_header": ["{S}"],
    "url": ["URL/in?key={S}", "URL/in/{S}"],
    "far_url": ["postgres://me:{S}@127.0.0.1:1/x", "postgres://127.0.0.1:1/x?password={S}"],
    "path": ["{S}", "http://127.0.0.1:1/{S}.csv", "http://127.0.0.1:1/a.csv?key={S}"],
    "setting": ["{S}"],
}
FILTERS = [
    "",
    " | upper",
    " | urlencode",
    " | replace('a', 'b')",
    " | reverse",
    "[1:]",
    " | tojson",
]
ODD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=16)
PLAIN = st.text("abcXYZ0123456789-_.~", min_size=8, max_size=24)
MARKS = st.text("ab\"'\\\t<>&%@/#?=+ :{}[]|`$!*()", min_size=8, max_size=16)
SECRETS = st.one_of(PLAIN, ODD, MARKS).filter(lambda s: len(set(s.strip())) > 3)
COMMANDS = [
    ("build",), ("build", "--json"), ("plan",), ("compile",), ("ls", "--json"),
    ("--debug", "build"), ("quarantine", "show", "--json"), ("docs", "generate"),
    ("activate", "--dry-run"),
]  # fmt: skip


@st.composite
def cases(draw: Any) -> tuple[dict[str, str], str, list[str]]:
    """Values of places, one of them with the secret; the secret; what a filter makes of it."""
    secret = draw(SECRETS)
    place = draw(st.sampled_from([*USUAL, *(name for name in USED for _ in range(4))]))
    made = draw(st.sampled_from(FILTERS))
    shape = draw(st.sampled_from(USED.get(place, ["{S}", "a {S} b"])))
    asked = "{{ env_var('TRANSFORM_SECRET_X')" + made + " }}"
    values = {**USUAL, place: shape.replace("{S}", asked)}
    return values, secret, [secret, *_derived(secret, made)]


def _derived(secret: str, made: str) -> Iterator[str]:
    changed = {
        " | upper": secret.upper(), " | urlencode": quote(secret, safe="/"), "": secret,
        " | replace('a', 'b')": secret.replace("a", "b"), " | reverse": secret[::-1],
        "[1:]": secret[1:],
    }  # fmt: skip
    if made in changed:
        yield changed[made]


def in_forms(text: str) -> set[bytes]:
    """The text as another text or a byte string may hold it."""
    found = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    found |= {quote(text, safe=""), quote_plus(text), repr(text)[1:-1], text.replace("'", "''")}
    held = text.encode()
    made = {each.encode() for each in found}
    if len(held) >= 8:
        for encode in (b64encode, urlsafe_b64encode):
            whole = len(held) // 3 * 3
            made.add(encode(held[:whole]))
            made.add(encode(b"  " + held[: (len(held) - 1) // 3 * 3 + 1])[4:-4])
            made.add(encode(b" " + held[: (len(held) - 2) // 3 * 3 + 2])[4:-4])
    return {each for each in made if len(each) >= 7}


def written(root: Path, given: set[str]) -> Iterator[tuple[str, bytes]]:
    """Every file that the tool wrote, and its name; rows of databases as text."""
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        yield "a name", name.encode()
        if path.is_file() and name not in given:
            yield name, path.read_bytes()
            if path.suffix == ".duckdb":
                yield from ((f"{name}: {part}", held) for part, held in contents(path))


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names, comments, queries and rows of a database, which compresses what it writes."""
    with duckdb.connect(str(path), read_only=True) as con:
        for listed in ("duckdb_tables()", "duckdb_columns()", "duckdb_views()"):
            yield listed, as_text(con.sql(f"from {listed} where not internal").fetchall())
        tables = con.sql("select schema_name, table_name from duckdb_tables()").fetchall()
        for schema, table in tables:
            yield table, as_text(con.sql(f'from "{schema}"."{table}"').fetchall())


def as_text(rows: list[Any]) -> bytes:
    return json.dumps(rows, default=str, ensure_ascii=False).encode()


def made(root: Path, values: dict[str, str], url: str) -> set[str]:
    """Writes the project with these values; the names of its files."""
    files = {}
    for name, text in FILES.items():
        whole = text
        for place, value in values.items():
            whole = whole.replace(f"@{place}@", value.replace("URL", url))
        files[name] = whole
    write(root, files)
    with duckdb.connect(str(root / "far.duckdb")) as far:
        far.execute("create table things (a int)")
    return {*files, "far.duckdb"}


def leaves_no_trace(
    free: forked.Servers, case: tuple[dict[str, str], str, list[str]], answer: str, commands: Any
) -> None:
    values, secret, forms = case
    searched = set().union(*(in_forms(each) for each in forms))
    folder = Path(tempfile.mkdtemp())
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        server = stack.enter_context(receiver())
        given = made(folder, values, server.url)
        env = environment({"TRANSFORM_SECRET_X": secret, "HOME": str(folder)})
        for words in commands:
            server.script.append(Answer(401, body=answer))
            code, said = forked.run(free, list(words), folder, env)
            assert code in (0, 1, 2), said
            assert "bug in the tool" not in said
            for form in searched:
                assert form not in said.encode(), (words, form, said)
        for name, held in written(folder, given):
            for form in searched:
                assert form not in held, (name, form)


@st.composite
def answers(draw: Any, secret: str) -> str:
    """What a service says that quotes what it was sent."""
    how = draw(st.sampled_from([str, json.dumps, repr, quote]))
    return f"not with {how(secret)}!"


QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
    phases=[Phase.generate],
)  # fmt: skip


@pytest.fixture(scope="module")
def free() -> Iterator[forked.Servers]:
    with forked.servers(1) as made:
        yield made


def test_the_project_of_these_tests_is_built(tmp_path: Path, free: forked.Servers) -> None:
    with receiver() as server:
        made(tmp_path, USUAL, server.url)
        code, said = forked.run(free, ["build"], tmp_path, environment({"HOME": str(tmp_path)}))
        assert code == 0, said
        assert [each.method for each in server.requests] == ["POST"]


@QUICK
@given(st.data())
def test_a_secret_leaves_no_trace_wherever_it_stands(
    free: forked.Servers, data: st.DataObject
) -> None:
    tried(free, data)


@pytest.mark.soak
@settings(QUICK, max_examples=5_000, derandomize=False)
@given(st.data())
def test_many_secrets_leave_no_trace(free: forked.Servers, data: st.DataObject) -> None:
    tried(free, data)


def tried(free: forked.Servers, data: st.DataObject) -> None:
    case = data.draw(cases())
    commands = [("build",), data.draw(st.sampled_from(COMMANDS))]
    leaves_no_trace(free, case, data.draw(answers(case[1])), commands)
