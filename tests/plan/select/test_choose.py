"""What selectors mean: every method of dbt's, on one project."""

from __future__ import annotations

from typing import Any

import pytest

from tests.projects import write
from transformer.errors import UsageError
from transformer.plan.select.choose import chosen
from transformer.plan.select.resources import things
from transformer.plan.select.selection import EarlierRun, Selection
from transformer.request import Environment, Request
from transformer.workspace.open import Opened, open_project

FILES = {
    "dbt_project.yml": """
        name: shop
        version: '1.0'
        profile: shop
        models:
          shop:
            staging: {+tags: [staged]}
            marts: {+materialized: table}
    """,
    "profiles.yml": """
        shop:
          target: dev
          outputs: {dev: {type: duckdb, path: shop.duckdb}}
    """,
    "seeds/countries.csv": "id\n1\n",
    "models/staging/stg_orders.sql": "select 1 as id from {{ source('crm', 'orders') }}",
    "models/staging/stg_people.sql": "select 1 as id from {{ source('crm', 'people') }}",
    "models/marts/orders.sql": """
        {{ config(meta={'owner': 'ann', 'deep': {'er': 1}}, tags=['nightly', 'mart'],
                  group='finance', access='private') }}
        select o.id from {{ ref('stg_orders') }} o join {{ ref('countries') }} using (id)
    """,
    "models/marts/people_v1.sql": "select 1 as id from {{ ref('stg_people') }}",
    "models/marts/people_v2.sql": "select 2 as id from {{ ref('stg_people') }}",
    "models/marts/people_v3.sql": "select 3 as id from {{ ref('stg_people') }}",
    "models/marts/board.sql": "select 1 as id from {{ ref('orders') }}, {{ ref('people') }}",
    "models/all.yml": """
        sources:
          - name: crm
            tables: [{name: orders}, {name: people, tags: [pii]}]
          - name: web
            tables: [{name: orders}]
        groups: [{name: finance, owner: {name: Ann}}]
        models:
          - name: orders
            columns:
              - name: id
                data_tests:
                  - unique
                  - relationships: {to: ref('stg_orders'), field: id}
          - name: people
            latest_version: 2
            versions: [{v: 1}, {v: 2}, {v: 3}]
        exposures:
          - name: wall
            type: dashboard
            owner: {name: Ann}
            depends_on: [ref('board')]
        unit_tests:
          - name: adds_up
            model: orders
            given: []
            expect: {rows: []}
        semantic_models:
          - name: sm
            model: ref('board')
            measures: [{name: boards, agg: count}]
        metrics:
          - name: how_many
            label: x
            type: simple
            type_params: {measure: boards}
        saved_queries:
          - name: asked
            query_params: {metrics: [how_many]}
    """,
    "tests/positive.sql": "select * from {{ ref('orders') }} where id < 0",
    "selectors.yml": """
        selectors:
          - name: marts_only
            definition:
              union:
                - {method: path, value: models/marts}
                - exclude: [{method: resource_type, value: test}, 'board']
          - name: both
            definition:
              intersection: [{tag: nightly}, {method: fqn, value: marts}]
          - name: again
            definition:
              method: selector
              value: both
              exclude: [{method: test_type, value: data}]
          - name: upstream
            definition: {method: fqn, value: orders, parents: true, parents_depth: 1,
                         indirect_selection: empty}
          - name: plain
            definition: 'tag:staged,stg_people'
          - name: circle
            definition: {method: selector, value: circle}
    """,
}
RELATION = "relationships_orders_id__id__ref_stg_orders_"
TESTS = {"unique_orders_id", RELATION}
OF_ORDERS = {*TESTS, "positive", "adds_up"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    opened = open_project(Request(write(tmp_path_factory.mktemp("shop"), FILES)), Environment({}))
    assert not [str(each) for each in opened.mistakes]
    return opened


def names(opened: Opened, *select: str, **more: Any) -> set[str]:
    """What is chosen, by name; models with versions and tables of sources by both."""
    found = things(opened.graph, opened.project).by_id
    made = chosen(opened.graph, opened.project, Selection(select, **more))
    full = {i: t.node.name if t.kind == "source" and t.node else t.name for i, t in found.items()}
    return {full[i] + (f".v{found[i].version}" if found[i].version else "") for i in made}


PEOPLE = {"people.v1", "people.v2", "people.v3"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("stg_people", {"stg_people"}),
        ("shop.staging.stg_people", {"stg_people"}),
        ("staging.stg_people", {"stg_people"}),
        ("stag", set()),
        ("staging", {"stg_orders", "stg_people", RELATION}),
        ("staging.*", {"stg_orders", "stg_people", RELATION}),
        ("stg_p*", set()),
        ("*.stg_?eople", {"stg_people"}),
        ("orders", {"orders", *OF_ORDERS}),
        ("people", PEOPLE),
        ("people.v1", {"people.v1"}),
        ("people_v1", {"people.v1"}),
        ("orders.sql", {"orders", *OF_ORDERS}),
        ("file:stg_people", {"stg_people"}),
        ("models/staging/stg_people.sql", {"stg_people"}),
        ("path:models/stag*/*people*", {"stg_people"}),
        ("path:models/**/stg_people.sql", {"stg_people"}),
        ("path:seeds", {"countries"}),
        ("tag:pii", {"crm.people"}),
        ("tag:night*", {"orders", *OF_ORDERS}),
        ("source:crm", {"crm.orders", "crm.people"}),
        ("source:crm.orders", {"crm.orders"}),
        ("source:shop.web.orders", {"web.orders"}),
        ("source:*.orders", {"crm.orders", "web.orders"}),
        ("package:other", set()),
        ("config.materialized:seed", {"countries"}),
        ("config.meta.owner:ann", {"orders", *OF_ORDERS}),
        ("config.meta.deep.er:1", {"orders", *OF_ORDERS}),
        ("config.tags:mart", {"orders", *OF_ORDERS}),
        ("group:finance", {"orders", *OF_ORDERS}),
        ("access:private", {"orders", *OF_ORDERS}),
        ("resource_type:seed", {"countries"}),
        ("test_type:generic", TESTS),
        ("test_type:singular", {"positive"}),
        ("test_type:data", {*TESTS, "positive"}),
        ("test_type:unit", {"adds_up"}),
        ("test_name:unique", {"unique_orders_id"}),
        ("unit_test:adds_up", {"adds_up"}),
        ("exposure:wall", {"wall"}),
        ("exposure:shop.wall", {"wall"}),
        ("metric:how_many", {"how_many"}),
        ("semantic_model:sm", {"sm"}),
        ("saved_query:*", {"asked"}),
        ("version:latest", {"people.v2"}),
        ("version:old", {"people.v1"}),
        ("version:prerelease", {"people.v3"}),
        ("version:none,path:models/staging", {"stg_orders", "stg_people", RELATION}),
        ("+saved_query:asked,resource_type:metric", {"how_many"}),
        ("1+exposure:wall", {"wall", "board"}),
        ("countries+1", {"countries", "orders", *OF_ORDERS}),
        ("@countries,resource_type:source", {"crm.orders", "crm.people"}),
        ("stg_people,tag:staged", {"stg_people"}),
    ],
)  # fmt: skip
def test_a_word(shop: Opened, word: str, expected: set[str]) -> None:
    assert names(shop, word) == expected


