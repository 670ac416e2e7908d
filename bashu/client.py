"""The lender's typed client of the gateway, for asyncio."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self, TypeVar
from uuid import UUID

import grpc
from google.protobuf.message import Message

from bashu.bearer import TokenSource
from bashu.channels import Stubs, open_stubs
from bashu.errors import BashuCallError, error_of_call, error_of_status
from bashu.profiles import Profile
from bashu.v1 import (
    common_pb2,
    compliance_pb2,
    consent_pb2,
    credit_pb2,
    ledger_pb2,
    report_pb2,
    standard_pb2,
    subject_pb2,
)
from bashu.verify import LogKeys, Receipt, VerifiedReceipt, verify_receipt

CHANNELS: Final = 2
"""Connections a client opens; each is one worker of the gateway."""
DEADLINE_S: Final = 30.0
"""Time a call may take; the gateway allows 60 s at most."""
STREAM_DEADLINE_S: Final = 600.0

_Asked = TypeVar("_Asked", bound=Message)
_Answer = TypeVar("_Answer", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAnswer:
    """One report with its evidence. ``report_bytes`` are the bytes as sent, which the receipt's digest is over."""

    request_id: str
    report: report_pb2.CreditReport
    report_bytes: bytes
    receipt: credit_pb2.Receipt
    effective_scope: credit_pb2.EffectiveScope

    def verify(self, vkey: str) -> VerifiedReceipt:
        """Check the receipt against these bytes with the ledger's key.

        Raises:
            bashu.verify.VerificationError: this report is not what was recorded as released.
        """
        return verify_receipt(Receipt.from_message(self.receipt), report=self.report_bytes, vkey=LogKeys.parse(vkey))


