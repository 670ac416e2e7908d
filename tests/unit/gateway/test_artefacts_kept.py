"""An artefact that can no longer be read stands in nobody else's way."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

from gateway.artefacts import Artefacts
from tests.admission_stage import VOCABULARY, a_payload, signed


class Stored:
    """A database that holds artefacts by consent."""

    def __init__(self, raws):
        self._raws = raws

    async def fetch(self, _sql, ids):
        return [{"consent_id": consent_id, "artefact": self._raws[consent_id]} for consent_id in ids]


def facts(consent_id, raw):
    return SimpleNamespace(consent_id=consent_id, artefact_hash=hashlib.sha256(raw).digest())


async def test_one_unreadable_artefact_does_not_fail_those_read_with_it():
    raws = {"good": signed(a_payload()), "of another time": signed(a_payload() | {"schema": "bashu-consent/0"})}
    consents = {name: facts(name, raw) for name, raw in raws.items()}
    artefacts = Artefacts(VOCABULARY)
    await artefacts.load(Stored(raws), consents.values())
    assert artefacts.get(consents["good"].artefact_hash) is not None
    assert artefacts.get(consents["of another time"].artefact_hash) is None
