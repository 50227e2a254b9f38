"""What has to be done, and why: graphs and states in, plans out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from transformer.compile.model_config import ModelConfig
from transformer.compile.nodes import CheckBody, Compiled, Graph, ModelBody, Node
from transformer.errors import UsageError, Where
from transformer.names import RelationName
from transformer.plan.fingerprint import fingerprint
from transformer.plan.planner import plan
from transformer.plan.select.choose import choose
from transformer.plan.work import BuildRequest, Probe, WorldFacts
from transformer.project.values import CheckConfig, Column, Described, Model
from transformer.steps import NodeState, Plan, RelationState, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def model(name: str, needs: Iterable[str] = (), text: str = "", **config: str) -> Node:
    text = text or f"select 1 as {name}"
    described = Described(columns=(Column("id", Where("m.yml")),))
    return Node(
        id=f"model.p.{name}",
        kind="model",
        name=name,
        path=f"models/{config.pop('folder', 'marts')}/{name}.sql",
        body=ModelBody(
            Model(name, f"{name}.sql", text),
            ModelConfig(**{"materialized": "table", **config}),  # type: ignore[arg-type]
            Compiled(text, f"{name}.sql"),
        ),
        needs=tuple(f"model.p.{need}" for need in needs),
        relation=RelationName("main", name),
        tags=("nightly",) if name.startswith("n") else (),
        options={"materialized": config.get("materialized", "table")},
        described=described,
    )


def check(kind: str, on: str, *others: str) -> Node:
    return Node(
        id=f"test.p.{kind}_{on}",
        kind="check",
        name=f"{kind}_{on}",
        path="models/_m.yml",
        body=CheckBody(kind, f"model.p.{on}", "id", {}, CheckConfig(), Where("m.yml", 1)),
        needs=tuple(f"model.p.{need}" for need in (on, *others)),
    )


def graph(*nodes: Node) -> Graph:
    return Graph({node.id: node for node in nodes})


def built(made: Graph, versions: Mapping[str, str] | None = None) -> State:
    """The state after everything was built once."""
    known = {node.id: (versions or {}).get(node.name, "v1") for node in made}
    return State(
        relations={n.relation.key(): RelationState("table") for n in made if n.relation},
        nodes={
            node.id: NodeState(
                fingerprint(node), known[node.id], {need: known[need] for need in node.needs}
            )
            for node in made
        },
    )


def planned(made: Graph, state: State, **wish: object) -> Plan:
    facts = wish.pop("facts", WorldFacts())
    asked = BuildRequest(frozenset(made.nodes), NOW, **wish)  # type: ignore[arg-type]
    found, mistakes = plan(made, state, asked, facts)  # type: ignore[arg-type]
    assert not mistakes
    return found


def reasons(found: Plan) -> dict[str, str]:
    return {step.label: step.reason for step in found}


CHAIN = graph(model("a"), model("b", ["a"]), model("c", ["b"]), check("unique", "b"))


def test_what_was_never_built_is_new() -> None:
    assert set(reasons(planned(CHAIN, State())).values()) == {"new"}


def test_what_is_unchanged_is_skipped_with_its_reason() -> None:
    found = planned(CHAIN, built(CHAIN))
    assert not found.steps
    assert {skip.reason for skip in found.skips} == {"unchanged"}
    assert len(found.skips) == 4


def test_a_changed_query_takes_with_it_what_stands_on_it() -> None:
    changed = graph(*[model("a", text="select 2 as a") if n.name == "a" else n for n in CHAIN])
    assert reasons(planned(changed, built(CHAIN))) == {
        "a": "it was changed",
        "b": "`a` changed",
        "c": "`b` changed",
    }


def test_what_only_its_inputs_make_due_may_turn_out_to_be_the_same() -> None:
    changed = graph(*[model("a", text="select 2 as a") if n.name == "a" else n for n in CHAIN])
    flags = {s.label: s.work.only_if_changed for s in planned(changed, built(CHAIN))}
    assert flags == {"a": False, "b": True, "c": True}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda s: replace(s, relations={}), "its relation is missing"),
        (lambda s: failed(s, "model.p.a"), "it failed last time"),
        (lambda s: replace(s, nodes={k: v for k, v in s.nodes.items() if k != "model.p.a"}), "new"),
    ],
)
def test_reasons_that_lie_in_the_state(spoil, reason: str) -> None:  # type: ignore[no-untyped-def]
    assert reasons(planned(CHAIN, spoil(built(CHAIN))))["a"] == reason


def failed(state: State, node_id: str) -> State:
    return replace(
        state, nodes={**state.nodes, node_id: replace(state.nodes[node_id], status="fail")}
    )


def test_reasons_that_lie_outside() -> None:
    facts = WorldFacts(
        probes={"model.p.a": Probe("1 new file")}, expired=frozenset({"test.p.unique_b"})
    )
    found = reasons(planned(CHAIN, built(CHAIN), facts=facts))
    assert found["a"] == "1 new file"
    assert reasons(planned(CHAIN, built(CHAIN), full_refresh=True))["a"] == "full refresh"
    assert reasons(planned(CHAIN, built(CHAIN), always=True))["a"] == "requested"


def test_an_input_whose_version_is_another_one_is_a_reason() -> None:
    moved = built(CHAIN)
    nodes = {**moved.nodes, "model.p.a": replace(moved.nodes["model.p.a"], version="v2")}
    assert reasons(planned(CHAIN, replace(moved, nodes=nodes)))["b"] == "`a` changed"


def test_a_check_is_measured_inside_the_step_of_its_relation() -> None:
    steps = {step.label: step for step in planned(CHAIN, State())}
    assert "unique_b" not in steps
    assert [c.name for c in steps["b"].work.checks] == ["unique_b"]


def test_checks_of_a_relation_without_a_step_are_one_step() -> None:
    more = graph(*CHAIN, check("not_null", "b"), check("accepted_range", "b"))
    state = built(CHAIN)
    found = planned(more, state)
    assert [len(step.work.checks) for step in found] == [2]


def test_a_check_that_reads_something_beside_waits_and_is_waited_for() -> None:
    made = graph(
        model("a"),
        model("b"),
        check("relationships", "a", "b"),
        model("c", ["a", "b"]),
        model("d", ["a"]),
    )
    steps = {step.label: step for step in planned(made, State())}
    assert set(steps["relationships_a"].after) == {"model.p.a", "model.p.b"}
    assert "test.p.relationships_a" in steps["c"].after
    assert "test.p.relationships_a" not in steps["d"].after, "d may be what the check waits for"


def test_two_checks_across_never_wait_for_each_other() -> None:
    made = graph(
        model("o"),
        model("x", ["o"]),
        model("y", ["o"]),
        check("relationships", "o", "x"),
        check("unique", "o", "y"),
    )
    steps = {step.id: set(step.after) for step in planned(made, State())}
    done: set[str] = set()
    while steps:
        ready = {i for i, after in steps.items() if not after - done}
        assert ready, f"these wait for each other: {steps}"
        done |= ready
        steps = {i: after for i, after in steps.items() if i not in ready}


def test_an_ephemeral_model_has_no_step_and_lets_changes_through() -> None:
    made = graph(model("a"), model("e", ["a"], materialized="ephemeral"), model("c", ["e"]))
    steps = planned(made, State())
    assert [step.label for step in steps] == ["a", "c"]
    assert steps.steps[1].after == ("model.p.a",)


def test_what_stands_on_a_failure_of_this_run_waits_for_it() -> None:
    found = planned(CHAIN, State(), facts=WorldFacts(failed=frozenset({"model.p.a"})))
    assert all("model.p.a" in step.after for step in found if step.label != "a")


# ------------------------------------------------------------------ selectors

WIDE = graph(
    model("a", folder="staging", materialized="view"),
    model("b", ["a"]),
    model("n1", ["b"]),
    model("n2", ["n1"]),
    check("unique", "b"),
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["b"], {"b", "unique_b"}),
        (["b+"], {"b", "n1", "n2", "unique_b"}),
        (["+b"], {"a", "b", "unique_b"}),
        (["b+1"], {"b", "n1", "unique_b"}),
        (["1+n2"], {"n1", "n2"}),
        (["+b+"], {"a", "b", "n1", "n2", "unique_b"}),
        (["tag:nightly"], {"n1", "n2"}),
        (["path:models/staging"], {"a"}),
        (["models/staging"], {"a"}),
        (["config.materialized:view"], {"a"}),
        (["n*"], {"n1", "n2"}),
        (["a n1"], {"a", "n1"}),
        (["a", "n1"], {"a", "n1"}),
        (["tag:nightly,n1"], {"n1"}),
        (["a+,tag:nightly"], {"n1", "n2"}),
        (["resource_type:check"], {"unique_b"}),
    ],
)
def test_selectors(words: list[str], expected: set[str]) -> None:
    assert {WIDE[i].name for i in choose(WIDE, words, ())} == expected


def test_what_is_excluded_is_left_out_with_its_checks() -> None:
    assert {WIDE[i].name for i in choose(WIDE, (), ["b"])} == {"a", "n1", "n2"}


def test_a_selector_that_finds_nothing_is_told() -> None:
    with pytest.raises(UsageError, match="matches nothing"):
        choose(WIDE, ["nothing"], ())
    with pytest.raises(UsageError, match="no selector method"):
        choose(WIDE, ["tga:nightly"], ())
