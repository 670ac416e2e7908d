"""``queryReason``: the purposes sichuan offers (docs/platforms/sichuan.md section 9)."""

from __future__ import annotations

from typing import Final

from sandbox.sichuan.refusals import forbidden

OFFERED: Final = frozenset(
    {
        "LOAN_APPROVAL",
        "POST_LOAN",
        "GUARANTEE",
        "RELATED",
        "IN_LOAN",
        "UNDERWRITING",
        "GUARANTEE_MONITORING",
        "DISPUTE",
        "SELF",
    }
)


def checked_purpose(reason: str | None) -> str:
    """Return a purpose that is offered; absent or unknown is refused, never a default."""
    if reason is None or reason not in OFFERED:
        raise forbidden("query reason not offered")
    return reason
