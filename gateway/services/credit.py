"""CreditService: one question, or a stream of them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc

from bashu.v1 import common_pb2, credit_pb2, credit_pb2_grpc, report_pb2
from core.errors import BashuError, Reason
from core.permit import Receipt
from gateway.identity.model import Caller, current_caller, current_deadline
from gateway.identity.tokens import Authenticator
from gateway.interceptors import Context
from gateway.load import LoadLimit
from gateway.pipeline import Answer, Engine, answer_query
from gateway.status import failure_of

IN_FLIGHT: Final = 128
"""Questions of one stream under way at a time; more wait unread, which is the client's back-pressure."""


class CreditServicer(credit_pb2_grpc.CreditServiceServicer):
    """Answers with the twin messages, whose report is the exact bytes that were recorded as released."""

    def __init__(
        self, *, engine: Engine, load: LoadLimit, authenticator: Authenticator, query_deadline_s: float
    ) -> None:
        self._engine = engine
        self._load = load
        self._authenticator = authenticator
        self._query_deadline_s = query_deadline_s

    async def QueryCredit(  # type: ignore[override]  # noqa: N802 - the twin has the same bytes; the contract's name
        self, request: credit_pb2.QueryCreditRequest, _context: Context
    ) -> credit_pb2.QueryCreditResponseBytes:
        """Answer one question."""
        answer = await answer_query(self._engine, request, caller=current_caller(), deadline=current_deadline())
        if late := answer.too_late():
            raise late
        return _response(answer)

    async def EvaluateCredit(  # noqa: N802
        self, request: credit_pb2.QueryCreditRequest, _context: Context
    ) -> credit_pb2.EvaluateCreditResponse:
        """Answer the same question with the evaluation alone; the receipt's digest is of these bytes."""
        request.include_evaluation = True
        answer = await answer_query(
            self._engine, request, caller=current_caller(), deadline=current_deadline(), evaluation_alone=True
        )
        if late := answer.too_late():
            raise late
        response = _response(answer)
        return credit_pb2.EvaluateCreditResponse(
            request_id=response.request_id,
            evaluation=report_pb2.Evaluation.FromString(answer.report),
            receipt=response.receipt,
            effective_scope=response.effective_scope,
        )

    async def QueryCreditStream(  # type: ignore[override]  # noqa: N802
        self, _requests: Any, context: Any
    ) -> None:
        """Answer questions as they come, in completion order; a refused one never ends the call."""
        caller = current_caller()
        slots = asyncio.Semaphore(IN_FLIGHT)
        writing = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                request = await context.read()
                if request is grpc.aio.EOF:
                    break
                group.create_task(self._answer_one(request, caller, context, writing, slots))

    async def _answer_one(
        self,
        request: credit_pb2.QueryCreditRequest,
        caller: Caller,
        context: Any,
        writing: asyncio.Lock,
        slots: asyncio.Semaphore,
    ) -> None:
        try:
            outcome = await self._outcome(request, caller)
            async with writing:
                await context.write(_message(request, outcome))
        finally:
            slots.release()

    async def _outcome(self, request: credit_pb2.QueryCreditRequest, caller: Caller) -> Answer | Exception:
        deadline = asyncio.get_running_loop().time() + self._query_deadline_s
        try:
            # A stream outlives its token: suspension and revoked keys stop the next question, not the next call.
            await self._authenticator.confirm(caller)
            await self._refuse_unreadable(request, caller)
            self._load.refuse_when_draining()
            with self._load.work.of(caller.institution):
                async with asyncio.timeout_at(deadline):
                    return await answer_query(self._engine, request, caller=caller, deadline=deadline)
        except TimeoutError:
            return BashuError(Reason.OUT_OF_TIME, "the deadline passed before there was an answer")
        except Exception as error:  # noqa: BLE001 - one question's failure is its own answer
            return error

    async def _refuse_unreadable(self, request: object, caller: Caller) -> None:
        if not isinstance(request, credit_pb2.QueryCreditRequest):
            refused = BashuError(Reason.MALFORMED, "The request is not a message of the contract")
            await self._engine.admissions.deny(caller, None, refused)
            raise refused


def _message(request: object, outcome: Answer | Exception) -> credit_pb2.QueryCreditStreamResponseBytes:
    """Turn an outcome into its message at the moment it is written: a slow reader may have made it too late."""
    error = outcome if isinstance(outcome, Exception) else outcome.too_late()
    if error is not None:
        request_id = str(getattr(request, "request_id", ""))
        failure = failure_of(error, request_id=request_id)
        return credit_pb2.QueryCreditStreamResponseBytes(request_id=request_id, error=failure.status)
    assert isinstance(outcome, Answer)
    response = _response(outcome)
    return credit_pb2.QueryCreditStreamResponseBytes(request_id=response.request_id, response=response)


def _response(answer: Answer) -> credit_pb2.QueryCreditResponseBytes:
    scope, permit = answer.admitted.scope, answer.permit
    return credit_pb2.QueryCreditResponseBytes(
        request_id=str(permit.request_id),
        report=answer.report,
        receipt=receipt_message(answer.receipt),
        effective_scope=credit_pb2.EffectiveScope(
            data_items=scope.items,
            platform_ids=scope.platforms,
            lookback=common_pb2.DateRange(**{"from": scope.look_from.isoformat(), "to": scope.look_to.isoformat()}),
            narrowed=scope.narrowed,
            dropped_items=scope.dropped_items,
            attempt=permit.attempt,
            consent_revision=permit.consent_revision,
        ),
    )


def receipt_message(receipt: Receipt) -> credit_pb2.Receipt:
    """Return a receipt as the contract has it."""
    promise = receipt.promise
    message = credit_pb2.Receipt(
        entry=receipt.entry,
        leaf_hash=receipt.leaf_hash,
        promise=credit_pb2.BatchPromise(
            note=promise.note,
            root=promise.root,
            leaf_index=promise.leaf_index,
            batch_size=promise.batch_size,
            path=promise.path,
        ),
    )
    message.publish_by.FromDatetime(receipt.publish_by)
    return message
