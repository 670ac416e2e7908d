"""What a platform holds about a clean firm: the two baselines of docs/platforms/subjects.md section 2."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from sandbox import days, series
from sandbox.facts import (
    PLANTED_ID_NO,
    PLANTED_TELEPHONE,
    Declaration,
    Division,
    Grade,
    Industry,
    Insured,
    KeyPerson,
    PartyKind,
    PlatformFile,
    PlatformId,
    Post,
    PublicGrade,
    Registration,
    Score,
    Shareholder,
    Status,
    TaxGrade,
    TaxKind,
    YearAmount,
    wan,
    yuan,
)

JIANGBEI: Final = Division(code="500105", province="重庆市", city="市辖区", district="江北区")
WUHOU: Final = Division(code="510107", province="四川省", city="成都市", district="武侯区")
MACHINERY: Final = Industry(code="3441", section="制造业")
SOFTWARE: Final = Industry(code="6513", section="信息传输、软件和信息技术服务业")
QUARTERS_HELD: Final = 8
_CHONGQING_OPENED: Final = date(2014, 6, 12)
_SICHUAN_OPENED: Final = date(2016, 3, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The data day D and the day D0 of the first start."""

    day: date
    first_day: date

    @property
    def days_since_start(self) -> int:
        """D − D0."""
        return (self.day - self.first_day).days


def empty_file(platform: PlatformId, code: str, name: str, at: Moment) -> PlatformFile:
    """Return a file that knows the subject's name and nothing else."""
    return PlatformFile(platform=platform, code=code, name=name, day=at.day, as_of=days.as_of(platform, at.day))


def chongqing_registration() -> Registration:
    """Return JBXX of the chongqing baseline."""
    return Registration(
        legal_rep="张样本",
        established_on=_CHONGQING_OPENED,
        status=Status.ACTIVE,
        industry=MACHINERY,
        division=JIANGBEI,
        term_from=_CHONGQING_OPENED,
        registered_fen=wan("1250"),
        paid_in_fen=wan("1250"),
    )


def sichuan_registration() -> Registration:
    """Return basicinfo of the sichuan baseline."""
    return Registration(
        legal_rep="李样本",
        established_on=_SICHUAN_OPENED,
        status=Status.ACTIVE,
        industry=SOFTWARE,
        division=WUHOU,
        term_from=_SICHUAN_OPENED,
        registered_fen=wan("500"),
    )


def chongqing_file(code: str, name: str, at: Moment) -> PlatformFile:
    """Return the chongqing baseline for one subject."""
    as_of = days.as_of(PlatformId.CHONGQING, at.day)
    latest = days.first_of_month(as_of.tax)
    year = as_of.tax.year - 1
    return PlatformFile(
        platform=PlatformId.CHONGQING,
        code=code,
        name=name,
        day=at.day,
        as_of=as_of,
        registration=chongqing_registration(),
        shareholders=_chongqing_shareholders(),
        key_persons=_chongqing_persons(),
        tax_grades=(TaxGrade(year=year, grade="A"),),
        tax_paid=(YearAmount(year=year, fen=wan("24.60")), YearAmount(year=year - 1, fen=wan("19.80"))),
        tax_sales=(YearAmount(year=year, fen=wan("1186.40")), YearAmount(year=year - 1, fen=wan("962.15"))),
        arrears_total_fen=0,
        sales=series.chongqing_sales(newest_month_at_start(PlatformId.CHONGQING, at), latest),
        insured=Insured(heads=46, paid_to=latest),
        insurance=series.flat_insurance(46, wan("6.90"), latest),
        is_known_to_courts=True,
        public_grade=PublicGrade(grade=Grade.EXCELLENT, evaluated_on=as_of.tax - timedelta(days=1)),
        score=Score(value=Decimal("83.5"), grade="AA", calculated_on=as_of.score),
    )


