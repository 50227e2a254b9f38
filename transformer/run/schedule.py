"""Runs steps in order, some in parallel; a failure skips everything downstream."""

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

_UNCHANGED = "its table is as it was before this build"
_STOPPED = "stopped at the first failure"
Perform = Callable[[Step], Outcome]
Watch = Callable[[Event], None]


class ScheduleOptions(Struct, frozen=True):
    """The number of parallel steps, and whether to stop at the first failure. `together` is the
    engine for consecutive steps that share transactions."""

    threads: int = 1
    fail_fast: bool = False
    together: SharedTransactions | None = None
    # Wraps the retry of a step that ran out of memory.
    sparing: Callable[[], AbstractContextManager[None]] = nullcontext


def run_plan(
    plan: Plan,
    perform: Mapping[Action, Perform],
    on_event: Watch,
    before: Results,
    options: ScheduleOptions,
) -> Results:
    """Runs every step of the plan after its dependencies. A step's failure is an outcome, not an
    exception, and its dependents are skipped. `before` are outcomes of an earlier part of the same
    run, which count as well."""
    scheduler = _Scheduler(plan, perform, on_event, options)
    scheduler.ended = {outcome.id: outcome for outcome in before.outcomes}
    return scheduler.run(max(1, options.threads))


class _Scheduler:
    def __init__(
        self,
        plan: Plan,
        perform: Mapping[Action, Perform],
        on_event: Watch,
        options: ScheduleOptions,
    ) -> None:
        self.perform, self.on_event, self.fail_fast = perform, on_event, options.fail_fast
        self.together, self.sparing = options.together, options.sparing
        # Steps that ran out of memory and are retried.
        self.retried: set[str] = set()
        self.waiting = {step.id: step for step in plan}
        self.total = len(plan)
        self.count = 0
        self.ended: dict[str, Outcome] = {}

    def run(self, threads: int) -> Results:
        started = time.monotonic()
        if self.together:
            self.run_shared(self.together)
        elif threads == 1:
            while step := self.next():
                self.end_or_retry(step, self.start_and_perform(step))
        else:
            self.run_parallel(threads)
        if self.waiting:
            raise RuntimeError(f"steps wait for each other: {sorted(self.waiting)}")
        return Results(tuple(self.ended.values()), time.monotonic() - started)

    def run_shared(self, together: SharedTransactions) -> None:
        """Runs steps one after the other in shared transactions. Steps whose work a failure rolled
        back are repeated on their own, then the failed one."""
        try:
            while True:
                step = self.next()
                outcome = self.start_and_perform(step) if step else self.commit_last(together)
                lost = together.again()
                for lost_step in lost:
                    self.ended[lost_step.id] = self.attempt(lost_step)
                if step and lost:
                    self.put_back(step)
                elif step and outcome:
                    self.end_or_retry(step, outcome)
                elif not lost:
                    return
        finally:
            together.close()

    @staticmethod
    def commit_last(together: SharedTransactions) -> None:
        """Makes the last commit; steps that it loses are repeated."""
        with suppress(Fault):
            together.settle()

    def run_parallel(self, threads: int) -> None:
        with ThreadPoolExecutor(threads, thread_name_prefix="step") as pool:
            running: dict[Future[Outcome], Step] = {}
            while True:
                while self.has_room(running.values(), threads) and (
                    step := self.next(alone=not running)
                ):
                    running[pool.submit(self.start_and_perform, step)] = step
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self.end_or_retry(running.pop(future), future.result())

    def has_room(self, running: Collection[Step], threads: int) -> bool:
        is_alone = any(step.id in self.retried for step in running)
        return len(running) < threads and not is_alone

    def end_or_retry(self, step: Step, outcome: Outcome) -> None:
        """Ends the step, or retries it once if it ran out of memory."""
        if not isinstance(outcome.error, MemoryShortError) or step.id in self.retried:
            self.end(outcome)
            return
        self.retried.add(step.id)
        message = f"`{step.label}` ran out of memory: retrying it alone and with one thread"
        self.on_event(Event("notice", message, ""))
        self.put_back(step)

    def put_back(self, step: Step) -> None:
        """Puts the step first in the queue again."""
        self.waiting = {step.id: step, **self.waiting}

    def next(self, *, alone: bool = True) -> Step | None:
        """The next step that can run; ends those that never can as skipped. A step that ran out of
        memory is returned only when nothing else runs."""
        while candidate := self.ready():
            step, reason = candidate
            if step.id in self.retried and not alone:
                return None
            del self.waiting[step.id]
            if not reason:
                return step
            self.end(Outcome(step.id, step.action, step.label, "skipped", message=reason))
        return None

    def ready(self) -> tuple[Step, str] | None:
        """The first step that can run, or never can: then with the reason."""
        stopped = self.fail_fast and any(o.bad for o in self.ended.values())
        for step in self.waiting.values():
            ended = [self.ended[a] for a in step.after if a in self.ended]
            failed = next((o for o in ended if _stops(o)), None)
            if failed or stopped:
                return step, f"`{failed.label}` failed" if failed else _STOPPED
            if not any(a in self.waiting or a not in self.ended for a in step.after):
                return step, ""
        return None

    def start_and_perform(self, step: Step) -> Outcome:
        self.on_event(Event("begin", step.label, step.action, self.count, self.total))
        return self.attempt(step)

    def attempt(self, step: Step) -> Outcome:
        started = time.monotonic()
        try:
            with self.wrapper(step):
                outcome = self.perform[step.action](step)
        except TransformError as error:
            outcome = Outcome(step.id, step.action, step.label, "error", error=error)
        except Fault as fault:
            build_error = BuildError(
                f"`{step.label}`: {fault.message.splitlines()[0]}", hint=_UNCHANGED
            )
            outcome = Outcome(step.id, step.action, step.label, "error", error=build_error)
        return replace(outcome, seconds=time.monotonic() - started)

    def wrapper(self, step: Step) -> AbstractContextManager[None]:
        if step.id in self.retried:
            return self.sparing()
        return self.together.step(step) if self.together else nullcontext()

    def end(self, outcome: Outcome) -> None:
        self.ended[outcome.id] = outcome
        self.count += 1
        self.on_event(Event("end", outcome.label, outcome.action, self.count, self.total, outcome))


def _stops(outcome: Outcome) -> bool:
    """Whether dependents are skipped: after a failure, or a skip caused by one."""
    return (
        outcome.bad
        or any(part.bad for part in outcome.parts)
        or (outcome.status == "skipped" and bool(outcome.message))
    )
