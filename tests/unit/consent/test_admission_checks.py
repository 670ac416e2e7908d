"""Each admission check by itself, and the order in which they are made."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from consent import service
from consent.checks import CHECKS, check_form, decide
from consent.model import AccessFact, HoldKind, LicenceFact, Loan, PlatformFact
from consent.scope import Case, target_platforms
from consent.witnessing import WitnessBudgets
from core.clock import SHANGHAI
from core.commitments import subject_commitment
from core.errors import Reason
from tests.admission_stage import (
    COMMITMENT_KEYS,
    FIRM,
    GRANTED,
    ITEMS,
    OTHER_FIRM,
    PERSON,
    POST_LOAN,
    RULES,
    STANDARD,
    an_ask,
    parsed,
)

NOW = datetime.now(UTC)
TODAY = NOW.astimezone(SHANGHAI).date()
FINANCING = LicenceFact(kind="PUBLIC_FINANCING_PLATFORM", valid_from=date(2020, 1, 1))
PERSONAL = LicenceFact(kind="PERSONAL_CREDIT_LICENCE", valid_from=date(2020, 1, 1))
PLATFORMS = {
    name: PlatformFact(region=region, licences=(FINANCING, PERSONAL), items=frozenset(STANDARD.items.held_by(name)))
    for name, region in (("chongqing", "500000"), ("sichuan", "510000"))
}
ACCESS = {name: AccessFact(items=ITEMS, purposes=frozenset(STANDARD.purposes.rows)) for name in PLATFORMS}
PERSON_ITEM = "social_insurance_payment"


def a_case(*, artefact=None, ask=None, **changes):
    """A case in which nothing is wrong; ``artefact`` and ``ask`` are changes to payload and question."""
    ask = ask or {}
    subject = ask.get("subject", FIRM)
    read = parsed(**(artefact or {}))
    # The payload starts a minute before it is made, which may be long after NOW in a long run of the suite.
    standing = {"nbf": NOW - timedelta(minutes=1)} | changes.pop("facts", {})
    facts = replace(service.registered(read, now=NOW).facts, **standing)
    values = {
        "ask": an_ask(**({"consent_id": read.artefact.consent_id} | ask)),
        "now": NOW,
        "rules": RULES,
        "consent": facts,
        "artefact": read.artefact,
        "commitment": subject_commitment(COMMITMENT_KEYS["commitment-1"], subject.id_type, subject.identifier),
        "pseudonym": "p",
        "platforms": PLATFORMS,
        "access": ACCESS,
        "operator_licences": (PERSONAL,),
    }
    return Case(**(values | changes))


def a_public_case(**changes):
    values = {"items": ("enterprise_registration",), "legal_basis": "条例 Art. 13"}
    return replace(a_case(ask=values | {"consent_id": None} | changes), consent=None, artefact=None)


def a_witnessed_case(witnessed_s):
    return a_case(witnessed_s=witnessed_s, witness_budgets=WitnessBudgets())


def a_persons_case(*, providers=None, ask=None, **changes):
    artefact = {
        "subject": PERSON,
        "data": {"items": [{"id": PERSON_ITEM, "necessity": "required"}]},
        **({"providers": providers} if providers else {}),
    }
    asked = {"subject": PERSON, "items": (PERSON_ITEM,)} | (ask or {})
    return a_case(artefact=artefact, ask=asked, **changes)


def a_case_of_one_born(born, *, today=TODAY):
    """A person's case on the day ``today``, whose citizen id names the birth ``born`` (``YYYYMMDD``)."""
    case = a_persons_case()
    ask = replace(case.ask, subject=replace(PERSON, identifier=f"110105{born}0021"))
    noon = datetime.combine(today, datetime.min.time(), SHANGHAI) + timedelta(hours=12)
    facts = replace(case.consent, nbf=noon - timedelta(days=1), exp=noon + timedelta(days=1))
    return replace(case, ask=ask, commitment=case.artefact.subject.commitment, now=noon, consent=facts)


