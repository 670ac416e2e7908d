"""From a result to records of the unified standard, item by item (section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias
from xml.etree.ElementTree import Element

from google.protobuf.message import Message

from adapters.chongqing import shapes
from adapters.chongqing.codec import cells
from adapters.chongqing.listing import Listing
from adapters.chongqing.lists import CHOICES, LISTINGS
from adapters.chongqing.reading import day, fill, integer, old_flag, text, wan
from adapters.chongqing.result import WRONG_SUBJECT, Result
from adapters.chongqing.shapes import Shape
from adapters.kit.answering import Outcome, refused
from adapters.kit.failures import Failure, PlatformFailureError
from bashu.v1 import items_pb2 as items
from bashu.v1.report_pb2 import CreditRecord
from standards.answer import Mark, record_of
from standards.catalogue import Standard
from standards.days import year
from standards.malformed import MalformedValueError
from standards.money import CNY
from standards.quantities import score

MAPPING_VERSION: Final = "chongqing/1"
PUBLIC_SCALE: Final = "cq_public_credit_1234"
SCORE_SCALE: Final = "cq_score_0_100"
ALL: Final = "ALL"
YEAR_MONTHS: Final = 12
SOLE_PROPRIETOR: Final = "92"
ORGANISATION_PARTY: Final = "1"


@dataclass(slots=True, kw_only=True)
class Reading:
    """One item being read: the result, the standard, and the personal values dropped so far."""

    result: Result
    standard: Standard
    dropped: int = 0

    def rows(self, group: str) -> list[tuple[Mapping[str, str], str]]:
        """Return each row's cells with its path; none where the group is absent."""
        found = self.result.groups.get(group)
        rows = () if found is None else found.rows
        return [
            (cells(row, path), path)
            for row, path in ((row, f"BODY/{group}/{row.tag}[{number}]") for number, row in enumerate(rows, start=1))
        ]

    def single(self, group: str) -> tuple[Mapping[str, str], str] | None:
        """Return the cells of a group that is no list, with its path; None where it is absent."""
        element = self.element(group)
        return None if element is None else (cells(element, f"BODY/{group}"), f"BODY/{group}")

    def element(self, group: str) -> Element | None:
        """Return a group that is no list, None where it is absent."""
        found = self.result.groups.get(group)
        return None if found is None or not found.rows else found.rows[0]

    def fill(self, body: Message, shape: Shape, row: Mapping[str, str], path: str) -> frozenset[Mark]:
        """Fill ``body`` from a row and drop its personal values."""
        self.dropped += sum(1 for tag in shape.class3 if row.get(tag))
        return fill(body, shape.tags, row, path)

    def group_with_rows(self, first: str, other: str) -> str:
        """Return which of two groups tells the as-of day: the list, where it has rows."""
        found = self.result.groups.get(first)
        return first if found is not None and found.rows else other


Records: TypeAlias = tuple[list[CreditRecord], str | None]
"""Records, and the group whose as-of day they have (None: BODY's)."""


def map_items(result: Result, asked: Iterable[str], standard: Standard) -> Mapping[str, Outcome]:
    """Return the outcome of each asked item; a kind that breaks is MALFORMED alone.

    Raises PlatformFailureError where the answer is about another subject.
    """
    outcomes = {item: _outcome(item, result, standard) for item in sorted(asked)}
    excess = not_asked(result, frozenset(shapes.KINDS[item] for item in outcomes))
    if excess:
        first = next(iter(outcomes))
        outcomes[first] = replace(outcomes[first], notes=(*outcomes[first].notes, f"NOT_ASKED {excess}"))
    return outcomes


def not_asked(result: Result, kinds: frozenset[str]) -> int:
    """Return how many groups and tags belong to kinds that were not asked: over-disclosure, dropped."""
    excess = 0
    for name in result.groups:
        if not kinds & shapes.GROUP_KINDS[name]:
            excess += 1
            continue
        if name in CHOICES:
            excess += _rows_not_asked(result, name, kinds)
        shared = shapes.SHARED_TAGS.get(name, {})
        found = {child.tag for row in result.groups[name].rows for child in row}
        excess += sum(1 for tag, kind in shared.items() if tag in found and kind not in kinds)
    return excess + sum(1 for tag, kind in shapes.SINGLE_TAGS.items() if result.tags.get(tag) and kind not in kinds)


