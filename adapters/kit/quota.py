"""A platform's quota of calls a day, shared by every worker; where it is kept is the gateway's business."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias


class Quota(Protocol):
    """One platform's quota."""

    async def take(self) -> bool:
        """Count one call of today (Asia/Shanghai); False where today's quota is gone, or nobody can tell."""


Quotas: TypeAlias = Callable[[str, int], Quota]
"""Return the quota of a platform id with so many calls a day, at least 1."""
