"""Texts of notices and purposes: registered once, found by their hash, shown beside the consents that name it."""

from __future__ import annotations

import hashlib

import pytest

from core.errors import Reason
from database import StatementFailed
from tests.asking_stage import AUTHORITY, OTHER_BANK, open_asking
from tests.rights_stage import AUDITOR, BANK, SUBJECT, refused

TEXT = "示例告知书：处理者、目的、方式、种类、保存期限、权利。"
NOTICE = {"notice_id": "loan-notice", "version": "1", "lang": "zh-CN", "text": TEXT}


@pytest.fixture
async def asking(fresh_database, fresh_keys, tmp_path):
    async with open_asking(fresh_database, fresh_keys, tmp_path) as asking:
        yield asking


async def test_a_text_is_found_by_its_hash_by_every_party_and_its_entry_holds_the_hash_alone(asking):
    registered = await asking.call("RegisterNotice", BANK, **NOTICE)
    assert registered.sha256 == hashlib.sha256(TEXT.encode()).digest()
    for who in (BANK, OTHER_BANK, SUBJECT, AUTHORITY, AUDITOR):
        notice = (await asking.call("GetNotice", who, sha256=registered.sha256)).notice
        assert (notice.text, notice.institution, notice.notice_id) == (TEXT, "bank-cq", "loan-notice")
    (entry,) = await asking.stage.entries_written()
    assert (entry["type"], entry["object"]) == ("NOTICE_REGISTERED", registered.sha256.hex())
    assert "loan-notice" not in str(entry)
    assert await asking.stage.check_log() == []


async def test_the_same_text_again_answers_alike_and_adds_no_entry(asking):
    first = await asking.call("RegisterNotice", BANK, **NOTICE)
    assert await asking.call("RegisterNotice", BANK, **NOTICE) == first
    assert await asking.stage.types() == ["NOTICE_REGISTERED"]


async def test_another_wording_under_the_same_version_is_refused_and_another_institution_has_its_own(asking):
    await asking.call("RegisterNotice", BANK, **NOTICE)
    other = NOTICE | {"text": f"{TEXT}。"}
    assert await refused(asking.call("RegisterNotice", BANK, **other)) is Reason.IDEMPOTENCY_CONFLICT
    await asking.call("RegisterNotice", BANK, **(other | {"version": "2"}))
    await asking.call("RegisterNotice", OTHER_BANK, **other)


async def test_an_unknown_hash_is_not_found(asking):
    assert await refused(asking.call("GetNotice", BANK, sha256=bytes(32))) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_no_registered_text_is_ever_changed(asking):
    await asking.call("RegisterNotice", BANK, **NOTICE)
    with pytest.raises(StatementFailed):
        await asking.stage.owner.execute("UPDATE consent_text SET version = '9'")
    with pytest.raises(StatementFailed):
        await asking.stage.owner.execute("INSERT INTO consent_text SELECT institution, notice_id, '3', lang, sha256,"
                                         " body || 'x', registered_at, entry_id FROM consent_text")  # fmt: skip


async def test_a_consents_history_shows_the_texts_that_its_artefact_names(asking):
    consent = await asking.stage.grant()
    read = {"consent_id": str(consent.consent_id), "with_history": True}
    assert not (await asking.call("GetConsent", SUBJECT, **read)).notices
    # The stage's artefacts name the hash of "text" as notice, purpose and notice for both platforms.
    await asking.call("RegisterNotice", AUTHORITY, **(NOTICE | {"text": "text"}))
    (notice,) = (await asking.call("GetConsent", SUBJECT, **read)).notices
    assert (notice.text, notice.institution) == ("text", "authority")
