"""Preservation: a regulator alone or two officers place it, nothing in its scope is erased, and nobody lifts it alone."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from bashu.v1 import subject_pb2
from core.errors import BashuError, Reason
from gateway.desk.preservation import preserved
from tests.admission_stage import FIRM, OTHER_FIRM
from tests.rights_stage import (
    AUDITOR,
    BANK,
    ONE,
    REGULATOR,
    STRANGER,
    SUBJECT,
    TWO,
    caller,
    named,
    open_rights,
    refused,
)

OTHER_REGULATOR = caller("regulator-2", REGULATOR.role, "pboc")


@pytest.fixture
async def rights(fresh_database, fresh_keys, tmp_path):
    async with open_rights(fresh_database, fresh_keys, tmp_path) as rights:
        yield rights


async def erased(rights, subject=FIRM, who=SUBJECT):
    return (await rights.subject("RequestErasure", who, subject=named(subject))).erasure.state


async def test_a_regulator_preserves_alone_and_only_a_regulator_releases_it(rights):
    order = {"subject": named(FIRM), "reason": "检查通知 2026-7"}
    placed = await rights.desk("PreserveRecords", REGULATOR, **order)
    assert await refused(erased(rights)) is Reason.PRESERVED
    assert await erased(rights, OTHER_FIRM, STRANGER) == subject_pb2.ERASURE_STATE_ERASED
    (entry,) = await rights.of_type("PRESERVATION")
    assert entry["object"] == placed.preservation_id
    assert "2026-7" not in json.dumps(entry)
    shown = await rights.desk("Unmask", entry_id=entry["entry_id"], field="reason", reason="r")
    assert json.loads(shown.value) == {"reason": order["reason"]}
    one = {"preservation_id": placed.preservation_id}
    for officer in (ONE, TWO):
        assert await refused(rights.desk("ReleasePreservation", officer, **one)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert (await rights.desk("ReleasePreservation", OTHER_REGULATOR, **one)).released
    assert await erased(rights) == subject_pb2.ERASURE_STATE_ERASED
    assert await refused(rights.desk("ReleasePreservation", REGULATOR, **one)) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_what_stands_is_listed_without_naming_a_subject_and_the_look_is_recorded(rights):
    first = await rights.desk("PreserveRecords", REGULATOR, subject=named(FIRM), reason="r")
    days = {"institution": "bank-cq", "from_day": "2026-01-01", "to_day": "2026-03-31", "reason": "r"}
    second = await rights.desk("PreserveRecords", REGULATOR, **days)
    page = await rights.desk("ListPreservations", AUDITOR, page={"page_size": 1})
    (row,) = page.preservations
    assert (row.preservation_id, row.of_subject, row.by_regulator) == (first.preservation_id, True, True)
    assert FIRM.identifier not in str(page)
    rest = await rights.desk("ListPreservations", AUDITOR, page={"page_token": page.page.next_page_token})
    (row,) = rest.preservations
    assert (row.institution, row.from_day, row.to_day) == ("bank-cq", "2026-01-01", "2026-03-31")
    await rights.desk("ReleasePreservation", REGULATOR, preservation_id=first.preservation_id)
    left = await rights.desk("ListPreservations", ONE)
    assert [row.preservation_id for row in left.preservations] == [second.preservation_id]
    views = [(entry["object"], entry["count"]) for entry in await rights.of_type("REVIEW_VIEW")]
    assert views == [("ListPreservations", 1)] * 3


async def test_officers_place_and_release_by_two(rights):
    order = {"subject": named(FIRM), "reason": "r"}
    for _ in range(2):
        assert await refused(rights.desk("PreserveRecords", ONE, **order)) is Reason.SECOND_OFFICER_NEEDED
    other = {**order, "subject": named(OTHER_FIRM)}
    assert await refused(rights.desk("PreserveRecords", TWO, **other)) is Reason.SECOND_OFFICER_NEEDED
    one = {"preservation_id": (await rights.desk("PreserveRecords", TWO, **order)).preservation_id}
    assert await refused(erased(rights)) is Reason.PRESERVED
    assert not (await rights.desk("ReleasePreservation", ONE, **one)).released
    assert not (await rights.desk("ReleasePreservation", ONE, **one)).released
    assert await refused(erased(rights)) is Reason.PRESERVED
    assert (await rights.desk("ReleasePreservation", TWO, **one)).released
    assert await erased(rights) == subject_pb2.ERASURE_STATE_ERASED


async def test_an_institutions_queries_of_a_period_preserve_whom_they_were_about(rights):
    stage = rights.stage
    await stage.release(await stage.ask(await stage.grant()))
    await rights.sealed()
    firm, other = stage.pseudonyms.subject(FIRM), stage.pseudonyms.subject(OTHER_FIRM)
    for scope, touched in (
        ({"institution": "bank-sc"}, False),
        ({"institution": "bank-cq", "to_day": "2020-01-01"}, False),
        ({"institution": "bank-cq"}, True),
        ({"from_day": "2020-01-01"}, True),
    ):
        placed = await rights.desk("PreserveRecords", REGULATOR, **scope, reason="r")
        assert await preserved(stage.db, firm) is touched
        assert not await preserved(stage.db, other)
        await rights.desk("ReleasePreservation", REGULATOR, preservation_id=placed.preservation_id)


async def test_an_erasure_under_way_and_a_preservation_come_one_after_the_other(rights):
    orders = [rights.desk("PreserveRecords", REGULATOR, subject=named(FIRM), reason="r") for _ in range(3)]
    erasing, *_ = await asyncio.gather(erased(rights), *orders, return_exceptions=True)
    kinds = [entry["type"] for entry in await rights.stage.entries_written() if entry["type"] != "CONSENT_REGISTERED"]
    if isinstance(erasing, BashuError):
        assert erasing.reason is Reason.PRESERVED
    done = [e for e in await rights.of_type("ERASURE") if e["status"]["to"] == "ERASED"]
    assert not done or kinds.index("ERASURE") < kinds.index("PRESERVATION")


async def test_what_names_nothing_or_comes_from_the_wrong_role_is_refused(rights):
    assert await refused(rights.desk("PreserveRecords", REGULATOR, reason="r")) is Reason.MALFORMED
    both = {"subject": named(FIRM), "institution": "bank-cq", "reason": "r"}
    assert await refused(rights.desk("PreserveRecords", REGULATOR, **both)) is Reason.MALFORMED
    for who in (AUDITOR, BANK, SUBJECT):
        assert (
            await refused(rights.desk("PreserveRecords", who, subject=named(FIRM), reason="r"))
            is Reason.ROLE_NOT_ALLOWED
        )
        unknown = rights.desk("ReleasePreservation", who, preservation_id=str(uuid.uuid4()))
        assert await refused(unknown) is Reason.ROLE_NOT_ALLOWED
