"""The repository's own warehouse: every feature alive, every figure as it should be."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.projects import contents, query, transform
from transformer import sources, targets
from transformer.flows.start import PARTS, start
from transformer.plan.check_kinds import CHECKS
from transformer.project import schema
from transformer.project.tree import YamlItem, parse

ROOT = Path(__file__).parents[1]
# dbt writes `version: 2` in such files; it means nothing here.
MEANS_NOTHING = {"version"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("example") / "shop"
    start(root)
    transform(root, "build")
    return root


def test_the_second_build_plans_nothing(built: Path) -> None:
    done = transform(built, "build")
    assert "nothing to do: 15 models, 12 sources, 1 activation" in done.stderr
    assert not done.stdout


def test_every_raw_row_is_landed_or_quarantined(built: Path) -> None:
    found = query(
        built / "warehouse.duckdb",
        "select sum(rows_read), sum(rows_landed), sum(rows_quarantined) from _transform.loads",
    )
    assert found == [(19598, 19596, 2)]


def test_the_two_bad_contacts_say_what_is_wrong_with_them(built: Path) -> None:
    said = transform(built, "quarantine", "show", "crm.contacts").stdout
    assert "too many columns" in said
    assert "is not a valid BIGINT" in said


def test_one_person_is_one_customer_whatever_the_silo(built: Path) -> None:
    """1,500 people were drawn; some gave no address that would join them."""
    found = query(
        built / "warehouse.duckdb",
        "select count(*), count(distinct person_id) from customers",
    )
    assert found == [(1566, 1566)]


def test_revenue_is_the_same_wherever_it_is_added_up(built: Path) -> None:
    found = query(
        built / "warehouse.duckdb",
        "select (select sum(net_revenue) from daily_revenue) = sum(net_revenue) from orders",
    )
    assert found == [(True,)]


def test_the_audience_is_in_the_file(built: Path) -> None:
    lines = (built / "exports" / "lapsed_big_spenders.csv").read_text().splitlines()
    assert len(lines) == 1 + 124
    found = query(built / "warehouse.duckdb", "select count(*) from activation.lapsed_big_spenders")
    assert found == [(124,)]


def test_a_build_from_nothing_makes_the_same_tables(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    start(again)
    transform(again, "build", "--threads", "1")
    assert contents(again / "warehouse.duckdb") == contents(built / "warehouse.duckdb")


def test_a_full_refresh_makes_the_same_tables(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(built, again)
    transform(again, "build", "--full-refresh")
    assert contents(again / "warehouse.duckdb") == contents(built / "warehouse.duckdb")


def test_a_comment_changes_nothing(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(built, again)
    path = again / "models" / "staging" / "stg_orders.sql"
    path.write_text("-- a thought\n" + path.read_text().replace(",\n", " ,\n\n"))
    assert "nothing to do" in transform(again, "build").stderr


def test_every_target_builds(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    start(again)
    for target in ("ci", "bi", "scratch"):
        transform(again, "build", "--target", target)
    shown = query(again / "bi.duckdb", "select count(*) from customers")
    assert shown == query(built / "warehouse.duckdb", "select count(*) from customers")


# ------------------------------------------------------------- every feature alive


def documents() -> Iterator[YamlItem]:
    for path in sorted((ROOT / "models").rglob("*.yml")) + sorted((ROOT / "seeds").rglob("*.yml")):
        yield parse(path.read_text(), path.name)


def settings() -> YamlItem:
    return parse((ROOT / "transform.yml").read_text(), "transform.yml")


def keys(item: YamlItem) -> set[str]:
    """Every key that stands anywhere below."""
    found: set[str] = set()
    if item.is_map:
        for key, _, value in item.entries():
            found |= {key.removeprefix("+"), *keys(value)}
    elif item.is_list:
        for value in item.value:
            found |= keys(value)
    return found


def written() -> set[str]:
    found = keys(settings())
    for document in documents():
        found |= keys(document)
    for path in (ROOT / "models").rglob("*.*"):
        for call in re.findall(r"config\((.*?)\)", path.read_text(), re.DOTALL):
            found |= set(re.findall(r"(\w+)\s*=", call))
    for path in (ROOT / "tests" / "checks").glob("*.sql"):
        found |= set(re.findall(r"(\w+)\s*=", path.read_text()))
    return found


TABLES: dict[str, schema.Fields] = {
    "transform.yml": schema.PROJECT,
    "property files": schema.PROPERTIES,
    "load": schema.LOAD,
    "checks": schema.CHECK_CONFIG,
    "activations": schema.ACTIVATION,
    **{f"source {k}": f for k, f in sources.vocabulary().items()},
    **{f"check {k}": check.fields for k, check in CHECKS.items()},
}
# Of the targets that need a server, the example shows what it takes to switch them on.
TABLES |= {f"target {k}": targets.find(k).FIELDS for k in ("files",)}


@pytest.mark.parametrize("table", TABLES)
def test_every_field_is_used_in_the_example(table: str) -> None:
    alive = written()
    for path, field in schema.walk(TABLES[table]):
        name = path.rsplit(".", 1)[-1]
        aliases = {name, *field.aliases} - MEANS_NOTHING
        assert not aliases or aliases & alive, f"{table}: `{path}` stands nowhere in the example"


def test_every_kind_of_check_source_target_and_materialization_is_used() -> None:
    text = "".join(p.read_text() for p in (ROOT / "models").rglob("*.*") if p.is_file())
    text += (ROOT / "transform.yml").read_text()
    for kind in CHECKS:
        assert re.search(rf"- {kind}\b", text), f"no check of kind {kind}"
    for kind in (*sources.kinds(), *targets.kinds()):
        assert re.search(rf"kind: {kind}\b", text), f"no {kind}"
    for field in (*schema.MODEL_CONFIG, *schema.SNAPSHOT_CONFIG):
        if field.name in ("materialized", "strategy"):
            for choice in field.choices:
                assert choice in text, f"{field.name} {choice}"


@pytest.mark.parametrize(
    "word", ["ref(", "source(", "config(", "var(", "env_var(", "{{ this", "target.",
             "is_incremental()", "execute", "log(", "return(", "{% test "]
)  # fmt: skip
def test_every_word_of_templates_is_used(word: str) -> None:
    homes = ("models", "macros", "tests/checks")
    texts = [p.read_text() for home in homes for p in (ROOT / home).rglob("*.*") if p.is_file()]
    assert any(word in text for text in texts), word


def test_the_raw_files_are_made_by_their_script(tmp_path: Path) -> None:
    """Texts byte for byte; formats that carry their writer's version are compared by content."""
    copy = tmp_path / "data"
    copy.mkdir()
    shutil.copyfile(ROOT / "data" / "make.py", copy / "make.py")
    run_python(copy / "make.py")
    for path in sorted((ROOT / "data").rglob("*")):
        if path.suffix in (".csv", ".gz", ".ndjson", ".json"):
            again = copy / path.relative_to(ROOT / "data")
            assert again.read_bytes() == path.read_bytes(), path.name


def run_python(path: Path) -> None:
    subprocess.run([sys.executable, str(path)], check=True, cwd=path.parent.parent)


def test_the_wheel_ships_the_example_as_the_starter() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for part in PARTS:
        assert f'"{part}" = "transformer/starter/{part}"' in text
