"""Makes a project of N models, the same in the form of each tool.

    python benchmarks/projects.py DIR --models 1000 [--form native|dbt|sqlmesh|lea]
        [--rows 100..1000] [--seed 1]
    python benchmarks/projects.py DIR --heavy [--rows 20000000]

Eight layers, from made-up raw tables to reports. Every model is a table and has two checks of its
key. The SQL of a model is the same in every form; a form says only how a parent, a macro and a
variable are written. `floor.sql` beside the project holds the final statements in the order of the
graph: they come from here, no tool has made them. `leaf.sql` holds those of the last model.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

FORMS = ("native", "dbt", "sqlmesh", "lea")
FOLDER = 25  # models in one folder, which has one YAML file
VARS = {"cutoff": "2024-06-01", "rate": 3}
STATUSES = ("open", "paid", "sent", "lost")

# Share of the models in each layer; the rest of a model's shape follows from its layer.
LAYERS = (
    ("raw", 10),
    ("stg", 20),
    ("int_a", 13),
    ("int_b", 13),
    ("int_c", 12),
    ("int_d", 12),
    ("mart", 12),
    ("rep", 8),
)


@dataclass(frozen=True, slots=True)
class Model:
    """One model: where it stands, what it reads, and the numbers in its SQL."""

    name: str
    folder: str
    shape: str
    parents: tuple[str, ...]
    dials: tuple[int, ...]
    rows: int
    groups: int
    revision: int = 1


@dataclass(frozen=True, slots=True)
class Words:
    """How a form writes a parent, the macro, a variable, a loop, and the mark of a checked key."""

    ref: Callable[[str], str]
    money: Callable[[str], str]
    var: Callable[[str], str]
    each: Callable[[str], str]
    key: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """Models in the order of the graph, the leaf that may be changed last."""

    models: tuple[Model, ...]
    heavy: bool = False
    names: dict[str, Model] = field(default_factory=dict)


# ---------------------------------------------------------------- words of the forms


def _expanded(line: str) -> str:
    return "".join(line.replace("STATUS", status) for status in STATUSES)


def _looped(line: str) -> str:
    listed = ", ".join(f"'{status}'" for status in STATUSES)
    body = line.replace("STATUS", "{{ status }}").rstrip("\n")
    return f"    {{%- for status in [{listed}] %}}\n{body}\n    {{%- endfor %}}\n"


def _text(name: str, value: object) -> str:
    return f"'{value}'" if isinstance(VARS[name], str) else str(value)


def _money(value: str) -> str:
    return f"cast(round({value}, 2) as decimal(14, 2))"


PLAIN = Words(lambda name: name, _money, lambda name: _text(name, VARS[name]), _expanded)
JINJA = Words(
    lambda name: f"{{{{ ref('{name}') }}}}",
    lambda value: f"{{{{ money('{value}') }}}}",
    lambda name: _text(name, f"{{{{ var('{name}') }}}}"),
    _looped,
)
# Native, every other model: a plain name is an edge.
NAMED = Words(PLAIN.ref, JINJA.money, JINJA.var, JINJA.each)
SQLMESH = Words(
    lambda name: f"main.{name}",
    lambda value: f"@money({value})",
    lambda name: f"@{name}",
    _expanded,
)
LEA = Words(
    lambda name: f"main.{name}",
    PLAIN.money,
    PLAIN.var,
    PLAIN.each,
    "    -- #NO_NULLS\n    -- #UNIQUE\n",
)


# ---------------------------------------------------------------- shapes of SQL


def raw(m: Model, w: Words) -> str:
    """A made-up raw table: everything is text, some of it untidy."""
    a, b, c = m.dials[:3]
    return f"""\
with numbers as (
    select i from range(0, {m.rows}) as r(i)
),

rolled as (
    select
        i,
        (i * {1000 + a} + {b}) % 10007 as roll,
        (i * {3000 + b} + {c}) % 9973 as turn
    from numbers
)

select
{w.key}    cast(i as varchar) as id,
    cast(i % {m.groups} as varchar) as account_id,
    cast(roll % 900 as varchar) || '.' || lpad(cast(turn % 100 as varchar), 2, '0') as amount,
    cast(1 + turn % 9 as varchar) as quantity,
    cast(date '2024-01-01' + cast(roll % 366 as integer) as varchar) as happened_on,
    case turn % 5
        when 0 then ' Open'
        when 1 then 'PAID'
        when 2 then 'sent '
        when 3 then 'Lost'
        else 'new'
    end as status
from rolled
"""


def staging(m: Model, w: Words) -> str:
    """Text becomes types, statuses become tidy."""
    return f"""\
