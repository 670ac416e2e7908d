"""Modules about what is registered: ent-ba, from decoded rows to records (section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import messages as sc
from adapters.sichuan.reading import WRONG_SUBJECT, Reading, end_of, mandatory_day, path_of
from bashu.v1 import items_pb2 as items
from bashu.v1.report_pb2 import CreditRecord
from standards import days, money, quantities
from standards.answer import Mark

CONTROLLERS: Final[Mapping[str, str]] = {"自然人": "NATURAL_PERSON", "企业法人": "ENTERPRISE"}
FLAGS: Final[Mapping[str, bool]] = {"Y": True, "N": False}


def basic_info(reading: Reading, rows: Sequence[sc.BasicInfo]) -> list[CreditRecord]:
    """Map ent-ba/basicinfo."""
    (row,) = rows
    at = path_of(reading)
    reading.drop(row.legal_person_id_no, row.legal_person_tel)
    reading.own(row.credit_code, row.head_office_code)
    capital = money.capital_text(row.reg_capital, path=at("regCapital"))
    end = end_of(row.op_to, at("opTo"))
    section = reading.standard.codes.industry_section(row.industry)
    status = reading.standard.codes.registration_status(row.status)
    if not (section.is_known and status.is_known):
        reading.marks.add(Mark.CODE_UNKNOWN)
    division = reading.division(row.province, row.city, row.district)
    body = items.EnterpriseRegistration(
        uscc=reading.subject,
        name=row.name,
        legal_rep_name=row.legal_person,
        registered_capital=None if capital is None else capital.amount,
        currency=None if capital is None else capital.currency,
        established_on=mandatory_day(row.est_date, at("estDate")),
        term_start=days.day(row.op_from, path=at("opFrom")),
        term_end=end.day,
        no_fixed_term=end.no_fixed_term,
        operating_status=status.value,
        revoked_on=days.day(row.revoke_date, path=at("revokeDate")),
        deregistered_on=days.day(row.cancel_date, path=at("cancelDate")),
        industry_section=section.value,
        division_code=division,
        registration_authority=row.reg_authority or None,
        registered_address=row.address or None,
        business_scope=row.scope or None,
    )
    return [reading.record(body, *(["division_code=DERIVED"] if division is not None else []))]


def shareholders(reading: Reading, rows: Sequence[sc.Shareholder]) -> list[CreditRecord]:
    """Map ent-ba/shareholders; who controls is joined by :func:`with_controller`."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.id_no, row.address)
        body = items.ShareholderAndCapital(
            uscc=reading.subject,
            shareholder_name=row.shareholder_name,
            shareholder_kind=reading.code("shareholder_kind", row.shareholder_type),
            shareholder_uscc=row.shareholder_credit_code or None,
            subscribed_amount=money.yuan(row.sub_con_amt, path=at("subConAmt")),
            paid_in_amount=money.yuan(row.paid_con_amt, path=at("paidConAmt")),
            currency=row.currency or money.CNY,
            contribution_form=reading.code("contribution_form", row.con_form),
            subscribed_due_on=days.day(row.sub_con_date, path=at("subConDate")),
            paid_in_on=days.day(row.paid_con_date, path=at("paidConDate")),
            share_ratio=quantities.ratio(row.ratio, path=at("ratio")),
        )
        records.append(reading.record(body))
    return records


def with_controller(reading: Reading, records: Sequence[CreditRecord], controller: sc.Controller) -> None:
    """Say on each shareholder's record whether it controls the subject.

    A natural person who is no shareholder has no place in the report (条例 Art. 13 para 2): the name is dropped.
    """
    reading.drop(controller.id_no)
    kind = CONTROLLERS.get(controller.controller_type, controller.controller_type)
    shares = [record.shareholder_and_capital for record in records]
    same = [s for s in shares if (s.shareholder_name, s.shareholder_kind) == (controller.controller_name, kind)]
    if not same and kind != "ENTERPRISE":
        reading.drop(controller.controller_name)
        return
    for share in shares:
        share.is_actual_controller = any(share is one for one in same)
        if kind == "ENTERPRISE" and controller.controller_credit_code:
            share.controller_uscc = controller.controller_credit_code


def persons(reading: Reading, rows: Sequence[sc.Person]) -> list[CreditRecord]:
    """Map ent-ba/persons."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.id_type, row.id_no, row.mobile, row.home_address)
        body = items.EnterpriseKeyPersonnel(
            uscc=reading.subject,
            person_name=row.name,
            post=reading.code("key_personnel_post", row.position),
            is_legal_representative=FLAGS.get(row.is_legal_rep or ""),
            term_from=days.day(row.start_date, path=at("startDate")),
            term_to=end_of(row.end_date, at("endDate")).day,
        )
        records.append(reading.record(body))
    return records


def branches(reading: Reading, rows: Sequence[sc.Branch]) -> list[CreditRecord]:
    """Map ent-ba/branches."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.principal_id_no)
        if row.head_office_code != reading.subject:
            raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
        reading.marks.add(Mark.BRANCH)
        status = reading.standard.codes.registration_status(row.status)
        reading.marks |= set() if status.is_known else {Mark.CODE_UNKNOWN}
        division = reading.division(row.province, row.city, row.district)
        body = items.BranchRegistration(
            uscc=reading.subject,
            branch_uscc=row.credit_code,
            branch_name=row.branch_name,
            branch_head_name=row.principal or None,
            division_code=division,
            established_on=days.day(row.est_date, path=at("estDate")),
            operating_status=status.value,
            deregistered_on=days.day(row.cancel_date, path=at("cancelDate")),
        )
        records.append(reading.record(body, *(["division_code=DERIVED"] if division is not None else [])))
    return records
