"""What one platform said about one data item: built by adapters, merged into a report.

Records are contract messages. An adapter fills only ``body``, ``marks`` and ``field_quality`` of a ``CreditRecord``;
ids and sources are the merge's to give.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from google.protobuf.message import Message

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import QUALITY_REPORTED, CreditRecord, Quality

BODY: Final = "body"
GATEWAY: Final = "gateway"
"""Stands for a platform where the gateway answers from its own ledger."""


class Mark(StrEnum):
    """Marks of a record. REPAIRED never leaves the gateway: it is the reason why a record does not (R27).

    AS_OF_IN_FUTURE is the merge's to give: a source says that its data describe a moment that has not come.
    """

    BRANCH = "BRANCH"
    DIVISION_UNKNOWN = "DIVISION_UNKNOWN"
    CODE_UNKNOWN = "CODE_UNKNOWN"
    HISTORIC = "HISTORIC"
    REPAIRED = "REPAIRED"
    AS_OF_IN_FUTURE = "AS_OF_IN_FUTURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemAnswer:
    """One platform's answer for one item; every status is a normal value, none an exception.

    ``as_of`` is the day or moment that the data describe, ``fetched_at`` when they came (both aware, UTC; None =
    unknown). ``raw_digest`` is the SHA-256 of the answer as received (R38). ``detail`` is a code and words for an
    operator, never a value. ``dropped_class3`` counts values of natural persons that the adapter dropped.
    ``resume_after`` goes with PENDING. ``was_sent`` False: certainly not a byte of the question left. A record that is
    not of ``item`` is a ValueError.

    ``held_back`` counts what is there but does not leave by the platform's export policy (1 where it says no number).
    """

    platform_id: str
    region: str
    item: str
    status: PlatformStatus.ValueType
    records: tuple[CreditRecord, ...] = ()
    as_of: datetime | None = None
    fetched_at: datetime | None = None
    latency_ms: int = 0
    raw_digest: bytes = b""
    source_department: str = ""
    dropped_class3: int = 0
    held_back: int = 0
    detail: str = ""
    mapping_version: str = ""
    quality: Quality.ValueType = QUALITY_REPORTED
    resume_after: datetime | None = None
    was_sent: bool = True

    def __post_init__(self) -> None:
        if any(record.WhichOneof(BODY) != self.item for record in self.records):
            raise ValueError(f"an answer about {self.item} holds a record of another item")
        if self.records and self.status != PlatformStatus.PLATFORM_STATUS_OK:
            raise ValueError("an answer with records has status OK")

    @property
    def has_answered(self) -> bool:
        """Tell whether the platform answered, with records or with nothing found."""
        return self.status in {PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_NO_DATA}


def record_of(body: Message, *, marks: Iterable[Mark] = (), field_quality: Iterable[str] = ()) -> CreditRecord:
    """Wrap an item's message; ``field_quality`` holds ``field=INFERRED`` or ``field=DERIVED``.

    Raises TypeError for a message that is no item of the standard.
    """
    for field in CreditRecord.DESCRIPTOR.oneofs_by_name[BODY].fields:
        if field.message_type is not None and field.message_type.full_name == body.DESCRIPTOR.full_name:
            record = CreditRecord(marks=sorted({mark.value for mark in marks}), field_quality=sorted(field_quality))
            getattr(record, field.name).CopyFrom(body)
            # An item of which nothing is known is still that item, so presence is set even for an empty body.
            getattr(record, field.name).SetInParent()
            return record
    raise TypeError(f"{body.DESCRIPTOR.full_name} is no data item")


def body_of(record: CreditRecord) -> Message:
    """Return the item's message inside a record. Raises ValueError for a record without one."""
    name = record.WhichOneof(BODY)
    if name is None:
        raise ValueError("a record without a body")
    body: Message = getattr(record, name)
    return body
