"""What the doctor says of outside witnesses: how old their last quorum is, what that refuses, how each one stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from consent.witnessing import WitnessBudgets, WitnessGrade
from database import Database
from gateway import from_settings
from gateway.doctor.model import Finding, fail, ok, unchecked, warn
from gateway.settings import Settings
from gateway.witness.model import ALARMS, WitnessState
from ledger.witness import store

WITNESSES: Final = "ledger.witnesses"
_ZH: Final = {
    WitnessGrade.WARNED: "外部见证已过提醒时限",
    WitnessGrade.PERSONS_REFUSED: "外部见证过期：个人查询被拒",
    WitnessGrade.ALL_REFUSED: "外部见证过期：全部查询被拒",
}
_EN: Final = {
    WitnessGrade.WARNED: "queries go on",
    WitnessGrade.PERSONS_REFUSED: "queries about persons are refused (EVIDENCE_STALE)",
    WitnessGrade.ALL_REFUSED: "all queries are refused (EVIDENCE_STALE)",
}
_ASK: Final[dict[str, tuple[str, str]]] = {
    WitnessState.UNREACHABLE: ("未附署：无应答", "ask the witness, or look at the network"),
    WitnessState.REFUSED: ("未附署：不认本日志或其公钥", "ask the witness to register the log's vkey"),
}
"""What the operator does about a witness that does not cosign; docs/witnesses.md has the table."""


async def witness_findings(settings: Settings, db: Database) -> list[Finding]:
    """Check the age of the quorum against the budgets, and each witness."""
    budgets = from_settings.witness_budgets(settings)
    if budgets is None:
        return [unchecked(WITNESSES, "未设外部见证方", "no outside witnesses: nobody else would notice a fork")]
    names = [told.name for told in settings.ledger.witnesses]
    standings = {one.witness: one for one in await store.standings(db, names)}
    found = [_quorum(budgets, (await store.aged(db)).age_s, needed=settings.ledger.quorum or 0, known=len(names))]
    return found + [finding for name in names for finding in standing_finding(name, standings.get(name))]


def _quorum(budgets: WitnessBudgets, age_s: float | None, *, needed: int, known: int) -> Finding:
    grade = budgets.grade(age_s)
    limits = f"warn {budgets.warn_s:g} s, persons {budgets.refuse_persons_s:g} s, all {budgets.refuse_all_s:g} s"
    age = "never asked: start bashu-gateway sealer" if age_s is None else f"{age_s:.0f} s ago"
    en = f"{needed} of {known} cosigned last {age} ({limits})"
    if grade is WitnessGrade.FRESH:
        return ok(WITNESSES, "外部见证正常", en)
    say = warn if grade is WitnessGrade.WARNED else fail
    return say(WITNESSES, _ZH[grade], f"{en}: {_EN[grade]}")


def standing_finding(name: str, one: store.Standing | None) -> Iterator[Finding]:
    """Say how one witness stands, and what to do where it does not cosign; ``one`` is None for one never asked."""
    check = f"ledger.witness.{name}"
    if one is None:
        yield unchecked(check, "尚未询问", "it was not asked yet")
    elif one.state in ALARMS or one.recorded in ALARMS:
        alarm = one.state if one.state in ALARMS else one.recorded
        en = f"{alarm} since {one.changed_at:%Y-%m-%d %H:%M:%S}: its tree does not agree with this log; find out why"
        yield fail(check, "警报：见证方所见与本日志不符", en)
    elif one.state == WitnessState.COSIGNED:
        yield ok(check, "已附署", f"it cosigned {one.size} leaves")
    else:
        zh, ask = _ASK.get(one.state, ("未附署：应答不合规范", "ask the witness"))
        yield warn(check, zh, f"{one.state} since {one.changed_at:%Y-%m-%d %H:%M:%S}: {ask}")
