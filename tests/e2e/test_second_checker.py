"""A dev stack whose platforms verify every letter themselves answers an honest question in full."""

from __future__ import annotations

from bashu.client import Bashu
from bashu.profiles import Profile
from bashu.v1.report_pb2 import COMPLETENESS_FULL
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.observation import books
from loadtest.questions import question
from loadtest.stack import dev_stack

SUBJECT = "91500105XXTT00018M"


async def test_platforms_that_verify_letters_take_those_of_the_authorities() -> None:
    with dev_stack(arguments=("--second-checker",)) as stack:
        grant = Grant(institution="bank-cq", identifier=SUBJECT, items=ITEMS)
        letter = SigningAuthority(stack.authorities["authority-cq"]).sign(grant)
        async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
            await bank.register_consent(letter)
            answer = await bank.query_credit(question(SUBJECT, str(grant.consent_id)))
        told = await books(stack)
    assert answer.report.completeness == COMPLETENESS_FULL
    assert {source.platform_id for source in answer.report.sources} == {"chongqing", "sichuan"}
    assert told["chongqing"]["authorisations"]
    assert told["sichuan"]["authorizations"]
