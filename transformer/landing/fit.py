"""Which type each column gets, and what has to be altered for it, under `on_schema_change`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct, field
from msgspec.structs import replace

from transformer.errors import LoadError
from transformer.landing.staged import OWN, UNKNOWN, Cursor, Session, Staged
from transformer.landing.types import EXACT_IN_DOUBLE, INTEGERS, infer, misfit, widens
from transformer.names import Name, quoted
from transformer.project.values import Load
from transformer.steps import Columns

_OWN_NAMES = frozenset(name for name, _ in OWN)


class Landing(Struct, frozen=True):
    """One landing: into which table, by which rules, and what stands there already.

    `relanded` are parts that were landed before and are read whole again: their rows are
    replaced. Of `retried` parts only the rows in quarantine are landed. `order` is the order of
    the parts: in a merge the later row wins. `since` is set when a table is read from there on.
    """

    node: str
    target: Name
    load: Load
    batch: str
    now: datetime
    declared: Mapping[str, str] = field(default_factory=dict)
    existing: Columns = ()
    relanded: tuple[str, ...] = ()
    retried: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    since: Cursor | None = None

    @property
    def fresh(self) -> bool:
        """Whether the table is made anew."""
        return self.load.mode == "replace" or not self.existing


class Fitted(Struct, frozen=True):
    """The columns as they will be: target types, what has to be altered, what is refused.

    `recast` are columns whose declared type is not the one they have. `sure` are those of
    which all values at hand were found to fit.
    """

    kinds: Mapping[str, str]
    offered: Mapping[str, str]
    added: Columns = ()
    widened: Columns = ()
    recast: Columns = ()
    extra: tuple[str, ...] = ()
    sure: frozenset[str] = frozenset()


class _Wanted(Struct, frozen=True):
    """Every offered column: its name in the table, and the type that is declared or held."""

    held: Mapping[str, tuple[str, str]]
    declared: Mapping[str, str]
    offered: Mapping[str, str]

    def named(self, name: str) -> str:
        return self.held.get(name.lower(), (name, ""))[0]

    def has(self, name: str) -> str:
        return self.held.get(name.lower(), ("", ""))[1]

    def kind(self, name: str) -> str:
        return self.declared.get(name.lower()) or self.has(name)


def fit(session: Session, landing: Landing, staged: Staged) -> Fitted:
    """Which type each column gets, under the policy `on_schema_change`."""
    wanted = _Wanted(
        {n.lower(): (n, k) for n, k in landing.existing if n not in _OWN_NAMES},
        {n.lower(): k for n, k in landing.declared.items()},
        {n: _raw(k) for n, k in staged.columns},
    )
    found, met = _found(session, staged, wanted)
    fitted = _fitted(session, landing, wanted, found)
    sure = frozenset(n for n, kind in met.items() if fitted.kinds[n] == kind)
    fitted = replace(fitted, sure=sure)
    policy = landing.load.on_schema_change
    if wanted.held and policy == "freeze":
        _frozen(landing, wanted, (*fitted.added, *fitted.widened))
    if wanted.held and policy == "quarantine":
        new = {n for n, _ in fitted.added}
        kinds = {n: wanted.kind(n) or k for n, k in fitted.kinds.items()}
        extra = tuple(n for n in wanted.offered if wanted.named(n) in new)
        return Fitted(kinds, wanted.offered, recast=fitted.recast, extra=extra)
    return fitted


def _raw(kind: str) -> str:
    """An enum's words change with its values: in a raw table they are text."""
    return "VARCHAR" if kind.startswith("ENUM(") else kind


def _fitted(
    session: Session, landing: Landing, wanted: _Wanted, found: Mapping[str, str]
) -> Fitted:
    kinds, added, widened, recast = {}, [], [], []
    for name in wanted.offered:
        old, new, has = wanted.kind(name), found[name], wanted.has(name)
        there = wanted.named(name)
        kinds[name] = old or new
        if (wanted.held and not has) or not old:
            added.append((there, kinds[name]))
        elif has and has != old:
            recast.append((there, old))
        elif (
            old != new
            and name.lower() not in wanted.declared
            and widens(old, new)
            and _exact(session, landing, there, (old, new))
        ):
            kinds[name] = new
            widened.append((there, new))
    return Fitted(kinds, wanted.offered, tuple(added), tuple(widened), tuple(recast))


def _exact(session: Session, landing: Landing, name: str, kinds: tuple[str, str]) -> bool:
    """Whether the whole numbers that are there stay what they are as a DOUBLE."""
    old, new = kinds
    if landing.fresh or new != "DOUBLE" or old not in INTEGERS:
        return True
    found = session.rows(f"select max(abs({quoted(name)}::hugeint)) from {landing.target.sql()}")
    return (found[0][0] or 0) <= EXACT_IN_DOUBLE


def _found(
    session: Session, staged: Staged, wanted: _Wanted
) -> tuple[dict[str, str], Mapping[str, str]]:
    """The type that the values at hand ask for, where it is not the wanted one; and the types
    that all of them were found to meet."""
    offered = wanted.offered
    if not staged.text:
        return dict(offered), {}
    kinds = {n: wanted.kind(n) for n in offered}
    unknown = [n for n, kind in offered.items() if kind == UNKNOWN and not kinds[n]]
    unfit = _unfit(session, staged, {n: k for n, k in kinds.items() if k}, offered)
    guessed = infer(session, staged.rows, [n for n in (*unknown, *unfit) if offered[n] == UNKNOWN])
    met = {n: kind for n, kind in kinds.items() if kind and n not in unfit} | guessed
    return {
        n: guessed.get(n)
        or (kind if kind != UNKNOWN and (n in unfit or not kinds[n]) else kinds[n])
        for n, kind in offered.items()
    }, met


def _unfit(
    session: Session, staged: Staged, kinds: Mapping[str, str], offered: Mapping[str, str]
) -> Sequence[str]:
    """The columns that hold a value which does not fit the wanted type."""
    asked = [(n, misfit(n, kind, text=True, offered=offered[n])) for n, kind in kinds.items()]
    conditions = [(n, condition) for n, condition in asked if condition]
    if not conditions:
        return []
    figures = ", ".join(f"count(*) filter (where {condition})" for _, condition in conditions)
    counts = session.rows(f"select {figures} from ({staged.rows})")[0]
    return [n for (n, _), count in zip(conditions, counts, strict=True) if count]


def _frozen(landing: Landing, wanted: _Wanted, changed: Columns) -> None:
    folded = {n.lower() for n in wanted.offered}
    gone = [name for key, (name, _) in wanted.held.items() if key not in folded]
    if not changed and not gone:
        return
    listed = [f"+{n} {k}" for n, k in changed] + [f"−{n}" for n in gone]
    raise LoadError(
        f"the columns of `{landing.target}` changed: {', '.join(listed)}",
        landing.load.place("on_schema_change"),
        hint="the table is as it was; `on_schema_change: evolve` takes new columns in",
    )
