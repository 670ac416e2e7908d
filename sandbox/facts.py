"""What one platform holds about one subject on one data day, in no platform's own spelling.

Money is integer fen, shares are Decimal 0-1, months are the date of their first day, None is unknown unless a field
says otherwise. Each platform's package turns these values into its own words, units and codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeAlias

PLANTED_IN_TEXT: Final = "500105209901010015"
"""A citizen's number by its form, of somebody born in 2099, written into free texts."""
PLANTED_ID_NO: Final = "50010519XXXXXX0000"
"""Identity number that nobody has; sent where the page plants personal data that an adapter must drop."""
PLANTED_TELEPHONE: Final = "13000000000"
PLANTED_ID_TYPE: Final = "样本身份证件"
PLANTED_ADDRESS: Final = "不存在省样本市无名路0号"
PLANTED_NAME: Final = "郑样本甲"
"""Name of a person whose name is not the enterprise's to show: the other side of a guarantee, a hidden controller."""


class PlatformId(StrEnum):
    """The platforms simulated."""

    CHONGQING = "chongqing"
    SICHUAN = "sichuan"


class Status(StrEnum):
    """经营状态."""

    ACTIVE = "active"
    REVOKED = "revoked"
    DEREGISTERED = "deregistered"
    MOVED_OUT = "moved_out"
    OTHER = "other"


class PartyKind(StrEnum):
    """Kind of a shareholder or a guarantee's other side."""

    PERSON = "person"
    ENTERPRISE = "enterprise"


class Post(StrEnum):
    """Posts that occur in the sandbox."""

    EXECUTIVE_DIRECTOR = "executive_director"
    MANAGER = "manager"
    SUPERVISOR = "supervisor"


class Grade(StrEnum):
    """公共信用综合评价: 优 良 中 差."""

    EXCELLENT = "excellent"
    GOOD = "good"
    MEDIUM = "medium"
    POOR = "poor"


class Severity(StrEnum):
    """失信程度 of a penalty: 轻微 一般 严重."""

    MINOR = "minor"
    GENERAL = "general"
    SERIOUS = "serious"


class Direction(StrEnum):
    """A guarantee seen from the subject."""

    GIVEN = "given"
    RECEIVED = "received"


class TaxKind(StrEnum):
    """Tax kinds that occur in the sandbox."""

    VAT = "vat"
    CORPORATE_INCOME = "corporate_income"


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """A county-level division of GB/T 2260 and its three names."""

    code: str
    province: str
    city: str
    district: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Industry:
    """A class of GB/T 4754-2017 (two to four digits) and the name of its section."""

    code: str
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """基本信息. ``term_to`` None is an open end, never unknown."""

    legal_rep: str
    established_on: date
    status: Status
    industry: Industry
    division: Division
    term_from: date
    term_to: date | None = None
    business_reg_no: str | None = None
    registered_fen: int | None = None
    paid_in_fen: int | None = None
    currency: str = "CNY"
    revoked_on: date | None = None
    deregistered_on: date | None = None
    legal_rep_id_no: str | None = None
    legal_rep_telephone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shareholder:
    """股东. Contributions here are all in cash (货币)."""

    name: str
    kind: PartyKind
    code: str | None = None
    subscribed_fen: int
    paid_in_fen: int
    due_on: date | None
    paid_on: date | None
    ratio: Decimal
    is_controller: bool
    id_no: str | None = None
    home_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """实际控制人 who is a natural person and no shareholder (sichuan's own module)."""

    name: str
    id_no: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPerson:
    """主要人员; one row a post. ``term_to`` None: in post."""

    name: str
    post: Post
    is_legal_rep: bool
    term_from: date
    term_to: date | None = None
    id_type: str | None = None
    id_no: str | None = None
    telephone: str | None = None
    home_address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """分支机构, with its own code; the head office is the subject."""

    code: str
    name: str
    principal: str
    division: Division
    established_on: date
    status: Status
    cancelled_on: date | None = None
    principal_id_no: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxGrade:
    """纳税缴费信用级别 of a year: A B M C D."""

    year: int
    grade: str


