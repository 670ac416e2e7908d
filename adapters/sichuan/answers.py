"""From what each module answered to the outcome of each item."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from adapters.kit.answering import Outcome, failed, refused
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import messages as sc
from adapters.sichuan.modules import ACTUAL_CONTROLLER, Mapper, Module
from adapters.sichuan.reading import Reading
from adapters.sichuan.registers import with_controller
from bashu.v1.report_pb2 import CreditRecord
from standards.catalogue import Standard
from standards.days import day, moment_of_epoch_ms, start_of_day
from standards.malformed import MalformedValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one module brought: rows, or why there are none. ``bodies`` are the HTTP answers that brought them."""

    rows: Sequence[Any] = ()
    total: int | None = None
    as_of: str = ""
    failure: PlatformFailureError | None = None
    bodies: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """All modules of one query by name; ``name`` is the subject's as registered, ``excess`` what was not asked."""

    name: str = ""
    modules: Mapping[str, Answered] = field(default_factory=dict)
    excess: int = 0

    def updated(self, other: Collected) -> Collected:
        """Return this with the modules of a later answer in the place of its own."""
        return Collected(
            name=other.name or self.name,
            modules={**self.modules, **other.modules},
            excess=self.excess + other.excess,
        )


def outcomes_of(
    collected: Collected, modules: Iterable[Module], *, subject: str | None, standard: Standard
) -> Mapping[str, Outcome]:
    """Return the outcome of the item of each module; one that breaks, or is about somebody else, is MALFORMED alone."""
    outcomes: dict[str, Outcome] = {}
    for module in modules:
        if module.name == ACTUAL_CONTROLLER:
            continue
        for item, mapper in module.items.items():
            reading = Reading(module=module.name, subject=subject, name=collected.name, standard=standard)
            outcomes[item] = _outcome(collected, module, mapper, reading)
    if collected.excess and outcomes:
        first = min(outcomes)
        outcomes[first] = replace(outcomes[first], notes=(*outcomes[first].notes, f"NOT_ASKED {collected.excess}"))
    return outcomes


def _outcome(collected: Collected, module: Module, mapper: Mapper, reading: Reading) -> Outcome:
    answered = collected.modules[module.name]
    if answered.failure is not None:
        return failed(answered.failure)
    notes: tuple[str, ...] = ()
    try:
        records = mapper(reading, answered.rows) if answered.rows else []
        if module.item == "shareholder_and_capital":
            notes = _controlled(collected, reading, records)
        as_of = _as_of(module, answered)
    except MalformedValueError as error:
        return refused(Failure.MALFORMED, error.path)
    except PlatformFailureError as failure:
        return failed(failure)
    return Outcome(
        records=tuple(records),
        as_of=as_of,
        raw_digest=_digest(answered.bodies),
        dropped_class3=reading.dropped,
        notes=notes,
    )


def _controlled(collected: Collected, reading: Reading, records: Sequence[CreditRecord]) -> tuple[str, ...]:
    """Join who controls to the shareholders; a failing module is only named."""
    answered = collected.modules.get(ACTUAL_CONTROLLER)
    if answered is None:
        return ()
    if answered.failure is not None:
        return (f"actual-controller: {answered.failure.detail}",)
    for controller in answered.rows:
        if isinstance(controller, sc.Controller):
            with_controller(reading, records, controller)
    return ()


def _as_of(module: Module, answered: Answered) -> datetime | None:
    first = answered.rows[0] if answered.rows else None
    if isinstance(first, sc.BasicInfo):
        return moment_of_epoch_ms(first.update_time, path=f"{module.name}.updateTime")
    found = day(answered.as_of, path=f"{module.name}.asOf")
    return None if found is None else start_of_day(found)


def _digest(bodies: tuple[bytes, ...]) -> bytes:
    digest = hashlib.sha256()
    for body in bodies:
        digest.update(body)
    return digest.digest()
