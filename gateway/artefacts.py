"""Artefacts that were read and parsed, by the hash of their bytes: a hash says what an artefact is, never its state."""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from consent import store as consent_store
from consent.artefact import ParsedArtefact, Vocabulary, parse_artefact
from consent.model import ConsentFacts
from consent.policy import UNLIMITED_TERMS
from core.errors import BashuError
from database import Statements

MOST_KEPT: Final = 4096


class Artefacts:
    """A bounded cache in front of ``consent_artefact``; the least recently used leaves first."""

    def __init__(self, vocabulary: Vocabulary, *, most: int = MOST_KEPT) -> None:
        # What a policy allows is decided when a consent is registered; a later policy must not make it unreadable.
        self._vocabulary = replace(vocabulary, terms=UNLIMITED_TERMS)
        self._most = most
        self._kept: OrderedDict[bytes, ParsedArtefact] = OrderedDict()

    def get(self, sha256: bytes) -> ParsedArtefact | None:
        """Return the artefact with this hash, None where it was not loaded, or its bytes had another hash."""
        parsed = self._kept.get(sha256)
        if parsed is not None:
            self._kept.move_to_end(sha256)
        return parsed

    async def load(self, db: Statements, consents: Iterable[ConsentFacts]) -> None:
        """Read the artefacts of ``consents`` that are not kept yet; what has another hash or reads no more is left out.

        One consent's unreadable bytes are that consent's refusal, never that of the questions decided with it.
        """
        missing = {facts.consent_id: facts for facts in consents if facts.artefact_hash not in self._kept}
        if not missing:
            return
        for consent_id, raw in (await consent_store.artefacts(db, list(missing))).items():
            if hashlib.sha256(raw).digest() == missing[consent_id].artefact_hash:
                with contextlib.suppress(BashuError):
                    self._keep(parse_artefact(raw, self._vocabulary))

    def _keep(self, parsed: ParsedArtefact) -> None:
        self._kept[parsed.sha256] = parsed
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
