"""``/v2/disputes`` (docs/platforms/sichuan.md section 10)."""

from __future__ import annotations

from datetime import date, timedelta
from http import HTTPStatus
from typing import Any, Final

import msgspec

from sandbox.books import Book
from sandbox.clock import Clocks
from sandbox.disputes import EXPLANATIONS, Case, DisputeDesk
from sandbox.facts import PlatformId
from sandbox.sichuan.modules import MODULES
from sandbox.sichuan.refusals import Refusal, invalid
from sandbox.world import World

DUE_DAYS: Final = 20
REASON_MOST: Final = 2_000
LOCATOR_MOST: Final = 100


class DisputeBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of ``POST /v2/disputes``."""

    credit_code: str
    module: str
    record_key: str
    reason: str
    requested_on: date
    institution: str
    request_id: str


class Disputes:
    """The platform's disputes."""

    def __init__(self, *, world: World, book: Book, clocks: Clocks) -> None:
        self._world = world
        self._book = book
        self._clocks = clocks
        self._desk = DisputeDesk("SCD")

    def open(self, body: DisputeBody) -> tuple[dict[str, Any], bool]:
        """Take a dispute; tell whether it is new. The same request id with another body is refused with 409."""
        if body.module not in MODULES or not 0 < len(body.reason) <= REASON_MOST or len(body.record_key) > LOCATOR_MOST:
            raise invalid("body")
        if self._world.file(PlatformId.SICHUAN, body.credit_code) is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "enterprise not found")
        found = self._desk.open(
            body.institution,
            body.request_id,
            body.credit_code,
            body.module,
            body.record_key,
            body.reason,
            self._clocks.sichuan.now(),
            self._clocks.data.day,
        )
        if found is None:
            raise Refusal(HTTPStatus.CONFLICT, "request id stands for another dispute")
        case, is_new = found
        if is_new:
            self._book.dispute(case.line())
        return self._json(case), is_new

    def get(self, number: str) -> dict[str, Any]:
        """Tell where a dispute stands, or refuse with 404."""
        case = self._desk.find(number)
        if case is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "dispute not found")
        return self._json(case)

    def _json(self, case: Case) -> dict[str, Any]:
        outcome = case.outcome(self._clocks.data.day)
        answer: dict[str, Any] = {
            "disputeId": case.number,
            "state": "CHECKING" if outcome is None else "ANSWERED",
            "dueOn": (case.at + timedelta(days=DUE_DAYS)).date().isoformat(),
        }
        return answer if outcome is None else answer | {"outcome": outcome, "explanation": EXPLANATIONS[outcome]}
