"""The subject about which both platforms send every kind of personal data that they should not (class 3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from sandbox import days
from sandbox.baseline import WUHOU, Moment, chongqing_file, sichuan_file
from sandbox.facts import (
    PLANTED_ADDRESS,
    PLANTED_ID_NO,
    PLANTED_ID_TYPE,
    PLANTED_IN_TEXT,
    PLANTED_NAME,
    PLANTED_TELEPHONE,
    Branch,
    Controller,
    Direction,
    Dishonesty,
    Enforcement,
    Entry,
    Guarantee,
    PartyKind,
    Penalty,
    PlatformFile,
    Severity,
    Status,
    wan,
    yuan,
)
from sandbox.permits import permitted, printing

_COURT: Final = "重庆市示例区人民法院"
_FREE: Final = frozenset(
    {"authority", "basis", "cause", "content", "court", "decision", "facts", "legal_rep", "list", "nature", "title"}
)
"""Members of a plain list's row whose text somebody wrote."""
_CLOSED: Final = date(2026, 6, 30)


def indiscreet_chongqing(code: str, name: str, at: Moment) -> PlatformFile:
    """Return chongqing's file, the baseline with every class-3 tag planted once."""
    return _planted(chongqing_file(code, name, at), at)


def indiscreet_sichuan(code: str, name: str, at: Moment) -> PlatformFile:
    """Return sichuan's file, the baseline with every class-3 member planted once."""
    branch = Branch(
        code="91510107XXTT900179",
        name=f"{name}成都分公司",
        principal="孙样本",
        principal_id_no=PLANTED_ID_NO,
        division=WUHOU,
        established_on=date(2018, 5, 10),
        status=Status.ACTIVE,
    )
    file = _planted(sichuan_file(code, name, at), at)
    return replace(file, branches=(branch,), hidden_controller=Controller(name=PLANTED_NAME, id_no=PLANTED_ID_NO))


def _planted(file: PlatformFile, at: Moment) -> PlatformFile:
    assert file.registration is not None
    first_holder, *holders = file.shareholders
    first_person, *persons = file.key_persons
    first_month, *months = file.insurance
    return replace(
        file,
        registration=replace(file.registration, legal_rep_id_no=PLANTED_ID_NO, legal_rep_telephone=PLANTED_TELEPHONE),
        shareholders=(replace(first_holder, home_address=PLANTED_ADDRESS), *holders),
        key_persons=(replace(first_person, id_type=PLANTED_ID_TYPE, home_address=PLANTED_ADDRESS), *persons),
        insurance=(replace(first_month, employee_id_no=PLANTED_ID_NO), *months),
        penalties=(_penalty(file, at),),
        enforcements=(_enforcement(),),
        dishonesty=(_dishonesty(),),
        guarantees=(_guarantee(),),
        listed={**file.listed, **{item: tuple(map(_told, rows)) for item, rows in _lists(file, at).items()}},
    )


def _words(text: str) -> str:
    """Write a citizen's number, a telephone and a home address into a free text, as a clerk might."""
    return f"{text}（{PLANTED_IN_TEXT} {PLANTED_TELEPHONE} 住{PLANTED_ADDRESS}）"


def _told(entry: Entry) -> Entry:
    return {name: _words(value) if name in _FREE and isinstance(value, str) else value for name, value in entry.items()}


