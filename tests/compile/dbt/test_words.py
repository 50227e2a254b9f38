"""The words that are the same in every rendering."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from transformer.compile.dbt.adapter import NeedsWarehouse
from transformer.compile.dbt.words import WORDS, exceptions, try_or_compiler_error
from transformer.errors import RenderError


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("fromyaml('a: [1, x]')", "{'a': [1, 'x']}"),
        ("fromyaml('a: [', 'none')", "none"),
        ("toyaml({'b': 1, 'a': 2})", "b: 1\na: 2\n"),
        ("toyaml({'b': 1, 'a': 2}, sort_keys=true)", "a: 2\nb: 1\n"),
        ("fromjson('[1]')[0]", "1"),
        ("fromjson('x', 'none')", "none"),
        ("tojson({'b': 1, 'a': none})", '{"b": 1, "a": null}'),
        ("tojson({'b': 1, 'a': 2}, sort_keys=true)", '{"a": 2, "b": 1}'),
        ("tojson(modules.re, 'none')", "none"),
        ("local_md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("set([1, 1, 2]) | length", "2"),
        ("set(1, 'none')", "none"),
        ("set_strict([1, 1]) | list", "[1]"),
        ("zip([1, 2], 'ab') | list", "[(1, 'a'), (2, 'b')]"),
        ("zip(1, default='none')", "none"),
        ("zip_strict([1], [2])", "[(1, 2)]"),
        ("modules.datetime.datetime(2024, 1, 31).strftime('%d.%m.')", "31.01."),
        ("modules.datetime.date.today() > modules.datetime.date(2020, 1, 1)", "True"),
        ("modules.datetime.timedelta(days=1)", "1 day, 0:00:00"),
        ("modules.re.sub('[^a-z]', '', 'a1b2')", "ab"),
        ("modules.re.match('a', 'ab', modules.re.IGNORECASE).group(0)", "a"),
        ("modules.pytz.utc", "UTC"),
        ("modules.pytz.timezone('Europe/Paris').zone", "Europe/Paris"),
        ("modules.itertools.chain([1], [2]) | list", "[1, 2]"),
        ("modules.itertools.product([1], [2]) | list", "[(1, 2)]"),
        ("dbt_version.split('.')[0]", "1"),
        (
            "diff_of_two_dicts({'a': ['x', 'Y'], 'B': ['z']}, {'A': ['y'], 'c': []})",
            "{'a': ['x'], 'B': ['z']}",
        ),
    ],
)
def test_words_mean_what_they_mean_in_dbt(expression: str, wanted: str) -> None:
    text = SandboxedEnvironment().from_string("{{ " + expression + " }}").render(**WORDS)
    assert text == wanted


def test_zones_know_their_hours() -> None:
    modules = WORDS["modules"]
    july = modules.datetime.datetime(2024, 7, 1)
    paris = modules.pytz.timezone("Europe/Paris")
    assert paris.localize(july).utcoffset() == modules.datetime.timedelta(hours=2)


@pytest.mark.parametrize("name", ["sys", "os", "MINYEAR", "open_resource"])
def test_modules_give_only_what_is_harmless(name: str) -> None:
    for module in vars(WORDS["modules"]).values():
        assert not hasattr(module, name)


def test_strict_words_refuse_what_is_no_list() -> None:
    for name in ("set_strict", "zip_strict"):
        with pytest.raises(RenderError, match=name):
            WORDS[name](1)


def test_a_failure_becomes_the_message_that_was_given() -> None:
    assert try_or_compiler_error("no", int, "1") == 1
    with pytest.raises(RenderError, match="no number"):
        try_or_compiler_error(" no number ", int, "x")

    def later() -> None:
        raise NeedsWarehouse

    with pytest.raises(NeedsWarehouse):
        try_or_compiler_error("no", later)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("raise_compiler_error", (" no ", {"model": 1}), "no"),
        ("raise_database_error", ("no",), "no"),
        ("raise_fail_fast_error", ("no",), "no"),
        ("raise_not_implemented", ("no",), "no"),
        ("raise_contract_error", ([], []), "no columns are declared"),
        ("missing_config", ({}, "x"), "`x` is not set"),
        ("missing_materialization", ({}, "duckdb"), "materialization"),
        ("missing_relation", ("t",), "t does not exist"),
        ("relation_wrong_type", ("t", "view"), "should be a view"),
        ("column_type_missing", (["a", "b"],), "`a`, `b`"),
    ],
)
def test_macros_refuse_in_many_ways(name: str, arguments: tuple[Any, ...], said: str) -> None:
    with pytest.raises(RenderError, match=said):
        getattr(exceptions(str), name)(*arguments)


def test_a_warning_is_told_and_writes_nothing() -> None:
    told: list[str] = []
    assert exceptions(told.append).warn(" careful ") == ""
    assert told == ["careful"]
