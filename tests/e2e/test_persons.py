"""The personal path on a stack that is licensed for it: both platforms, the stricter rules, no identity number anywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import common_pb2, credit_pb2, report_pb2
from loadtest.authority import Grant, SigningAuthority, letter_capture
from loadtest.observation import books, ledger_reader
from loadtest.questions import question
from loadtest.stack import Stack, dev_stack
from sandbox.persons import HAS_NOTHING_AGAINST, IS_LISTED, IS_UNKNOWN_IN_SICHUAN, PERSONAL_ITEMS, FixedPerson

ITEMS = tuple(sorted(PERSONAL_ITEMS))
RESTRICTED = "housing_provident_fund"
LENDER = "bank-cq"
UNWARNED = {"restricted_items_ack": False}


@pytest.fixture(scope="module")
def licensed() -> Iterator[Stack]:
    with dev_stack(arguments=("--persons",)) as running:
        yield running


@pytest.fixture
async def lender(licensed: Stack) -> AsyncIterator[Bashu]:
    async with Bashu(Profile.of_dev_stack(licensed.state, LENDER)) as client:
        yield client


async def granted(stack: Stack, lender: Bashu, person: FixedPerson, **terms: Any) -> str:
    said = {"institution": LENDER, "identifier": person.id_no, "id_type": "citizen_id", "items": ITEMS} | terms
    grant = Grant(**said)
    await lender.register_consent(SigningAuthority(stack.authorities["authority-cq"]).sign(grant))
    return str(grant.consent_id)


def about(person: FixedPerson, consent_id: str, **fields: Any) -> credit_pb2.QueryCreditRequest:
    request = question("", consent_id, **({"data_items": ITEMS} | fields))
    named = common_pb2.PersonSubject(id_type="citizen_id", id_number=person.id_no, name=person.name)
    request.subject.person.CopyFrom(named)
    return request


def statuses(report: report_pb2.CreditReport, platform: str) -> dict[str, str]:
    return {
        one.data_item: common_pb2.PlatformStatus.Name(one.status).removeprefix("PLATFORM_STATUS_")
        for one in report.platform_results
        if one.platform_id == platform
    }


async def test_both_platforms_answer_about_a_person_and_their_answers_are_merged(
    licensed: Stack, lender: Bashu
) -> None:
    answer = await lender.query_credit(about(HAS_NOTHING_AGAINST, await granted(licensed, lender, HAS_NOTHING_AGAINST)))
    expected = {"judgment_debtor": "OK", "dishonest_judgment_debtor": "NO_DATA", RESTRICTED: "OK"}
    assert statuses(answer.report, "chongqing") == statuses(answer.report, "sichuan") == expected
    (case,) = [record for record in answer.report.records if record.HasField("judgment_debtor")]
    assert len(case.source_ids) == 2
    assert case.judgment_debtor.closed_on == "2026-06-30"
    assert not case.judgment_debtor.HasField("party_uscc")
    assert "SANDBOX LICENCE" in answer.report.gateway_operator.licence.number


async def test_a_person_known_in_one_region_alone_is_empty_there_and_unknown_elsewhere(
    licensed: Stack, lender: Bashu
) -> None:
    person = IS_UNKNOWN_IN_SICHUAN
    answer = await lender.query_credit(about(person, await granted(licensed, lender, person)))
    assert answer.report.completeness == report_pb2.COMPLETENESS_EMPTY
    assert set(statuses(answer.report, "sichuan").values()) == {"NO_DATA"}


async def test_no_report_entry_table_or_log_holds_the_identity_number(licensed: Stack, lender: Bashu) -> None:
    consent_id = await granted(licensed, lender, IS_LISTED)
    answer = await lender.query_credit(about(IS_LISTED, consent_id))
    assert any(record.dishonest_judgment_debtor.is_listed for record in answer.report.records)
    number = IS_LISTED.id_no
    assert number.encode() not in answer.report.SerializeToString()
    assert "50010519XXXXXX0000" not in str(answer.report)
    async with ledger_reader(licensed) as db:
        bodies = [bytes(row["body"]) for row in await db.fetch("SELECT body FROM ledger_entry")]
    assert not any(number.encode() in body for body in bodies)
    held = await kept(licensed)
    assert consent_id in held
    assert IS_LISTED.name not in held
    assert number not in held
    for log in ("gateway.log", "sealer.log", "dev.log"):
        assert number.encode() not in (licensed.state / log).read_bytes()
    book = await books(licensed)
    assert [line["subject"] for line in book["sichuan"]["enquiries"]].count(number) == 1


async def kept(stack: Stack) -> str:
    """Every row of every table of the gateway, as its owner reads them."""
    db = await asyncpg.connect((stack.state / "dsn" / "owner").read_text().strip())
    try:
        tables = await db.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        rows = [str(dict(row)) for table in tables for row in await db.fetch(f"SELECT * FROM {table['name']}")]
    finally:
        await db.close()
    return "\n".join(rows)


async def refused(call: Any) -> str:
    with pytest.raises(BashuCallError) as caught:
        await call
    return caught.value.reason


async def test_the_stricter_rules_hold_and_move_no_platforms_book(licensed: Stack, lender: Bashu) -> None:
    person = HAS_NOTHING_AGAINST
    consent_id = await granted(licensed, lender, person)
    before = await books(licensed)
    assert await refused(lender.query_credit(about(person, consent_id, data_items=[]))) == "ITEMS_REQUIRED"
    nameless = about(person, consent_id)
    nameless.subject.person.name = " "
    assert await refused(lender.query_credit(nameless)) == "MALFORMED"
    evaluated = about(person, consent_id, include_evaluation=True)
    assert await refused(lender.query_credit(evaluated)) == "MALFORMED"
    assert await refused(lender.query_credit(about(IS_LISTED, consent_id))) == "SUBJECT_MISMATCH"
    unwarned = await granted(
        licensed,
        lender,
        person,
        overrides={"data": {"items": [{"id": RESTRICTED, "necessity": "required"}], "lookback_days": 365, **UNWARNED}},
    )
    assert await refused(lender.query_credit(about(person, unwarned, data_items=[RESTRICTED]))) == "SCOPE_EXCEEDED"
    assert await books(licensed) == before


async def test_a_name_that_is_not_the_numbers_own_gets_nothing_of_it(licensed: Stack, lender: Bashu) -> None:
    person = HAS_NOTHING_AGAINST
    request = about(person, await granted(licensed, lender, person))
    request.subject.person.name = "别人"
    answer = await lender.query_credit(request)
    assert not answer.report.records
    assert set(statuses(answer.report, "chongqing").values()) == {"DENIED"}


async def test_a_lenders_own_letter_opens_no_restricted_item_of_a_person(licensed: Stack, lender: Bashu) -> None:
    signer = licensed.participants[LENDER]
    authority = licensed.authorities["authority-cq"]
    grant = Grant(
        institution=LENDER,
        identifier=HAS_NOTHING_AGAINST.id_no,
        id_type="citizen_id",
        items=ITEMS,
        overrides={"iss": LENDER, "capture": letter_capture(b"paper")},
    )
    own = replace(authority, authority_id=LENDER, kid=signer.kid, private_key=signer.private_key)
    assert await refused(lender.register_consent(SigningAuthority(own).sign(grant))) == "ARTEFACT_MALFORMED"


def test_the_page_runs_as_written(licensed: Stack) -> None:
    page = (Path(__file__).parents[2] / "docs" / "persons.md").read_text(encoding="utf-8")
    lines = page.split("```sh\n")[1].split("```")[0].splitlines()
    environment = {"bin": f"{Path(sys.executable).parent}/"}
    kept = ""
    for line in lines:
        if line.startswith("make dev"):
            continue
        command = line.replace(".venv/bin/", environment["bin"]).replace(".dev", str(licensed.state))
        done = subprocess.run(
            ["bash", "-c", command.replace("CONSENT_ID", kept)],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if "register" in line:
            kept = _consent_id(done.stdout)


def _consent_id(text: str) -> str:
    (found, *_) = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    return found
