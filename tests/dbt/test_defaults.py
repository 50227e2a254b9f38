"""dbt's macros by their full names: the text that dbt renders, as far as its rules are known."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.dbt.test_build import project, rows, run
from transformer.errors import Mistakes

SERIES = (
    "with p as(select 0 as generated_number union all select 1),unioned as(select"
    " p0.generated_number * power(2,0)+ p1.generated_number * power(2,1)+ 1 as generated_number"
    " from p as p0 cross join p as p1)select * from unioned where generated_number <= 3"
    " order by generated_number"
)
RENDERED = {
    "dbt.default__any_value('y')": "any_value(y)",
    "dbt.default__date(1999, 12, 1)": "to_date('1999-12-01','yyyy-mm-dd')",
    "dbt.default__dateadd('month', -2, 'x')": "dateadd(month,-2,x)",
    "dbt.default__datediff('x', 'y', 'day')": "datediff(day,x,y)",
    "dbt.default__listagg('a', \"'-'\", none, none)": "listagg(a,'-')",
    "dbt.default__listagg('a', \"'-'\", 'order by b', none)": (
        "listagg(a,'-')within group(order by b)"
    ),
    "dbt.default__listagg('a', \"'-'\", 'order by b', 2)": (
        "array_to_string(array_slice(array_agg(a)within group(order by b),0,2),'-')"
    ),
    "dbt.default__split_part('a', \"'.'\", 3)": "split_part(a,'.',3)",
    "dbt.default__generate_series(3)": SERIES,
    "dbt.default__get_batch_size()": "10000",
    "dbt.default__get_binding_char()": "%s",
    "dbt.normalize_string_or_list('a', 'k')": "['a']",
    "dbt.normalize_string_or_list(['a', 'b'], 'k')": "['a','b']",
    "dbt.normalize_string_or_list(none, 'k')": "[]",
    "dbt.get_drop_backup_sql(this.incorporate(type='view'))": (
        'drop view if exists "warehouse"."main"."made__dbt_backup" cascade'
    ),
}


def plain(text: str) -> str:
    """The text without what does not matter in SQL: case, and space."""
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.split())).strip().lower()


def test_macros_of_dbt_render_what_they_render_there(tmp_path: Path) -> None:
    texts = [f"{{% set t{i} %}}{{{{ {call} }}}}{{% endset %}}" for i, call in enumerate(RENDERED)]
    listed = ", ".join(f"$q${{{{ t{i} }}}}$q$ as t{i}" for i in range(len(RENDERED)))
    root = project(tmp_path, **{"models/made.sql": "\n".join([*texts, f"select {listed}"])})
    run(root, "build", "made")
    (found,) = rows(root, "from made")
    assert dict(zip(RENDERED, map(plain, found), strict=True)) == RENDERED


REPLACED = """
    {% materialization replaced, default %}
      {% set target = this.incorporate(type=config.get('kind')) %}
      {% set old = load_cached_relation(this) %}
      {% call statement('main') %}
        {% if old %}{{ get_replace_sql(old, target, sql) }}
        {% else %}{{ get_create_sql(target, sql) }}{% endif %}
      {% endcall %}
      {{ return({'relations': [target]}) }}
    {% endmaterialization %}
    {% materialization seen, default %}
      {{ return(create_or_replace_view()) }}
    {% endmaterialization %}
"""


@pytest.mark.parametrize(("first", "then"), [("table", "view"), ("view", "table")])
def test_a_relation_takes_the_place_of_another(first: str, then: str, tmp_path: Path) -> None:
    text = "{{ config(materialized='replaced', kind='KIND') }} select 'KIND' as a"
    root = project(tmp_path, **{"macros/made.sql": REPLACED})
    for kind in (first, then):
        (root / "models/made.sql").write_text(text.replace("KIND", kind))
        run(root, "build", "made")
        assert rows(root, "from made") == [(kind,)]


def test_a_view_takes_the_place_of_a_table(tmp_path: Path) -> None:
    root = project(tmp_path, **{"macros/made.sql": REPLACED})
    for kind, value in (("table", 1), ("seen", 2), ("seen", 3)):
        text = f"{{{{ config(materialized='{kind}') }}}} select {value} as a"
        (root / "models/made.sql").write_text(text)
        run(root, "build", "made")
        assert rows(root, "from made") == [(value,)]
    sql = "select table_type from information_schema.tables where table_name = 'made'"
    assert rows(root, sql) == [("VIEW",)]


def test_an_option_that_is_no_text_is_refused(tmp_path: Path) -> None:
    text = "select '{{ dbt.normalize_string_or_list({'a': 1}, 'keys') }}' as a"
    root = project(tmp_path, **{"models/made.sql": text})
    with pytest.raises(Mistakes) as caught:
        run(root, "build", "made")
    assert caught.value.errors[0].what == "keys is not a text or a list of texts"