with source as (
    select * from {w.ref(m.parents[0])}
),

typed as (
    select
        cast(id as bigint) as id,
        cast(account_id as integer) as account_id,
        cast(amount as decimal(14, 2)) as amount,
        cast(quantity as integer) as quantity,
        cast(happened_on as date) as happened_on,
        lower(trim(status)) as status
    from source
    where id is not null
)

select
{w.key}    id,
    account_id,
    {w.money(f"amount * {100 + m.dials[0]} / 100")} as amount,
    quantity,
    happened_on,
    case
        when status in ('new', 'open') then 'open'
        when status = 'paid' and amount < {m.dials[1]} then 'open'
        else status
    end as status,
    happened_on >= cast({w.var("cutoff")} as date) as is_recent
from typed
"""


def enriched(m: Model, w: Words) -> str:
    """Each row with what is known of its account."""
    first, second = m.parents[:2]
    return f"""\
with events as (
    select id, account_id, amount, quantity, happened_on, status
    from {w.ref(first)}
),

accounts as (
    select
        account_id,
        count(*) as account_events,
        sum(amount) as account_amount,
        max(happened_on) as last_on
    from {w.ref(second)}
    where quantity > {m.dials[0] % 3}
    group by account_id
)

select
{w.key}    events.id,
    events.account_id,
    {w.money(f"events.amount + coalesce(account_amount, 0) / {10 + m.dials[1]}")} as amount,
    events.quantity,
    greatest(events.happened_on, coalesce(accounts.last_on, events.happened_on)) as happened_on,
    case
        when accounts.account_events is null then 'lost'
        when events.amount > {m.dials[2]} then 'paid'
        else events.status
    end as status,
    coalesce(accounts.account_events, 0) as account_events
from events
left join accounts on events.account_id = accounts.account_id
"""


def windowed(m: Model, w: Words) -> str:
    """Each row among those of its account."""
    return f"""\
with events as (
    select * from {w.ref(m.parents[0])}
),

placed as (
    select
        id,
        account_id,
        amount,
        quantity,
        happened_on,
        status,
        row_number() over (partition by account_id order by happened_on, id) as nth,
        lag(happened_on) over (partition by account_id order by happened_on, id) as before_on,
        sum(amount) over (
            partition by account_id order by happened_on, id
            rows between unbounded preceding and current row
        ) as running_amount
    from events
)

select
{w.key}    id,
    account_id,
    amount,
    quantity,
    happened_on,
    status,
    nth,
    coalesce(date_diff('day', before_on, happened_on), {m.dials[0]}) as days_since,
    running_amount,
    case when nth <= {w.var("rate")} then 'early' else 'late' end as phase
from placed
"""


def rolled(m: Model, w: Words) -> str:
    """One row for each account, from two parents."""
    first, second = m.parents[:2]
    return f"""\
with both_sides as (
    select account_id, amount, quantity, happened_on, status
    from {w.ref(first)}
    union all
    select account_id, amount, quantity, happened_on, status
    from {w.ref(second)}
)

select
{w.key}    cast(account_id as bigint) as id,
    account_id,
    {w.money("sum(amount) / count(*)")} as amount,
    cast(sum(quantity) % {100 + m.dials[0]} as integer) as quantity,
    max(happened_on) as happened_on,
    min(status) as status,
    count(*) as events,
    count(distinct status) as statuses,
    sum(case when amount > {m.dials[1]} then 1 else 0 end) as large_events,
    min(happened_on) as first_on
from both_sides
group by account_id
"""


def pivoted(m: Model, w: Words) -> str:
    """One row for each account, a column for each status."""
    line = "    sum(case when status = 'STATUS' then amount else 0 end) as amount_STATUS,\n"
    return f"""\
with events as (
    select account_id, amount, quantity, happened_on, status
    from {w.ref(m.parents[0])}
    where happened_on is not null
)

select
{w.key}    cast(account_id as bigint) as id,
    account_id,
    cast(max(amount) as decimal(14, 2)) as amount,
    cast(max(quantity) as integer) as quantity,
    max(happened_on) as happened_on,
    max(status) as status,
{w.each(line)}    count(*) + {m.dials[0]} as events
from events
group by account_id
"""


def merged(m: Model, w: Words) -> str:
    """Two parents as one, the later row of each key."""
    first, second = m.parents[:2]
    return f"""\
with ours as (
    select id, account_id, amount, quantity, happened_on, status, 1 as side
    from {w.ref(first)}
),

theirs as (
    select id, account_id, amount, quantity, happened_on, status, 2 as side
    from {w.ref(second)}
),

