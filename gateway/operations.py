"""What a gateway's administrator may look at from afar: the settings in force, and the doctor's findings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from core.errors import BashuError, Reason, Turn
from gateway.doctor import Finding, diagnose
from gateway.settings import Settings

DOCTOR_S: Final = 25.0
"""Longest run for one call; a platform that answers nothing costs 5 s a step."""


class Operations:
    """Looks at one worker's own machine; one doctor at a time, so that nobody multiplies its connections."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = asyncio.Lock()

    def shown(self) -> dict[str, str]:
        """Return settings by dotted name; of files, and so of every secret, only whether one is named."""
        return dict(_flat(self._settings, ""))

    async def findings(self) -> list[Finding]:
        """Run the doctor without asking about any subject.

        Raises:
            BashuError: OVERLOADED while another run is under way, OUT_OF_TIME where it takes too long.
        """
        if self._running.locked():
            raise BashuError(Reason.OVERLOADED, "The doctor is already running here; ask again", retry_after_s=5.0)
        async with self._running:
            try:
                async with asyncio.timeout(DOCTOR_S):
                    return [finding async for finding in diagnose(self._settings)]
            except TimeoutError:
                raise BashuError(
                    Reason.OUT_OF_TIME, "The doctor took too long; run bashu-gateway doctor", turn=Turn.OPERATOR
                ) from None


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from _flat(getattr(value, field), f"{name}.{field}" if name else field)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _flat(value[key], f"{name}.{key}")
    elif isinstance(value, Path):
        yield name, "(file)"
    else:
        yield name, "" if value is None else str(value)
