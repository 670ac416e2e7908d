"""Gather what arrives while the previous statement runs, and do it together.

The batch runs in the batcher's own task: a cancelled caller abandons its future and nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from core.errors import BashuError, Reason, Turn

T = TypeVar("T")
R = TypeVar("R")

MAX_BATCH: Final = 64
MAX_WAITING: Final = 1024
"""Questions that may wait; beyond it the answer is OVERLOADED at once."""
LINGER_S: Final = 0.002
"""How long a busy batcher waits for company; an idle one never does."""
BUSY_FROM: Final = 4
"""Size of the last batch from which on lingering pays."""
RETRY_AFTER_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathering:
    """How a batcher gathers. ``told`` hears of each batch as it starts: how long each of its items waited, seconds."""

    max_batch: int = MAX_BATCH
    max_waiting: int = MAX_WAITING
    linger_s: float = LINGER_S
    busy_from: int = BUSY_FROM
    told: Callable[[Sequence[float]], None] | None = None


AS_SERVED: Final = Gathering()


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    item: T
    future: asyncio.Future[R]
    since: float


class Batcher(Generic[T, R]):
    """Calls ``handle`` with what has gathered, one batch at a time; it answers each item with a value or an error.

    :meth:`run` belongs to a task group of the composition root.
    """

    def __init__(
        self,
        handle: Callable[[list[T]], Awaitable[Sequence[R | BashuError]]],
        gathering: Gathering = AS_SERVED,
    ) -> None:
        self._handle = handle
        self._gathering = gathering
        self._queue: deque[_Waiting[T, R]] = deque()
        self._arrived = asyncio.Event()
        self._last_size = 0
        self._is_over = False

    async def submit(self, item: T) -> R:
        """Wait for the item's turn and return its answer.

        Raises:
            BashuError: OVERLOADED with too many waiting, DRAINING once :meth:`run` ended, or what the batch answered.
        """
        if self._is_over:
            raise _draining()
        if len(self._queue) >= self._gathering.max_waiting:
            raise BashuError(
                Reason.OVERLOADED,
                "too many queries are waiting",
                turn=Turn.CALLER,
                retry_after_s=RETRY_AFTER_S,
            )
        waiting: _Waiting[T, R] = _Waiting(item, asyncio.get_running_loop().create_future(), time.monotonic())
        self._queue.append(waiting)
        self._arrived.set()
        return await waiting.future

    async def run(self) -> None:
        """Work until cancelled; whoever waits then is told DRAINING."""
        batch: list[_Waiting[T, R]] = []
        try:
            while True:
                await self._gather()
                batch = self._take()
                self._last_size = len(batch)
                if batch:
                    self._tell(batch)
                    await self._do(batch)
        finally:
            self._is_over = True
            for waiting in (*batch, *self._queue):
                _fail(waiting.future, _draining())

    async def _gather(self) -> None:
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        how = self._gathering
        if how.linger_s and self._last_size >= how.busy_from and len(self._queue) < how.max_batch:
            await asyncio.sleep(how.linger_s)

    def _take(self) -> list[_Waiting[T, R]]:
        batch: list[_Waiting[T, R]] = []
        while self._queue and len(batch) < self._gathering.max_batch:
            waiting = self._queue.popleft()
            if not waiting.future.done():  # Whoever gave up before the start costs nothing.
                batch.append(waiting)
        return batch

    def _tell(self, batch: Sequence[_Waiting[T, R]]) -> None:
        if self._gathering.told is not None:
            now = time.monotonic()
            self._gathering.told([now - waiting.since for waiting in batch])

    async def _do(self, batch: list[_Waiting[T, R]]) -> None:
        try:
            answers = await self._handle([waiting.item for waiting in batch])
        except Exception as error:  # noqa: BLE001 - top of a background task: its callers get it, the task lives on
            for waiting in batch:
                _fail(waiting.future, error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, BashuError):
                _fail(waiting.future, answer)
            elif not waiting.future.done():
                waiting.future.set_result(answer)


def _fail(future: asyncio.Future[R], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _draining() -> BashuError:
    return BashuError(Reason.DRAINING, "this worker is stopping", retry_after_s=RETRY_AFTER_S)
