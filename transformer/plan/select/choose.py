"""Resolves a selection: `--select`, `--exclude`, `--selector`, resource types, `--state`.

Tests are selected indirectly with their inputs: with any of them (`eager`), only if all are
selected (`cautious`), if all are selected or upstream (`buildable`), or never (`empty`).
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
    """The ids of the selected nodes. Raises UsageError for a selector that matches nothing.

    An empty selection means everything. A check is selected with any node that it reads.
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
    """The ids of everything selected, including exposures etc.

    `now` returns the manifest of the project, for `state:`. A selector that matches nothing is a
    warning in a dbt project, else an error (UsageError).
    """
    resources = things(graph, project)
    definitions = Definitions(project.selectors, selection.indirect)
    return _Choosing(resources, definitions, now, say, project.open).chosen(selection)


@dataclass(slots=True)
class _Choosing:
    things: Resources
    definitions: Definitions = field(default_factory=lambda: Definitions({}))
    now: Callable[[], Facts] | None = None
    say: Say = str
    open: bool = False
    context: SelectionContext = field(init=False)

    def chosen(self, selection: Selection) -> frozenset[str]:
        if selection.indirect not in INDIRECT:
            raise UsageError(
                f"`{selection.indirect}` is not a mode of indirect selection",
                hint=", ".join(INDIRECT),
            )
        changes = self.changes(selection.earlier)
        latest = latest_versions(self.things)
        self.context = SelectionContext(self.things, selection.earlier, changes, self.open, latest)
        spec = self.spec(selection)
        ids = self.ids_of(spec, report_missing=True)[0] if spec else set(self.things.by_id)
        if selection.exclude:
            ids -= self.ids_of(from_words(selection.exclude), report_missing=not self.open)[0]
        if selection.only is not None:
            ids &= selection.only
        return frozenset(ids & self.of_kinds(selection))

    def spec(self, selection: Selection) -> Spec | None:
        """The combined selectors; None means everything."""
        if selection.selector:
            if selection.select or selection.exclude:
                hint = "remove --select and --exclude"
                raise UsageError(
                    "`--selector` cannot be combined with other selection options", hint=hint
                )
            return self.definitions.spec(selection.selector)
        if selection.select:
            return from_words(selection.select, selection.indirect)
        default = (
            self.definitions.default if not selection.exclude and selection.only is None else None
        )
        return self.definitions.spec(default) if default else None

    def changes(self, earlier: EarlierRun) -> Callable[[], ManifestChanges] | None:
        manifest, now = earlier.manifest, self.now
        if manifest is None or now is None:
            return None
        return cache(lambda: ManifestChanges(manifest, now()))

    def of_kinds(self, selection: Selection) -> set[str]:
        """The ids with the requested resource types."""
        included, excluded = (_kinds(kinds) for kinds in (selection.kinds, selection.not_kinds))
        return {
            resource.id
            for resource in self.things
            if (not included or resource.kind in included) and resource.kind not in excluded
        }

    def ids_of(self, spec: Spec, *, report_missing: bool) -> tuple[set[str], set[str]]:
        """The selected ids, and the tests that are added if all their inputs are selected."""
        if isinstance(spec, Criterion):
            return self.ids_of_criterion(spec, report_missing=report_missing)
        pairs = [self.ids_of(part, report_missing=report_missing) for part in spec.parts]
        direct = _together(spec, [pair[0] for pair in pairs])
        waiting = _together(spec, [pair[1] for pair in pairs])
        return direct | self.allowed(waiting, direct, spec.indirect), waiting

    def ids_of_criterion(
        self, criterion: Criterion, *, report_missing: bool
    ) -> tuple[set[str], set[str]]:
        if criterion.method == "selector":
            return self.ids_of(
                self.definitions.spec(criterion.value), report_missing=report_missing
            )
        matches = matcher(criterion.method, criterion.value, self.context)
        ids = {resource.id for resource in self.things if matches(resource)}
        if not ids and report_missing:
            self.report_missing(criterion)
        ids |= self.relatives(criterion, ids)
        if criterion.indirect == "empty":
            return ids, set()
        tests = {i for i in self.things.below(ids, 1) if self.things.by_id[i].is_test} - ids
        if criterion.indirect == "eager":
            return ids | tests, set()
        allowed = self.allowed(tests, ids, criterion.indirect)
        return ids | allowed, tests - allowed

    def relatives(self, criterion: Criterion, ids: set[str]) -> set[str]:
        """The requested upstream and downstream nodes."""
        relatives: set[str] = set()
        if criterion.around:
            below = self.things.below(ids)
            relatives |= below | self.things.above(ids | below)
        if criterion.above:
            relatives |= self.things.above(ids, criterion.above)
        if criterion.below:
            relatives |= self.things.below(ids, criterion.below)
        return relatives

    def allowed(self, tests: set[str], ids: set[str], indirect: str) -> set[str]:
        """The tests whose inputs are all available."""
        if not tests or indirect not in ("cautious", "buildable"):
            return set()
        available = set(ids)
        if indirect == "buildable":
            available |= self.things.above(ids)
            available |= {t.id for t in self.things if t.kind == "source"}
        return {i for i in tests if set(self.things.by_id[i].needs) <= available}

    def report_missing(self, criterion: Criterion) -> None:
        if self.open:
            message = (
                f"The selection criterion '{criterion.written}' does not match any enabled nodes"
            )
            self.say(message)
            return
        if criterion.method in ("state", "result", "source_status"):
            return  # no changes are not a mistake
        names = [t.name for t in self.things if not t.is_test]
        what = criterion.value if criterion.method in ("fqn", "path", "file") else criterion.written
        raise UsageError(
            f"the selector `{what.strip('+@')}` matches nothing",
            hint=did_you_mean(criterion.value, names, otherwise=""),
        )


def _together(spec: Group, sets: list[set[str]]) -> set[str]:
    if not sets:
        return set()
    first, *rest = sets
    if spec.how == "intersection":
        return first.intersection(*rest)
    return first.difference(*rest) if spec.how == "difference" else first.union(*rest)


def _kinds(names_given: Iterable[str]) -> set[str]:
    """Resource types under any of their names; `all` and `default` are empty: no restriction."""
    names = {"check": "test", "saved-query": "saved_query", "semantic-model": "semantic_model"}
    kinds = {names.get(word, word) for text in names_given for word in text.split()}
    return set() if kinds & {"all", "default"} else kinds