together as (
    select * from ours
    union all
    select * from theirs
),

latest as (
    select
        *,
        row_number() over (partition by id order by happened_on desc, side) as place
    from together
)

select
{w.key}    id,
    account_id,
    amount,
    quantity,
    happened_on,
    status,
    side,
    coalesce(nullif(quantity, {m.dials[0] % 9}), 1) as safe_quantity
from latest
where place = 1
"""


def mart(m: Model, w: Words) -> str:
    """Three parents, one wide table."""
    first, second, third = m.parents[:3]
    return f"""\
with events as (
    select * from {w.ref(first)}
),

accounts as (
    select
        account_id,
        sum(amount) as account_amount,
        sum(quantity) as account_quantity
    from {w.ref(second)}
    group by account_id
),

days as (
    select
        account_id,
        min(happened_on) as first_on,
        count(distinct happened_on) as active_days
    from {w.ref(third)}
    group by account_id
)

select
{w.key}    events.id,
    events.account_id,
    {w.money("events.amount")} as amount,
    events.quantity,
    events.happened_on,
    events.status,
    days.first_on,
    coalesce(days.active_days, 0) as active_days,
    {w.money("coalesce(accounts.account_amount, 0)")} as account_amount,
    case
        when accounts.account_quantity > {m.dials[0]} then 'busy'
        when accounts.account_quantity is null then 'unknown'
        else 'quiet'
    end as activity
from events
left join accounts on events.account_id = accounts.account_id
left join days on events.account_id = days.account_id
"""


def report(m: Model, w: Words) -> str:
    """One row for each account, ranked; nobody reads it."""
    first, second = m.parents[:2]
    return f"""\
with totals as (
    select
        account_id,
        sum(amount) as amount,
        sum(quantity) as quantity,
        max(happened_on) as happened_on
    from {w.ref(first)}
    group by account_id
),

others as (
    select account_id, count(*) as events, max(status) as status
    from {w.ref(second)}
    group by account_id
)

select
{w.key}    cast(totals.account_id as bigint) as id,
    totals.account_id,
    {w.money("totals.amount")} as amount,
    cast(totals.quantity as bigint) as quantity,
    totals.happened_on,
    coalesce(others.status, 'lost') as status,
    rank() over (order by totals.amount desc, totals.account_id) as place,
    coalesce(others.events, {m.dials[0]}) as events,
    {m.revision} as revision
from totals
left join others on totals.account_id = others.account_id
"""


SHAPES: dict[str, tuple[Callable[[Model, Words], str], int]] = {
    "raw": (raw, 0),
    "staging": (staging, 1),
    "enriched": (enriched, 2),
    "windowed": (windowed, 1),
    "rolled": (rolled, 2),
    "pivoted": (pivoted, 1),
    "merged": (merged, 2),
    "mart": (mart, 3),
    "report": (report, 2),
}
MIDDLE = ("enriched", "windowed", "enriched", "merged", "rolled", "pivoted", "windowed", "enriched")
OF_LAYER = {"raw": ("raw",), "stg": ("staging",), "mart": ("mart",), "rep": ("report",)}


def sql(model: Model, words: Words) -> str:
    """The model's query in the words of a form."""
    return SHAPES[model.shape][0](model, words)


# ---------------------------------------------------------------- the graph


def plan(models: int, rows: tuple[int, int], seed: int = 1, revision: int = 1) -> Project:
    """A project of so many models; `rows` are the fewest and the most rows of a raw table."""
    chance = random.Random(seed)
    layers: list[list[Model]] = []
    for prefix, size in zip((name for name, _ in LAYERS), _sizes(models), strict=True):
        shapes = OF_LAYER.get(prefix, MIDDLE)
        made = []
        for n in range(size):
            shape = shapes[n % len(shapes)]
            made.append(
                Model(
                    name=f"{prefix}_{n + 1:04}",
                    folder=f"{prefix}/{prefix}_{n // FOLDER + 1:02}",
                    shape=shape,
                    parents=_parents(layers, n, SHAPES[shape][1], chance),
                    dials=tuple(chance.randrange(5, 95) for _ in range(3)),
                    rows=chance.randint(*rows),
                    groups=rows[0],
                )
            )
        layers.append(made)
    return _project([model for layer in layers for model in layer], revision)


