"""LoanService: what post-loan purposes refer to; no amounts."""

from __future__ import annotations

from datetime import date

from bashu.v1 import loan_pb2, loan_pb2_grpc
from consent.model import Loan, LoanEnd
from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason
from core.ids import is_external_reference
from gateway.identity.model import current_caller
from gateway.interceptors import Context
from gateway.loans import Loans
from gateway.question import read_subject
from gateway.services.paging import page_size
from gateway.validation import validate
from standards.catalogue import Standard


class LoanServicer(loan_pb2_grpc.LoanServiceServicer):
    """Registers, closes and lists loans of the caller's institution."""

    def __init__(self, *, loans: Loans, standard: Standard, clock: Clock) -> None:
        self._loans = loans
        self._standard = standard
        self._clock = clock

    async def RegisterLoan(  # noqa: N802 - the contract's name
        self, request: loan_pb2.RegisterLoanRequest, _context: Context
    ) -> loan_pb2.RegisterLoanResponse:
        """Register a loan; the same again answers alike."""
        validate(request)
        today = self._clock.now().astimezone(SHANGHAI).date()
        loan = await self._loans.register(
            current_caller().institution,
            request.loan_reference,
            subject=read_subject(request.subject, standard=self._standard, today=today),
            application_reference=request.application_reference,
            opened_on=_day(request.opened_on, "opened_on"),
            due_on=_day(request.due_on, "due_on"),
        )
        return loan_pb2.RegisterLoanResponse(loan=_loan(loan))

    async def CloseLoan(  # noqa: N802
        self, request: loan_pb2.CloseLoanRequest, _context: Context
    ) -> loan_pb2.CloseLoanResponse:
        """Close a loan; consents that run until its closing end."""
        validate(request)
        reason = LoanEnd(loan_pb2.LoanCloseReason.Name(request.reason).removeprefix("LOAN_CLOSE_REASON_"))
        closed = await self._loans.close(current_caller().institution, request.loan_reference, reason=reason)
        return loan_pb2.CloseLoanResponse(loan=_loan(closed.loan), ended_consents=closed.ended_consents)

    async def ListLoans(  # noqa: N802
        self, request: loan_pb2.ListLoansRequest, _context: Context
    ) -> loan_pb2.ListLoansResponse:
        """List the institution's loans by reference; the page token is the last reference of the page before."""
        validate(request)
        size = page_size(request.page)
        if request.page.page_token and not is_external_reference(request.page.page_token):
            raise BashuError(Reason.MALFORMED, "page_token: no answer gave this one", field="page.page_token")
        found = await self._loans.of_institution(
            current_caller().institution, after=request.page.page_token, limit=size + 1
        )
        answer = loan_pb2.ListLoansResponse(loans=[_loan(loan) for loan in found[:size]])
        answer.page.next_page_token = found[size - 1].loan_reference if len(found) > size else ""
        return answer


def _loan(loan: Loan) -> loan_pb2.Loan:
    message = loan_pb2.Loan(
        loan_reference=loan.loan_reference,
        application_reference=loan.application_reference,
        opened_on=loan.opened_on.isoformat(),
        due_on=loan.due_on.isoformat(),
    )
    if loan.closed_at is not None and loan.close_reason is not None:
        message.closed_at.FromDatetime(loan.closed_at)
        message.close_reason = loan_pb2.LoanCloseReason.Value(f"LOAN_CLOSE_REASON_{loan.close_reason.value}")
    return message


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, f"{field}: no such day", field=field) from error