def reason(case):
    decision = decide(case)
    assert (decision.refusal is None) is (decision.scope is not None)
    return decision.refusal and decision.refusal.reason


def providers(*, separate=True, only=None):
    return [
        {"region": fact.region, "platform_id": name, "separate_consent": separate, "notice": "n"}
        for name, fact in PLATFORMS.items()
        if only in {None, name}
    ]


def test_a_case_with_nothing_wrong_passes_every_check_in_order():
    decision = decide(a_case())
    assert decision.trace == (
        "4-role", "5-artefact", "6-requester", "7-subject", "8-platforms", "9-purpose", "10-scope", "11-policy", "12-state",
        "13-holds", "14-budget", "15-evidence",
    )  # fmt: skip
    assert decision.scope.items == tuple(sorted(GRANTED))
    assert [check.number for check in CHECKS] == sorted(check.number for check in CHECKS)


def a_loan(**changes):
    values = {
        "institution": "bank-cq",
        "loan_reference": "loan-1",
        "application_reference": "",
        "pseudonym": "p",
        "commitments": (),
        "opened_on": TODAY,
        "due_on": TODAY,
        "registered_at": NOW,
    }
    return Loan(**(values | changes))


POST = {"purpose": "POST_LOAN_MANAGEMENT", "application_reference": "", "loan_reference": "loan-1"}
EXPIRED_LICENCE = replace(FINANCING, valid_to=TODAY - timedelta(days=2))
USED = {"used": 3, "last_use": 3}

