"""Plain lists of both platforms: the strong firm's facts, sent in each one's own words, become the same records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from adapters.chongqing import lists, mapping, shapes
from adapters.chongqing.codec import DECLARATION, decode
from adapters.chongqing.result import page_of, put_together
from adapters.kit.answering import Outcome
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import listings
from adapters.sichuan.answers import Answered, Collected, outcomes_of
from adapters.sichuan.modules import MODULES, PERMISSIONS
from sandbox.baseline import Moment, empty_file
from sandbox.chongqing.codes import Kind
from sandbox.chongqing.groups import groups
from sandbox.chongqing.paging import page_count, page_text
from sandbox.facts import OPEN_END, PlatformFile, PlatformId
from sandbox.listed import strong_firm
from sandbox.ratings import CERTIFIED, GRADED_WELL
from sandbox.sichuan.modules import MODULES as SERVED
from sandbox.sichuan.modules import Window, payload
from standards.answer import body_of
from standards.catalogue import load_standard
from tests.platform_stage import a_firm

LISTED = (*listings.LISTINGS, PERMISSIONS)
CODE, NAME = "91500105XXTT00018M", "重庆示例一号机电有限公司"
DAY = date(2026, 11, 23)
AT = Moment(day=DAY, first_day=DAY)
PERSON = "50010519XXXXXX0000"
STANDARD = load_standard()
PUBLIC_LISTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "abnormal_operation_list": ({"listed": DAY, "reason": "UNREACHABLE", "removed": DAY},),
    "serious_dishonest_list": (
        {
            "party": NAME, "list": "示例名单", "basis": "示例依据", "authority": "示例部门", "listed": DAY,
            "severity": "serious", "id_no": PERSON,
        },
    ),
    "major_tax_violation": (
        {
            "number": "示例1号", "nature": "虚开发票", "fen": 123_000_000, "authority": "示例税务局", "published": DAY,
            "severity": "serious", "id_no": PERSON,
        },
    ),
    "court_judgment": (
        {
            "number": "示例2号", "court": "示例法院", "cause": "买卖合同纠纷", "role": "DEFENDANT", "fen": 5_000_000,
            "filed": DAY, "id_no": PERSON, "other_person": "郑样本甲",
        },
    ),
    "bankruptcy": (
        {"number": "示例3号", "procedure": "REORGANISATION", "stage": "ACCEPTED", "court": "示例法院", "accepted": DAY},
    ),
    "administrative_permission": (
        {
            "number": "渝示例许〔2023〕8号", "title": "排污许可决定", "party": NAME, "party_code": CODE,
            "legal_rep": "张样本", "category": "GENERAL", "certificate": "排污许可证", "certificate_no": "0018M001P",
            "content": "排放工业废水", "day": date(2023, 5, 16), "from": date(2023, 5, 20), "until": date(2028, 5, 19),
            "authority": "示例生态环境局", "status": "VALID", "source": "示例数据中心", "id_type": "居民身份证",
            "id_no": PERSON, "legal_rep_id_no": PERSON,
        },
        {
            "number": "渝示例许〔2020〕3号", "title": "示例许可", "party": NAME, "party_code": CODE,
            "category": "RECOGNITION", "content": "示例", "day": date(2020, 1, 6), "from": date(2020, 1, 6),
            "until": OPEN_END, "authority": "示例局", "status": "REVOKED",
        },
    ),
    "honours_and_awards": ({"title": "示例奖", "level": "PROVINCIAL", "unit": "示例单位", "day": DAY},),
    "registration_change": ({"day": DAY, "what": "LEGAL_REPRESENTATIVE", "before": f"证号{PERSON}", "after": PERSON},),
}  # fmt: skip
DROPPED = {
    "administrative_permission": 3, "serious_dishonest_list": 1, "major_tax_violation": 1, "court_judgment": 2,
    "registration_change": 2,
}  # fmt: skip
EXPECTED = {
    "financial_statement": {"net_assets": "13000000.00", "revenue": "11864000.00", "statement_kind": "ANNUAL"},
    "cash_flow_monthly": {"inflow_amount": "210000.00", "net_inflow": "25000.00", "month": "2026-10"},
    "bank_credit_summary": {
        "lender_count_with_balance": 2, "balance_total": "400000.00", "worst_overdue_days_24m": 0,
        "first_credit_month": "2019-01",
    },
    "housing_provident_fund": {
        "paid_to_month": "2026-10", "status": "0", "employee_count": 46, "contribution_base": "322000.00",
        "first_paid_month": "2017-01", "last_paid_on": "2026-10-20", "arrears": "0.00",
    },
    "water_usage": {"usage_quantity": "210", "status": "1", "amount_paid": "12000.00"},
    "electricity_usage": {"usage_quantity": "18500", "period": "2026-10"},
    "intellectual_property": {"ip_kind": "INVENTION", "granted_on": "2022-09-06", "pledged": False},
    "specialised_sme": {"sme_level": "SPECIALISED_SME", "recognised_on": "2024-06-20"},
    "abnormal_operation_list": {"reason": "UNREACHABLE", "removed_on": "2026-11-23"},
    "serious_dishonest_list": {"severity": "serious", "list_name": "示例名单"},
    "major_tax_violation": {"amount": "1230000.00", "published_on": "2026-11-23"},
    "court_judgment": {"role": "DEFENDANT", "amount": "50000.00", "filed_on": "2026-11-23"},
    "bankruptcy": {"procedure_kind": "REORGANISATION", "stage": "ACCEPTED"},
    "administrative_permission": {
        "party_type": "ORGANISATION", "party_uscc": CODE, "permission_category": "GENERAL", "status": "VALID",
        "valid_from": "2023-05-20", "valid_until": "2028-05-19", "no_fixed_term": False, "source_unit": "示例数据中心",
    },
    "honours_and_awards": {"honour_level": "PROVINCIAL", "awarded_on": "2026-11-23"},
    "registration_change": {"change_kind": "LEGAL_REPRESENTATIVE", "changed_on": "2026-11-23"},
}  # fmt: skip


ONE_ALONE: Mapping[str, Mapping[str, Any]] = {
    "environment_credit": {
        "year": 2025, "scale_id": "environment_chongqing", "grade": "green", "score": "102.5",
        "discharge_permit_no": "91500105XXTT00018M001P",
    },
    "customs_credit_grade": {"scale_id": "customs_2026", "grade": "certified", "graded_on": "2026-04-20"},
    "qualification_certificates": {
        "certificate_no": "CS3-5100-000026", "qualification_grade": "CS3", "valid_until": "2028-09-01",
        "status": "VALID", "issued_on": "2024-09-02",
    },
}  # fmt: skip
"""Items that one platform alone holds."""


def held(platform: PlatformId) -> PlatformFile:
    file = empty_file(platform, CODE, NAME, AT)
    return replace(file, listed={**strong_firm(file), **GRADED_WELL, **CERTIFIED, **PUBLIC_LISTS})


def of_chongqing(file: PlatformFile, kinds: frozenset[Kind] = frozenset(Kind)) -> dict[str, Outcome]:
    found = groups(file, kinds)
    pages = page_count(found)
    read = []
    for page in range(1, pages + 1):
        body = (
            f"<RWH>RW1</RWH><TYSHXYDM>{CODE}</TYSHXYDM><QYMC>{NAME}</QYMC><SJSJ>20261122</SJSJ>"
            f"<DQYS>{page}</DQYS><ZYS>{pages}</ZYS>{page_text(found, page)}"
        )
        raw = (
            DECLARATION
            + f"<RSP><HEAD><FHM>0000</FHM><FHXX>x</FHXX><LSH>Q</LSH></HEAD><BODY>{body}</BODY></RSP>".encode("gb18030")
        )
        read.append(page_of(decode(raw), raw, job="RW1", subject=a_firm(CODE), wanted=page))
    return dict(mapping.map_items(put_together(read), lists.LISTINGS, STANDARD))


def of_sichuan(file: PlatformFile) -> dict[str, Outcome]:
    answered = {}
    for name in LISTED:
        rows: list[Any] = []
        page = 1
        while True:
            answer = payload(SERVED[name], file, Window(months=24, page=page))
            if not answer.content:
                break
            read = MODULES[name].page(json.dumps(answer.content, default=str, ensure_ascii=False).encode())
            rows.extend(read.rows)
            if len(rows) >= (read.total or 0):
                break
            page += 1
        answered[name] = Answered(rows=rows, as_of="2026-11-22")
    modules = [MODULES[name] for name in LISTED]
    return dict(outcomes_of(Collected(name=NAME, modules=answered), modules, subject=CODE, standard=STANDARD))


@pytest.mark.parametrize("item", sorted(EXPECTED))
def test_both_platforms_tell_the_same_facts_in_their_own_words(item: str) -> None:
    for outcome in (of_chongqing(held(PlatformId.CHONGQING))[item], of_sichuan(held(PlatformId.SICHUAN))[item]):
        assert outcome.failure is None, outcome.notes
        bodies = [body_of(record) for record in outcome.records]
        assert {name: getattr(bodies[0], name) for name in EXPECTED[item]} == EXPECTED[item]
        assert not any(list(record.marks) for record in outcome.records)
        assert outcome.dropped_class3 == DROPPED.get(item, 0)
        assert PERSON not in "".join(str(body) for body in bodies)


@pytest.mark.parametrize("item", sorted(ONE_ALONE))
def test_what_one_platform_alone_holds_is_read_from_it(item: str) -> None:
    outcomes = of_chongqing(held(PlatformId.CHONGQING)) | of_sichuan(held(PlatformId.SICHUAN))
    body = body_of(outcomes[item].records[0])
    assert {name: getattr(body, name) for name in ONE_ALONE[item]} == ONE_ALONE[item]
    assert not any(list(record.marks) for record in outcomes[item].records)


def test_the_same_firm_gives_the_same_records_from_either_platform() -> None:
    chongqing, sichuan = of_chongqing(held(PlatformId.CHONGQING)), of_sichuan(held(PlatformId.SICHUAN))
    assert set(chongqing) ^ set(sichuan) == set(ONE_ALONE)
    for item in set(chongqing) & set(sichuan):
        left, right = ([body_of(record) for record in found[item].records] for found in (chongqing, sichuan))
        assert left == right, item


def test_rows_of_another_kind_in_a_shared_group_are_over_disclosure() -> None:
    file = held(PlatformId.CHONGQING)
    raw = page_text(groups(file, frozenset({Kind.YSXX, Kind.YDXX})), 1)
    assert "<LB>1</LB>" in raw
    asked = page_text(groups(file, frozenset({Kind.YSXX})), 1)
    assert "<LB>2</LB>" not in asked
    body = (
        f"<RWH>RW1</RWH><TYSHXYDM>{CODE}</TYSHXYDM><QYMC>{NAME}</QYMC><SJSJ>20261122</SJSJ><DQYS>1</DQYS><ZYS>1</ZYS>"
        "<SDQXX><SJSJ>20261031</SJSJ><SD><LB>2</LB><YF>202610</YF></SD></SDQXX>"
    )
    page = f"<RSP><HEAD><FHM>0000</FHM><FHXX>x</FHXX><LSH>Q</LSH></HEAD><BODY>{body}</BODY></RSP>"
    read = page_of(decode(DECLARATION + page.encode("gb18030")), b"", job="RW1", subject=a_firm(CODE), wanted=1)
    water = mapping.map_items(put_together([read]), ["water_usage"], STANDARD)["water_usage"]
    assert water.records == ()
    assert water.notes == ("NOT_ASKED 1",)


def test_a_row_without_its_kind_is_malformed_with_its_path() -> None:
    body = (
        f"<RWH>RW1</RWH><TYSHXYDM>{CODE}</TYSHXYDM><QYMC>{NAME}</QYMC><SJSJ>20261122</SJSJ><DQYS>1</DQYS><ZYS>1</ZYS>"
        "<SDQXX><SJSJ>20261031</SJSJ><SD><LB>7</LB><YF>202610</YF></SD></SDQXX>"
    )
    page = f"<RSP><HEAD><FHM>0000</FHM><FHXX>x</FHXX><LSH>Q</LSH></HEAD><BODY>{body}</BODY></RSP>"
    read = page_of(decode(DECLARATION + page.encode("gb18030")), b"", job="RW1", subject=a_firm(CODE), wanted=1)
    outcome = mapping.map_items(put_together([read]), ["water_usage"], STANDARD)["water_usage"]
    assert (outcome.failure, outcome.notes[0]) == (Failure.MALFORMED, "BODY/SDQXX/SD[1]/LB")
    assert shapes.KINDS["water_usage"] == "YSXX"


@pytest.mark.parametrize("number", [0, 1])
def test_a_permit_ends_or_has_no_end_on_either_platform(number: int) -> None:
    ends = [("2028-05-19", False), ("", True)]
    for outcome in (of_chongqing(held(PlatformId.CHONGQING)), of_sichuan(held(PlatformId.SICHUAN))):
        body = body_of(outcome["administrative_permission"].records[number])
        assert (body.valid_until, body.no_fixed_term) == ends[number]  # type: ignore[attr-defined]  # a permit


@pytest.mark.parametrize("platform", list(PlatformId))
def test_a_permit_of_somebody_else_is_malformed_and_of_a_branch_is_marked(platform: PlatformId) -> None:
    (first, *_) = PUBLIC_LISTS["administrative_permission"]
    other = {**first, "party_code": "91510107XXTT900179"}
    read = of_chongqing if platform is PlatformId.CHONGQING else of_sichuan
    strange = replace(empty_file(platform, CODE, NAME, AT), listed={"administrative_permission": (other,)})
    if platform is PlatformId.CHONGQING:
        with pytest.raises(PlatformFailureError, match="WRONG_SUBJECT"):
            read(strange)
        return
    assert read(strange)["administrative_permission"].notes[0] == "WRONG_SUBJECT"
    branch = replace(strange, listed={"administrative_permission": ({**other, "head_office": CODE},)})
    (record,) = read(branch)["administrative_permission"].records
    assert list(record.marks) == ["BRANCH"]
