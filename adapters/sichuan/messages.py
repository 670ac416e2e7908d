"""What sichuan sends, as types that are checked while they are decoded (section 7).

A member without a default is mandatory. Numbers arrive as ``Decimal`` or ``int``, never as float. Members with personal
data (C3) are listed so that they can be counted; their values are looked at for emptiness alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Row = TypeVar("Row")
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4000)]
"""A mandatory text."""
Words: TypeAlias = Annotated[str, Meta(max_length=4000)] | None
"""An optional text; empty is unknown."""
Number: TypeAlias = Decimal | None
Fen: TypeAlias = int | None
EndDate: TypeAlias = str | UnsetType | None
"""Null is an open end, an absent member is unknown."""
Personal: TypeAlias = Any


class Authorization(Struct, rename="camel"):
    """An authorisation as filed or asked for."""

    authorization_id: Text
    state: Text
    valid_to: Text
    modules: list[str]


class Token(Struct, rename={"token": "rbac_token", "expires_in": "expiresIn"}):
    """Answer to ``POST /auth/token``."""

    token: Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,512}\Z")]
    expires_in: Annotated[int, Meta(ge=1, le=86_400)]


class Who(Struct, rename="camel"):
    """Subject of a report."""

    name: Text
    credit_code: Words = None
    id_no: Words = None


class ModuleAnswer(Struct, rename="camel"):
    """One module inside a report: what the single call would have answered."""

    status: int
    data_status: str = ""
    as_of: str = ""
    message: str = ""
    data: Raw = Raw(b"null")


class Report(Struct):
    """Payload of ``POST /v2/reports``."""

    subject: Who
    modules: dict[str, ModuleAnswer]


class Paged(Struct, Generic[Row], rename={"rows": "list", "page_number": "pageNumber", "page_size": "pageSize"}):
    """One page of a paged module."""

    rows: list[Row]
    total: int | Annotated[str, Meta(pattern=r"^[0-9]{1,6}\Z")]
    page_number: Annotated[int, Meta(ge=1)] = 1
    page_size: Annotated[int, Meta(ge=1)] = 20


class BasicInfo(Struct, rename="camel"):
    """ent-ba/basicinfo."""

    name: Text
    credit_code: Text
    legal_person: Text
    est_date: Text
    status: Text
    industry: Text
    province: Text
    city: Text
    district: Text
    update_time: int
    head_office_code: Words = None
    reg_capital: Words = None
    op_from: Words = None
    op_to: EndDate = UNSET
    revoke_date: Words = None
    cancel_date: Words = None
    reg_authority: Words = None
    address: Words = None
    scope: Words = None
    legal_person_id_no: Personal = None
    legal_person_tel: Personal = None


class Shareholder(Struct, rename="camel"):
    """A row of ent-ba/shareholders."""

    shareholder_name: Text
    shareholder_type: Text
    shareholder_credit_code: Words = None
    sub_con_amt: Number = None
    paid_con_amt: Number = None
    currency: Annotated[str, Meta(pattern=r"^([A-Z]{3})?\Z")] | None = None
    con_form: Words = None
    sub_con_date: Words = None
    paid_con_date: Words = None
    ratio: Number = None
    id_no: Personal = None
    address: Personal = None


class Controller(Struct, rename="camel"):
    """ent-ba/actual-controller."""

    controller_name: Text
    controller_type: Text
    controller_credit_code: Words = None
    id_no: Personal = None


class Person(Struct, rename="camel"):
    """A row of ent-ba/persons."""

    name: Text
    position: Text
    is_legal_rep: Annotated[str, Meta(pattern=r"^[YN]?\Z")] | None = None
    start_date: Words = None
    end_date: EndDate = UNSET
    id_type: Personal = None
    id_no: Personal = None
    mobile: Personal = None
    home_address: Personal = None


class Branch(Struct, rename="camel"):
    """A row of ent-ba/branches."""

    head_office_code: Text
    credit_code: Text
    branch_name: Text
    status: Text
    principal: Words = None
    province: Words = None
    city: Words = None
    district: Words = None
    est_date: Words = None
    cancel_date: Words = None
    principal_id_no: Personal = None


class InsuredMonth(Struct, rename="camel"):
    """A row of ent-operate/social-insurance."""

    month: Text
    insured_cnt: int
    due_amt: Number = None
    paid_amt: Number = None
    is_paid: bool | None = None
    employees: Personal = None


class Punishment(Struct, rename="camel"):
    """A row of ent-operate/administrative-punishments."""

    doc_no: Text
    party_name: Text
    credit_code: Text
    illegal_type: Text
    facts: Text
    basis: Text
    content: Text
    category: Text
    decision_date: Text
    publish_to: Text
    authority: Text
    head_office_code: Words = None
    legal_person: Words = None
    fine_amt: Number = None
    confiscate_amt: Number = None
    valid_to: EndDate = UNSET
    severity: Words = None
    authority_code: Words = None
    legal_person_id_no: Personal = None
    party_id_no: Personal = None


class Permission(Struct, rename="camel"):
    """A row of ent-operate/administrative-permissions."""

    doc_no: Text
    doc_name: Text
    party_name: Text
    credit_code: Text
    category: Text
    content: Text
    decision_date: Text
    valid_from: Text
    authority: Text
    status: Text
    head_office_code: Words = None
    legal_person: Words = None
    cert_name: Words = None
    cert_no: Words = None
    valid_to: EndDate = UNSET
    authority_code: Words = None
    source_unit: Words = None
    source_unit_code: Words = None
    legal_person_id_no: Personal = None
    party_id_type: Personal = None
    party_id_no: Personal = None


class Guarantee(Struct, rename="camel"):
    """A row of ent-operate/guarantees."""

    direction: Text
    counterparty_type: Text
    amount: Decimal
    counterparty_code: Words = None
    counterparty_name: Words = None
    guarantee_type: Words = None
    guarantee_mode: Words = None
    balance: Number = None
    start_date: Words = None
    end_date: Words = None
    release_date: Words = None
    counterparty_id_no: Personal = None


class Enforcement(Struct, rename="camel"):
    """A row of justices/enforcements."""

    case_no: Text
    court: Text
    filing_date: Text
    target_amt_fen: Fen = None
    unfulfilled_amt_fen: Fen = None
    close_date: Words = None
    close_mode: Words = None
    party_card_num: Personal = None


class Dishonesty(Struct, rename="camel"):
    """A row of justices/discredit-enforcements."""

    case_no: Text
    filing_date: Text
    court: Words = None
    province: Words = None
    basis_no: Words = None
    basis_unit: Words = None
    duty: Words = None
    performance: Words = None
    conduct: Words = None
    legal_person: Words = None
    publish_date: Words = None
    exit_date: Words = None
    party_card_num: Personal = None


class TaxLevel(Struct, rename="camel"):
    """A row of taxinfo/taxcreditlevels."""

    year: Annotated[str, Meta(pattern=r"^[0-9]{4}\Z")]
    level: Text


class Arrears(Struct, rename="camel"):
    """A row of taxinfo/arrears."""

    arrears_amt: Decimal
    tax_type: Words = None
    period: Words = None
    announced: bool | None = None
    announce_date: Words = None
    clear_date: Words = None
    tax_authority: Words = None


class InvoiceMonth(Struct, rename={
    "sale_amt_fen": "saleAmtFen", "invoice_cnt": "invoiceCnt", "buyer_cnt": "buyerCnt", "top5_ratio": "top5Ratio",
    "red_invoice_ratio": "redInvoiceRatio", "void_invoice_ratio": "voidInvoiceRatio",
}):  # fmt: skip
    """A row of taxinfo/saleinvoice."""

    month: Text
    sale_amt_fen: int
    invoice_cnt: Words = None
    buyer_cnt: Words = None
    top5_ratio: Number = None
    red_invoice_ratio: Number = None
    void_invoice_ratio: Number = None


class Declaration(Struct, rename="camel"):
    """A row of taxinfo/declarations."""

    period: Annotated[str, Meta(pattern=r"^[0-9]{4}Q[1-4]\Z")]
    tax_type: Text
    paid_amt: Decimal
    declared_sales_amt: Number = None
    payable_amt: Number = None
    on_time: bool | None = None


class PublicEvaluation(Struct, rename="camel"):
    """credit/public-evaluation."""

    credit_code: Text
    grade: Text
    score: Number = None
    eval_date: Words = None
    version: Words = None
    head_office_code: Words = None


class Score(Struct, rename="camel"):
    """customized/score."""

    score: Annotated[int, Meta(ge=300, le=1000)]
    calc_time: Text
    grade: Words = None
    risk_index: Number = None
    reasons: list[Annotated[str, Meta(max_length=64)]] | None = None
    model_ver: Words = None
