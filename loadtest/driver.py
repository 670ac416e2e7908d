"""Open-loop load: questions leave at Poisson arrivals whatever the answers do; latency counts from the due time.

A closed loop would wait for a slow gateway and so measure it less often just when it is slow.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol, Self

import grpc
from hdrh.histogram import HdrHistogram

from bashu.bearer import TokenSource
from bashu.channels import open_stubs
from bashu.errors import error_of_call, error_of_status
from bashu.profiles import Profile
from bashu.v1 import credit_pb2

ANSWERED: Final = "ANSWERED"
DEADLINE_S: Final = 30.0
STREAM_LIVES_S: Final = 600.0
LONGEST_US: Final = 120_000_000
DIGITS: Final = 3
"""Significant digits kept by the histogram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One question as it goes on the wire."""

    request_id: str
    frame: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a run came to; latencies in milliseconds from the due time, of answered questions alone."""

    offered: int
    answered: int
    refused: dict[str, int]
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Asker(Protocol):
    """A way to ask; returns ANSWERED or the reason of the refusal."""

    async def ask(self, question: Prepared) -> str:
        """Ask one question."""


class UnaryAsker:
    """Asks through ``QueryCredit``, over ``channels`` connections in turn."""

    def __init__(self, profile: Profile, *, channels: int = 2, deadline_s: float = DEADLINE_S) -> None:
        self._token = TokenSource(profile)
        self._channels = [open_stubs(profile, with_retries=False).channel for _ in range(channels)]
        # Without serialisers the frames go out, and the answers come back, as bytes.
        self._methods: list[Any] = [
            channel.unary_unary("/bashu.v1.CreditService/QueryCredit") for channel in self._channels
        ]
        self._asked = 0
        self._deadline_s = deadline_s

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def ask(self, question: Prepared) -> str:
        """Ask one question; its status is read, its report is not."""
        method = self._methods[self._asked % len(self._methods)]
        self._asked += 1
        try:
            await method(question.frame, timeout=self._deadline_s, metadata=(("authorization", self._token.bearer()),))
        except grpc.aio.AioRpcError as error:
            return error_of_call(error).reason
        return ANSWERED


class StreamAsker:
    """Asks through ``QueryCreditStream``, over ``streams`` calls in turn; use it as ``async with``."""

    def __init__(self, profile: Profile, *, streams: int = 2) -> None:
        self._metadata = (("authorization", TokenSource(profile).bearer()),)
        self._channels = [open_stubs(profile, with_retries=False).channel for _ in range(streams)]
        self._calls: list[Any] = []
        self._writing = [asyncio.Lock() for _ in range(streams)]
        self._readers: list[asyncio.Task[None]] = []
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._asked = 0

    async def __aenter__(self) -> Self:
        for channel in self._channels:
            method: Any = channel.stream_stream("/bashu.v1.CreditService/QueryCreditStream")
            self._calls.append(method(timeout=STREAM_LIVES_S, metadata=self._metadata))
        self._readers = [asyncio.create_task(self._read(call)) for call in self._calls]
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self._calls:
            await call.done_writing()
        await asyncio.gather(*self._readers)
        await asyncio.gather(*(channel.close() for channel in self._channels))

    async def ask(self, question: Prepared) -> str:
        """Ask one question and wait for its answer, in whatever order they come."""
        place = self._asked % len(self._calls)
        self._asked += 1
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[question.request_id] = answer
        async with self._writing[place]:
            await self._calls[place].write(question.frame)
        return await answer

    async def _read(self, call: Any) -> None:
        try:
            async for raw in call:
                message = credit_pb2.QueryCreditStreamResponseBytes.FromString(raw)
                refused = message.WhichOneof("outcome") == "error"
                outcome = error_of_status(message.error).reason if refused else ANSWERED
                self._waiting.pop(message.request_id).set_result(outcome)
        except grpc.aio.AioRpcError as error:
            for waiting in self._waiting.values():
                waiting.set_result(error_of_call(error).reason)
            self._waiting.clear()


async def drive(
    asker: Asker, questions: Sequence[Prepared], *, rate_per_s: float, seed: int, into: HdrHistogram | None = None
) -> Measurement:
    """Ask every question at its Poisson arrival, wait for the last answer; ``into`` gathers several runs."""
    random, histogram, outcomes = Random(seed), HdrHistogram(1, LONGEST_US, DIGITS), Counter[str]()

    gathered = histogram if into is None else into

    async def ask(question: Prepared, due: float) -> None:
        outcome = await asker.ask(question)
        outcomes[outcome] += 1
        if outcome == ANSWERED:
            took = max(1, round((time.monotonic() - due) * 1_000_000))
            histogram.record_value(took)
            if gathered is not histogram:
                gathered.record_value(took)

    began = due = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for question in questions:
            due += random.expovariate(rate_per_s)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(ask(question, due))
    return Measurement(
        offered=len(questions),
        answered=outcomes.pop(ANSWERED, 0),
        refused=dict(outcomes),
        seconds=time.monotonic() - began,
        p50_ms=histogram.get_value_at_percentile(50) / 1000,
        p95_ms=histogram.get_value_at_percentile(95) / 1000,
        p99_ms=histogram.get_value_at_percentile(99) / 1000,
        max_ms=histogram.get_max_value() / 1000,
    )
