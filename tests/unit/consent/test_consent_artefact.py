"""Every rule that one artefact alone must keep: ARTEFACT_MALFORMED, with the field's name."""

from __future__ import annotations

import copy
import json

import pytest

from consent.artefact import ARTEFACT_TYPE, Act, Necessity, Period, UsageMode, parse_artefact
from core.errors import BashuError, Reason
from core.jws import sign_compact
from core.permit import SubjectKind
from tests.admission_stage import AUTHORITY_KEY, OTHER_FIRM, PERSON, POST_LOAN, VOCABULARY, a_payload, parsed, signed

PERSON_ITEMS = {"data": {"items": [{"id": "social_insurance_payment", "necessity": "required"}]}}


def test_a_well_formed_artefact_is_read_as_it_says():
    artefact = parsed(usage={"min_interval_s": 60}).artefact
    assert artefact.consent_id.version == 7
    assert artefact.subject.kind is SubjectKind.ENTERPRISE
    assert artefact.acts == {Act.QUERY, Act.EVALUATE}
    assert artefact.items["tax_payment"] is Necessity.REQUIRED
    assert (artefact.usage.mode, artefact.usage.period, artefact.usage.per_window) == (
        UsageMode.PERIODIC,
        Period.DAY,
        3,
    )
    assert artefact.provider("sichuan").region == "510000"
    assert artefact.provider("beijing") is None
    assert artefact.lookback_days == 730


def test_the_published_commitment_is_reproduced():
    subject = a_payload()["subject"]
    assert subject["commitment"] == "1050e5f78185a821aea84270f02294c0ad8f2d47af7cf06c0f5b99bf744aa9f1"


def test_bytes_are_kept_as_received():
    raw = signed(a_payload())
    assert parse_artefact(raw, VOCABULARY).raw == raw


def with_change(path, value):
    payload = copy.deepcopy(a_payload())
    *way, last = path
    holder = payload
    for step in way:
        holder = holder[step]
    if value is KeyError:
        del holder[last]
    else:
        holder[last] = value
    return payload


def field_of(payload):
    with pytest.raises(BashuError) as caught:
        parse_artefact(signed(payload), VOCABULARY)
    assert caught.value.reason is Reason.ARTEFACT_MALFORMED
    return caught.value.field


