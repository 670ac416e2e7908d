"""What the dev stack's nine extra lenders do at its first start: each asks once about one fixed subject.

A later lender's question about …00157C then meets nine enquiries of the last 30 days, made by real calls with real
consents, as docs/platforms/subjects.md says.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from bashu.client import Bashu, new_request_id
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import credit_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.stack import read_description

SUBJECT: Final = "91500105XXTT00157C"
NAME: Final = "重庆示例十五号贸易有限公司"
TRIES: Final = 5
AGAIN_AFTER_S: Final = 1.0
"""A stack that has just started on a busy machine may refuse for a moment (OVERLOADED, EVIDENCE_STALE)."""
LENDERS: Final = tuple(f"bank-{number:02d}" for number in range(1, 10))
COUNTED: Final = ("QUERY", "EVALUATE", "COUNT_ENQUIRIES")
ITEMS: Final = ("enterprise_registration", "tax_credit_grade")


async def ask_as_all(description: Path) -> None:
    """Ask as every extra lender at once; ``description`` is the stack's dev.json, wherever it lies."""
    stack = read_description(description)
    authority = SigningAuthority(stack.authorities["authority-cq"])
    async with asyncio.TaskGroup() as group:
        for lender in LENDERS:
            group.create_task(_ask(description, lender, authority))


async def _ask(description: Path, lender: str, authority: SigningAuthority) -> None:
    grant = Grant(
        institution=lender, identifier=SUBJECT, items=ITEMS, display=NAME, max_uses=1, mode="ONE_TIME", acts=COUNTED
    )
    async with Bashu(Profile.of_dev_stack(description, lender), channels=1) as bank:
        await bank.register_consent(authority.sign(grant))
        request = credit_pb2.QueryCreditRequest(
            request_id=new_request_id(),
            consent_id=str(grant.consent_id),
            purpose="PRE_LOAN_REVIEW",
            application_reference=f"{lender}-APP-1",
        )
        request.subject.enterprise.unified_social_credit_code = SUBJECT
        request.subject.enterprise.name = NAME
        for tries_left in reversed(range(TRIES)):
            try:
                # The same request id again costs no use, and is no second enquiry at a platform.
                await bank.query_credit(request)
            except BashuCallError as error:
                print(f"{lender}: {error.reason}, {tries_left} tries left", file=sys.stderr)
                if not tries_left:
                    raise
                await asyncio.sleep(AGAIN_AFTER_S)
            else:
                return


if __name__ == "__main__":
    asyncio.run(ask_as_all(Path(sys.argv[1])))