def sichuan_file(code: str, name: str, at: Moment) -> PlatformFile:
    """Return the sichuan baseline for one subject."""
    as_of = days.as_of(PlatformId.SICHUAN, at.day)
    latest = days.first_of_month(as_of.invoices)
    year = as_of.tax.year - 1
    return PlatformFile(
        platform=PlatformId.SICHUAN,
        code=code,
        name=name,
        day=at.day,
        as_of=as_of,
        registration=sichuan_registration(),
        shareholders=_sichuan_shareholders(),
        key_persons=_sichuan_persons(),
        tax_grades=(TaxGrade(year=year - 1, grade="B"), TaxGrade(year=year, grade="A")),
        declarations=declarations(as_of.tax, sales_fen=yuan("550350"), tax_fen=yuan("16510.5")),
        sales=series.sichuan_sales(newest_month_at_start(PlatformId.SICHUAN, at), latest),
        insurance=series.flat_insurance(62, yuan("93000"), latest),
        public_grade=PublicGrade(grade=Grade.EXCELLENT, evaluated_on=as_of.invoices, score=Decimal("96.5")),
        score=sichuan_score("782", "B1", "0.18", as_of.score),
    )


def sichuan_score(value: str, grade: str, risk: str, day: date, reasons: tuple[str, ...] = ("R07", "R21")) -> Score:
    """Return a customized/score calculated on ``day``."""
    return Score(value=Decimal(value), grade=grade, calculated_on=day, risk=Decimal(risk), reasons=reasons)


def declarations(end: date, *, sales_fen: int, tax_fen: int) -> tuple[Declaration, ...]:
    """Return eight equal quarters of value-added tax up to the one that ends on ``end``, paid in full and in time."""
    return tuple(
        Declaration(
            year=year, quarter=quarter, kind=TaxKind.VAT, sales_fen=sales_fen, payable_fen=tax_fen, paid_fen=tax_fen
        )
        for year, quarter in days.last_quarters(end, QUARTERS_HELD)
    )


def newest_month_at_start(platform: PlatformId, at: Moment) -> date:
    """Return L0, the latest month at D0."""
    return days.first_of_month(days.as_of(platform, at.first_day).invoices)


def _chongqing_shareholders() -> tuple[Shareholder, ...]:
    person = Shareholder(
        name="张样本",
        kind=PartyKind.PERSON,
        subscribed_fen=wan("750"),
        paid_in_fen=wan("750"),
        due_on=date(2014, 12, 31),
        paid_on=date(2014, 11, 30),
        ratio=Decimal("0.6"),
        is_controller=True,
        id_no=PLANTED_ID_NO,
    )
    investor = Shareholder(
        name="重庆示例投资有限公司",
        kind=PartyKind.ENTERPRISE,
        subscribed_fen=wan("500"),
        paid_in_fen=wan("500"),
        due_on=None,
        paid_on=None,
        ratio=Decimal("0.4"),
        is_controller=False,
    )
    return person, investor


def _chongqing_persons() -> tuple[KeyPerson, ...]:
    head = KeyPerson(
        name="张样本",
        post=Post.EXECUTIVE_DIRECTOR,
        is_legal_rep=True,
        term_from=_CHONGQING_OPENED,
        id_no=PLANTED_ID_NO,
        telephone=PLANTED_TELEPHONE,
    )
    return head, KeyPerson(name="赵样本", post=Post.SUPERVISOR, is_legal_rep=False, term_from=_CHONGQING_OPENED)


def _sichuan_shareholders() -> tuple[Shareholder, ...]:
    person = Shareholder(
        name="李样本",
        kind=PartyKind.PERSON,
        subscribed_fen=yuan("3000000"),
        paid_in_fen=yuan("3000000"),
        due_on=date(2026, 3, 7),
        paid_on=date(2016, 5, 20),
        ratio=Decimal("0.6"),
        is_controller=True,
        id_no=PLANTED_ID_NO,
    )
    investor = Shareholder(
        name="成都示例创业投资有限公司",
        kind=PartyKind.ENTERPRISE,
        code="91510107XXTT90033Y",
        subscribed_fen=yuan("2000000"),
        paid_in_fen=yuan("2000000"),
        due_on=date(2026, 3, 7),
        paid_on=date(2016, 5, 20),
        ratio=Decimal("0.4"),
        is_controller=False,
    )
    return person, investor


def _sichuan_persons() -> tuple[KeyPerson, ...]:
    head = KeyPerson(
        name="李样本",
        post=Post.EXECUTIVE_DIRECTOR,
        is_legal_rep=True,
        term_from=_SICHUAN_OPENED,
        id_no=PLANTED_ID_NO,
        telephone=PLANTED_TELEPHONE,
    )
    manager = KeyPerson(name="李样本", post=Post.MANAGER, is_legal_rep=True, term_from=_SICHUAN_OPENED)
    return head, manager, KeyPerson(name="钱样本", post=Post.SUPERVISOR, is_legal_rep=False, term_from=_SICHUAN_OPENED)
