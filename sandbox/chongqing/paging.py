"""Cut a result into pages of 50 rows (docs/platforms/chongqing.md section 6, Paging)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sandbox.chongqing.groups import Group, Single

ROWS_A_PAGE: Final = 50


def page_count(found: Sequence[Group]) -> int:
    """Return ``ZYS``: 1 also when there is no row at all."""
    rows = sum(len(group.rows) for group in found if not isinstance(group, Single))
    return max(1, -(-rows // ROWS_A_PAGE))


def page_text(found: Sequence[Group], page: int) -> str:
    """Write page ``page`` (from 1): rows 50(p-1)+1 … 50p of all list groups numbered through."""
    first, written, numbered = ROWS_A_PAGE * (page - 1), [], 0
    for group in found:
        if isinstance(group, Single):
            written.append(group.text if page == 1 else "")
            continue
        start, stop = max(0, first - numbered), max(0, first + ROWS_A_PAGE - numbered)
        if chosen := group.rows[start:stop]:
            written.append(group.text(chosen))
        numbered += len(group.rows)
    return "".join(written)
