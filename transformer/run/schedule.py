"""The loop: steps in their order, some at the same time; a failure stops what stands on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext, suppress

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import BuildError, Fault, MemoryShortError, TransformError
from transformer.request import Event
from transformer.run.transactions import SharedTransactions
from transformer.steps import Action, Outcome, Plan, Results, Step

_AS_IT_WAS = "what it makes is as it was before this build"
_STOPPED = "stopped at the first failure"
Perform = Callable[[Step], Outcome]
Watch = Callable[[Event], None]


class Pace(Struct, frozen=True):
    """How many steps at the same time, and whether the first failure ends it all. Steps that
    follow each other may share transactions: `together` is then the engine they work with."""

    threads: int = 1
    fail_fast: bool = False
    together: SharedTransactions | None = None
    # Around a step that ran out of memory, when it is tried again.
    sparing: Callable[[], AbstractContextManager[None]] = nullcontext


def follow(
    plan: Plan,
    perform: Mapping[Action, Perform],
    on_event: Watch,
    before: Results,
    pace: Pace,
) -> Results:
    """Does every step of the plan after those it waits for. Never raises for a step's failure:
    it is an outcome, and what waits for it is skipped. `before` are outcomes of an earlier part
    of the same run: they count, and stop what waits for them."""
    following = _Following(plan, perform, on_event, pace)
    following.ended = {outcome.id: outcome for outcome in before.outcomes}
    return following.run(max(1, pace.threads))


class _Following:
    def __init__(
        self, plan: Plan, perform: Mapping[Action, Perform], on_event: Watch, pace: Pace
    ) -> None:
        self.perform, self.on_event, self.fail_fast = perform, on_event, pace.fail_fast
        self.together, self.sparing = pace.together, pace.sparing
        # Steps that ran out of memory, and are tried a second time.
        self.spared: set[str] = set()
        self.waiting = {step.id: step for step in plan}
        self.total = len(plan)
        self.count = 0
        self.ended: dict[str, Outcome] = {}

    def run(self, threads: int) -> Results:
        started = time.monotonic()
        if self.together:
            self.joined(self.together)
        elif threads == 1:
            while step := self.next():
                self.ended_or_again(step, self.one(step))
        else:
            self.many(threads)
        if self.waiting:
            raise RuntimeError(f"steps wait for each other: {sorted(self.waiting)}")
        return Results(tuple(self.ended.values()), time.monotonic() - started)

    def joined(self, together: SharedTransactions) -> None:
        """One after the other, in shared transactions. What a failure takes with it is done
        again, each by itself, and the one that failed after it."""
        try:
            while True:
                step = self.next()
                outcome = self.one(step) if step else self.settled(together)
                lost = together.again()
                for each in lost:
                    self.ended[each.id] = self.done(each)
                if step and lost:
                    self.put_back(step)
                elif step and outcome:
                    self.ended_or_again(step, outcome)
                elif not lost:
                    return
        finally:
            together.close()

    @staticmethod
    def settled(together: SharedTransactions) -> None:
        """The last commit; what it loses is done again."""
        with suppress(Fault):
            together.settle()

    def many(self, threads: int) -> None:
        with ThreadPoolExecutor(threads, thread_name_prefix="step") as pool:
            running: dict[Future[Outcome], Step] = {}
            while True:
                while self.has_room(running.values(), threads) and (
                    step := self.next(alone=not running)
                ):
                    running[pool.submit(self.one, step)] = step
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self.ended_or_again(running.pop(future), future.result())

    def has_room(self, running: Collection[Step], threads: int) -> bool:
        is_alone = any(step.id in self.spared for step in running)
        return len(running) < threads and not is_alone

    def ended_or_again(self, step: Step, outcome: Outcome) -> None:
        """The step has ended; or it is tried once more, where it ran out of memory."""
        if not isinstance(outcome.error, MemoryShortError) or step.id in self.spared:
            self.end(outcome)
            return
        self.spared.add(step.id)
        said = f"`{step.label}` ran out of memory: it is tried again, alone and with one thread"
        self.on_event(Event("notice", said, ""))
        self.put_back(step)

    def put_back(self, step: Step) -> None:
        """It is the next one again."""
        self.waiting = {step.id: step, **self.waiting}

    def next(self, *, alone: bool = True) -> Step | None:
        """The next step that waits for nothing; those that never can are skipped on the way. One
        that ran out of memory comes when nothing else runs."""
        while found := self.ready():
            step, why = found
            if step.id in self.spared and not alone:
                return None
            del self.waiting[step.id]
            if not why:
                return step
            self.end(Outcome(step.id, step.action, step.label, "skipped", message=why))
        return None

    def ready(self) -> tuple[Step, str] | None:
        """The first step that can be done, or can never be: then with the reason."""
        stopped = self.fail_fast and any(o.bad for o in self.ended.values())
        for step in self.waiting.values():
            ended = [self.ended[a] for a in step.after if a in self.ended]
            failed = next((o for o in ended if _stops(o)), None)
            if failed or stopped:
                return step, f"`{failed.label}` failed" if failed else _STOPPED
            if not any(a in self.waiting or a not in self.ended for a in step.after):
                return step, ""
        return None

    def one(self, step: Step) -> Outcome:
        self.on_event(Event("begin", step.label, step.action, self.count, self.total))
        return self.done(step)

    def done(self, step: Step) -> Outcome:
        started = time.monotonic()
        try:
            with self.around(step):
                outcome = self.perform[step.action](step)
        except TransformError as error:
            outcome = Outcome(step.id, step.action, step.label, "error", error=error)
        except Fault as fault:
            said = BuildError(f"`{step.label}`: {fault.message.splitlines()[0]}", hint=_AS_IT_WAS)
            outcome = Outcome(step.id, step.action, step.label, "error", error=said)
        return replace(outcome, seconds=time.monotonic() - started)

    def around(self, step: Step) -> AbstractContextManager[None]:
        if step.id in self.spared:
            return self.sparing()
        return self.together.step(step) if self.together else nullcontext()

    def end(self, outcome: Outcome) -> None:
        self.ended[outcome.id] = outcome
        self.count += 1
        self.on_event(Event("end", outcome.label, outcome.action, self.count, self.total, outcome))


def _stops(outcome: Outcome) -> bool:
    """A failure stops what waits for it, and so does a skip that a failure caused."""
    return (
        outcome.bad
        or any(part.bad for part in outcome.parts)
        or (outcome.status == "skipped" and bool(outcome.message))
    )
