"""Questions as a lender's program puts them, and one participant's connection that tries everything exactly once."""

from __future__ import annotations

from typing import Any, Final, Self, TypeVar

import grpc
from google.protobuf.message import Message

from bashu.bearer import TokenSource
from bashu.channels import open_stubs
from bashu.client import new_request_id
from bashu.errors import error_of_call
from bashu.profiles import Profile
from bashu.v1 import compliance_pb2_grpc, credit_pb2, loan_pb2_grpc, subject_pb2_grpc
from loadtest.stack import Stack

DEADLINE_S: Final = 15.0
PURPOSE: Final = "PRE_LOAN_REVIEW"

_Asked = TypeVar("_Asked", bound=Message)
_Answer = TypeVar("_Answer", bound=Message)


def question(code: str, consent_id: str, **fields: Any) -> credit_pb2.QueryCreditRequest:
    """Return a question about an enterprise with an id of its own; ``fields`` replace what it says by default."""
    said: dict[str, Any] = {
        "request_id": new_request_id(),
        "consent_id": consent_id,
        "purpose": PURPOSE,
        "application_reference": "LOADTEST-1",
    }
    request = credit_pb2.QueryCreditRequest(**{**said, **fields})
    if not request.HasField("subject"):
        request.subject.enterprise.unified_social_credit_code = code
    return request


class Wire:
    """One participant's connection without retries. ``bearer`` replaces the token, to show wrong ones.

    Every call raises ``BashuCallError`` where it is refused.
    """

    def __init__(self, profile: Profile, *, bearer: str | None = None) -> None:
        self._stubs = open_stubs(profile, with_retries=False)
        self._token = TokenSource(profile)
        self._bearer = bearer
        self.consent: Final = self._stubs.consent
        self.ledger: Final = self._stubs.ledger
        self.admin: Final = self._stubs.admin
        self.loan: Final = loan_pb2_grpc.LoanServiceStub(self._stubs.channel)
        self.subject: Final = subject_pb2_grpc.SubjectServiceStub(self._stubs.channel)
        self.compliance: Final = compliance_pb2_grpc.ComplianceServiceStub(self._stubs.channel)

    @classmethod
    def of(cls, stack: Stack, participant: str) -> Self:
        """Connect as a participant of the dev stack."""
        return cls(Profile.of_dev_stack(stack.state, participant))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls under way end."""
        await self._stubs.channel.close()

    async def query(
        self, request: credit_pb2.QueryCreditRequest, *, deadline_s: float = DEADLINE_S
    ) -> credit_pb2.QueryCreditResponseBytes:
        """Ask one question."""
        return await self.call(self._stubs.query, request, deadline_s=deadline_s)

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Asked, _Answer],
        request: _Asked,
        *,
        deadline_s: float = DEADLINE_S,
    ) -> _Answer:
        """Call any unary RPC."""
        bearer = self._bearer if self._bearer is not None else self._token.bearer()
        try:
            return await method(request, timeout=deadline_s, metadata=(("authorization", bearer),))
        except grpc.aio.AioRpcError as error:
            raise error_of_call(error) from error
