"""One real question to a platform's test environment: credentials, authorisation, each item decoded and mapped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from adapters.suite.bench import FactFailed, Plan, ShiftedClock, build_direct, make_permit, status_of_answer
from core.errors import Turn
from gateway.doctor.model import Finding, fail, ok, warn

BUDGET_MS: Final = 20_000
"""A lender waits half a minute at most; beyond this a platform leaves too little for the rest."""
_ZH: Final = {
    "OK": "样本已解码并映射", "NO_DATA": "查无数据", "PENDING": "作业未完成", "DENIED": "被拒：授权、用途或数据项",
    "TIMEOUT": "超时", "UNAVAILABLE": "不可用", "MAINTENANCE": "维护中", "MALFORMED": "应答无法解读",
    "QUOTA_EXHAUSTED": "配额用尽", "SKIPPED": "未询问",
}  # fmt: skip
_TURNS: Final = {"DENIED": Turn.OPERATOR, "QUOTA_EXHAUSTED": Turn.OPERATOR}
_FINE: Final = frozenset({"OK", "NO_DATA", "PENDING"})
_LATER: Final = frozenset({"MAINTENANCE", "QUOTA_EXHAUSTED", "TIMEOUT"})


async def sample_findings(plan: Plan) -> AsyncIterator[Finding]:
    """Ask for every item of one test subject and tell what came of each. Raises nothing."""
    place = f"platforms.{plan.config.platform_id}"
    clock = ShiftedClock()
    adapter = build_direct(plan, clock)
    try:
        permit = make_permit(plan, adapter, plan.subject)
        items = adapter.platform.items
        answers = await adapter.ask(permit, items, deadline=clock.monotonic() + BUDGET_MS / 1000)
    except FactFailed as failed:
        yield fail(f"{place}.sample", "无法询问", str(failed))
        return
    finally:
        await adapter.close()
    found = {status_of_answer(answer) for answer in answers}
    if not found & _FINE:
        statuses = ", ".join(sorted(found))
        yield fail(
            f"{place}.credentials", "凭证或授权未被接受", f"no item was answered: {statuses}", turn=Turn.OPERATOR
        )
    else:
        yield ok(f"{place}.credentials", "凭证与授权有效", "the platform answered under these credentials")
    for answer in answers:
        status = status_of_answer(answer)
        en = f"{status}, {len(answer.records)} records, {answer.latency_ms} ms" + (
            f", {answer.detail}" if answer.detail else ""
        )
        check, zh = f"{place}.sample.{answer.item}", _ZH[status]
        if status in _FINE:
            yield ok(check, zh, en)
        else:
            make = warn if status in _LATER else fail
            yield make(check, zh, en, turn=_TURNS.get(status, Turn.PLATFORM))
