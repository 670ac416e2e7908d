"""The subject's own report (征信业管理条例 Art. 17): asked, released and receipted like every other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from bashu.v1.credit_pb2 import QueryCreditRequest
from bashu.v1.subject_pb2 import RequestOwnReportRequest
from consent import store as consent_store
from consent.checks import SELF_CHECK
from core.clock import SHANGHAI
from core.errors import BashuError, Reason
from core.permit import Subject, SubjectKind
from database import Database, UniqueConflict
from gateway.identity.model import Caller, Mandate
from gateway.pipeline import Answer, Engine, answer_query
from gateway.pseudonyms import Pseudonyms
from gateway.question import request_digest
from gateway.rights import store

FREE_A_YEAR: Final = 2
"""R34: the right is a person's, extended to enterprises by project choice."""
LEGAL_BASIS: Final = "征信业管理条例 Art. 17"
_MANDATES: Final = {
    SubjectKind.PERSON: frozenset({Mandate.SELF, Mandate.AGENT}),
    SubjectKind.ENTERPRISE: frozenset({Mandate.OWNER, Mandate.LEGAL_REPRESENTATIVE, Mandate.AGENT}),
}
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReport:
    """A released own report, and whether it is one of the year's free ones."""

    answer: Answer
    is_free: bool


class OwnReports:
    """Asks on behalf of subjects, and counts their reports of a year."""

    def __init__(self, db: Database, *, engine: Engine, pseudonyms: Pseudonyms) -> None:
        self._db = db
        self._engine = engine
        self._pseudonyms = pseudonyms

    async def ask(
        self, request: RequestOwnReportRequest, *, subject: Subject, caller: Caller, deadline: float
    ) -> OwnReport:
        """Return the report of the caller's own subject; that it is, the caller has checked.

        Raises:
            BashuError: as :func:`gateway.pipeline.answer_query`; a freeze of one's own file stops one's own query too.
        """
        answer = await answer_query(self._engine, _question(request), caller=caller, deadline=deadline)
        ordinal = await self._number(self._pseudonyms.subject(subject), answer.permit.request_id)
        return OwnReport(answer=answer, is_free=ordinal <= FREE_A_YEAR)

    async def deny(self, caller: Caller, request: RequestOwnReportRequest, refused: BashuError) -> None:
        """Record a refusal found before a question could be made of the message."""
        await self._engine.admissions.deny(caller, request_digest(_question(request)), refused)

    async def _number(self, pseudonym: str, request_id: UUID) -> int:
        now = await consent_store.now(self._db)
        for _ in range(_TRIES):
            try:
                return await store.number_own_report(
                    self._db, pseudonym, year=now.astimezone(SHANGHAI).year, request_id=request_id, at=now
                )
            except UniqueConflict:
                # Two reports at the same moment: the second is numbered again.
                continue
        raise BashuError(Reason.OVERLOADED, "too many own reports of one subject at once", retry_after_s=1.0)


def refuse_unfit_mandate(subject: Subject, caller: Caller) -> None:
    """Refuse a mandate that cannot speak for such a subject: SELF is a person's, LEGAL_REPRESENTATIVE a firm's.

    Raises:
        BashuError: SUBJECT_MISMATCH.
    """
    if caller.mandate not in _MANDATES[subject.kind]:
        raise BashuError(
            Reason.SUBJECT_MISMATCH, "the token's mandate does not speak for such a subject", field="subject"
        )


def _question(request: RequestOwnReportRequest) -> QueryCreditRequest:
    return QueryCreditRequest(
        request_id=request.request_id,
        subject=request.subject,
        purpose=SELF_CHECK,
        data_items=request.data_items,
        legal_basis=LEGAL_BASIS,
    )
