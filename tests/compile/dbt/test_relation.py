"""Relations: what they print, and what may be made of them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from transformer.compile.dbt.relation import Relation
from transformer.errors import RenderError

T = Relation.create("db", "s", "t", "table")


@pytest.mark.parametrize(
    ("relation", "text"),
    [
        (T, '"db"."s"."t"'),
        (Relation.create(schema="s", identifier="t"), '"s"."t"'),
        (Relation.create(identifier='a"b'), '"a""b"'),
        (Relation.create(), ""),
        (T.include(database=False), '"s"."t"'),
        (T.include(database=False, schema=False), '"t"'),
        (T.include(database=False).include(database=True), '"db"."s"."t"'),
        (T.quote(database=False, identifier=False), 'db."s".t'),
        (T.without_identifier(), '"db"."s"'),
        (T.incorporate(path={"schema": "x"}), '"db"."x"."t"'),
        (T.incorporate(path={"database": None, "schema": None}), '"t"'),
        (T.replace_path(identifier="u"), '"db"."s"."u"'),
        (T.incorporate(include_policy={"database": False}), '"s"."t"'),
        (T.information_schema(), "system.INFORMATION_SCHEMA"),
        (T.information_schema("TABLES"), "system.INFORMATION_SCHEMA.TABLES"),
        (
            T.information_schema().replace(information_schema_view="COLUMNS"),
            "system.INFORMATION_SCHEMA.COLUMNS",
        ),
        (Relation.ephemeral("stg"), "__dbt__cte__stg"),
        (Relation.expression("db", "s", "t", "read_csv('x.csv')"), "read_csv('x.csv')"),
        (
            Relation.create("db", "s", "t", quote_policy={"schema": False, "column": True}),
            '"db".s."t"',
        ),
    ],
)
def test_a_relation_prints_the_parts_it_includes(relation: Relation, text: str) -> None:
    assert str(relation) == relation.render() == text


def test_parts_are_attributes_whatever_is_printed() -> None:
    hidden = T.include(database=False)
    assert (hidden.database, hidden.schema, hidden.identifier) == ("db", "s", "t")
    assert (hidden.name, hidden.table, hidden.path.schema) == ("t", "t", "s")
    assert hidden.include_policy.database is False
    assert hidden.quote_policy["database"] is True
    assert dict(T.path) == {"database": "db", "schema": "s", "identifier": "t"}
    assert T.information_schema().database == "db"


def test_a_type_is_asked_for() -> None:
    assert (T.is_table, T.is_view, T.is_cte) == (True, False, False)
    assert Relation.ephemeral("x").is_cte
    assert T.incorporate(type="view").is_view
    assert T.incorporate(path={"schema": "x"}).is_table
    assert (T.is_pointer, T.can_be_renamed, T.can_be_replaced) == (False, False, False)
    assert Relation.View == "view"


def test_macros_of_packages_take_it_for_a_relation() -> None:
    assert isinstance(T, Mapping)
    assert T.get("metadata", {}).get("type", "").endswith("Relation")
    assert T.get("schema") == T["schema"] == "s"
    assert T.get("nothing", 1) == 1
    assert bool(T)
    with pytest.raises(KeyError):
        T["_text"]


def test_relations_are_equal_by_their_parts() -> None:
    assert Relation.create("db", "s", "t") == T
    assert Relation.create("db", "s", "u") != T
    assert T != '"db"."s"."t"'
    assert len({T, Relation.create("db", "s", "t", "view")}) == 1


def test_a_match_does_not_look_at_case() -> None:
    assert T.matches(schema="S", identifier="T")
    assert not T.matches(schema="other", identifier="t")
    with pytest.raises(RenderError):
        T.matches()


def test_records_of_snapshots_are_told_apart_by_key_and_time() -> None:
    assert Relation.scd_args("k", "at") == ["k", "at"]
    assert Relation.scd_args(["a", "b"], "at") == ["a", "b", "at"]