WRONG = {
    "another schema": (("schema",), "bashu-consent/2", "schema"),
    "no id": (("consent_id",), KeyError, "consent_id"),
    "an id of version 4": (("consent_id",), "6f1d2c1e-3b7a-4c58-9a55-8d1f7ac7e901", "consent_id"),
    "an id in capitals": (("consent_id",), "0192F3A4-5B6C-7D8E-9F00-112233445566", "consent_id"),
    "no audience": (("aud",), [], "aud"),
    "one audience as text": (("aud",), "bashu-gateway", "aud"),
    "an audience twice": (("aud",), ["a", "a"], "aud"),
    "a time as text": (("iat",), "1790000000", "iat"),
    "a time as true": (("nbf",), True, "nbf"),
    "an end before its start": (("exp",), 1, "exp"),
    "too long a window": (("exp",), 4_000_000_000, "exp"),
    "an unknown term": (("term",), {"until": "FOREVER"}, "term.until"),
    "a loan's end for a pre-loan purpose": (("term",), {"until": "LOAN_CLOSED"}, "term.until"),
    "91 days after the loan": (("term",), {"until": "LOAN_CLOSED", "plus_days": 91}, "term.plus_days"),
    "an unknown kind of subject": (("subject", "kind"), "trust", "subject.kind"),
    "an id type of the other kind": (("subject", "id_type"), "citizen_id", "subject.id_type"),
    "a commitment in capitals": (("subject", "commitment"), "A" * 64, "subject.commitment"),
    "NUL in a text": (("subject", "display"), "a\x00b", "subject.display"),
    "no requester": (("requester",), {}, "requester.institution"),
    "no provider": (("providers",), [], "providers"),
    "a wildcard provider": (("providers", 0, "platform_id"), "*", "providers[0].platform_id"),
    "an identifier for a provider": (
        ("providers", 0, "platform_id"),
        "510104199001011234",
        "providers[0].platform_id",
    ),
    "a wildcard region": (("providers", 0, "region"), "*", "providers[0].region"),
    "a provider twice": (("providers", 1, "platform_id"), "chongqing", "providers"),
    "no word on separate consent": (
        ("providers", 0, "separate_consent"),
        KeyError,
        "providers[0].separate_consent",
    ),
    "an unknown purpose": (("purpose", "code"), "CURIOSITY", "purpose.code"),
    "a person's purpose": (("purpose", "code"), "KEY_PERSON_REVIEW", "purpose.code"),
    "no purpose text": (("purpose", "text_sha256"), KeyError, "purpose.text_sha256"),
    "an unknown act": (("acts",), ["QUERY", "SELL"], "acts"),
    "no act of asking": (("acts",), ["REPORT_BACK"], "acts"),
    "an unknown item": (("data", "items", 0, "id"), "horoscope", "data.items[0].id"),
    "an item twice": (("data", "items", 1, "id"), "enterprise_registration", "data.items[1].id"),
    "no necessity": (("data", "items", 0, "necessity"), "nice", "data.items[0].necessity"),
    "no look-back": (("data", "lookback_days"), KeyError, "data.lookback_days"),
    "two look-backs": (("data", "from"), "2026-01-01", "data.to"),
    "no word on the warning": (("data", "restricted_items_ack"), KeyError, "data.restricted_items_ack"),
    "an unknown mode": (("usage", "mode"), "OFTEN", "usage.mode"),
    "no use": (("usage", "max_uses"), 0, "usage.max_uses"),
    "more uses than the policy has": (("usage", "max_uses"), 4, "usage.max_uses"),
    "periodic without windows": (("usage", "frequency"), None, "usage.frequency"),
    "an unknown window": (("usage", "frequency", "per"), "YEAR", "usage.frequency.per"),
    "an unknown zone": (("usage", "tz"), "Asia/Atlantis", "usage.tz"),
    "a zone that is a path": (("usage", "tz"), "../../etc/passwd", "usage.tz"),
    "an unknown end": (("retention", "on_expiry"), "SELL", "retention.on_expiry"),
    "no notice": (("notice",), KeyError, "notice"),
    "no time of notice": (("notice", "shown_at"), KeyError, "notice.shown_at"),
    "an unknown form": (("capture", "form"), "HEARSAY", "capture.form"),
    "no mandate": (("capture", "signatory", "mandate"), "FRIEND", "capture.signatory.mandate"),
    "a member of no meaning": (("colour",), "red", "colour"),
    "an inner member of no meaning": (("usage", "colour"), "red", "usage.colour"),
    "a number beyond 2^53": (("retention", "days"), 2**60, "retention.days"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_is_named(case):
    path, value, field = WRONG[case]
    assert field_of(with_change(path, value)) == field


def test_a_span_of_days_stands_in_place_of_a_number():
    payload = with_change(("data", "lookback_days"), KeyError)
    payload["data"] |= {"from": "2024-01-01", "to": "2026-01-01"}
    artefact = parse_artefact(signed(payload), VOCABULARY).artefact
    assert artefact.lookback_days is None
    assert artefact.lookback_range[0].isoformat() == "2024-01-01"
    payload["data"] |= {"from": "2026-02-01"}
    assert field_of(payload) == "data.from"


def test_one_time_means_one_use():
    assert field_of(a_payload(usage={"mode": "ONE_TIME", "max_uses": 2, "frequency": None})) == "usage.max_uses"
    usage = parsed(usage={"mode": "ONE_TIME", "max_uses": 1, "frequency": None}).artefact.usage
    assert (usage.period, usage.per_window) == (None, None)


def test_a_loans_consent_may_run_until_its_closing_and_90_days():
    artefact = parsed(**POST_LOAN, term={"until": "LOAN_CLOSED", "plus_days": 90}).artefact
    assert (artefact.ends_with_loan, artefact.plus_days) == (True, 90)
    fixed = parsed(term=None).artefact
    assert (fixed.ends_with_loan, fixed.plus_days) == (False, 0)


def test_a_person_cannot_be_made_to_waive_withdrawal():
    payload = a_payload(subject=PERSON, **PERSON_ITEMS)
    payload["purpose"]["legal_basis"] = "本授权不可撤销"
    assert field_of(payload) == "artefact"
    firm = a_payload(subject=OTHER_FIRM)
    firm["purpose"]["legal_basis"] = "本授权不可撤销"
    parse_artefact(signed(firm), VOCABULARY)


def test_a_lenders_own_letter_never_opens_a_persons_restricted_items():
    attested = {"capture": {"assurance": "LENDER_ATTESTED"}}
    assert field_of(a_payload(subject=PERSON, **PERSON_ITEMS, **attested)) == "capture.assurance"
    parse_artefact(signed(a_payload(**attested)), VOCABULARY)


def test_an_item_of_firms_cannot_be_granted_about_a_person():
    assert field_of(a_payload(subject=PERSON)) == "data.items"


def test_form_of_the_jws_is_strict():
    raw = signed(a_payload())
    endless = sign_compact(b'{"iat": %s}' % (b"9" * 5_000), key=AUTHORITY_KEY, kid="k", typ=ARTEFACT_TYPE).encode()
    for wrong in (b"", raw[:-1] + b"=", raw + b".x", b"a" * 40_000, endless):
        with pytest.raises(BashuError) as caught:
            parse_artefact(wrong, VOCABULARY)
        assert (caught.value.reason, caught.value.field) == (Reason.ARTEFACT_MALFORMED, "artefact")


def test_half_of_a_surrogate_pair_is_no_text():
    payload = json.dumps(with_change(("subject", "display"), "\ud800")).encode()
    with pytest.raises(BashuError) as caught:
        parse_artefact(sign_compact(payload, key=AUTHORITY_KEY, kid="k", typ=ARTEFACT_TYPE).encode(), VOCABULARY)
    assert (caught.value.reason, caught.value.field) == (Reason.ARTEFACT_MALFORMED, "subject.display")


def test_no_message_repeats_what_was_wrong():
    payload = a_payload()
    payload["subject"]["id_type"] = "91500105XXTT00018M"
    with pytest.raises(BashuError) as caught:
        parse_artefact(signed(payload), VOCABULARY)
    assert "91500105XXTT00018M" not in caught.value.message
