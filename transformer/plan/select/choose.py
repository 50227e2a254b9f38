"""Which nodes are meant: `--select`, `--exclude`, `--selector`, resource types, `--state`.

Tests come along with what they stand on: with any of it (`eager`), only when all of it is chosen
(`cautious`), when all of it is chosen or stands above (`buildable`), or not at all (`empty`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

from transformer.compile.nodes import Graph
from transformer.errors import UsageError, did_you_mean
from transformer.plan.select.methods import SelectionContext, latest_versions, matcher
from transformer.plan.select.resources import Resources, things
from transformer.plan.select.selection import EarlierRun, Selection
from transformer.plan.select.selectors import (
    INDIRECT,
    Criterion,
    Definitions,
    Group,
    Spec,
    from_words,
)
from transformer.plan.select.state import Facts, ManifestChanges
from transformer.project.values import Project

Say = Callable[[str], object]


def choose(graph: Graph, select: Iterable[str], exclude: Iterable[str]) -> frozenset[str]:
    """The ids of the chosen nodes. Raises UsageError when a word means nothing.

    Nothing selected means everything. A check is chosen with any node that it reads.
    """
    return _Choosing(things(graph)).chosen(Selection(tuple(select), tuple(exclude)))


def chosen(
    graph: Graph,
    project: Project,
    selection: Selection,
    *,
    now: Callable[[], Facts] | None = None,
    say: Say = str,
) -> frozenset[str]:
    """The ids of what is chosen, exposures and their like among them.

    `now` gives the manifest of the project, for `state:`. In a dbt project a word that finds
    nothing is said and passed over; else it is an error.
    """
    found = things(graph, project)
    definitions = Definitions(project.selectors, selection.indirect)
    return _Choosing(found, definitions, now, say, project.open).chosen(selection)


@dataclass(slots=True)
class _Choosing:
    things: Resources
    definitions: Definitions = field(default_factory=lambda: Definitions({}))
    now: Callable[[], Facts] | None = None
    say: Say = str
    open: bool = False
    ground: SelectionContext = field(init=False)

    def chosen(self, asked: Selection) -> frozenset[str]:
        if asked.indirect not in INDIRECT:
            raise UsageError(
                f"`{asked.indirect}` is no way to take in tests", hint=", ".join(INDIRECT)
            )
        changes = self.changes(asked.earlier)
        latest = latest_versions(self.things)
        self.ground = SelectionContext(self.things, asked.earlier, changes, self.open, latest)
        spec = self.spec(asked)
        found = self.found(spec, missed=True)[0] if spec else set(self.things.by_id)
        if asked.exclude:
            found -= self.found(from_words(asked.exclude), missed=not self.open)[0]
        if asked.only is not None:
            found &= asked.only
        return frozenset(found & self.of_kinds(asked))

    def spec(self, asked: Selection) -> Spec | None:
        """What is selected; none means everything."""
        if asked.selector:
            if asked.select or asked.exclude:
                hint = "leave out --select and --exclude"
                raise UsageError("`--selector` stands alone", hint=hint)
            return self.definitions.spec(asked.selector)
        if asked.select:
            return from_words(asked.select, asked.indirect)
        usual = self.definitions.usual if not asked.exclude and asked.only is None else None
        return self.definitions.spec(usual) if usual else None

    def changes(self, earlier: EarlierRun) -> Callable[[], ManifestChanges] | None:
        manifest, now = earlier.manifest, self.now
        if manifest is None or now is None:
            return None
        return cache(lambda: ManifestChanges(manifest, now()))

    def of_kinds(self, asked: Selection) -> set[str]:
        """The ids of the resource types that are asked for."""
        wanted, left_out = (_kinds(each) for each in (asked.kinds, asked.not_kinds))
        return {
            t.id for t in self.things if (not wanted or t.kind in wanted) and t.kind not in left_out
        }

    def found(self, spec: Spec, *, missed: bool) -> tuple[set[str], set[str]]:
        """What is chosen, and the tests that come along if all they stand on is chosen too."""
        if isinstance(spec, Criterion):
            return self.one(spec, missed=missed)
        pairs = [self.found(part, missed=missed) for part in spec.parts]
        direct = _together(spec, [pair[0] for pair in pairs])
        waiting = _together(spec, [pair[1] for pair in pairs])
        return direct | self.allowed(waiting, direct, spec.indirect), waiting

    def one(self, word: Criterion, *, missed: bool) -> tuple[set[str], set[str]]:
        if word.method == "selector":
            return self.found(self.definitions.spec(word.value), missed=missed)
        matches = matcher(word.method, word.value, self.ground)
        found = {thing.id for thing in self.things if matches(thing)}
        if not found and missed:
            self.miss(word)
        found |= self.beside(word, found)
        if word.indirect == "empty":
            return found, set()
        tests = {i for i in self.things.below(found, 1) if self.things.by_id[i].is_test} - found
        if word.indirect == "eager":
            return found | tests, set()
        allowed = self.allowed(tests, found, word.indirect)
        return found | allowed, tests - allowed

    def beside(self, word: Criterion, found: set[str]) -> set[str]:
        """What comes along from above and below."""
        made: set[str] = set()
        if word.around:
            below = self.things.below(found)
            made |= below | self.things.above(found | below)
        if word.above:
            made |= self.things.above(found, word.above)
        if word.below:
            made |= self.things.below(found, word.below)
        return made

    def allowed(self, tests: set[str], found: set[str], indirect: str) -> set[str]:
        """The tests of which all that they stand on is there."""
        if not tests or indirect not in ("cautious", "buildable"):
            return set()
        there = set(found)
        if indirect == "buildable":
            there |= self.things.above(found)
            there |= {t.id for t in self.things if t.kind == "source"}
        return {i for i in tests if set(self.things.by_id[i].needs) <= there}

    def miss(self, word: Criterion) -> None:
        if self.open:
            said = f"The selection criterion '{word.written}' does not match any enabled nodes"
            self.say(said)
            return
        if word.method in ("state", "result", "source_status"):
            return  # that nothing changed is no mistake
        names = [t.name for t in self.things if not t.is_test]
        what = word.value if word.method in ("fqn", "path", "file") else word.written
        raise UsageError(
            f"the selector `{what.strip('+@')}` finds nothing",
            hint=did_you_mean(word.value, names, otherwise=""),
        )


def _together(spec: Group, sets: list[set[str]]) -> set[str]:
    if not sets:
        return set()
    first, *rest = sets
    if spec.how == "intersection":
        return first.intersection(*rest)
    return first.difference(*rest) if spec.how == "difference" else first.union(*rest)


def _kinds(asked: Iterable[str]) -> set[str]:
    """Resource types by every name they have; `all` and `default` mean every one of them."""
    names = {"check": "test", "saved-query": "saved_query", "semantic-model": "semantic_model"}
    words = {names.get(word, word) for each in asked for word in each.split()}
    return set() if words & {"all", "default"} else words
