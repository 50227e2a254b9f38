"""One batch on its way: tried until it is answered, split where a row spoils it.

The ledger is written before and after every attempt that can change something outside.
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
from transformer.sync.ledger import SyncLedger, shown
from transformer.targets import BatchRefused, Rejection, TargetBatch, TargetConnection, Transient

FIRST_WAIT = 0.5  # seconds; doubled with every attempt
LONGEST_WAIT = 30.0  # of our own choice
LONGEST_ASKED = 120.0  # that a target may ask for: a build does not sleep for an hour
MOST_REFUSALS = 1_000  # in a row with nothing landing between: then it is not single rows

Result = TypeVar("Result")


class SyncClock(Struct, frozen=True):
    """What a sync needs of the world outside: the time, patience, chance, who looks on, and what
    must not be kept of answers."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    secrets: Secrets = Secrets()

    def pause(self, tried: int, trouble: Transient) -> None:
        """Wait as long as the target asks, or longer each time, never all at the same moment."""
        if trouble.wait is not None:
            self.sleep(min(trouble.wait, LONGEST_ASKED))
            return
        longest = min(FIRST_WAIT * 2 ** (tried - 1), LONGEST_WAIT)
        self.sleep(longest * (0.5 + self.chance() / 2))


WORLD = SyncClock()


@dataclass
class Delivery:
    """The way to one target, and what has been done on it so far."""

    session: TargetConnection
    ledger: SyncLedger
    world: SyncClock
    sent: int = 0
    rejected: int = 0
    refusals: int = 0
    # What the target said of the first row that it refused.
    answer: str = ""

    def deliver(self, batch: TargetBatch) -> None:
        """Bring every row of the batch to an end: landed or refused; else ActivateError."""
        waiting = deque([batch])
        while waiting:
            each = waiting.popleft()
            self.ledger.begin(each)
            try:
                self._try(each)
            except BatchRefused as refused:
                waiting.extendleft(reversed(self._after_refusal(each, refused)))
            except ActivateError as error:
                self.ledger.failed(each, self.world.secrets.hidden(error.what))
                raise

    def _try(self, batch: TargetBatch) -> None:
        tried = 0
        while True:
            try:
                rejections = self.session.send(batch)
            except Transient as trouble:
                if trouble.done:
                    self._answered(batch, trouble.done, trouble.rejections)
                    batch, tried = batch.after(trouble.done), 0
                tried += 1
                if tried >= self.session.attempts:
                    raise _gave_up(tried, trouble) from None
                self.world.pause(tried, trouble)
            else:
                self._answered(batch, len(batch), rejections)
                return

    def _answered(self, batch: TargetBatch, done: int, given: Sequence[Rejection]) -> None:
        rejections = [_clean(each, self.world.secrets) for each in given]
        self.ledger.answered(batch, done, rejections)
        if done > len(rejections):
            self.refusals = 0
        if rejections and not self.answer:
            self.answer = shown(rejections[0].reason, rejections[0].answer)
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
                hint="see transform quarantine show; the rows may not fit the target at all",
            )
        return self.ledger.split(batch)


def _clean(rejection: Rejection, secrets: Secrets) -> Rejection:
    # JSON can escape halves of characters, which no UTF-8 holds.
    reason, answer = (
        secrets.hidden(text).encode(errors="replace").decode()
        for text in (rejection.reason, rejection.answer)
    )
    return replace(rejection, reason=reason, answer=answer)


def patiently(step: Callable[[], Result], attempts: int, world: SyncClock) -> Result:
    """The step's result; it is repeated while its trouble may pass."""
    for tried in range(1, attempts):
        try:
            return step()
        except Transient as trouble:
            world.pause(tried, trouble)
    try:
        return step()
    except Transient as trouble:
        raise _gave_up(attempts, trouble) from None


def _gave_up(tried: int, trouble: Transient) -> ActivateError:
    times = "1 attempt" if tried == 1 else f"{tried} attempts"
    return ActivateError(f"gave up after {times}: {trouble.reason}")
