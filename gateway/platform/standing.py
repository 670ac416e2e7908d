"""What platforms' operators decided, as a query feels it: who is not asked now, and how much of an answer gets out.

From the registry's snapshot, confirmed less than a second ago: a stop counts within 1 s (platforms.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditRecord
from core.permit import Permit
from gateway.identity.model import ExportPolicy, PlatformState
from gateway.identity.registry import Registry
from standards.answer import ItemAnswer, body_of
from standards.catalogue import Standard
from standards.items import DataItem

STATUS_OF: Final[Mapping[PlatformState, PlatformStatus.ValueType]] = {
    PlatformState.DRAINING: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    PlatformState.MAINTENANCE: PlatformStatus.PLATFORM_STATUS_MAINTENANCE,
    PlatformState.STOPPED: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
}
GRADE_FIELDS: Final = ("grade", "scale_id", "year", "calculated_on", "uscc")
"""What DERIVED leaves of a graded item's record, beside the fields it is told apart by."""
OK: Final = PlatformStatus.PLATFORM_STATUS_OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Why a platform is not asked now."""

    status: PlatformStatus.ValueType
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What holds for one query: platforms that are closed, and how much of an answer each lets out.

    ``quotas``: questions a day that platforms grant the lender, where they limit them.
    """

    closed: Mapping[str, Closed]
    policies: Mapping[str, ExportPolicy]
    quotas: Mapping[str, int] = field(default_factory=dict)


class Controls:
    """Reads the operators' decisions from the registry."""

    def __init__(self, registry: Registry, *, standard: Standard) -> None:
        self._registry = registry
        self._standard = standard

    async def standing(self, permit: Permit, *, is_self: bool) -> Standing:
        """Return what holds for a permit now. To its own subject law opens every value (条例 Art. 17)."""
        snapshot = await self._registry.snapshot()
        states = {name: snapshot.platforms[name].state for name in permit.targets if name in snapshot.platforms}
        access = {name: snapshot.access.get((name, permit.institution)) for name in permit.targets}
        return Standing(
            closed={
                name: Closed(status=STATUS_OF[state], detail=f"PLATFORM_{state.value}")
                for name, state in states.items()
                if state is not PlatformState.RUNNING
            },
            quotas={}
            if is_self
            else {name: row.daily_quota for name, row in access.items() if row and row.daily_quota},
            policies={} if is_self else {name: row.export_policy for name, row in access.items() if row is not None},
        )

    def exported(self, standing: Standing, answers: Sequence[ItemAnswer]) -> list[ItemAnswer]:
        """Return what each platform lets out of its answers, before anything is merged."""
        return [
            export(answer, standing.policies.get(answer.platform_id, ExportPolicy.VALUES), self._standard)
            for answer in answers
        ]


def export(answer: ItemAnswer, policy: ExportPolicy, standard: Standard) -> ItemAnswer:
    """Return an answer as its platform's export policy lets it out.

    VERIFY_ONLY says whether there are records, yes or no; DERIVED says how many, and of graded items the grade.
    What stays behind is counted in ``held_back``, so that nobody reads it as nothing found.
    """
    if policy is ExportPolicy.VALUES or not answer.has_answered:
        return answer
    if policy is ExportPolicy.VERIFY_ONLY:
        said = "YES" if answer.records else "NO"
        return replace(answer, records=(), held_back=int(bool(answer.records)), detail=f"VERIFY_ONLY {said}")
    item = standard.items.get(answer.item)
    is_graded = any(field.field_id == "grade" for field in item.fields)
    kept = tuple(_grade_alone(record, item) for record in answer.records) if is_graded else ()
    count = len(answer.records)
    return replace(answer, records=kept, held_back=count - len(kept), detail=f"DERIVED COUNT {count}")


def _grade_alone(record: CreditRecord, item: DataItem) -> CreditRecord:
    kept = {*GRADE_FIELDS, *item.natural_key}
    copy = CreditRecord()
    copy.CopyFrom(record)
    body = body_of(copy)
    for member, _ in list(body.ListFields()):
        if member.name not in kept:
            body.ClearField(member.name)
    return copy
