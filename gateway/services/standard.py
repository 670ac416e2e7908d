"""StandardService: the unified credit standard as data, for any authenticated caller."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.kit.protocol import Adapter, PlatformInfo
from bashu.v1 import common_pb2, standard_pb2, standard_pb2_grpc
from core.errors import BashuError, Reason
from gateway.identity.model import PlatformState
from gateway.identity.registry import Registry
from gateway.interceptors import Context
from gateway.platform.health import Health, PlatformHealth
from gateway.platform.quotas import GATEWAY, SharedQuotas
from standards.catalogue import Standard
from standards.codes import Code
from standards.items import DataItem
from standards.tables import Validity


class StandardServicer(standard_pb2_grpc.StandardServiceServicer):
    """Answers from tables that were read when the worker started."""

    def __init__(
        self,
        *,
        standard: Standard,
        adapters: Mapping[str, Adapter],
        registry: Registry,
        health: PlatformHealth,
        quotas: SharedQuotas | None = None,
    ) -> None:
        self._quotas = quotas
        self._standard = standard
        self._adapters = adapters
        self._registry = registry
        self._health = health

    async def ListDataItems(  # noqa: N802 - the contract's name
        self, _request: standard_pb2.ListDataItemsRequest, _context: Context
    ) -> standard_pb2.ListDataItemsResponse:
        """Return the dictionary of data items with their fields."""
        return standard_pb2.ListDataItemsResponse(items=[data_item(item) for item in self._standard.items.all()])

    async def GetCodeList(  # noqa: N802
        self, request: standard_pb2.GetCodeListRequest, _context: Context
    ) -> standard_pb2.GetCodeListResponse:
        """Return one code list."""
        codes = self._standard.codes.codes(request.code_list)
        if not codes:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such code list", field="code_list")
        return standard_pb2.GetCodeListResponse(codes=[code_entry(code) for code in codes])

    async def ListRatingScales(  # noqa: N802
        self, _request: standard_pb2.ListRatingScalesRequest, _context: Context
    ) -> standard_pb2.ListRatingScalesResponse:
        """Return every grade of every scale."""
        grades = [grade for scale in self._standard.scales.rows.values() for grade in scale]
        return standard_pb2.ListRatingScalesResponse(
            grades=[
                standard_pb2.RatingGrade(
                    scale_id=grade.scale_id,
                    rank=grade.rank or 0,
                    grade=grade.code,
                    label_zh=grade.label_zh,
                    source=grade.source,
                    **_effective(grade.validity),
                )
                for grade in grades
            ]
        )

    async def TranslateRating(  # noqa: N802
        self, request: standard_pb2.TranslateRatingRequest, _context: Context
    ) -> standard_pb2.TranslateRatingResponse:
        """Translate a rating to a range on another scale, or say why there is no basis for it."""
        scales = self._standard.scales
        for field, scale in (("scale_id", request.scale_id), ("target_scale_id", request.target_scale_id)):
            if not scales.exists(scale):
                raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such rating scale", field=field)
        grade = scales.resolve(request.scale_id, request.grade)
        if not grade.is_known:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "the scale has no such grade", field="grade")
        found = self._standard.translations.translate(request.scale_id, grade.value, request.target_scale_id)
        return standard_pb2.TranslateRatingResponse(
            translatable=not found.refusal,
            best=found.best,
            worst=found.worst,
            indicative=found.is_indicative,
            mapping_version=found.mapping_version,
            basis=found.basis,
            refusal=found.refusal,
        )

    async def ListPurposes(  # noqa: N802
        self, _request: standard_pb2.ListPurposesRequest, _context: Context
    ) -> standard_pb2.ListPurposesResponse:
        """Return every purpose."""
        return standard_pb2.ListPurposesResponse(
            purposes=[
                standard_pb2.Purpose(
                    id=purpose.purpose_id,
                    name_zh=purpose.name_zh,
                    name_en=purpose.name_en,
                    subject_kinds=_kinds(purpose.subject_kinds),
                    institution_kinds=sorted(purpose.institution_kinds),
                    needs=purpose.needs.value,
                    counts_as_enquiry=purpose.counts_as_enquiry,
                )
                for purpose in self._standard.purposes.all()
            ]
        )

    async def ListPlatforms(  # noqa: N802
        self, _request: standard_pb2.ListPlatformsRequest, _context: Context
    ) -> standard_pb2.ListPlatformsResponse:
        """Return the platforms with their coverage and quota, and state and latency as this worker saw them lately."""
        known = (await self._registry.snapshot()).platforms
        limits = self._quotas.limits if self._quotas else {}
        taken = await self._quotas.taken() if self._quotas and limits else {}
        rows = []
        for platform_id, adapter in sorted(self._adapters.items()):
            decided = known[platform_id].state if platform_id in known else PlatformState.RUNNING
            row = _platform(adapter.platform, self._health.of(platform_id, decided))
            if platform_id in limits:
                row.daily_quota = limits[platform_id]
                row.daily_quota_taken = taken.get((platform_id, GATEWAY), 0)
            rows.append(row)
        return standard_pb2.ListPlatformsResponse(platforms=rows)


def data_item(item: DataItem) -> standard_pb2.DataItem:
    """Write an item of the dictionary with its fields, as ``ListDataItems`` and the client's own copy show it."""
    return standard_pb2.DataItem(
        id=item.item_id,
        name_zh=item.name_zh,
        name_en=item.name_en,
        owning_department=item.owning_department,
        subject_kinds=_kinds(item.subject_kinds),
        sharing_mode=item.sharing_mode.value,
        access_class=item.access.value,
        sensitivity=item.sensitivity,
        restricted=item.is_restricted,
        retention_rule=item.retention_rule or "",
        held_by=item.held_by,
        typed=item.is_typed,
        source=item.source,
        fields=[
            standard_pb2.DataField(
                id=field.field_id,
                name_zh=field.name_zh,
                name_en=field.name_en,
                type=field.type,
                unit=field.unit or "",
                required=field.is_required,
                access=field.access.value,
                data_class=int(field.data_class.value),
                source=field.source,
            )
            for field in item.fields
        ],
    )


