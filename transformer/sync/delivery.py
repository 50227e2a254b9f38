"""Delivers a batch: retries until it is answered, and splits it if a row is refused.

The ledger is written before and after every attempt that may change the target.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from transformer.errors import ActivateError
from transformer.redaction import Secrets
from transformer.sync.ledger import SyncLedger, short_answer
from transformer.targets import BatchRefused, Rejection, TargetBatch, TargetConnection, Transient

FIRST_WAIT = 0.5  # seconds; doubled with every attempt
LONGEST_WAIT = 30.0  # if the target does not ask for a delay
LONGEST_ASKED = 120.0  # cap on the delay a target asks for: a build does not sleep for an hour
MOST_REFUSALS = 1_000  # in a row without any success: then the problem is not single rows

Result = TypeVar("Result")


class SyncClock(Struct, frozen=True):
    """The environment of a sync: time, sleep, randomness, progress callback (rows done, total), and
    the secrets to mask in answers."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    secrets: Secrets = Secrets()

    def pause(self, attempt: int, failure: Transient) -> None:
        """Waits as long as the target asks, or with exponential backoff and jitter."""
        if failure.wait is not None:
            self.sleep(min(failure.wait, LONGEST_ASKED))
            return
        longest = min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT)
        self.sleep(longest * (0.5 + self.chance() / 2))


DEFAULT_CLOCK = SyncClock()


@dataclass
class Delivery:
    """The delivery of batches to one target, with counts so far."""

    session: TargetConnection
    ledger: SyncLedger
    clock: SyncClock
    sent: int = 0
    rejected: int = 0
    refusals: int = 0
    # The target's answer to the first refused row.
    answer: str = ""

    def deliver(self, batch: TargetBatch) -> None:
        """Delivers every row of the batch: accepted or refused. Raises ActivateError otherwise."""
        waiting = deque([batch])
        while waiting:
            current = waiting.popleft()
            self.ledger.begin(current)
            try:
                self._try(current)
            except BatchRefused as refused:
                waiting.extendleft(reversed(self._after_refusal(current, refused)))
            except ActivateError as error:
                self.ledger.failed(current, self.clock.secrets.hidden(error.what))
                raise

    def _try(self, batch: TargetBatch) -> None:
        attempts = 0
        while True:
            try:
                rejections = self.session.send(batch)
            except Transient as failure:
                if failure.done:
                    self._answered(batch, failure.done, failure.rejections)
                    batch, attempts = batch.after(failure.done), 0
                attempts += 1
                if attempts >= self.session.attempts:
                    raise _gave_up(attempts, failure) from None
                self.clock.pause(attempts, failure)
            else:
                self._answered(batch, len(batch), rejections)
                return

    def _answered(self, batch: TargetBatch, done: int, raw_rejections: Sequence[Rejection]) -> None:
        rejections = [_clean(rejection, self.clock.secrets) for rejection in raw_rejections]
        self.ledger.answered(batch, done, rejections)
        if done > len(rejections):
            self.refusals = 0
        if rejections and not self.answer:
            self.answer = short_answer(rejections[0].reason, rejections[0].answer)
        self.sent += done - len(rejections)
        self.rejected += len(rejections)

    def _after_refusal(self, batch: TargetBatch, refused: BatchRefused) -> tuple[TargetBatch, ...]:
        self.refusals += 1
        if len(batch) == 1:
            self._answered(batch, 1, [Rejection(0, refused.reason, refused.answer)])
            return ()
        if self.refusals >= MOST_REFUSALS:
            raise ActivateError(
                f"the target refused {self.refusals:,} times in a row: {refused.reason}",
                hint="run `transform quarantine show`; the rows may not fit the target at all",
            )
        return self.ledger.split(batch)


def _clean(rejection: Rejection, secrets: Secrets) -> Rejection:
    # JSON may contain lone surrogates, which cannot be encoded as UTF-8.
    reason, answer = (
        secrets.hidden(text).encode(errors="replace").decode()
        for text in (rejection.reason, rejection.answer)
    )
    return replace(rejection, reason=reason, answer=answer)


def with_retries(step: Callable[[], Result], attempts: int, clock: SyncClock) -> Result:
    """The step's result; it is retried on Transient. Raises ActivateError after all attempts."""
    for attempt in range(1, attempts):
        try:
            return step()
        except Transient as failure:
            clock.pause(attempt, failure)
    try:
        return step()
    except Transient as failure:
        raise _gave_up(attempts, failure) from None


def _gave_up(attempts: int, failure: Transient) -> ActivateError:
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return ActivateError(f"gave up after {times}: {failure.reason}")
