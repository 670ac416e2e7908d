"""What related consents brought, as the commands print it."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.console import Console

from bashu.cli.labels import REASON
from bashu.cli.tables import facts, grid
from bashu.v1 import report_pb2

RelatedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--related",
        "--related-consent",
        help="关联主体（担保人、被担保人）的授权 consent of a related enterprise, for guarantee rings; at most 8",
    ),
]

RESULT: Final = {"NEITHER": "无担保", "CHAIN": "担保链", "RING": "担保圈", "BAD": "关联方不良"}
IN_RING: Final = {"yes": "是", "no": "否", "unknown": "未知"}
OUTCOME: Final = {
    "COVERED": "已覆盖",
    "ALREADY_ASKED": "已按同一主体的另一份授权查询",
    "NOT_REACHED": "查到的担保未指向其主体",
}


def print_network(out: Console, network: report_pb2.GuaranteeNetwork) -> None:
    """Print the guarantee network: what it comes to, whom consents cover, every covered edge and ring."""
    rows = {
        "结果 result": _both(RESULT, network.result) if network.result else _both(IN_RING, "unknown"),
        "在担保圈内 in a ring": _both(IN_RING, network.in_ring),
        "未覆盖的担保 guarantees not covered": network.uncovered_guarantees,
        "担保圈 ring": "\n".join(" → ".join(ring.unified_social_credit_codes) for ring in network.rings),
        "未列全 not all listed": "是 yes" if network.rings_cut_off else "",
    }
    out.print(facts("担保关系 guarantee network", rows))
    consents = [
        (
            one.consent_id,
            _both({**REASON, **OUTCOME}, one.outcome),
            one.unified_social_credit_code,
            ", ".join(one.hard_stops),
        )
        for one in network.related_consents
    ]
    columns = ("授权 consent", "结果 outcome", "主体 subject", "一票否决 hard stops")
    out.print(grid("关联授权 related consents", columns, consents, is_keyed=True))
    edges = [
        (edge.guarantor_uscc, edge.guaranteed_uscc, ", ".join(sorted({source.platform_id for source in edge.sources})))
        for edge in network.edges
    ]
    if edges:
        out.print(grid("已覆盖的担保 covered guarantees", ("担保人 guarantor", "被担保人 guaranteed", "来源"), edges))


def _both(names: dict[str, str], code: str) -> str:
    return f"{names[code]} {code}" if code in names else code
