"""A subject's own query: no consent, no lender's admission; the purpose, the licences and its own freeze hold all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from consent.checks import check_form, decide
from consent.model import AccessFact, HoldKind, LicenceFact, PlatformFact
from consent.scope import Case
from core.errors import Reason
from tests.admission_stage import FIRM, PERSON, RULES, STANDARD, an_ask

FIRMS = LicenceFact(kind="ENTERPRISE_CREDIT_FILING", valid_from=date(2020, 1, 1))
PERSONS = LicenceFact(kind="PERSONAL_CREDIT_LICENCE", valid_from=date(2020, 1, 1))
HELD = {name: frozenset(STANDARD.items.held_by(name)) for name in ("chongqing", "sichuan")}


def own(*, licences=(FIRMS, PERSONS), operator=(PERSONS,), access=None, holds=(), **ask):
    asked = {
        "institution": "subject-portal",
        "institution_kind": "",
        "purpose": "SELF_CHECK",
        "application_reference": "",
    }
    asked |= {"consent_id": None, "is_self": True, "legal_basis": "征信业管理条例 Art. 17"}
    platforms = {name: PlatformFact(region="500000", licences=licences, items=items) for name, items in HELD.items()}
    return Case(
        ask=an_ask(**(asked | ask)),
        now=datetime.now(UTC),
        rules=RULES,
        platforms=platforms,
        access=access or {},
        operator_licences=operator,
        holds=frozenset(holds),
    )


def reason(case):
    refusal = check_form(case.ask, RULES) or decide(case).refusal
    return refusal and refusal.reason


@pytest.mark.parametrize("subject", [FIRM, PERSON], ids=["a firm", "a person"])
def test_a_subject_asks_for_everything_held_about_its_kind_without_consent_or_admission(subject):
    case = own(subject=subject)
    assert reason(case) is None
    expected = {name for items in HELD.values() for name in items if RULES.items.is_about(name, subject.kind)}
    assert set(decide(case).scope.items) == expected
    assert any(not RULES.items.public_by_law(name) for name in expected)


def test_nobody_else_asks_without_a_consent_as_a_subject_does():
    case = own()
    assert (
        reason(replace(case, ask=replace(case.ask, is_self=False, items=("enterprise_registration",))))
        is Reason.ROLE_NOT_ALLOWED
    )
    lender = an_ask(consent_id=None, purpose="SELF_CHECK", legal_basis="x", items=("enterprise_registration",))
    access = {name: AccessFact(items=HELD[name], purposes=frozenset({"SELF_CHECK"})) for name in HELD}
    assert reason(replace(own(access=access), ask=lender)) is Reason.ROLE_NOT_ALLOWED


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (own(purpose="PRE_LOAN_REVIEW", application_reference="a"), Reason.ROLE_NOT_ALLOWED),
        (own(subject=PERSON, operator=()), Reason.LICENCE_MISSING),
        (own(licences=()), Reason.LICENCE_MISSING),
        (own(holds=[HoldKind.FREEZE]), Reason.SUBJECT_FROZEN),
        (own(holds=[HoldKind.HOLD]), Reason.CONSENT_HELD),
        (own(items=("no_such_item",)), Reason.UNKNOWN_DATA_ITEM),
    ],
)
def test_what_a_subject_may_not_do_either(case, expected):
    assert reason(case) is expected