def code_entry(code: Code) -> standard_pb2.CodeEntry:
    """Write one code of a list."""
    return standard_pb2.CodeEntry(
        code=code.value,
        name_zh=code.name_zh,
        name_en=code.name_en,
        source=code.source,
        **_effective(code.validity),
    )


def _platform(row: PlatformInfo, health: Health) -> standard_pb2.Platform:
    licence = row.licence
    platform = standard_pb2.Platform(
        state=health.state,
        platform_id=row.platform_id,
        name_zh=row.name_zh,
        name_en=row.name_en,
        region=row.region,
        platform_kind=row.platform_kind,
        data_items=sorted(row.items),
        data_registration="not registered",
        licence=common_pb2.Licence(
            kind=licence.kind,
            number=licence.number,
            authority=licence.authority,
            valid_from=licence.valid_from.isoformat(),
            valid_to=licence.valid_to.isoformat() if licence.valid_to else "",
        ),
    )
    for duration, milliseconds in (
        (platform.latency_p50, health.p50_ms),
        (platform.latency_p95, health.p95_ms),
        (platform.latency_p99, health.p99_ms),
    ):
        if milliseconds is not None:
            duration.FromMilliseconds(milliseconds)
    return platform


def _kinds(kinds: frozenset[object]) -> str:
    names = sorted(str(kind) for kind in kinds)
    return names[0] if len(names) == 1 else "both"


def _effective(validity: Validity) -> dict[str, str]:
    return {
        "effective_from": validity.first.isoformat() if validity.first else "",
        "effective_to": validity.last.isoformat() if validity.last else "",
    }