def test_words_add_up_and_are_left_out(shop: Opened) -> None:
    assert names(shop, "stg_people", "countries") == names(shop, "stg_people countries")
    assert names(shop, "orders", exclude=("test_type:data",)) == {"orders", "adds_up"}
    assert names(shop, "+orders", exclude=("orders",)) == {"stg_orders", "countries", "crm.orders"}


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("eager", {"stg_orders", RELATION}),
        ("cautious", {"stg_orders"}),
        ("buildable", {"stg_orders"}),
        ("empty", {"stg_orders"}),
    ],
)
def test_tests_come_along_as_is_asked(shop: Opened, way: str, expected: set[str]) -> None:
    assert names(shop, "stg_orders", indirect=way) == expected


def test_a_test_of_two_comes_when_both_are_chosen_in_different_words(shop: Opened) -> None:
    both = names(shop, "stg_orders", "orders", indirect="cautious")
    assert both == {"stg_orders", "orders", *OF_ORDERS}
    assert RELATION in names(shop, "orders", indirect="buildable")
    assert RELATION not in names(shop, "orders", indirect="cautious")
    assert names(shop, "orders", "unique_orders_id", indirect="empty") == {
        "orders",
        "unique_orders_id",
    }


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("marts_only", {"orders", *PEOPLE, "adds_up"}),
        ("both", {"orders", *OF_ORDERS}),
        ("again", {"orders", "adds_up"}),
        ("upstream", {"orders", "stg_orders", "countries"}),
        ("plain", {"stg_people"}),
    ],
)
def test_a_selector_of_the_file(shop: Opened, selector: str, expected: set[str]) -> None:
    assert names(shop, selector=selector) == expected


def test_resource_types_narrow_what_is_chosen(shop: Opened) -> None:
    assert names(shop, "orders+", kinds=("model",)) == {"orders", "board"}
    assert names(shop, "orders", not_kinds=("test unit_test",)) == {"orders"}
    assert names(shop, kinds=("source",)) == {"crm.orders", "crm.people", "web.orders"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"select": ("tga:x",)}, "no selector method `tga:`"),
        ({"select": ("version:newest",)}, "unknown selector value"),
        ({"select": ("state:new",)}, "needs the `manifest.json`"),
        ({"select": ("result:error",)}, "needs the `run_results.json`"),
        ({"select": ("source_status:fresher",)}, "needs the `sources.json`"),
        ({"selector": "nightli"}, "no selector `nightli`"),
        ({"selector": "circle"}, "refers to itself"),
        ({"selector": "both", "select": ("a",)}, "cannot be combined"),
        ({"indirect": "keen"}, "not a mode of indirect selection"),
    ],
)
def test_what_cannot_be_meant_is_refused(shop: Opened, words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(shop.graph, shop.project, Selection(**words))


def test_a_word_that_finds_nothing_is_said_in_a_dbt_project(shop: Opened) -> None:
    said: list[str] = []
    made = chosen(shop.graph, shop.project, Selection(("nothing",)), say=said.append)
    assert not made
    assert said == ["The selection criterion 'nothing' does not match any enabled nodes"]


def test_results_and_sources_of_an_earlier_run(shop: Opened) -> None:
    results = {"results": [{"unique_id": "model.shop.orders", "status": "error"}]}
    seen = [{"unique_id": f"source.shop.crm.{t}", "max_loaded_at": "2026-01-01"} for t in
            ("orders", "people")]  # fmt: skip
    now = [seen[0], {**seen[1], "max_loaded_at": "2026-01-02"}]
    earlier = EarlierRun(None, results, {"results": seen}, {"results": now})
    found = names(shop, "result:error+", earlier=earlier, indirect="empty", kinds=("model",))
    assert found == {"orders", "board"}
    assert names(shop, "source_status:fresher", earlier=earlier) == {"crm.people"}