class Bashu:
    """A client of one gateway as one participant; make it inside the running event loop, use it as ``async with``.

    Every call has a deadline and raises ``BashuCallError`` when it is refused or does not arrive. Reads, and queries
    that name a request id, are tried up to three times while the gateway is unavailable; nothing else is.
    """

    def __init__(self, profile: Profile, *, channels: int = CHANNELS, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._token = TokenSource(profile)
        self._profile = profile
        self._stubs = [open_stubs(profile, with_retries=True) for _ in range(channels)]
        self._round = itertools.cycle(self._stubs)
        self._once: Stubs | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls under way end."""
        opened = self._stubs if self._once is None else [*self._stubs, self._once]
        await asyncio.gather(*(stubs.channel.close() for stubs in opened))

    async def query_credit(
        self, request: credit_pb2.QueryCreditRequest, *, deadline_s: float | None = None
    ) -> QueryAnswer:
        """Ask one question. With an empty ``request_id`` it is asked once and cannot be repeated."""
        stubs = self._stubs_for(request)
        return _query_answer(await self._call(stubs.query, request, deadline_s, request.request_id))

    async def evaluate_credit(
        self, request: credit_pb2.QueryCreditRequest, *, deadline_s: float | None = None
    ) -> credit_pb2.EvaluateCreditResponse:
        """Ask for the evaluation alone."""
        stubs = self._stubs_for(request)
        return await self._call(stubs.credit.EvaluateCredit, request, deadline_s, request.request_id)

    async def query_stream(
        self,
        requests: AsyncIterable[credit_pb2.QueryCreditRequest],
        *,
        deadline_s: float = STREAM_DEADLINE_S,
    ) -> AsyncIterator[QueryAnswer | BashuCallError]:
        """Ask many questions on one call; answers and refusals come in completion order, each with its request id.

        A refusal is yielded as a value and ends nothing. An error of the call itself, or of ``requests``, is raised.
        Never retried: whoever repeats, repeats by request id.
        """
        source = _Source(requests)
        call = next(self._round).query_stream(source.watched(), timeout=deadline_s, metadata=self._metadata())
        try:
            async for message in call:
                yield _stream_answer(message)
        except grpc.aio.AioRpcError as error:
            raise (source.failure or error_of_call(error)) from error
        except asyncio.CancelledError:
            # grpc.aio cancels a call whose request iterator raised, which must not look like the caller's own wish.
            if source.failure is not None:
                raise source.failure from None
            raise
        finally:
            call.cancel()

    async def register_consent(self, artefact: bytes) -> consent_pb2.RegisterConsentResponse:
        """Register an authority's signed artefact, byte for byte."""
        request = consent_pb2.RegisterConsentRequest(artefact=artefact)
        return await self._call(next(self._round).consent.RegisterConsent, request)

    async def get_consent(self, consent_id: str, *, with_history: bool = False) -> consent_pb2.GetConsentResponse:
        """Read one consent with its state now."""
        request = consent_pb2.GetConsentRequest(consent_id=consent_id, with_history=with_history)
        return await self._call(next(self._round).consent.GetConsent, request)

    async def revoke_consent(
        self, consent_id: str, *, reason: str = "", expected_revision: int = 0
    ) -> consent_pb2.RevokeConsentResponse:
        """Revoke a consent; once this returns, nothing is released under it any more."""
        request = consent_pb2.RevokeConsentRequest(
            consent_id=consent_id, reason=reason, expected_revision=expected_revision
        )
        return await self._call(next(self._round).consent.RevokeConsent, request)

    async def pause_consent(self, consent_id: str, *, expected_revision: int = 0) -> consent_pb2.PauseConsentResponse:
        """Pause a consent as its subject's agent; nothing is released under it until it is resumed."""
        request = consent_pb2.PauseConsentRequest(consent_id=consent_id, expected_revision=expected_revision)
        return await self._call(next(self._round).consent.PauseConsent, request)

    async def resume_consent(self, consent_id: str, *, expected_revision: int = 0) -> consent_pb2.ResumeConsentResponse:
        """End a pause as the subject's agent."""
        request = consent_pb2.ResumeConsentRequest(consent_id=consent_id, expected_revision=expected_revision)
        return await self._call(next(self._round).consent.ResumeConsent, request)

    async def list_consents(
        self,
        *,
        states: Sequence[consent_pb2.ConsentState.ValueType] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> consent_pb2.ListConsentsResponse:
        """Read one page of the caller's consents, those in ``states`` or all; a short page need not be the last."""
        page = common_pb2.PageRequest(page_size=page_size, page_token=page_token)
        request = consent_pb2.ListConsentsRequest(page=page, states=states)
        return await self._call(next(self._round).consent.ListConsents, request)

    async def explain_decision(
        self, request_id: str, *, institution: str = ""
    ) -> compliance_pb2.ExplainDecisionResponse:
        """Read the admission checks of the latest decision on a request; a refusal a second after it was given."""
        request = compliance_pb2.ExplainDecisionRequest(request_id=request_id, institution=institution)
        return await self._call(next(self._round).compliance.ExplainDecision, request)

    async def get_checkpoint(self, *, witnessed: bool = False) -> ledger_pb2.GetCheckpointResponse:
        """Read the newest signed checkpoint, or the newest that the gateway's quorum of witnesses cosigned."""
        request = ledger_pb2.GetCheckpointRequest(witnessed=witnessed)
        return await self._call(next(self._round).ledger.GetCheckpoint, request)

    async def get_entry(self, key: int | str) -> ledger_pb2.LedgerEntry:
        """Read one entry by leaf index or entry id."""
        request = ledger_pb2.GetEntryRequest()
        _name_entry(request, key)
        answer = await self._call(next(self._round).ledger.GetEntry, request)
        return answer.entry

    async def get_inclusion_proof(
        self, key: int | str, *, tree_size: int = 0, witnessed: bool = False
    ) -> ledger_pb2.GetInclusionProofResponse:
        """Read the proof that the entry (leaf index or entry id) is in the tree; 0 means the newest checkpoint's.

        ``witnessed``: under the newest checkpoint that the gateway's quorum of witnesses cosigned.
        """
        request = ledger_pb2.GetInclusionProofRequest(tree_size=tree_size, witnessed=witnessed)
        _name_entry(request, key)
        return await self._call(next(self._round).ledger.GetInclusionProof, request)

    async def get_consistency_proof(self, from_size: int, to_size: int = 0) -> ledger_pb2.GetConsistencyProofResponse:
        """Read the proof that the smaller tree is a prefix of the larger."""
        request = ledger_pb2.GetConsistencyProofRequest(from_size=from_size, to_size=to_size)
        return await self._call(next(self._round).ledger.GetConsistencyProof, request)

    async def list_log_keys(self) -> ledger_pb2.ListLogKeysResponse:
        """Read the log's keys and the entries that say so; believe those that are proven."""
        return await self._call(next(self._round).ledger.ListLogKeys, ledger_pb2.ListLogKeysRequest())

    async def list_entries(
        self,
        *,
        from_index: int = 0,
        consent_id: str = "",
        types: Sequence[str] = (),
        page_size: int = 0,
        page_token: str = "",
        whole: bool = False,
    ) -> ledger_pb2.ListEntriesResponse:
        """Read one page of entries in ledger order; a reviewer's view is itself recorded, so this is never retried."""
        request = ledger_pb2.ListEntriesRequest(from_index=from_index, consent_id=consent_id, types=types, whole=whole)
        request.page.page_size, request.page.page_token = page_size, page_token
        return await self._call(self._unretried().ledger.ListEntries, request)

    async def export_entries(
        self,
        *,
        from_index: int = 0,
        tree_size: int = 0,
        consent_id: str = "",
        institution: str = "",
        month: str = "",
        day: str = "",
        subject: common_pb2.Subject | None = None,
        deadline_s: float = STREAM_DEADLINE_S,
    ) -> AsyncIterator[bytes]:
        """Yield the lines of an export, the last one the checkpoint, without line breaks; never retried.

        ``tree_size`` names the checkpoint that proofs lead to (0: the newest); who resumes names the first call's.
        """
        request = ledger_pb2.ExportEntriesRequest(
            from_index=from_index,
            tree_size=tree_size,
            consent_id=consent_id,
            institution=institution,
            month=month,
            day=day,
            subject=subject,
        )
        call = self._unretried().ledger.ExportEntries(request, timeout=deadline_s, metadata=self._metadata())
        try:
            async for message in call:
                yield message.line
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error) from error
        finally:
            call.cancel()

    async def own_report(self, request: subject_pb2.RequestOwnReportRequest) -> tuple[QueryAnswer, bool]:
        """Ask for the report on oneself as a subject's agent; also whether it is one of the year's two free ones."""
        message = await self._call(self._unretried().own_report, request, request_id=request.request_id)
        answer = QueryAnswer(
            request_id=message.request_id,
            report=report_pb2.CreditReport.FromString(message.report),
            report_bytes=message.report,
            receipt=message.receipt,
            effective_scope=credit_pb2.EffectiveScope(),
        )
        return answer, message.free_of_charge

    async def call(
        self, rpc: Callable[[Stubs], grpc.aio.UnaryUnaryMultiCallable[_Asked, _Answer]], request: _Asked
    ) -> _Answer:
        """Call any unary RPC of the contract, once: ``client.call(lambda rpcs: rpcs.subject.FreezeFile, request)``."""
        return await self._call(rpc(self._unretried()), request)

    async def stream(
        self,
        rpc: Callable[[Stubs], grpc.aio.UnaryStreamMultiCallable[_Asked, _Answer]],
        request: _Asked,
        *,
        deadline_s: float = STREAM_DEADLINE_S,
    ) -> AsyncIterator[_Answer]:
        """Yield the answers of any RPC that streams them, called once."""
        answers = rpc(self._unretried())(request, timeout=deadline_s, metadata=self._metadata())
        try:
            async for message in answers:
                yield message
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error) from error
        finally:
            answers.cancel()

    async def list_data_items(self) -> list[standard_pb2.DataItem]:
        """Read the dictionary of data items."""
        answer = await self._call(next(self._round).standard.ListDataItems, standard_pb2.ListDataItemsRequest())
        return list(answer.items)

    async def list_purposes(self) -> list[standard_pb2.Purpose]:
        """Read the purposes."""
        answer = await self._call(next(self._round).standard.ListPurposes, standard_pb2.ListPurposesRequest())
        return list(answer.purposes)

    async def list_platforms(self) -> list[standard_pb2.Platform]:
        """Read the platforms with coverage and state."""
        answer = await self._call(next(self._round).standard.ListPlatforms, standard_pb2.ListPlatformsRequest())
        return list(answer.platforms)

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Asked, _Answer],
        request: _Asked,
        deadline_s: float | None = None,
        request_id: str = "",
    ) -> _Answer:
        try:
            return await method(request, timeout=deadline_s or self._deadline_s, metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error, request_id=request_id) from error

    def _stubs_for(self, request: credit_pb2.QueryCreditRequest) -> Stubs:
        # A repeat without an id would be a second enquiry, and each resend_all spends one of three.
        if request.request_id and not request.resend_all:
            return next(self._round)
        return self._unretried()

    def _unretried(self) -> Stubs:
        if self._once is None:
            self._once = open_stubs(self._profile, with_retries=False)
        return self._once

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", self._token.bearer()),)


