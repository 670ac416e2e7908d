"""What a call can end with beside an answer, decoded from ``grpc-status-details-bin`` (google.rpc.Status)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DOMAIN: Final = "bashu.credit"
UNREACHABLE: Final = "UNREACHABLE"
"""Reason given here, never by the gateway: no answer came from it."""
NO_ANSWER_IN_TIME: Final = "NO_ANSWER_IN_TIME"
"""Reason given here: the caller's own deadline passed first. The query may have been answered: repeat its id."""

_DETAILS: Final = "grpc-status-details-bin"
_LOCAL: Final = {
    grpc.StatusCode.UNAVAILABLE: UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: NO_ANSWER_IN_TIME,
}
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_TURN_ZH: Final = {
    "CALLER": "调用方",
    "LENDER": "信息使用机构",
    "BORROWER": "信息主体",
    "PLATFORM": "地方征信平台",
    "COMPLIANCE": "合规人员",
    "OPERATOR": "网关运营方",
}


class BashuCallError(Exception):
    """A call that was refused or did not arrive.

    ``reason`` is a name of the contract's ErrorReason, or UNREACHABLE, NO_ANSWER_IN_TIME, or the gRPC code's name
    where the other side gave no reason. ``turn`` says whose turn it is to act (CALLER, LENDER, BORROWER, PLATFORM,
    COMPLIANCE, OPERATOR), ``request_id`` is for the support desk, ``retry_after_s`` is None where no time was given,
    ``metadata`` holds facts such as the rule, ``fields`` what is wrong with which field of the request.
    """

    def __init__(
        self,
        *,
        reason: str,
        message: str,
        code: grpc.StatusCode,
        turn: str,
        request_id: str = "",
        retry_after_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason: Final = reason
        self.message: Final = message
        self.code: Final = code
        self.turn: Final = turn
        self.request_id: Final = request_id
        self.retry_after_s: Final = retry_after_s
        self.metadata: Final = dict(metadata or {})
        self.fields: Final = dict(fields or {})

    @property
    def is_unreachable(self) -> bool:
        """True where no word came from the gateway itself."""
        return self.reason in {UNREACHABLE, NO_ANSWER_IN_TIME}

    @property
    def turn_zh(self) -> str:
        """Whose turn it is, in Chinese."""
        return _TURN_ZH.get(self.turn, self.turn)

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "reason": self.reason,
            "message": self.message,
            "code": self.code.name,
            "turn": self.turn,
            "request_id": self.request_id,
            "retry_after_s": self.retry_after_s,
            "metadata": self.metadata,
            "fields": self.fields,
        }


def error_of_call(error: grpc.aio.AioRpcError, *, request_id: str = "") -> BashuCallError:
    """Decode the error of one call; ``request_id`` is used where the gateway names none."""
    for name, value in error.trailing_metadata() or ():
        if name == _DETAILS and isinstance(value, bytes):
            try:
                status = status_pb2.Status.FromString(value)
            except DecodeError:
                break
            return error_of_status(status, request_id=request_id, code=error.code())
    return _without_details(error.code(), error.details() or "", request_id)


def error_of_status(
    status: status_pb2.Status, *, request_id: str = "", code: grpc.StatusCode | None = None
) -> BashuCallError:
    """Decode a ``google.rpc.Status``, as it also stands in a stream's answer."""
    code = code or _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        for message in (info, retry, bad):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    if not info.reason or info.domain != DOMAIN:
        return _without_details(code, status.message, request_id)
    return BashuCallError(
        reason=info.reason,
        message=status.message,
        code=code,
        turn=info.metadata.get("turn", "CALLER"),
        request_id=info.metadata.get("request_id", request_id),
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        metadata={name: value for name, value in info.metadata.items() if name not in {"turn", "request_id"}},
        fields={violation.field: violation.description for violation in bad.field_violations},
    )


def _without_details(code: grpc.StatusCode, message: str, request_id: str) -> BashuCallError:
    reason = _LOCAL.get(code, code.name)
    return BashuCallError(reason=reason, message=message, code=code, turn="OPERATOR", request_id=request_id)