def _rows_not_asked(result: Result, group: str, kinds: frozenset[str]) -> int:
    asked = {
        listing.choice for item, listing in LISTINGS.items() if listing.group == group and shapes.KINDS[item] in kinds
    }
    return sum(1 for row in result.groups[group].rows if row.findtext("LB") not in asked)


def _outcome(item: str, result: Result, standard: Standard) -> Outcome:
    if shapes.KINDS[item] in result.missing:
        return refused(Failure.NOT_ANSWERED, "0003")
    reading = Reading(result=result, standard=standard)
    try:
        records, group = READERS[item](reading)
        # A group that is absent says nothing about its day; then BODY's counts for "nothing found".
        as_of = result.as_of(group if group in result.groups else None)
    except MalformedValueError as error:
        return refused(Failure.MALFORMED, error.path)
    except PlatformFailureError as failure:
        if failure.detail == WRONG_SUBJECT:
            raise
        return refused(failure.failure, failure.detail)
    return Outcome(records=tuple(records), as_of=as_of, raw_digest=result.raw_digest, dropped_class3=reading.dropped)


def _registration(reading: Reading) -> Records:
    found = reading.single("JBXX")
    if found is None:
        return [], "JBXX"
    row, path = found
    body = items.EnterpriseRegistration(currency=CNY)
    marks = set(reading.fill(body, shapes.REGISTRATION, row, path))
    if body.uscc != reading.result.subject:
        raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
    codes = reading.standard.codes
    status = codes.registration_status_of_chongqing(_mandatory(row, "JYZT", path))
    body.operating_status = status.value
    section = codes.industry_section(body.industry_code)
    if section.is_known:
        body.industry_section = section.value
    if not (status.is_known and section.is_known):
        marks.add(Mark.CODE_UNKNOWN)
    if not reading.standard.divisions.is_known(body.division_code):
        marks.add(Mark.DIVISION_UNKNOWN)
    derived = ["industry_section=DERIVED"] if section.is_known else []
    return [record_of(body, marks=marks, field_quality=derived)], "JBXX"


