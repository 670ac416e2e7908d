"""The subjects that docs/platforms/subjects.md section 5 describes in detail."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from sandbox import days, series
from sandbox.baseline import (
    Moment,
    chongqing_file,
    chongqing_registration,
    declarations,
    empty_file,
    sichuan_file,
    sichuan_registration,
    sichuan_score,
)
from sandbox.facts import (
    PLANTED_ID_NO,
    Arrears,
    Dishonesty,
    Division,
    Enforcement,
    Entry,
    Grade,
    Industry,
    Insured,
    Penalty,
    PlatformFile,
    PlatformId,
    PublicGrade,
    Score,
    Severity,
    TaxGrade,
    TaxKind,
    YearAmount,
    wan,
    yuan,
)
from sandbox.permits import FOOD, HYGIENE, permitted
from sandbox.ratings import GRADED_BADLY, ONCE_CERTIFIED

JINJIANG: Final = Division(code="510104", province="四川省", city="成都市", district="锦江区")
YUBEI: Final = Division(code="500112", province="重庆市", city="市辖区", district="渝北区")
_REPAIRED_SHOWN_DAYS: Final = 30
_COURT: Final = "重庆市示例区人民法院"


def dishonest(code: str, name: str, at: Moment) -> PlatformFile:
    """Return what chongqing holds about a dishonest judgment debtor."""
    file = chongqing_file(code, name, at)
    return replace(
        file,
        tax_grades=tuple(replace(row, grade="C") for row in file.tax_grades),
        public_grade=_graded(file, Grade.POOR),
        score=Score(value=Decimal("22.0"), grade="CC", calculated_on=file.as_of.score),
        listed=GRADED_BADLY,
        enforcements=(
            Enforcement(
                case_no="（2026）渝0105执示例22号",
                court=_COURT,
                filed_on=date(2026, 2, 12),
                target_fen=wan("31.25"),
                outstanding_fen=wan("30.00"),
            ),
            Enforcement(
                case_no="（2025）渝0105执示例101号",
                court=_COURT,
                filed_on=date(2025, 4, 18),
                target_fen=wan("86.40"),
                outstanding_fen=wan("86.40"),
            ),
        ),
        dishonesty=(
            Dishonesty(
                case_no="（2025）渝0105执示例101号",
                court=_COURT,
                province="重庆",
                basis_no="（2024）渝0105民初示例9号",
                basis_unit=_COURT,
                duty="支付货款86.40万元",
                conduct="有履行能力而拒不履行生效法律文书确定义务",
                legal_rep="张样本",
                filed_on=date(2025, 4, 18),
                published_on=date(2025, 9, 1),
                id_no=PLANTED_ID_NO,
            ),
        ),
    )


def _graded(file: PlatformFile, grade: Grade, score: str | None = None) -> PublicGrade:
    assert file.public_grade is not None
    return replace(file.public_grade, grade=grade, score=None if score is None else Decimal(score))


def in_arrears(code: str, name: str, at: Moment) -> PlatformFile:
    """Return what sichuan holds about a firm with tax arrears and level D."""
    file = sichuan_file(code, name, at)
    quarter_end = file.as_of.tax
    month = days.first_of_month(quarter_end)
    older, newest = file.tax_grades
    return replace(
        file,
        tax_grades=(replace(older, grade="C"), replace(newest, grade="D")),
        arrears=(
            Arrears(
                kind=TaxKind.VAT,
                month=month,
                fen=yuan("356000"),
                announced=True,
                announced_on=quarter_end + timedelta(days=15),
                authority="国家税务总局成都市示例区税务局",
            ),
            Arrears(kind=TaxKind.CORPORATE_INCOME, month=month, fen=yuan("48000.5"), announced=False),
        ),
        public_grade=_graded(file, Grade.MEDIUM, "61.0"),
        score=sichuan_score("455", "C2", "0.71", file.as_of.score, ("R02", "R05")),
        listed={"housing_provident_fund": (_paused_fund(file),), **ONCE_CERTIFIED},
    )


def _paused_fund(file: PlatformFile) -> Entry:
    last = days.last_months(days.first_of_month(file.as_of.invoices), 6)[-1]
    return {
        "first": date(2018, 6, 1), "employees": 30, "base": wan("15"), "paid_on": last.replace(day=10),
        "paid_to": last, "status": "1", "arrears": yuan("26000"),
    }  # fmt: skip


def repaired(code: str, name: str, at: Moment) -> PlatformFile:
    """Return a chongqing file whose one penalty is repaired on D0 + 1 and gone 30 days later."""
    file = chongqing_file(code, name, at)
    if at.days_since_start > 1 + _REPAIRED_SHOWN_DAYS:
        return file
    repaired_on = at.first_day + timedelta(days=1) if at.days_since_start >= 1 else None
    decided_on = at.first_day - timedelta(days=100)
    penalty = Penalty(
        document_no="渝示例市监罚〔2026〕17号",
        party_name=name,
        party_code=code,
        legal_rep="张样本",
        authority="重庆市示例区市场监督管理局",
        violation="违反食品标签规定",
        facts="销售标签不合规食品",
        basis="《中华人民共和国食品安全法》",
        category="03",
        content="罚款20000元",
        fine_fen=wan("2.00"),
        decided_on=decided_on,
        publish_until=days.a_year_after(decided_on),
        severity=Severity.GENERAL,
        repaired_on=repaired_on,
        legal_rep_id_no=PLANTED_ID_NO,
    )
    return replace(file, penalties=(penalty,))


def snack_bar(code: str, name: str, at: Moment) -> PlatformFile:
    """Return what chongqing holds about a sole proprietor in a retired division."""
    file = chongqing_file(code, name, at)
    latest = days.first_of_month(file.as_of.tax)
    year = file.as_of.tax.year - 1
    opened = date(2019, 3, 7)
    decided_on = at.first_day - timedelta(days=60)
    penalty = Penalty(
        document_no="渝北示例市监罚〔2026〕3号",
        party_name=name,
        party_code=code,
        legal_rep="周样本",
        authority="重庆市示例区市场监督管理局",
        violation="违反食品标签规定",
        facts="销售标签不合规食品",
        basis="《中华人民共和国食品安全法》",
        category="03",
        content="罚款1000元",
        fine_fen=wan("0.10"),
        decided_on=decided_on,
        publish_until=days.a_year_after(decided_on),
        severity=Severity.MINOR,
        party_id_no=PLANTED_ID_NO,
    )
    fund: Entry = {"employees": 1, "base": wan("0.40"), "paid_to": latest, "status": "0"}
    return replace(
        file,
        registration=replace(
            chongqing_registration(),
            legal_rep="周样本",
            established_on=opened,
            term_from=opened,
            industry=Industry(code="6241", section="住宿和餐饮业"),
            division=YUBEI,
            registered_fen=None,
            paid_in_fen=None,
        ),
        shareholders=(),
        key_persons=(),
        tax_grades=(TaxGrade(year=year, grade="B"),),
        tax_paid=(YearAmount(year=year, fen=wan("0.36")),),
        tax_sales=(YearAmount(year=year, fen=wan("13.20")),),
        sales=series.flat_sales(wan("1.10"), latest),
        insured=Insured(heads=1, paid_to=latest),
        insurance=(),
        penalties=(penalty,),
        public_grade=_graded(file, Grade.GOOD),
        score=None,
        listed=permitted(replace(file, listed={"housing_provident_fund": (fund,)}), FOOD),
    )


def hairdresser(code: str, name: str, at: Moment) -> PlatformFile:
    """Return what sichuan holds about a sole proprietor without a tax level."""
    file = empty_file(PlatformId.SICHUAN, code, name, at)
    latest = days.first_of_month(file.as_of.invoices)
    opened = date(2020, 11, 2)
    return replace(
        file,
        registration=replace(
            sichuan_registration(),
            legal_rep="吴样本",
            established_on=opened,
            term_from=opened,
            industry=Industry(code="8040", section="居民服务、修理和其他服务业"),
            division=JINJIANG,
            registered_fen=None,
        ),
        insurance=series.flat_insurance(2, yuan("1800"), latest),
        sales=series.flat_sales(600_000, latest),
        declarations=declarations(file.as_of.tax, sales_fen=yuan("18000"), tax_fen=0),
        public_grade=PublicGrade(grade=Grade.GOOD, evaluated_on=file.as_of.invoices),
        listed=permitted(file, HYGIENE),
    )
