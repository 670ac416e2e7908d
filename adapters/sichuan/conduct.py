"""Modules about conduct: penalties, permits, guarantees, enforcement; from decoded rows to records (section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from adapters.sichuan import messages as sc
from adapters.sichuan.reading import Reading, end_of, mandatory_day, path_of
from bashu.v1 import items_pb2 as items
from bashu.v1.report_pb2 import CreditRecord
from standards import days, money

SOLE_PROPRIETOR: Final = "92"
ORGANISATION: Final = "ENT"
DIRECTIONS: Final[Mapping[str, str]] = {"OUT": "GIVEN", "IN": "RECEIVED"}
SEVERITIES: Final[Mapping[str, str]] = {"轻微": "minor", "一般": "general", "严重": "serious"}
GUARANTEES: Final[Mapping[str, str]] = {"融资担保": "G1", "非融资担保": "G2", "支付担保": "G3"}


def punishments(reading: Reading, rows: Sequence[sc.Punishment]) -> list[CreditRecord]:
    """Map ent-operate/administrative-punishments; a branch's stay under its own code, marked BRANCH."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.legal_person_id_no, row.party_id_no)
        reading.own(row.credit_code, row.head_office_code)
        body = items.AdministrativePenalty(
            party_name=row.party_name,
            party_type=_party_type(row.credit_code),
            party_uscc=row.credit_code,
            legal_rep=row.legal_person or None,
            document_no=row.doc_no,
            violation_type=row.illegal_type,
            violation_facts=row.facts,
            legal_basis=row.basis,
            penalty_category=reading.code("penalty_category", row.category),
            penalty_content=row.content,
            fine_amount=money.yuan(row.fine_amt, path=at("fineAmt")),
            confiscated_amount=money.yuan(row.confiscate_amt, path=at("confiscateAmt")),
            decided_on=mandatory_day(row.decision_date, at("decisionDate")),
            valid_until=end_of(row.valid_to, at("validTo")).day,
            publish_until=mandatory_day(row.publish_to, at("publishTo")),
            severity=reading.listed(SEVERITIES, row.severity),
            authority=row.authority,
            authority_uscc=row.authority_code or None,
        )
        records.append(reading.record(body))
    return records


def permissions(reading: Reading, rows: Sequence[sc.Permission]) -> list[CreditRecord]:
    """Map ent-operate/administrative-permissions; a branch's stay under its own code, marked BRANCH."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.legal_person_id_no, row.party_id_type, row.party_id_no)
        reading.own(row.credit_code, row.head_office_code)
        end = end_of(row.valid_to, at("validTo"))
        body = items.AdministrativePermission(
            party_name=row.party_name,
            party_type=_party_type(row.credit_code),
            party_uscc=row.credit_code,
            legal_rep=row.legal_person or None,
            document_name=row.doc_name,
            document_no=row.doc_no,
            permission_category=reading.code("permission_category", row.category),
            certificate_name=row.cert_name or None,
            certificate_no=row.cert_no or None,
            content=row.content,
            decided_on=mandatory_day(row.decision_date, at("decisionDate")),
            valid_from=mandatory_day(row.valid_from, at("validFrom")),
            valid_until=end.day,
            no_fixed_term=end.no_fixed_term,
            authority=row.authority,
            authority_uscc=row.authority_code or None,
            status=reading.code("permission_status", row.status),
            source_unit=row.source_unit or None,
            source_unit_uscc=row.source_unit_code or None,
        )
        records.append(reading.record(body))
    return records


def _party_type(code: str) -> str:
    return "SOLE_PROPRIETOR" if code.startswith(SOLE_PROPRIETOR) else "ORGANISATION"


def guarantees(reading: Reading, rows: Sequence[sc.Guarantee]) -> list[CreditRecord]:
    """Map ent-operate/guarantees; a natural person on the other side is dropped, the record stays."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        is_organisation = row.counterparty_type == ORGANISATION
        reading.drop(row.counterparty_id_no, None if is_organisation else row.counterparty_name)
        body = items.FinancingGuarantee(
            direction=reading.listed(DIRECTIONS, row.direction),
            counterparty_uscc=(row.counterparty_code or None) if is_organisation else None,
            counterparty_name=(row.counterparty_name or None) if is_organisation else None,
            guarantee_kind=reading.listed(GUARANTEES, row.guarantee_type),
            guarantee_mode=reading.code("guarantee_mode", row.guarantee_mode),
            amount=money.yuan(row.amount, path=at("amount")),
            balance=money.yuan(row.balance, path=at("balance")),
            started_on=days.day(row.start_date, path=at("startDate")),
            due_on=days.day(row.end_date, path=at("endDate")),
            released_on=days.day(row.release_date, path=at("releaseDate")),
        )
        records.append(reading.record(body))
    return records


def enforcements(reading: Reading, rows: Sequence[sc.Enforcement]) -> list[CreditRecord]:
    """Map justices/enforcements."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.party_card_num)
        body = items.JudgmentDebtor(
            case_no=row.case_no,
            party_name=reading.name,
            party_uscc=reading.subject,
            court=row.court,
            filed_on=mandatory_day(row.filing_date, at("filingDate")),
            amount=money.fen(row.target_amt_fen, path=at("targetAmtFen")),
            outstanding_amount=money.fen(row.unfulfilled_amt_fen, path=at("unfulfilledAmtFen")),
            closed_on=days.day(row.close_date, path=at("closeDate")),
            close_mode=reading.code("enforcement_close", row.close_mode),
        )
        records.append(reading.record(body))
    return records


def dishonesties(reading: Reading, rows: Sequence[sc.Dishonesty]) -> list[CreditRecord]:
    """Map justices/discredit-enforcements."""
    records = []
    for number, row in enumerate(rows):
        at = path_of(reading, number)
        reading.drop(row.party_card_num)
        removed = days.day(row.exit_date, path=at("exitDate"))
        body = items.DishonestJudgmentDebtor(
            case_no=row.case_no,
            is_listed=removed is None,
            party_name=reading.name,
            party_uscc=reading.subject,
            legal_rep=row.legal_person or None,
            court=row.court or None,
            province=row.province or None,
            basis_no=row.basis_no or None,
            basis_unit=row.basis_unit or None,
            duty=row.duty or None,
            performance=reading.code("enforcement_performance", row.performance),
            conduct=row.conduct or None,
            published_on=days.day(row.publish_date, path=at("publishDate")),
            filed_on=mandatory_day(row.filing_date, at("filingDate")),
            removed_on=removed,
        )
        records.append(reading.record(body))
    return records
