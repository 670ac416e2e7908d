"""Members of every module's payload in sichuan's words and units (docs/platforms/sichuan.md section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from core.clock import SHANGHAI
from sandbox.facts import (
    PLANTED_NAME,
    Branch,
    Declaration,
    Direction,
    Dishonesty,
    Enforcement,
    Grade,
    Guarantee,
    InsuranceMonth,
    KeyPerson,
    PartyKind,
    Penalty,
    PlatformFile,
    Post,
    Registration,
    SalesMonth,
    Severity,
    Shareholder,
    Status,
    TaxKind,
)

Row = dict[str, Any]

_STATUSES: Final[Mapping[Status, str]] = {
    Status.ACTIVE: "存续（在营、开业、在册）",
    Status.REVOKED: "吊销",
    Status.DEREGISTERED: "注销",
    Status.MOVED_OUT: "迁出",
    Status.OTHER: "其他",
}
_POSTS: Final[Mapping[Post, str]] = {
    Post.EXECUTIVE_DIRECTOR: "执行董事",
    Post.MANAGER: "经理",
    Post.SUPERVISOR: "监事",
}
_GRADES: Final[Mapping[Grade, str]] = {Grade.EXCELLENT: "A", Grade.GOOD: "B", Grade.MEDIUM: "C", Grade.POOR: "D"}
_TAXES: Final[Mapping[TaxKind, str]] = {TaxKind.VAT: "增值税", TaxKind.CORPORATE_INCOME: "企业所得税"}
_SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.MINOR: "轻微",
    Severity.GENERAL: "一般",
    Severity.SERIOUS: "严重",
}
_PENALTIES: Final[Mapping[str, str]] = {"03": "罚款"}
"""Names of list penalty_category, of the codes that occur in the sandbox."""
_CURRENCIES: Final[Mapping[str, str]] = {"CNY": "元人民币", "USD": "美元"}
_UPDATED_AT: Final = time(13, 30)
_FEN_A_WAN: Final = 1_000_000
EVALUATION_VERSION: Final = "sc-pub-1.0"
SCORE_MODEL: Final = "sc-sbx-2.3"


def _known(**members: Any) -> Row:
    """Leave out what is None: an absent member is unknown."""
    return {name: value for name, value in members.items() if value is not None}


def _yuan(fen: int) -> int | Decimal:
    """Write fen as yuan with at most two decimals."""
    return fen // 100 if fen % 100 == 0 else (Decimal(fen) / 100).normalize()


def _month(month: date) -> str:
    return month.strftime("%Y-%m")


def _capital(row: Registration) -> str | None:
    if row.registered_fen is None:
        return None
    amount = format((Decimal(row.registered_fen) / _FEN_A_WAN).normalize(), "f")
    return f"{amount}万{_CURRENCIES[row.currency]}"


def basicinfo(file: PlatformFile) -> Row | None:
    """Return ent-ba/basicinfo."""
    row = file.registration
    if row is None:
        return None
    updated = datetime.combine(file.day - timedelta(days=1), _UPDATED_AT, SHANGHAI)
    return {
        "name": file.name,
        "creditCode": file.code,
        "legalPerson": row.legal_rep,
        **_known(legalPersonIdNo=row.legal_rep_id_no, legalPersonTel=row.legal_rep_telephone),
        "estDate": row.established_on,
        "regCapital": _capital(row),
        "opFrom": row.term_from,
        "opTo": row.term_to,
        "status": _STATUSES[row.status],
        **_known(revokeDate=row.revoked_on, cancelDate=row.deregistered_on),
        "industry": row.industry.section,
        "province": row.division.province,
        "city": row.division.city,
        "district": row.division.district,
        "updateTime": int(updated.timestamp() * 1000),
    }


def shareholder(row: Shareholder) -> Row:
    """Return a row of ent-ba/shareholders."""
    return _known(
        shareholderName=row.name,
        shareholderType="自然人股东" if row.kind is PartyKind.PERSON else "企业法人",
        shareholderCreditCode=row.code,
        subConAmt=_yuan(row.subscribed_fen),
        paidConAmt=_yuan(row.paid_in_fen),
        currency="CNY",
        conForm="货币",
        subConDate=row.due_on,
        paidConDate=row.paid_on,
        ratio=row.ratio,
        idNo=row.id_no,
        address=row.home_address,
    )


def actual_controller(file: PlatformFile) -> Row | None:
    """Return ent-ba/actual-controller: the shareholder who controls, or who does without being one."""
    hidden = file.hidden_controller
    if hidden is not None:
        return {"controllerName": hidden.name, "controllerType": "自然人", "idNo": hidden.id_no}
    row = next((row for row in file.shareholders if row.is_controller), None)
    if row is None:
        return None
    return _known(
        controllerName=row.name,
        controllerType="自然人" if row.kind is PartyKind.PERSON else "企业法人",
        controllerCreditCode=row.code,
        ratio=row.ratio,
    )


def person(row: KeyPerson) -> Row:
    """Return a row of ent-ba/persons."""
    return {
        "name": row.name,
        "position": _POSTS[row.post],
        "isLegalRep": "Y" if row.is_legal_rep else "N",
        "startDate": row.term_from,
        "endDate": row.term_to,
        **_known(idType=row.id_type, idNo=row.id_no, mobile=row.telephone, homeAddress=row.home_address),
    }


def branch(row: Branch, head_office: str) -> Row:
    """Return a row of ent-ba/branches."""
    return {
        "headOfficeCode": head_office,
        "creditCode": row.code,
        "branchName": row.name,
        "principal": row.principal,
        **_known(principalIdNo=row.principal_id_no),
        "province": row.division.province,
        "city": row.division.city,
        "district": row.division.district,
        "estDate": row.established_on,
        "status": _STATUSES[row.status],
        "cancelDate": row.cancelled_on,
    }


def insurance(row: InsuranceMonth) -> Row:
    """Return a row of ent-operate/social-insurance."""
    return {
        "month": _month(row.month),
        "insuredCnt": row.insured,
        "dueAmt": _yuan(row.due_fen),
        "paidAmt": _yuan(row.paid_fen),
        "isPaid": row.is_paid,
        **_known(
            employees=None if row.employee_id_no is None else [{"name": PLANTED_NAME, "idNo": row.employee_id_no}]
        ),
    }


def punishment(row: Penalty) -> Row:
    """Return a row of ent-operate/administrative-punishments."""
    return _known(
        docNo=row.document_no,
        partyName=row.party_name,
        creditCode=row.party_code,
        legalPerson=row.legal_rep,
        illegalType=row.violation,
        facts=row.facts,
        basis=row.basis,
        category=_PENALTIES[row.category],
        content=row.content,
        fineAmt=_yuan(row.fine_fen),
        decisionDate=row.decided_on,
        publishTo=row.publish_until,
        severity=_SEVERITIES[row.severity],
        authority=row.authority,
        legalPersonIdNo=row.legal_rep_id_no,
        partyIdNo=row.party_id_no,
    )


def guarantee(row: Guarantee) -> Row:
    """Return a row of ent-operate/guarantees."""
    is_person = row.other_kind is PartyKind.PERSON
    return _known(
        direction="OUT" if row.direction is Direction.GIVEN else "IN",
        counterpartyType="PERSON" if is_person else "ENT",
        counterpartyCode=None if is_person else row.other_code,
        counterpartyName=row.other_name,
        counterpartyIdNo=row.other_id_no,
        guaranteeType="融资担保",
        guaranteeMode="保证",
        amount=_yuan(row.fen),
        balance=_yuan(row.balance_fen),
        startDate=row.start,
        endDate=row.end,
    )


def enforcement(row: Enforcement) -> Row:
    """Return a row of justices/enforcements."""
    return {
        "caseNo": row.case_no,
        "court": row.court,
        "filingDate": row.filed_on,
        "targetAmtFen": row.target_fen,
        "unfulfilledAmtFen": row.outstanding_fen,
        "closeDate": row.closed_on,
        **_known(partyCardNum=row.id_no),
    }


def dishonesty(row: Dishonesty) -> Row:
    """Return a row of justices/discredit-enforcements."""
    return {
        "caseNo": row.case_no,
        "court": row.court,
        "province": row.province,
        "basisNo": row.basis_no,
        "basisUnit": row.basis_unit,
        "duty": row.duty,
        "performance": "全部未履行",
        "conduct": row.conduct,
        "legalPerson": row.legal_rep,
        "filingDate": row.filed_on,
        "publishDate": row.published_on,
        "exitDate": row.removed_on,
        **_known(partyCardNum=row.id_no),
    }


def tax_levels(file: PlatformFile) -> list[Row]:
    """Return taxinfo/taxcreditlevels."""
    return [{"year": str(row.year), "level": f"{row.grade}级"} for row in file.tax_grades]


def arrears(file: PlatformFile) -> list[Row]:
    """Return taxinfo/arrears."""
    return [
        _known(
            taxType=_TAXES[row.kind],
            period=_month(row.month),
            arrearsAmt=_yuan(row.fen),
            announced=row.announced,
            announceDate=row.announced_on,
            taxAuthority=row.authority,
        )
        for row in file.arrears
    ]


def sale_invoice(row: SalesMonth) -> Row:
    """Return a row of taxinfo/saleinvoice."""
    return _known(
        month=_month(row.month),
        saleAmtFen=row.fen,
        invoiceCnt=None if row.invoices is None else str(row.invoices),
        buyerCnt=None if row.buyers is None else str(row.buyers),
        top5Ratio=row.top5,
        redInvoiceRatio=row.red,
        voidInvoiceRatio=row.void,
    )


def declaration(row: Declaration) -> Row:
    """Return a row of taxinfo/declarations."""
    return {
        "period": f"{row.year}Q{row.quarter}",
        "taxType": _TAXES[row.kind],
        "declaredSalesAmt": _yuan(row.sales_fen),
        "payableAmt": _yuan(row.payable_fen),
        "paidAmt": _yuan(row.paid_fen),
        "onTime": row.on_time,
    }


def public_evaluation(file: PlatformFile) -> Row | None:
    """Return credit/public-evaluation."""
    row = file.public_grade
    if row is None:
        return None
    return _known(
        creditCode=file.code,
        grade=_GRADES[row.grade],
        score=row.score,
        evalDate=row.evaluated_on,
        version=EVALUATION_VERSION,
    )


def score(file: PlatformFile) -> Row | None:
    """Return customized/score."""
    row = file.score
    if row is None:
        return None
    return _known(
        score=int(row.value),
        grade=row.grade,
        riskIndex=row.risk,
        reasons=list(row.reasons),
        modelVer=SCORE_MODEL,
        calcTime=f"{row.calculated_on:%Y年%m月%d日}",
    )
