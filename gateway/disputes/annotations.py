"""What reports say of statements and disputes, read once the platforms have answered: from receipt on, no gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from bashu.v1.report_pb2 import Annotation, CreditReport
from core.errors import BashuError
from core.permit import Subject
from database import Database
from gateway.batcher import Batcher
from gateway.disputes import store
from gateway.disputes.model import AnnotationKind, State, annotation_of
from gateway.disputes.service import STATEMENT, Disputes
from gateway.disputes.store import Noted
from gateway.pseudonyms import Pseudonyms

DISPUTED_TEXT: Final = "信息主体对该记录提出异议，正在核查。 The subject disputes this record; it is being checked."
UNVERIFIABLE_TEXT: Final = "经核查仍不能确认。 It was checked and cannot be verified."


class Annotations:
    """Annotates reports; many subjects are looked up in one statement. :meth:`run` belongs to the worker."""

    def __init__(self, db: Database, *, disputes: Disputes, pseudonyms: Pseudonyms) -> None:
        self._db = db
        self._pseudonyms = pseudonyms
        self._disputes = disputes
        self._batcher: Batcher[str, list[Noted]] = Batcher(self._read)

    async def run(self) -> None:
        """Look up what gathers until cancelled."""
        await self._batcher.run()

    async def annotate(self, report: CreditReport, subject: Subject) -> None:
        """Add the annotations of records that the report shows, and of the file as a whole, the oldest first.

        What a subject wrote and had erased is left out; that it disputes a record stays said.
        """
        found = await self._batcher.submit(self._pseudonyms.subject(subject))
        if not found:
            return
        shown = {record.record_id for record in report.records} | {""}
        for noted in found:
            if noted.record_id in shown and (annotation := await self._annotation(noted)) is not None:
                report.annotations.append(annotation)

    async def _read(self, pseudonyms: list[str]) -> Sequence[list[Noted] | BashuError]:
        by_subject: dict[str, list[Noted]] = defaultdict(list)
        for noted in await _noted(self._db, set(pseudonyms)):
            by_subject[noted.pseudonym].append(noted)
        return [by_subject.get(pseudonym, []) for pseudonym in pseudonyms]

    async def _annotation(self, noted: Noted) -> Annotation | None:
        if noted.state == STATEMENT:
            kind, text = AnnotationKind.STATEMENT, await self._disputes.text_of(noted.entry_id)
            if not text:
                return None
        else:
            found = annotation_of(State(noted.state), noted.outcome)
            if found is None:
                return None
            kind, text = found, DISPUTED_TEXT
            if kind is AnnotationKind.UNVERIFIABLE:
                text = await self._unverifiable(noted)
        annotation = Annotation(record_id=noted.record_id, kind=kind.value, text=text)
        annotation.since.FromDatetime(noted.since)
        return annotation

    async def _unverifiable(self, noted: Noted) -> str:
        """R32, 条例 Art. 25 para 3: what the dispute says and how it was checked are recorded."""
        parts = [UNVERIFIABLE_TEXT]
        if explanation := await self._disputes.text_of(noted.explanation_entry_id):
            parts.append(f"核查情况 check: {explanation}")
        if words := await self._disputes.opener_text(noted.entry_id):
            parts.append(f"异议内容 dispute: {words}")
        return "\n".join(parts)


async def _noted(db: Database, pseudonyms: Iterable[str]) -> list[Noted]:
    return await store.noted(db, sorted(pseudonyms))
