"""From a call to the bytes of its answer, in the order of checks of docs/platforms/chongqing.md section 3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from sandbox.chongqing import batch, messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.codes import PATHS, Fhm, Transaction
from sandbox.chongqing.disputing import dispute
from sandbox.chongqing.filing import file_authorisation
from sandbox.chongqing.gate import Call, Gate
from sandbox.chongqing.limits import DAY_QUOTA, SECOND_QUOTA, Limits, in_maintenance
from sandbox.chongqing.reader import MAX_BATCH_BYTES, MAX_REQUEST_BYTES, Request, UnreadableError, read_request
from sandbox.chongqing.reconciling import reconcile
from sandbox.chongqing.signing import QM_ALGORITHM, result_signature
from sandbox.chongqing.state import Asked, State
from sandbox.chongqing.submitting import submit
from sandbox.chongqing.writer import answer_bytes, body_bytes, tag
from sandbox.credentials import SigningKey
from sandbox.facts import PlatformId
from sandbox.faults import FaultKind, Faults

CONTENT_TYPE: Final = "application/xml; charset=GB18030"
_SHOWN_ANYWHERE: Final = frozenset(FaultKind) - {
    FaultKind.HALF_OPEN,
    FaultKind.REVOKED,
    FaultKind.TOKEN_EXPIRED,
    FaultKind.WRONG_SUBJECT,
    FaultKind.WRONG_SIGNATURE,
    FaultKind.EXTRA_ITEMS,
    FaultKind.PARTIAL,
    FaultKind.STALE,
}
_SHOWN: Final = {
    Transaction.SUBMIT: _SHOWN_ANYWHERE | {FaultKind.PARTIAL, FaultKind.STALE},
    Transaction.FETCH: frozenset(FaultKind) - {FaultKind.PARTIAL, FaultKind.STALE, FaultKind.TOKEN_EXPIRED},
}
_FORCED_REFUSALS: Final = {
    FaultKind.CLOCK_OFF: bare(Fhm.CLOCK),
    FaultKind.CODE_9999: bare(Fhm.SYSTEM_ERROR),
    FaultKind.REVOKED: bare(Fhm.AUTHORISATION_MISSING),
}
_UNLISTED_CODE: Final = "7777"
_OVERSIZE: Final = 2 * 1024 * 1024
_UNDECODABLE: Final = b"<BZ>\xff</BZ>"
_TRANSACTIONS: Final[dict[Transaction, Callable[[State, Asked], Answer]]] = {
    Transaction.FILE: file_authorisation,
    Transaction.SUBMIT: submit,
    Transaction.BATCH: batch.submit,
    Transaction.POLL: batch.poll,
    Transaction.FETCH: batch.fetch,
    Transaction.ACKNOWLEDGE: batch.acknowledge,
    Transaction.DISPUTE: dispute,
    Transaction.RECONCILE: reconcile,
}


class Silence(Enum):
    """A forced fault in which the platform itself says nothing."""

    STALL = auto()
    RESET = auto()
    HTTP_500 = auto()


_SILENCES: Final = {
    FaultKind.STALL: Silence.STALL,
    FaultKind.RESET: Silence.RESET,
    FaultKind.HTTP_500: Silence.HTTP_500,
}


class Written(NamedTuple):
    """An answer's bytes; whether they come late, and whether the second half of them never does."""

    body: bytes
    is_slow: bool = False
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The platform without its sockets. Every answer is made without waiting for anything."""

    state: State
    gate: Gate
    faults: Faults
    limits: Limits
    signing_key: SigningKey

    def answer(self, call: Call) -> Written | Silence:
        """Return the answer, or the silence that was forced."""
        request = _read(call)
        transaction = PATHS.get(call.path)
        lsh = "" if request is None else messages.serial(request.head)
        fault = self._fault(call, request, transaction)
        if fault in _SILENCES:
            return _SILENCES[fault]
        answer = self._refused(call, transaction, fault)
        if answer is None and request is not None and transaction is not None and _fits(call, request, transaction):
            asked = Asked(jgdm=call.jgdm, lsh=lsh, intent=call.intent, request=request, fault=fault)
            answer = _FORCED_REFUSALS.get(fault) if fault else None
            answer = answer or self._run(transaction, asked)
        written = self._written(answer or bare(Fhm.FORMAT), lsh=lsh, fault=fault)
        return Written(written, is_slow=fault is FaultKind.SLOW, is_cut=fault is FaultKind.HALF_OPEN)

    def _refused(self, call: Call, transaction: Transaction | None, fault: FaultKind | None) -> Answer | None:
        now = self.state.clocks.chongqing.now()
        if fault is FaultKind.MAINTENANCE or (not self.state.conduct.is_instant and in_maintenance(now)):
            return bare(Fhm.MAINTENANCE)
        refusal = self.gate.refused(call, now=now)
        if refusal is not None:
            return bare(refusal)
        if fault is FaultKind.QUOTA:
            return _over_quota(transaction)
        kind = None if transaction is None else self.limits.refused(call.jgdm, transaction)
        return None if kind is None else Answer(fhm=Fhm.QUOTA, words=Fhm.QUOTA.words, inner=tag("XZLX", kind))

    def _run(self, transaction: Transaction, asked: Asked) -> Answer:
        before = self.state.jobs.issued
        answer = _TRANSACTIONS[transaction](self.state, asked)
        self.limits.accepted(asked.jgdm, jobs=self.state.jobs.issued - before)
        return answer

    def _fault(self, call: Call, request: Request | None, transaction: Transaction | None) -> FaultKind | None:
        if transaction is None:
            return None
        subject = None
        if request is not None:
            job = self.state.jobs.find(request.body.value("RWH"), jgdm=call.jgdm)
            subject = messages.subject_of(request.body) or (job.subject if job is not None else None)
        shown = _SHOWN.get(transaction, _SHOWN_ANYWHERE)
        forced = self.faults.take(PlatformId.CHONGQING, subject, transaction, shown=shown)
        if forced is not None:
            return forced.kind
        conduct = self.state.conduct
        return FaultKind.STALL if conduct.is_half_open() else conduct.fault(shown)

    def _written(self, answer: Answer, *, lsh: str, fault: FaultKind | None) -> bytes:
        inner = answer.inner
        if fault is FaultKind.OVERSIZED:
            inner = (inner or "") + tag("BZ", "x" * _OVERSIZE)
        body = None if inner is None else body_bytes(inner)
        if fault is FaultKind.WRONG_ENCODING:
            # Signed as it is sent, so that the reader meets the encoding and not the signature.
            body = body_bytes(inner or "").replace(b"</BODY>", _UNDECODABLE + b"</BODY>")
        code = _UNLISTED_CODE if fault is FaultKind.UNLISTED_CODE else answer.fhm.value
        head = [("FHM", code), ("FHXX", answer.words), ("LSH", lsh)]
        if body is not None and answer.is_signed:
            signed = body if fault is not FaultKind.WRONG_SIGNATURE else body + b" "
            head += [
                ("QMBH", self.signing_key.kid),
                ("QMSF", QM_ALGORITHM),
                ("QM", result_signature(self.signing_key, signed)),
            ]
        return answer_bytes(head, body)


def _read(call: Call) -> Request | None:
    if call.method != "POST" or call.content_type.replace(" ", "").lower() != CONTENT_TYPE.replace(" ", "").lower():
        return None
    try:
        return read_request(call.body, most=most_bytes(call.path))
    except UnreadableError:
        return None


def most_bytes(path: str) -> int:
    """Return how long a request to this path may be."""
    return MAX_BATCH_BYTES if PATHS.get(path) is Transaction.BATCH else MAX_REQUEST_BYTES


def _fits(call: Call, request: Request, transaction: Transaction) -> bool:
    head = request.head
    return head.value("JYDM") == transaction and head.value("JGDM") == call.jgdm and bool(messages.serial(head))


def _over_quota(transaction: Transaction | None) -> Answer:
    # Only submits have a day's quota; polls meet the second's alone.
    is_submit = transaction in (Transaction.FILE, Transaction.SUBMIT)
    inner = tag("XZLX", DAY_QUOTA if is_submit else SECOND_QUOTA)
    return Answer(fhm=Fhm.QUOTA, words=Fhm.QUOTA.words, inner=inner)