def _shareholders(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("GDXX"):
        body = items.ShareholderAndCapital(uscc=reading.result.subject, currency=CNY)
        marks = reading.fill(body, shapes.SHAREHOLDER, row, path)
        records.append(record_of(body, marks=marks))
    return records, "GDXX"


def _personnel(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("ZYRY"):
        body = items.EnterpriseKeyPersonnel(uscc=reading.result.subject)
        marks = reading.fill(body, shapes.PERSON, row, path)
        records.append(record_of(body, marks=marks))
    return records, "ZYRY"


def _tax_credit(reading: Reading) -> Records:
    found = reading.single("NSXX")
    level = "" if found is None else found[0].get("NSXYDJ", "")
    if not level:
        return [], "NSXX"
    assessed = int(reading.result.as_of_day("NSXX", "BODY/NSXX/SJSJ")[:4]) - 1
    scale = reading.standard.scales.tax_scale(assessed)
    grade = reading.standard.scales.resolve(scale, level)
    body = items.TaxCreditGrade(uscc=reading.result.subject, year=assessed, scale_id=scale, grade=grade.value)
    marks = () if grade.is_known else (Mark.CODE_UNKNOWN,)
    return [record_of(body, marks=marks, field_quality=("year=INFERRED",))], "NSXX"


def _tax_payment(reading: Reading) -> Records:
    element = reading.element("NSXX")
    by_year: dict[int, items.TaxPayment] = {}
    for tag, field in (("NSE", "tax_paid"), ("YYSR", "declared_sales")):
        for number, row in enumerate([] if element is None else element.findall(tag), start=1):
            path = f"BODY/NSXX/{tag}[{number}]"
            amount = cells(row, path)
            in_year = year(_mandatory(amount, "ND", path), path=f"{path}/ND")
            if in_year is None:
                raise MalformedValueError(f"{path}/ND", "a year")
            fresh = items.TaxPayment(
                uscc=reading.result.subject, period=f"{in_year}-12", period_months=YEAR_MONTHS, tax_kind=ALL
            )
            body = by_year.setdefault(in_year, fresh)
            if body.HasField(field):  # type: ignore[arg-type]  # one of the two fields named above
                raise MalformedValueError(f"{path}/ND", "a year that stands once")
            setattr(body, field, wan(_mandatory(amount, "JE", path), f"{path}/JE"))
    return [record_of(body) for _, body in sorted(by_year.items(), reverse=True)], "NSXX"


def _tax_arrears(reading: Reading) -> Records:
    found = reading.single("NSXX")
    owed = "" if found is None else found[0].get("QSJE", "")
    if not owed:
        return [], "NSXX"
    balance = wan(owed, "BODY/NSXX/QSJE")
    return [record_of(items.TaxArrears(uscc=reading.result.subject, tax_kind=ALL, balance=balance))], "NSXX"


def _invoices(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("KPXX"):
        body = items.SalesInvoiceMonthly(uscc=reading.result.subject)
        marks = reading.fill(body, shapes.INVOICES, row, path)
        records.append(record_of(body, marks=marks))
    return records, "KPXX"


def _insurance(reading: Reading) -> Records:
    total = items.SocialInsurancePayment()
    found = reading.single("SBXX")
    if found is not None:
        reading.fill(total, shapes.INSURANCE, *found)
    months = []
    for row, path in reading.rows("SHJF"):
        body = items.SocialInsurancePayment(uscc=reading.result.subject, insurance_kind=ALL)
        reading.fill(body, shapes.INSURANCE_MONTH, row, path)
        months.append(body)
    if months and total.HasField("paid_to_month"):
        max(months, key=lambda body: body.period).paid_to_month = total.paid_to_month
    if not months and found is not None:
        total.uscc, total.insurance_kind = reading.result.subject or "", ALL
        total.period = total.paid_to_month
        months = [total]
    return [record_of(body) for body in months], reading.group_with_rows("SHJF", "SBXX")


def _penalties(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("XZCF"):
        body = items.AdministrativePenalty()
        marks = set(reading.fill(body, shapes.PENALTY, row, path))
        _say_whose(body, "party_uscc", reading.result.subject)
        records.append(record_of(body, marks=marks | _repaired(row, path)))
    return records, "XZCF"


def _say_whose(body: Message, owner: str, subject: str | None) -> None:
    """Hold the row's party to the subject, and say what kind of party it is where the message has a place for it."""
    if getattr(body, owner) != (subject or ""):
        raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
    if "party_type" in body.DESCRIPTOR.fields_by_name:
        kind = "SOLE_PROPRIETOR" if (subject or "").startswith(SOLE_PROPRIETOR) else "ORGANISATION"
        setattr(body, "party_type", kind)  # noqa: B010 - a message whose descriptor was asked in the line above


def _repaired(row: Mapping[str, str], path: str) -> set[Mark]:
    text = row.get("XFRQ", "")
    return {Mark.REPAIRED} if text and day(text, f"{path}/XFRQ") is not None else set()


def _judgment_debtor(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("ZXMC"):
        body = items.JudgmentDebtor(party_uscc=reading.result.subject, party_name=reading.result.name)
        marks = reading.fill(body, shapes.ENFORCEMENT, row, path)
        records.append(record_of(body, marks=marks))
    found = reading.single("SFXX")
    if found is not None and not records:
        body = items.JudgmentDebtor(party_uscc=reading.result.subject, party_name=reading.result.name)
        body.open_case_count = integer(_mandatory(found[0], "BZXRS", found[1]), "BODY/SFXX/BZXRS") or 0
        records.append(record_of(body))
    return records, reading.group_with_rows("ZXMC", "SFXX")


def _dishonest(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("SXMX"):
        body = items.DishonestJudgmentDebtor(party_uscc=reading.result.subject, party_name=reading.result.name)
        marks = reading.fill(body, shapes.DISHONESTY, row, path)
        body.is_listed = not body.HasField("removed_on")
        records.append(record_of(body, marks=marks))
    found = reading.single("SFXX")
    if found is not None and not records:
        body = items.DishonestJudgmentDebtor(party_uscc=reading.result.subject, party_name=reading.result.name)
        body.is_listed = old_flag(_mandatory(found[0], "SFSXBZXR", found[1]), "BODY/SFXX/SFSXBZXR")
        records.append(record_of(body))
    return records, reading.group_with_rows("SXMX", "SFXX")


def _guarantees(reading: Reading) -> Records:
    records = []
    for row, path in reading.rows("DBXX"):
        body = items.FinancingGuarantee()
        marks = set(reading.fill(body, shapes.GUARANTEE, row, path))
        if _mandatory(row, "DBRLX", path) == ORGANISATION_PARTY:
            marks |= fill(body, shapes.COUNTERPARTY, row, path)
        else:
            # Whoever is not said to be an organisation may be a person, whose name is not ours to hand on.
            reading.dropped += 1 if row.get("DBRMC") else 0
        records.append(record_of(body, marks=marks))
    return records, "DBXX"


def _public_credit(reading: Reading) -> Records:
    tags = reading.result.tags
    native = tags.get("GGXYPJ", "")
    if not native:
        return [], None
    grade = reading.standard.scales.resolve(PUBLIC_SCALE, native)
    body = items.PublicCreditEvaluation(uscc=reading.result.subject, scale_id=PUBLIC_SCALE, grade=grade.value)
    evaluated = day(tags["GGXYRQ"], "BODY/GGXYRQ") if tags.get("GGXYRQ") else None
    body.evaluated_on = evaluated or reading.result.as_of_day(None, "BODY/SJSJ")
    quality = () if evaluated else ("evaluated_on=DERIVED",)
    return [record_of(body, marks=() if grade.is_known else (Mark.CODE_UNKNOWN,), field_quality=quality)], None


def _platform_score(reading: Reading) -> Records:
    tags = reading.result.tags
    points = score(text(8)(tags.get("PTPF", ""), "BODY/PTPF"), path="BODY/PTPF")
    if points is None:
        return [], None
    body = items.PlatformScore(uscc=reading.result.subject, scale_id=SCORE_SCALE, score=points)
    body.calculated_on = reading.result.as_of_day(None, "BODY/SJSJ")
    marks: tuple[Mark, ...] = ()
    if tags.get("PTDJ"):
        grade = reading.standard.scales.resolve(SCORE_SCALE, tags["PTDJ"])
        body.grade = grade.value
        marks = () if grade.is_known else (Mark.CODE_UNKNOWN,)
    return [record_of(body, marks=marks)], None


def _mandatory(row: Mapping[str, str], tag: str, path: str) -> str:
    value = row.get(tag, "")
    if not value:
        raise MalformedValueError(f"{path}/{tag}", "a value, the tag is mandatory")
    return value


def _listed(listing: Listing) -> Callable[[Reading], Records]:
    def read(reading: Reading) -> Records:
        records = []
        for row, path in reading.rows(listing.group):
            if listing.choice is not None:
                choice = _mandatory(row, "LB", path)
                if choice not in CHOICES[listing.group]:
                    raise MalformedValueError(f"{path}/LB", "a known kind of row")
                if choice != listing.choice:
                    continue
            body = listing.message()
            if listing.owner is not None and reading.result.subject is not None:
                setattr(body, listing.owner, reading.result.subject)
            marks = set(reading.fill(body, listing.shape, row, path))
            if listing.owner is not None:
                _say_whose(body, listing.owner, reading.result.subject)
            if listing.finish is not None:
                marks |= listing.finish(body, reading.standard.scales)
            records.append(record_of(body, marks=marks | _repaired(row, path)))
        return records, listing.group

    return read


READERS: Final[Mapping[str, Callable[[Reading], Records]]] = {
    "enterprise_registration": _registration,
    "shareholder_and_capital": _shareholders,
    "enterprise_key_personnel": _personnel,
    "tax_credit_grade": _tax_credit,
    "tax_payment": _tax_payment,
    "tax_arrears": _tax_arrears,
    "sales_invoice_monthly": _invoices,
    "social_insurance_payment": _insurance,
    "administrative_penalty": _penalties,
    "judgment_debtor": _judgment_debtor,
    "dishonest_judgment_debtor": _dishonest,
    "financing_guarantee": _guarantees,
    "public_credit_evaluation": _public_credit,
    "platform_score": _platform_score,
    **{item: _listed(listing) for item, listing in LISTINGS.items()},
}