@dataclass(frozen=True, slots=True, kw_only=True)
class YearAmount:
    """An amount of a calendar year."""

    year: int
    fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A quarter's tax declaration; ``quarter`` is 1-4."""

    year: int
    quarter: int
    kind: TaxKind
    sales_fen: int
    payable_fen: int
    paid_fen: int
    on_time: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrears:
    """欠税 of one tax."""

    kind: TaxKind
    month: date
    fen: int
    announced: bool
    announced_on: date | None = None
    authority: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SalesMonth:
    """A month's invoices."""

    month: date
    fen: int
    invoices: int | None = None
    buyers: int | None = None
    top5: Decimal | None = None
    red: Decimal | None = None
    void: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InsuranceMonth:
    """A month's social insurance, all kinds together."""

    month: date
    insured: int
    due_fen: int
    paid_fen: int
    is_paid: bool = True
    employee_id_no: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Insured:
    """Heads insured now, and the month paid up to (chongqing's SBXX)."""

    heads: int
    paid_to: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """行政处罚. ``category`` is the two-digit code of list penalty_category; ``repaired_on`` set: 已修复."""

    document_no: str
    party_name: str
    party_code: str
    legal_rep: str
    authority: str
    violation: str
    facts: str
    basis: str
    category: str
    content: str
    fine_fen: int
    decided_on: date
    publish_until: date
    severity: Severity
    repaired_on: date | None = None
    party_id_no: str | None = None
    legal_rep_id_no: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """被执行人 case; ``closed_on`` None: open."""

    case_no: str
    court: str
    filed_on: date
    target_fen: int
    outstanding_fen: int
    closed_on: date | None = None
    id_no: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dishonesty:
    """失信被执行人 entry, wholly unperformed (全部未履行); ``removed_on`` None: still listed."""

    case_no: str
    court: str
    province: str
    basis_no: str
    basis_unit: str
    duty: str
    conduct: str
    legal_rep: str
    filed_on: date
    published_on: date
    removed_on: date | None = None
    id_no: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """A financing guarantee (融资担保, kind G1) by suretyship (保证, mode 3). ``other_code``: an organisation's."""

    direction: Direction
    other_code: str | None
    other_name: str
    fen: int
    balance_fen: int
    start: date
    end: date
    other_kind: PartyKind = PartyKind.ENTERPRISE
    other_id_no: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicGrade:
    """公共信用综合评价. ``score`` None: the platform gives none."""

    grade: Grade
    evaluated_on: date
    score: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The platform's own score on its own scale; ``risk`` 0-1, higher is worse, None where the platform has none."""

    value: Decimal
    grade: str
    calculated_on: date
    risk: Decimal | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """As-of days of a platform's themes on one data day; a theme a platform does not date is that of registration."""

    registration: date
    penalties: date
    judicial: date
    tax: date
    invoices: date
    insurance: date
    guarantees: date
    score: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a platform behaves about a subject, always. ``silent_module`` names a sichuan module that never answers."""

    job_never_ends: bool = False
    silent_module: str | None = None
    is_revoked_after_first_module: bool = False


OPEN_END: Final = date(9999, 12, 31)
"""The end of what has none, in a row of a plain list."""
Entry: TypeAlias = Mapping[str, str | int | bool | date | Decimal]
"""One row of a plain list by neutral names; a member that is absent is unknown."""

NORMAL: Final = Behaviour()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFile:
    """Everything a platform holds about a subject on ``day``; empty or None is "nothing found".

    ``arrears_total_fen`` and ``insured`` are chongqing's forms; ``arrears``, ``declarations``, ``branches`` sichuan's.
    ``is_known_to_courts`` tells whether chongqing sends its count tags (SFXX). Rows stand in the order sent.
    """

    platform: PlatformId
    code: str
    name: str
    day: date
    as_of: AsOf
    behaviour: Behaviour = NORMAL
    registration: Registration | None = None
    shareholders: tuple[Shareholder, ...] = ()
    hidden_controller: Controller | None = None
    key_persons: tuple[KeyPerson, ...] = ()
    branches: tuple[Branch, ...] = ()
    tax_grades: tuple[TaxGrade, ...] = ()
    tax_paid: tuple[YearAmount, ...] = ()
    tax_sales: tuple[YearAmount, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    arrears_total_fen: int | None = None
    arrears: tuple[Arrears, ...] = ()
    sales: tuple[SalesMonth, ...] = ()
    insured: Insured | None = None
    insurance: tuple[InsuranceMonth, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    is_known_to_courts: bool = False
    enforcements: tuple[Enforcement, ...] = ()
    dishonesty: tuple[Dishonesty, ...] = ()
    guarantees: tuple[Guarantee, ...] = ()
    public_grade: PublicGrade | None = None
    score: Score | None = None
    listed: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    """Rows of the plain lists, newest first, by data item; members as sandbox/listed.py names them."""


def wan(text: str) -> int:
    """Turn 万元 as text (``18.35``) into fen."""
    return int(Decimal(text) * 1_000_000)


def yuan(text: str) -> int:
    """Turn yuan as text (``16510.5``) into fen."""
    return int(Decimal(text) * 100)
