"""Both adapters hand disputes to the simulated platforms over real sockets, and read back what the check found."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from adapters.chongqing.codec import encode
from adapters.chongqing.disputes import fields_of
from adapters.chongqing.serials import dispute_serial
from adapters.kit.failures import PlatformFailureError
from adapters.kit.protocol import DisputeCase, TakesDisputes
from adapters.sichuan.disputes import body_of
from core.permit import Subject, SubjectKind
from tests.sandbox_stage import open_platforms

PAGES = Path(__file__).parents[2] / "docs" / "platforms"
CASE = DisputeCase(
    dispute_id=uuid.UUID("0192f3c0-1111-7abc-8def-0000000000d1"),
    subject=Subject(
        kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier="91500105XXTT00018M", name="", home_region="500000"
    ),
    item="administrative_penalty",
    locator="渝示例罚〔2026〕7号",
    text="该处罚\n不是我公司的 <not ours> & 重复",
    received_on=date(2026, 11, 23),
    institution="bank-cq",
)
CHONGQING_BODY = (
    "<REQ><HEAD><JYDM>XY2001</JYDM><LSH>Y614FA77133E9D8313ACBF2EE989DD</LSH><JGDM>SBXGW0001</JGDM></HEAD><BODY>"
    "<TYSHXYDM>91500105XXTT00018M</TYSHXYDM><MK>XZCF</MK><JLBS>渝示例罚〔2026〕7号</JLBS>"
    "<YYLY>该处罚 不是我公司的 &lt;not ours&gt; &amp; 重复</YYLY><SQRQ>20261123</SQRQ><CXJG>bank-cq</CXJG></BODY></REQ>"
)
SICHUAN_BODY = (
    '{"creditCode":"91500105XXTT00018M","module":"ent-operate/administrative-punishments",'
    '"recordKey":"渝示例罚〔2026〕7号","reason":"该处罚\\n不是我公司的 <not ours> & 重复","requestedOn":"2026-11-23",'
    '"institution":"bank-cq","requestId":"0192f3c0-1111-7abc-8def-0000000000d1"}'
)


@pytest.fixture
async def platforms(tmp_path):
    """Both simulated platforms, an adapter for each, and their one data clock."""
    async with open_platforms(tmp_path) as opened:
        yield opened


async def tell(adapter, case=CASE, reference=""):
    return await adapter.dispute(case, reference, deadline=time.monotonic() + 5)


@pytest.mark.parametrize("name", ["chongqing", "sichuan"])
async def test_a_dispute_is_taken_once_and_its_check_read_after_the_next_refresh(platforms, name):
    adapter = platforms.adapters[name]
    assert isinstance(adapter, TakesDisputes)
    first = await tell(adapter)
    assert first.reference
    assert (first.outcome, first.explanation) == (None, "")
    assert await tell(adapter) == first
    assert await tell(adapter, reference=first.reference) == first
    other = await tell(adapter, replace(CASE, dispute_id=uuid.uuid4()))
    assert other.reference != first.reference
    written = platforms.books.as_json()[name]["disputes"]
    assert [line["key"] for line in written] == [first.reference, other.reference]
    assert "text" not in written[0]
    platforms.clocks.data.advance(1)
    checked = await tell(adapter, reference=first.reference)
    assert (checked.reference, checked.outcome) == (first.reference, "1")
    assert checked.explanation


@pytest.mark.parametrize("name", ["chongqing", "sichuan"])
@pytest.mark.parametrize(("locator", "outcome"), [("", "UNVERIFIABLE"), ("2026第8号", "2"), ("2026第9号", "1")])
async def test_each_outcome_is_read_as_its_code(platforms, name, locator, outcome):
    case = replace(CASE, locator=locator, dispute_id=uuid.uuid4())
    reference = (await tell(platforms.adapters[name], case)).reference
    platforms.clocks.data.advance(1)
    assert (await tell(platforms.adapters[name], case, reference)).outcome == outcome


@pytest.mark.parametrize("name", ["chongqing", "sichuan"])
async def test_what_a_platform_cannot_take_is_a_failure_without_the_words(platforms, name):
    adapter = platforms.adapters[name]
    await tell(adapter)
    for case in (replace(CASE, text="other words"), replace(CASE, item="real_estate_registration")):
        with pytest.raises(PlatformFailureError) as failed:
            await tell(adapter, case)
        assert "words" not in str(failed.value)
    stranger = replace(CASE, subject=replace(CASE.subject, identifier="91110000XXTT99999X"), dispute_id=uuid.uuid4())
    with pytest.raises(PlatformFailureError):
        await tell(adapter, stranger)


def test_messages_are_the_vectors_of_the_pages():
    serial = dispute_serial(dispute_id=str(CASE.dispute_id))
    sent = encode("XY2001", serial, "SBXGW0001", fields_of(CASE)).decode("gb18030")
    assert sent.partition("\n")[2] == CHONGQING_BODY
    assert body_of(CASE).decode() == SICHUAN_BODY
    for name, body in (("chongqing", CHONGQING_BODY), ("sichuan", SICHUAN_BODY)):
        assert body in (PAGES / f"{name}.md").read_text(encoding="utf-8")
