"""Identifiers made here."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from typing import Final

EXTERNAL_REFERENCE: Final = re.compile(r"[\w.@-]{1,64}")
"""Shape of staff numbers, loan and application references and other identifiers chosen outside."""


def uuid7(unix_ms: int | None = None) -> uuid.UUID:
    """Return a UUID version 7 (RFC 9562 section 5.7): sortable by time, 74 random bits."""
    ms = time.time_ns() // 1_000_000 if unix_ms is None else unix_ms
    value = (ms & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=value)


def is_external_reference(text: str) -> bool:
    """Tell whether ``text`` is a legal reference chosen outside (see :data:`EXTERNAL_REFERENCE`)."""
    return EXTERNAL_REFERENCE.fullmatch(text) is not None