def _sizes(models: int) -> list[int]:
    shares = [sum(share for _, share in LAYERS[: n + 1]) for n in range(len(LAYERS))]
    ends = [max(n + 1, round(models * share / 100)) for n, share in enumerate(shares)]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _parents(
    layers: list[list[Model]], n: int, count: int, chance: random.Random
) -> tuple[str, ...]:
    """The first is of the layer above, in turn; the others of any layer below the raw one."""
    if not count:
        return ()
    above = layers[-1]
    found = [above[n % len(above)].name]
    wider = [model.name for layer in layers[1:] for model in layer]
    while len(found) < count:
        found.append(chance.choice(wider))
    return tuple(found)


def _project(models: Sequence[Model], revision: int, *, heavy: bool = False) -> Project:
    every = (*models[:-1], replace(models[-1], revision=revision))
    return Project(every, heavy=heavy, names={model.name: model for model in every})


HEAVY = (
    ("raw_0001", "raw", ()),
    ("stg_0001", "staging", ("raw_0001",)),
    ("stg_0002", "staging", ("raw_0001",)),
    ("int_0001", "enriched", ("stg_0001", "stg_0002")),
    ("int_0002", "windowed", ("stg_0001",)),
    ("int_0003", "rolled", ("stg_0001", "stg_0002")),
    ("int_0004", "pivoted", ("stg_0001",)),
    ("int_0005", "pivoted", ("stg_0002",)),
    ("int_0006", "rolled", ("int_0001", "int_0003")),
    ("int_0007", "pivoted", ("int_0001",)),
    ("int_0008", "enriched", ("int_0003", "int_0001")),
    ("int_0009", "merged", ("int_0003", "int_0004")),
    ("int_0010", "windowed", ("int_0006",)),
    ("mart_0001", "mart", ("int_0008", "stg_0001", "int_0009")),
    ("mart_0002", "mart", ("int_0010", "int_0007", "stg_0002")),
    ("mart_0003", "mart", ("int_0009", "int_0005", "int_0006")),
    ("rep_0001", "report", ("mart_0001", "mart_0002")),
    ("rep_0002", "report", ("int_0002", "mart_0003")),
    ("rep_0003", "report", ("mart_0003", "int_0007")),
    ("rep_0004", "report", ("mart_0002", "int_0008")),
)