def _lists(file: PlatformFile, at: Moment) -> dict[str, tuple[Entry, ...]]:
    """Return one row of each plain list that may carry a person's data, with all of it."""
    day = at.first_day - timedelta(days=200)
    return {
        "registration_change": (
            {
                "day": day, "what": "LEGAL_REPRESENTATIVE", "authority": "示例市监局",
                "before": f"{PLANTED_NAME} {PLANTED_ID_NO}", "after": PLANTED_ADDRESS, "id_no": PLANTED_ID_NO,
            },
        ),
        "serious_dishonest_list": (
            {
                "party": file.name, "legal_rep": "张样本", "list": "示例严重失信主体名单", "basis": "示例决定",
                "authority": "示例局", "number": "示列〔2025〕19号", "listed": day,
                "removed": day + timedelta(days=100), "severity": "serious", "id_no": PLANTED_ID_NO,
            },
        ),
        "major_tax_violation": (
            {
                "number": "示税罚〔2025〕19号", "nature": "示例违法", "facts": "示例事实", "fen": yuan("10000"),
                "decision": "示例处理", "legal_rep": "张样本", "authority": "示例税务局", "severity": "serious",
                "published": day, "removed": day + timedelta(days=100), "id_no": PLANTED_ID_NO,
            },
        ),
        "court_judgment": (
            {
                "number": "（2025）示民初19号", "court": _COURT, "cause": "示例纠纷", "role": "DEFENDANT",
                "fen": yuan("10000"), "filed": day, "closed": "1", "effective": day + timedelta(days=30),
                "id_no": PLANTED_ID_NO, "other_person": PLANTED_NAME,
            },
        ),
        "cash_flow_monthly": (
            {
                "month": day.replace(day=1), "inflow": wan("1"), "outflow": wan("1"), "net": wan("0"), "accounts": 1,
                "other_person": PLANTED_NAME,
            },
        ),
        "intellectual_property": (
            {
                "kind": "SOFTWARE", "number": "2025SR0000019", "title": "示例软件", "applied": day, "status": "有效",
                "pledged": False, "id_no": PLANTED_ID_NO,
            },
        ),
        "housing_provident_fund": (
            {"paid_to": days.first_of_month(file.as_of.invoices), "status": "0", "id_no": PLANTED_ID_NO},
        ),
        **permitted(replace(file, listed={}), printing(day)),
    }  # fmt: skip


def _penalty(file: PlatformFile, at: Moment) -> Penalty:
    decided_on = at.first_day - timedelta(days=90)
    return Penalty(
        document_no="渝示例市监罚〔2026〕19号",
        party_name=file.name,
        party_code=file.code,
        legal_rep=_words("张样本"),
        authority=_words("重庆市示例区市场监督管理局"),
        violation=_words("违反食品标签规定"),
        facts=_words("销售标签不合规食品"),
        basis=_words("《中华人民共和国食品安全法》"),
        category="03",
        content=_words("罚款5000元"),
        fine_fen=wan("0.50"),
        decided_on=decided_on,
        publish_until=days.a_year_after(decided_on),
        severity=Severity.MINOR,
        party_id_no=PLANTED_ID_NO,
        legal_rep_id_no=PLANTED_ID_NO,
    )


def _enforcement() -> Enforcement:
    return Enforcement(
        case_no="（2026）渝0105执示例19号",
        court=_words(_COURT),
        filed_on=date(2026, 1, 15),
        target_fen=wan("1.00"),
        outstanding_fen=0,
        closed_on=_CLOSED,
        id_no=PLANTED_ID_NO,
    )


def _dishonesty() -> Dishonesty:
    return Dishonesty(
        case_no="（2026）渝0105执示例19号",
        court=_words(_COURT),
        province="重庆",
        basis_no="（2025）渝0105民初示例19号",
        basis_unit=_words(_COURT),
        duty=_words("支付货款1.00万元"),
        conduct=_words("违反财产报告制度"),
        legal_rep=_words("张样本"),
        filed_on=date(2026, 1, 15),
        published_on=date(2026, 2, 2),
        removed_on=_CLOSED,
        id_no=PLANTED_ID_NO,
    )


def _guarantee() -> Guarantee:
    return Guarantee(
        direction=Direction.RECEIVED,
        other_code=None,
        other_name=PLANTED_NAME,
        other_kind=PartyKind.PERSON,
        other_id_no=PLANTED_ID_NO,
        fen=yuan("100000"),
        balance_fen=yuan("50000"),
        start=date(2025, 9, 1),
        end=date(2028, 8, 31),
    )