class _Source:
    """Watches a caller's iterator of requests, because grpc.aio swallows what it raises."""

    def __init__(self, requests: AsyncIterable[credit_pb2.QueryCreditRequest]) -> None:
        self._requests = requests
        self.failure: Exception | None = None

    async def watched(self) -> AsyncIterator[credit_pb2.QueryCreditRequest]:
        try:
            async for request in self._requests:
                yield request
        except Exception as error:
            self.failure = error
            raise


def new_request_id(*, now: Callable[[], float] = time.time) -> str:
    """Make a UUIDv7 (RFC 9562 section 5.7): keep it and repeat it when an answer got lost."""
    milliseconds = int(now() * 1000)
    value = milliseconds << 80 | 0x7 << 76 | int.from_bytes(os.urandom(10)) & 0x0FFF_3FFF_FFFF_FFFF_FFFF | 0x2 << 62
    return str(UUID(int=value))


def _query_answer(message: credit_pb2.QueryCreditResponseBytes) -> QueryAnswer:
    return QueryAnswer(
        request_id=message.request_id,
        report=report_pb2.CreditReport.FromString(message.report),
        report_bytes=message.report,
        receipt=message.receipt,
        effective_scope=message.effective_scope,
    )


def _stream_answer(message: credit_pb2.QueryCreditStreamResponseBytes) -> QueryAnswer | BashuCallError:
    if message.WhichOneof("outcome") == "error":
        return error_of_status(message.error, request_id=message.request_id)
    return _query_answer(message.response)


def _name_entry(request: ledger_pb2.GetEntryRequest | ledger_pb2.GetInclusionProofRequest, key: int | str) -> None:
    if isinstance(key, int):
        request.leaf_index = key
    else:
        request.entry_id = key