def heavy(rows: int, seed: int = 1, revision: int = 1) -> Project:
    """Twenty models over one large table: what the tool adds must vanish beside the data."""
    chance = random.Random(seed)
    made = [
        Model(
            name,
            name.split("_", maxsplit=1)[0],
            shape,
            parents,
            tuple(chance.randrange(5, 95) for _ in range(3)),
            rows,
            max(rows // 20, 1),
        )
        for name, shape, parents in HEAVY
    ]
    return _project(made, revision, heavy=True)


# ---------------------------------------------------------------- the floor's statements


def checks(model: Model) -> list[str]:
    """The two checks of a model, each a statement that counts failures."""
    keys = f"select id from {model.name}"
    return [
        f"select count(*) from ({keys} where id is null)",
        f"select count(*) from ({keys} where id is not null group by id having count(*) > 1)",
    ]


def statements(models: Sequence[Model]) -> str:
    """What has to be executed for these models, in the order of the graph."""
    made = []
    for model in models:
        made += [f"create or replace table {model.name} as\n{sql(model, PLAIN)}", *checks(model)]
    return "".join(f"{statement.rstrip()};\n\n" for statement in made)


# ---------------------------------------------------------------- the forms


def write(project: Project, root: Path, form: str) -> Path:
    """Writes the project in a form, and the floor's statements beside it."""
    files = WRITERS[form](project)
    files["floor.sql"] = statements(project.models)
    files["leaf.sql"] = statements(project.models[-1:])
    for name, text in files.items():
        _put(root / name, text)
    return root


def change(project: Project, root: Path, form: str, revision: int) -> Project:
    """Writes the last model anew, with another number in its SQL."""
    changed = _project(project.models, revision, heavy=project.heavy)
    leaf = changed.models[-1]
    _put(root / PATHS[form](leaf), TEXTS[form](leaf, len(changed.models) - 1))
    _put(root / "leaf.sql", statements([leaf]))
    return changed


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _native_text(model: Model, place: int) -> str:
    return sql(model, JINJA if place % 2 else NAMED)


def _dbt_text(model: Model, _: int) -> str:
    return sql(model, JINJA)


def _sqlmesh_text(model: Model, _: int) -> str:
    head = (
        f"MODEL (\n  name main.{model.name},\n  kind FULL,\n"
        "  audits (not_null(columns := (id)), unique_values(columns := (id)))\n);\n\n"
    )
    return head + sql(model, SQLMESH)


def _lea_text(model: Model, _: int) -> str:
    return sql(model, LEA)


TEXTS: dict[str, Callable[[Model, int], str]] = {
    "native": _native_text,
    "dbt": _dbt_text,
    "sqlmesh": _sqlmesh_text,
    "lea": _lea_text,
}
PATHS: dict[str, Callable[[Model], str]] = {
    "native": lambda m: f"models/{m.folder}/{m.name}.sql",
    "dbt": lambda m: f"models/{m.folder}/{m.name}.sql",
    "sqlmesh": lambda m: f"models/{m.folder}/{m.name}.sql",
    "lea": lambda m: f"scripts/main/{m.name}.sql",
}


def _models(project: Project, form: str) -> dict[str, str]:
    return {
        PATHS[form](model): TEXTS[form](model, place) for place, model in enumerate(project.models)
    }


def _properties(project: Project) -> dict[str, str]:
    """One YAML file for each folder, with the checks of its models."""
    folders: dict[str, list[str]] = {}
    for model in project.models:
        folders.setdefault(model.folder, []).append(
            f"  - name: {model.name}\n"
            f"    description: The {model.shape} table {model.name}\n"
            "    columns:\n"
            "      - name: id\n"
            "        description: The key\n"
            "        data_tests: [not_null, unique]\n"
        )
    return {
        f"models/{folder}/_{folder.rsplit('/', maxsplit=1)[-1]}.yml": "version: 2\n\nmodels:\n"
        + "\n".join(entries)
        for folder, entries in folders.items()
    }


MACROS = "{% macro money(value) %}cast(round({{ value }}, 2) as decimal(14, 2)){% endmacro %}\n"
LISTED = "".join(f"  {name}: {_text(name, value)}\n" for name, value in VARS.items())


def _native(project: Project) -> dict[str, str]:
    settings = f"name: bench\n\nvars:\n{LISTED}\nmodels:\n  +materialized: table\n"
    return {
        "transform.yml": settings,
        "macros/money.sql": MACROS,
        **_properties(project),
        **_models(project, "native"),
    }


def _dbt(project: Project) -> dict[str, str]:
    settings = (
        "name: bench\nversion: '1.0'\nprofile: bench\n\n"
        f"vars:\n{LISTED}\nmodels:\n  bench:\n    +materialized: table\n"
    )
    profile = (
        "bench:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n"
        "      path: warehouse.duckdb\n      threads: 2\n"
    )
    return {
        "dbt_project.yml": settings,
        "profiles.yml": profile,
        "macros/money.sql": MACROS,
        **_properties(project),
        **_models(project, "dbt"),
    }


def _sqlmesh(project: Project) -> dict[str, str]:
    settings = (
        "gateways:\n  local:\n    connection:\n      type: duckdb\n"
        "      database: warehouse.duckdb\ndefault_gateway: local\n\n"
        f"model_defaults:\n  dialect: duckdb\n  start: 2024-01-01\n\nvariables:\n{LISTED}"
    )
    macro = (
        "from sqlmesh import macro\n\n\n@macro()\ndef money(evaluator, value):\n"
        '    return f"cast(round({value}, 2) as decimal(14, 2))"\n'
    )
    return {
        "config.yaml": settings,
        "macros/__init__.py": "",
        "macros/money.py": macro,
        **_models(project, "sqlmesh"),
    }


def _lea(project: Project) -> dict[str, str]:
    return _models(project, "lea")


WRITERS: dict[str, Callable[[Project], dict[str, str]]] = {
    "native": _native,
    "dbt": _dbt,
    "sqlmesh": _sqlmesh,
    "lea": _lea,
}


# ---------------------------------------------------------------- the command


def span(text: str) -> tuple[int, int]:
    """`100..1000` as two numbers; one number is both."""
    low, _, high = text.partition("..")
    return int(low), int(high or low)


def main() -> None:
    """Writes a project."""
    words = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words.add_argument("folder", type=Path)
    words.add_argument("--models", type=int, default=1000)
    words.add_argument("--form", choices=FORMS, default="native")
    words.add_argument("--rows", type=span, help="rows of a raw table: 100..1000")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--revision", type=int, default=1, help="a number in the last model's SQL")
    words.add_argument("--heavy", action="store_true", help="20 models over 20 million rows")
    given = words.parse_args()
    if given.heavy:
        project = heavy((given.rows or (0, 20_000_000))[1], given.seed, given.revision)
    else:
        project = plan(given.models, given.rows or (100, 1000), given.seed, given.revision)
    write(project, given.folder, given.form)
    lines = sum(sql(model, PLAIN).count("\n") for model in project.models)
    print(f"{len(project.models)} models, {lines} lines of SQL: {given.folder}")


if __name__ == "__main__":
    main()
