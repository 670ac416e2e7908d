"""What servicers refuse before they touch the database: wrong shapes, words that leaves may not hold, strangers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bashu.v1 import consent_pb2, ledger_pb2
from core.errors import BashuError, Reason
from gateway.identity.model import CALLER, Role
from gateway.services.consent import ConsentServicer
from gateway.services.disputes import state_of
from gateway.services.ledger import LedgerServicer

ODD = {
    "no key of an entry": ("GetEntry", ledger_pb2.GetEntryRequest()),
    "an entry id that is none": ("GetEntry", ledger_pb2.GetEntryRequest(entry_id="xyz")),
    "an index below nought": ("GetEntry", ledger_pb2.GetEntryRequest(leaf_index=-1)),
    "no key of a proof": ("GetInclusionProof", ledger_pb2.GetInclusionProofRequest()),
    "a tree below nought": ("GetInclusionProof", ledger_pb2.GetInclusionProofRequest(leaf_index=0, tree_size=-1)),
    "a page of a consent that is none": ("ListEntries", ledger_pb2.ListEntriesRequest(consent_id="xyz")),
    "a page of a type that is none": ("ListEntries", ledger_pb2.ListEntriesRequest(types=["SECRET"])),
    "a page from before the log": ("ListEntries", ledger_pb2.ListEntriesRequest(from_index=-1)),
    "a page nobody gave": ("ListEntries", ledger_pb2.ListEntriesRequest(page={"page_token": "x"})),
    "a page beyond any log": ("ListEntries", ledger_pb2.ListEntriesRequest(page={"page_token": "9" * 19})),
    "a size below nought": ("GetConsistencyProof", ledger_pb2.GetConsistencyProofRequest(from_size=-1)),
}


@pytest.mark.parametrize("case", ODD)
async def test_the_ledger_is_asked_in_shape(case):
    rpc, request = ODD[case]
    with pytest.raises(BashuError) as caught:
        # Without anything it could read from: the shape is looked at first.
        await getattr(LedgerServicer.__new__(LedgerServicer), rpc)(request, None)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("number", [0, -5, 9999])
def test_a_number_that_names_no_state_of_a_dispute_is_malformed(number):
    with pytest.raises(BashuError) as caught:
        state_of(number)
    assert caught.value.reason is Reason.MALFORMED


LEDGER_PARTS = dict.fromkeys(("db", "vkey", "reviews", "pseudonyms", "standard", "clock"))


@pytest.mark.parametrize(
    "field", [{"consent_id": "xyz"}, {"month": "march"}, {"day": "today"}, {"from_index": -1}, {"tree_size": -1}]
)
async def test_an_export_is_asked_in_shape(field):
    lines = LedgerServicer(**LEDGER_PARTS).ExportEntries(ledger_pb2.ExportEntriesRequest(**field), None)
    with pytest.raises(BashuError) as caught:
        await anext(lines)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("reason", ["91500105XXTT00018M", "510104199001011234", "A_1990_0101"])
async def test_a_reason_to_withdraw_is_a_code_and_no_number_of_somebody(reason):
    CALLER.set(SimpleNamespace(role=Role.LENDER, institution="bank-cq"))
    request = consent_pb2.RevokeConsentRequest(consent_id="01a20a5a-920b-7835-8d73-3e578a74bb56", reason=reason)
    with pytest.raises(BashuError) as caught:
        await ConsentServicer(consents=None, asking=None, reviews=None).RevokeConsent(request, None)
    assert (caught.value.reason, caught.value.field) == (Reason.MALFORMED, "reason")


class Register:
    """Consents that only ask whether the caller is a party of the artefact."""

    def __init__(self, artefact):
        self._artefact = artefact

    async def register(self, _raw, *, only_for, is_party):
        self.is_party = is_party(self._artefact)
        raise BashuError(Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, "seen enough")


@pytest.mark.parametrize(
    ("caller", "is_party"),
    [
        ({"role": Role.CONSENT_AUTHORITY, "participant_id": "authority-cq"}, True),
        ({"role": Role.CONSENT_AUTHORITY, "participant_id": "authority-sc"}, False),
        ({"role": Role.SUBJECT_AGENT, "participant_id": "portal", "subject_commitment": "a" * 64}, True),
        ({"role": Role.SUBJECT_AGENT, "participant_id": "portal", "subject_commitment": "b" * 64}, False),
        ({"role": Role.SUBJECT_AGENT, "participant_id": "portal", "subject_commitment": None}, False),
    ],
)
async def test_an_artefact_is_brought_by_its_authority_or_its_subjects_agent(caller, is_party):
    CALLER.set(SimpleNamespace(institution="x", **caller))
    artefact = SimpleNamespace(issuer="authority-cq", subject=SimpleNamespace(commitment="a" * 64))
    consents = Register(artefact)
    with pytest.raises(BashuError):
        await ConsentServicer(consents=consents, asking=None, reviews=None).RegisterConsent(
            consent_pb2.RegisterConsentRequest(artefact=b"x"), None
        )
    assert consents.is_party is is_party
