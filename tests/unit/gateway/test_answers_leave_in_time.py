"""An answer leaves within two seconds of its release or not at all; on a stream each question fails for itself."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import uuid4

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo

from bashu.v1 import credit_pb2
from core.errors import BashuError, Reason
from gateway.identity.model import CALLER, DEADLINE
from gateway.load import LoadLimit
from gateway.pipeline import SEND_WITHIN_S, Answer
from gateway.services import credit
from gateway.services.credit import CreditServicer


def released(*, ago_s):
    admitted = SimpleNamespace(permit=SimpleNamespace(request_id=uuid4()))
    return Answer(admitted=admitted, report=b"", receipt=None, send_by=time.monotonic() + SEND_WITHIN_S - ago_s)


@dataclass
class Denied:
    """Admissions of which only refusals are wanted."""

    recorded: list = field(default_factory=list)

    async def deny(self, _caller, _digest, error):
        self.recorded.append(error.reason)


class Stream:
    """A call whose questions are given and whose answers are kept; ``stalled_s`` holds up the first write."""

    def __init__(self, questions):
        self._left = [*questions, grpc.aio.EOF]
        self.written = []
        self.reads = asyncio.Event()

    async def read(self):
        return self._left.pop(0)

    async def write(self, message):
        await self.reads.wait()
        self.written.append(message)


class Confirms:
    async def confirm(self, _caller):
        return None


def a_servicer(monkeypatch, answer):
    async def answer_query(_engine, _request, *, caller, deadline):
        return await answer()

    monkeypatch.setattr(credit, "answer_query", answer_query)
    monkeypatch.setattr(
        credit, "_response", lambda a: credit_pb2.QueryCreditResponseBytes(request_id=str(a.permit.request_id))
    )
    CALLER.set(SimpleNamespace(participant_id="bank-cq", institution="bank-cq"))
    DEADLINE.set(time.monotonic() + 10)
    denied = Denied()
    servicer = CreditServicer(
        engine=SimpleNamespace(admissions=denied),
        load=LoadLimit(max_concurrent=8, max_streams=8),
        authenticator=Confirms(),
        query_deadline_s=0.05,
    )
    return servicer, denied


def reason_in(message):
    info = ErrorInfo()
    assert message.error.details[0].Unpack(info)
    return Reason(info.reason)


async def test_an_answer_released_longer_ago_than_two_seconds_is_dropped(monkeypatch):
    async def late():
        return released(ago_s=2.1)

    servicer, _ = a_servicer(monkeypatch, late)
    with pytest.raises(BashuError) as caught:
        await servicer.QueryCredit(credit_pb2.QueryCreditRequest(), None)
    assert caught.value.reason is Reason.OUT_OF_TIME


async def test_an_answer_just_released_leaves(monkeypatch):
    async def in_time():
        return released(ago_s=0)

    servicer, _ = a_servicer(monkeypatch, in_time)
    assert (await servicer.QueryCredit(credit_pb2.QueryCreditRequest(), None)).request_id


async def test_on_a_stream_the_time_is_looked_at_when_the_message_is_written(monkeypatch):
    answers = [released(ago_s=0), released(ago_s=0)]
    waiting = iter(answers)

    async def next_one():
        return next(waiting)

    servicer, _ = a_servicer(monkeypatch, next_one)
    stream = Stream([credit_pb2.QueryCreditRequest(), credit_pb2.QueryCreditRequest()])
    call = asyncio.create_task(servicer.QueryCreditStream(None, stream))
    for _ in range(20):  # The first write has begun and waits for the reader; the second waits for the first.
        await asyncio.sleep(0)
    for answer in answers:
        object.__setattr__(answer, "send_by", 0.0)
    stream.reads.set()
    await call
    assert [message.WhichOneof("outcome") for message in stream.written] == ["response", "error"]
    assert reason_in(stream.written[1]) is Reason.OUT_OF_TIME


async def test_a_message_that_cannot_be_read_is_one_refused_question(monkeypatch):
    async def fine():
        return released(ago_s=0)

    servicer, denied = a_servicer(monkeypatch, fine)
    stream = Stream([object(), credit_pb2.QueryCreditRequest()])
    stream.reads.set()
    await servicer.QueryCreditStream(None, stream)
    assert sorted(message.WhichOneof("outcome") for message in stream.written) == ["error", "response"]
    assert denied.recorded == [Reason.MALFORMED]


async def test_a_question_that_hangs_ends_at_its_own_deadline(monkeypatch):
    servicer, _ = a_servicer(monkeypatch, lambda: asyncio.Event().wait())
    stream = Stream([credit_pb2.QueryCreditRequest()])
    stream.reads.set()
    await servicer.QueryCreditStream(None, stream)
    assert [reason_in(message) for message in stream.written] == [Reason.OUT_OF_TIME]