REFUSED = {
    "institution of another kind": (lambda: a_case(ask={"institution_kind": "amc"}), 4, Reason.ROLE_NOT_ALLOWED),
    "artefact lost": (
        lambda: a_case(artefact=None) and replace(a_case(), artefact=None),
        5,
        Reason.LEDGER_INCONSISTENT,
    ),
    "artefact of another consent": (
        lambda: a_case(ask={"consent_id": uuid.uuid4()}),
        5,
        Reason.LEDGER_INCONSISTENT,
    ),
    "authority's key compromised": (lambda: a_case(is_key_compromised=True), 5, Reason.ARTEFACT_UNKNOWN_KEY),
    "no such consent": (
        lambda: replace(a_case(), consent=None, artefact=None),
        6,
        Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    ),
    "another's consent": (
        lambda: a_case(ask={"institution": "bank-sc"}),
        6,
        Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    ),
    "another's consent whose bytes are lost": (
        lambda: replace(a_case(ask={"institution": "bank-sc"}), artefact=None, is_key_compromised=True),
        6,
        Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    ),
    "row and artefact disagree on the requester": (
        lambda: a_case(facts={"institution": "bank-sc"}, ask={"institution": "bank-sc"}),
        6,
        Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    ),
    "a person without consent": (
        lambda: replace(
            a_case(ask={"consent_id": None, "subject": PERSON, "items": (PERSON_ITEM,)}), consent=None, artefact=None
        ),
        6,
        Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    ),
    "another subject": (lambda: a_case(ask={"subject": OTHER_FIRM}), 7, Reason.SUBJECT_MISMATCH),
    "another kind of subject": (
        lambda: a_case(ask={"subject": replace(FIRM, kind=PERSON.kind)}),
        7,
        Reason.SUBJECT_MISMATCH,
    ),
    "commitment key missing": (lambda: a_case(commitment=None), 7, Reason.INTERNAL),
    "region without a platform": (lambda: a_case(ask={"regions": ("110000",)}), 8, Reason.PLATFORM_NOT_GRANTED),
    "one region of two granted": (
        lambda: a_case(artefact={"providers": providers(only="chongqing")}, ask={"regions": ("500000", "510000")}),
        8,
        Reason.PLATFORM_NOT_GRANTED,
    ),
    "granted platform not served": (lambda: a_case(platforms={}), 8, Reason.PLATFORM_NOT_GRANTED),
    "other region without separate consent": (
        lambda: a_persons_case(providers=providers(separate=False)),
        8,
        Reason.SEPARATE_CONSENT_MISSING,
    ),
    "person without known home": (
        lambda: a_persons_case(
            providers=providers(separate=False, only="chongqing"), ask={"subject": replace(PERSON, home_region=None)}
        ),
        8,
        Reason.SEPARATE_CONSENT_MISSING,
    ),
    "lender not admitted": (
        lambda: a_case(access={"chongqing": ACCESS["chongqing"]}),
        8,
        Reason.LENDER_NOT_ADMITTED,
    ),
    "lender not admitted to the purpose": (
        lambda: a_case(access=ACCESS | {"sichuan": AccessFact(items=ITEMS, purposes=frozenset())}),
        8,
        Reason.LENDER_NOT_ADMITTED,
    ),
    "lender not admitted to an item": (
        lambda: a_case(access=ACCESS | {"sichuan": replace(ACCESS["sichuan"], items=ITEMS - {"tax_payment"})}),
        8,
        Reason.LENDER_NOT_ADMITTED,
    ),
    "platform without licence": (
        lambda: a_case(platforms={n: replace(p, licences=()) for n, p in PLATFORMS.items()}),
        8,
        Reason.LICENCE_MISSING,
    ),
    "platform whose licence ended": (
        lambda: a_case(platforms={n: replace(p, licences=(EXPIRED_LICENCE,)) for n, p in PLATFORMS.items()}),
        8,
        Reason.LICENCE_MISSING,
    ),
    "firm at a platform licensed for persons only": (
        lambda: a_case(platforms={n: replace(p, licences=(PERSONAL,)) for n, p in PLATFORMS.items()}),
        8,
        Reason.LICENCE_MISSING,
    ),
    "person at a platform licensed for firms": (
        lambda: a_persons_case(platforms={n: replace(p, licences=(FINANCING,)) for n, p in PLATFORMS.items()}),
        8,
        Reason.LICENCE_MISSING,
    ),
    "person without the operator's licence": (
        lambda: a_persons_case(operator_licences=()),
        8,
        Reason.LICENCE_MISSING,
    ),
    "another purpose": (lambda: a_case(ask={"purpose": "GUARANTOR_REVIEW"}), 9, Reason.PURPOSE_MISMATCH),
    "a person's purpose without consent": (
        lambda: a_public_case(purpose="KEY_PERSON_REVIEW"),
        9,
        Reason.PURPOSE_MISMATCH,
    ),
    "no application reference": (lambda: a_case(ask={"application_reference": ""}), 9, Reason.REFERENCE_MISSING),
    "no loan reference": (
        lambda: a_case(artefact=POST_LOAN, ask=POST | {"loan_reference": ""}),
        9,
        Reason.REFERENCE_MISSING,
    ),
    "an unknown loan": (lambda: a_case(artefact=POST_LOAN, ask=POST), 9, Reason.LOAN_NOT_FOUND),
    "another subject's loan": (
        lambda: a_case(artefact=POST_LOAN, ask=POST, loan=a_loan(pseudonym="q")),
        9,
        Reason.LOAN_NOT_FOUND,
    ),
    "a closed loan": (
        lambda: a_case(artefact=POST_LOAN, ask=POST, loan=a_loan(closed_at=NOW)),
        9,
        Reason.LOAN_CLOSED,
    ),
    "no legal basis": (lambda: a_public_case(legal_basis=""), 10, Reason.MALFORMED),
    "a public query for what is not public": (
        lambda: a_public_case(items=("enterprise_registration", "tax_payment")),
        10,
        Reason.SCOPE_EXCEEDED,
    ),
    "an act not granted": (
        lambda: a_case(ask={"acts": frozenset({"QUERY", "REPORT_BACK"})}),
        10,
        Reason.SCOPE_EXCEEDED,
    ),
    "an item not granted": (
        lambda: a_case(ask={"items": ("tax_payment", "financial_statement")}),
        10,
        Reason.SCOPE_EXCEEDED,
    ),
    "narrowed to nothing": (
        lambda: a_case(ask={"items": ("financial_statement",), "allow_narrowing": True}),
        10,
        Reason.SCOPE_EXCEEDED,
    ),
    "a person's restricted item without the warning": (
        lambda: a_case(
            artefact={
                "subject": PERSON,
                "data": {"items": [{"id": PERSON_ITEM, "necessity": "required"}], "restricted_items_ack": False},
            },
            ask={"subject": PERSON, "items": (PERSON_ITEM,)},
        ),
        10,
        Reason.SCOPE_EXCEEDED,
    ),
    "a day too long ago": (lambda: a_case(ask={"lookback": 731}), 10, Reason.RANGE_EXCEEDED),
    "a day ahead": (
        lambda: a_case(ask={"lookback": (TODAY - timedelta(days=5), TODAY + timedelta(days=2))}),
        10,
        Reason.RANGE_EXCEEDED,
    ),
    "narrowed to no day": (
        lambda: a_case(ask={"lookback": (date(2001, 1, 1), date(2001, 2, 1)), "allow_narrowing": True}),
        10,
        Reason.RANGE_EXCEEDED,
    ),
    "a person under 18": (lambda: a_case_of_one_born("20090302", today=date(2027, 3, 1)), 11, Reason.POLICY_LIMIT),
    "a revision not reached": (lambda: a_case(ask={"min_consent_revision": 2}), 12, Reason.REVISION_TOO_OLD),
    "revoked": (lambda: a_case(facts={"revoked_at": NOW}), 12, Reason.CONSENT_REVOKED),
    "held": (lambda: a_case(facts={"held_count": 1}), 12, Reason.CONSENT_HELD),
    "superseded": (lambda: a_case(facts={"superseded_by": uuid.uuid4()}), 12, Reason.CONSENT_SUPERSEDED),
    "expired": (lambda: a_case(facts={"exp": NOW}), 12, Reason.CONSENT_EXPIRED),
    "not started": (lambda: a_case(facts={"nbf": NOW + timedelta(seconds=1)}), 12, Reason.CONSENT_NOT_STARTED),
    "paused": (lambda: a_case(facts={"paused_at": NOW}), 12, Reason.CONSENT_PAUSED),
    "hold on the subject": (
        lambda: a_case(holds=frozenset({HoldKind.HOLD, HoldKind.FREEZE})),
        13,
        Reason.CONSENT_HELD,
    ),
    "file frozen": (lambda: a_case(holds=frozenset({HoldKind.FREEZE})), 13, Reason.SUBJECT_FROZEN),
    "file frozen, public item": (
        lambda: replace(a_public_case(), holds=frozenset({HoldKind.FREEZE})),
        13,
        Reason.SUBJECT_FROZEN,
    ),
    "uses spent": (lambda: a_case(facts=USED), 14, Reason.CONSENT_EXHAUSTED),
    "an entry waits too long": (lambda: a_case(oldest_pending_s=30.1), 15, Reason.EVIDENCE_STALE),
    "a silent sealer": (lambda: a_case(heartbeat_s=30.1), 15, Reason.EVIDENCE_STALE),
    "witnesses away for 4 hours": (lambda: a_witnessed_case(14_400.1), 15, Reason.EVIDENCE_STALE),
    "witnesses never asked": (lambda: a_witnessed_case(None), 15, Reason.EVIDENCE_STALE),
    "witnesses away for an hour, a person": (
        lambda: replace(a_persons_case(), witnessed_s=3600.1, witness_budgets=WitnessBudgets()),
        15,
        Reason.EVIDENCE_STALE,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_case_is_refused_by_its_check_for_its_reason(name):
    make, number, expected = REFUSED[name]
    refusal = decide(make()).refusal
    assert refusal is not None
    assert (refusal.rule.split("-")[0], refusal.reason) == (str(number), expected)
    assert expected in next(check.reasons for check in CHECKS if check.number == number)


def test_every_reason_of_every_check_has_a_case():
    shown = {(number, expected) for _, number, expected in REFUSED.values()}
    declared = {(check.number, one) for check in CHECKS for one in check.reasons}
    not_shown = {(4, Reason.PURPOSE_MISSING), (14, Reason.FREQUENCY_EXCEEDED)}  # by date; tests of the budget
    assert declared - shown == not_shown


def test_a_persons_own_region_needs_no_separate_consent():
    only_home = providers(separate=False, only="chongqing")
    assert reason(a_persons_case(providers=only_home)) is None
    assert reason(a_persons_case()) is None


def test_a_repeat_passes_where_the_uses_are_spent():
    assert reason(a_case(facts=USED, is_free=True)) is None


def test_budgets_are_no_matter_of_public_items():
    assert reason(a_public_case()) is None


def test_public_items_go_to_every_platform_served():
    scope = decide(a_public_case()).scope
    assert scope.platforms == ("chongqing", "sichuan")


def test_only_granted_regions_asked_for_are_reached():
    case = a_case(ask={"regions": ("510000",)})
    assert target_platforms(case) == ("sichuan",)


def test_targets_hold_only_what_a_platform_holds():
    fewer = {"sichuan": replace(PLATFORMS["sichuan"], items=frozenset({"tax_payment"}))}
    scope = decide(a_case(platforms=PLATFORMS | fewer)).scope
    assert scope.targets["sichuan"] == {"tax_payment"}
    assert scope.targets["chongqing"] == frozenset(GRANTED)


def test_a_lenders_own_letter_never_opens_a_sole_proprietors_restricted_items():
    owner = replace(FIRM, identifier="92500112XXTT00130M")
    letter = {"subject": owner, "capture": {"assurance": "LENDER_ATTESTED"}}
    asked = {"subject": owner, "items": ("tax_payment",)}
    assert reason(a_case(artefact=letter, ask=asked)) is Reason.SCOPE_EXCEEDED
    firms = {"capture": {"assurance": "LENDER_ATTESTED"}}
    assert reason(a_case(artefact=firms, ask={"items": ("tax_payment",)})) is None


def test_the_restricted_items_of_a_sole_proprietor_need_the_owners_warning():
    owner = replace(FIRM, identifier="92500112XXTT00130M")
    without = {"subject": owner, "data": {"restricted_items_ack": False}}
    asked = {"subject": owner, "items": ("tax_payment",)}
    assert reason(a_case(artefact=without, ask=asked)) is Reason.SCOPE_EXCEEDED
    assert reason(a_case(artefact={"subject": owner}, ask=asked)) is None
    assert reason(a_case(artefact={"data": {"restricted_items_ack": False}}, ask={"items": ("tax_payment",)})) is None


def test_look_back_reaches_exactly_as_far_as_granted():
    scope = decide(a_case(ask={"lookback": 730})).scope
    assert scope.look_to - scope.look_from == timedelta(days=730)
    assert not scope.narrowed
    assert decide(a_case()).scope.look_from == scope.look_from


@pytest.mark.parametrize(
    ("born", "today", "is_minor"),
    [
        ("20080301", date(2026, 2, 28), True),
        ("20080301", date(2026, 3, 1), False),
        # One born on a leap day is 18 on 1 March of a year without it.
        ("20080229", date(2026, 2, 28), True),
        ("20080229", date(2026, 3, 1), False),
        ("20081231", date(2026, 12, 30), True),
        ("20090101", date(2026, 12, 31), True),
        ("19041231", date(2026, 1, 1), False),
    ],
)
def test_full_age_is_reached_on_the_eighteenth_birthday_in_beijing(born, today, is_minor):
    expected = Reason.POLICY_LIMIT if is_minor else None
    assert reason(a_case_of_one_born(born, today=today)) is expected


def test_a_minors_age_stands_in_no_refusal():
    refusal = decide(a_case_of_one_born("20080301", today=date(2026, 2, 28))).refusal
    assert dict(refusal.metadata) == {"policy_rule": "MINOR"}
    assert "2008" not in repr(refusal)


def test_thirty_seconds_old_evidence_is_fresh():
    assert reason(a_case(oldest_pending_s=30.0, heartbeat_s=30.0)) is None


FORMS = {
    "no purpose": ({"purpose": ""}, Reason.PURPOSE_MISSING, "purpose"),
    "an unknown purpose": ({"purpose": "CURIOSITY"}, Reason.PURPOSE_MISSING, "purpose"),
    "an unknown item": ({"items": ("tax_payment", "x")}, Reason.UNKNOWN_DATA_ITEM, "data_items"),
    "a reference with spaces": ({"application_reference": "a b"}, Reason.MALFORMED, "application_reference"),
    "a number in pieces in the legal basis": ({"legal_basis": "示例 138 1234 5678"}, Reason.MALFORMED, "legal_basis"),
    "an identifier in the legal basis": ({"legal_basis": "关于 110105194912"}, Reason.MALFORMED, "legal_basis"),
    "a person without items": ({"subject": PERSON}, Reason.ITEMS_REQUIRED, "data_items"),
    "no consent and no items": ({"consent_id": None}, Reason.ITEMS_REQUIRED, "data_items"),
}


@pytest.mark.parametrize("name", FORMS)
def test_what_is_wrong_with_a_question_is_found_before_anything_is_read(name):
    changes, expected, field = FORMS[name]
    refusal = check_form(an_ask(**({"consent_id": uuid.uuid4()} | changes)), RULES)
    assert (refusal.reason, refusal.field) == (expected, field)


def test_a_well_formed_question_is_read_for():
    assert check_form(an_ask(consent_id=uuid.uuid4()), RULES) is None


@pytest.mark.parametrize(
    ("witnessed_s", "firm_passes", "person_passes"),
    [
        (0.0, True, True),
        (3600.0, True, True),
        (3600.1, True, False),
        (14_400.0, True, False),
        (14_400.1, False, False),
        (None, False, False),
    ],
)
def test_lost_witnesses_stop_queries_about_persons_after_an_hour_and_all_after_four(
    witnessed_s, firm_passes, person_passes
):
    told = {"witnessed_s": witnessed_s, "witness_budgets": WitnessBudgets()}
    assert (decide(a_case(**told)).refusal is None) is firm_passes
    assert (decide(replace(a_persons_case(), **told)).refusal is None) is person_passes
    assert decide(replace(a_persons_case(), witnessed_s=witnessed_s)).refusal is None


@pytest.mark.parametrize(
    ("age_s", "grade"),
    [(0.0, "FRESH"), (60.0, "FRESH"), (60.1, "WARNED"), (3600.0, "WARNED"), (3600.1, "PERSONS_REFUSED"),
     (14_400.0, "PERSONS_REFUSED"), (14_400.1, "ALL_REFUSED"), (None, "ALL_REFUSED")],
)  # fmt: skip
def test_an_age_is_in_the_grade_of_the_last_budget_it_is_over(age_s, grade):
    assert WitnessBudgets().grade(age_s) == grade


def test_tightened_budgets_are_the_ones_that_count():
    tight = WitnessBudgets(warn_s=5, refuse_persons_s=10, refuse_all_s=20)
    assert [tight.grade(age) for age in (5, 6, 11, 21)] == ["FRESH", "WARNED", "PERSONS_REFUSED", "ALL_REFUSED"]
    assert reason(a_case(witnessed_s=21, witness_budgets=tight)) is Reason.EVIDENCE_STALE
