"""Profiles: delays and faults as platforms.md gives them, the same for the same seed; limits and windows as the pages."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import pytest

from core.clock import SHANGHAI
from sandbox import profiles
from sandbox.books import Book
from sandbox.chongqing.codes import Transaction
from sandbox.chongqing.limits import Limits as ChongqingLimits
from sandbox.chongqing.limits import in_maintenance as chongqing_window
from sandbox.clock import ProtocolClock
from sandbox.faults import FaultKind
from sandbox.profiles import Conduct, Profile
from sandbox.sichuan.authorisations import Authorisations
from sandbox.sichuan.limits import Limits as SichuanLimits
from sandbox.sichuan.limits import in_maintenance as sichuan_window
from sandbox.sichuan.refusals import Refusal
from sandbox.sichuan.requests import AuthorisationBody
from tests.unit.sandbox.test_chongqing_platform import Bench, code, value

ANY = frozenset(FaultKind)


class SetClock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def conduct(profile: Profile, clock: SetClock, seed: int = 1) -> Conduct:
    return Conduct(profile, name="chongqing", clock=ProtocolClock(clock, timedelta(0)), seed=seed)


@pytest.mark.parametrize(
    ("latency", "published"),
    [
        (profiles.SUBMIT, (0.12, 0.37, 0.60)),
        (profiles.POLL, (0.06, 0.19, 0.30)),
        (profiles.JOB, (4.0, 27.0, 60.0)),
        (profiles.TOKEN, (0.15, 0.49, 0.80)),
        (profiles.MODULE, (0.22, 1.56, 3.5)),
        (profiles.TAX_MODULE, (1.2, 7.2, 15.0)),
    ],
)
def test_delays_have_the_published_median_and_tails(
    clock: SetClock, latency: profiles.Latency, published: tuple[float, ...]
) -> None:
    realistic = conduct(Profile.REALISTIC, clock)
    drawn = quantiles([realistic.seconds(latency) for _ in range(40_000)], n=100)
    assert [drawn[49], drawn[94], drawn[98]] == pytest.approx(published, rel=0.08)


@pytest.mark.parametrize(("profile", "times"), [(Profile.BAD_DAY, 1.0), (Profile.REALISTIC, 0.1)])
def test_faults_come_in_their_shares_and_a_realistic_day_has_a_tenth(
    clock: SetClock, profile: Profile, times: float
) -> None:
    chance, calls = conduct(profile, clock), 100_000
    met = Counter(chance.fault(ANY) for _ in range(calls))
    for kind, share in profiles.BAD_DAY.items():
        assert met[kind] / calls == pytest.approx(share * times, rel=0.35, abs=5e-5)
    assert not {*met} - {None, *profiles.BAD_DAY}


def test_the_same_seed_is_the_same_day_and_an_instant_one_has_nothing(clock: SetClock) -> None:
    def day(seed: int) -> list[object]:
        chance = conduct(Profile.BAD_DAY, clock, seed)
        return [(chance.fault(ANY), chance.seconds(profiles.JOB), chance.review(120)) for _ in range(500)]

    assert day(1) == day(1) != day(2)
    calm = conduct(Profile.INSTANT, clock)
    assert (calm.fault(ANY), calm.seconds(profiles.JOB), calm.review(120)) == (None, 0.0, timedelta(0))
    assert (calm.daily_quota(100), calm.is_half_open(), calm.repeats_callback()) == (None, False, False)


def test_a_fault_that_a_call_cannot_show_is_no_other_fault(clock: SetClock) -> None:
    chance = conduct(Profile.BAD_DAY, clock)
    assert {chance.fault({FaultKind.STALL}) for _ in range(20_000)} == {None, FaultKind.STALL}


def test_a_bad_day_has_ten_minutes_in_which_nothing_is_answered(clock: SetClock) -> None:
    chance = conduct(Profile.BAD_DAY, clock)
    clock.moment = datetime(2026, 11, 23, tzinfo=SHANGHAI)
    silent = 0
    for _ in range(24 * 60):
        silent += chance.is_half_open()
        clock.moment += timedelta(minutes=1)
    assert silent == 10


@pytest.mark.parametrize(
    ("local", "is_open"),
    [
        ("2026-11-23 00:29:59", False),
        ("2026-11-23 00:30:00", True),
        ("2026-11-23 01:59:59", True),
        ("2026-11-23 02:00:00", False),
        ("2026-12-06 21:59:59", False),
        ("2026-12-06 22:00:00", True),
        ("2026-12-07 05:59:59", True),
        ("2026-12-07 06:00:00", False),
        ("2026-12-13 22:00:00", False),
    ],
)
def test_chongqing_s_windows_are_those_of_its_page(local: str, is_open: bool) -> None:
    assert chongqing_window(datetime.fromisoformat(local).replace(tzinfo=SHANGHAI)) is is_open


@pytest.mark.parametrize(
    ("local", "since"),
    [
        ("2026-11-25 22:59:59", None),
        ("2026-11-25 23:00:00", timedelta(0)),
        ("2026-11-25 23:02:00", timedelta(minutes=2)),
        ("2026-11-26 00:59:59", timedelta(hours=1, minutes=59, seconds=59)),
        ("2026-11-26 01:00:00", None),
        ("2026-11-24 23:30:00", None),
    ],
)
def test_sichuan_s_window_is_that_of_its_page(local: str, since: timedelta | None) -> None:
    assert sichuan_window(datetime.fromisoformat(local).replace(tzinfo=SHANGHAI)) == since


def test_chongqing_takes_so_many_a_second_and_so_many_new_jobs_a_day(clock: SetClock) -> None:
    limits = ChongqingLimits(conduct(Profile.BAD_DAY, clock), ProtocolClock(clock, timedelta(0)))
    told = [limits.refused("SBXGW0001", Transaction.SUBMIT) for _ in range(21)]
    assert told == [None] * 20 + ["1"]
    assert limits.refused("SBXGW0001", Transaction.POLL) is None
    clock.moment += timedelta(seconds=1)
    limits.accepted("SBXGW0001", jobs=16_000)
    assert limits.refused("SBXGW0001", Transaction.SUBMIT) == "2"
    assert limits.refused("SBXGW0001", Transaction.FILE) is None
    assert limits.refused("SBXGW0002", Transaction.SUBMIT) is None
    clock.moment += timedelta(days=1)
    assert limits.refused("SBXGW0001", Transaction.SUBMIT) is None


def test_sichuan_takes_so_many_a_second_a_token_and_so_many_a_day(clock: SetClock) -> None:
    limits = SichuanLimits(conduct(Profile.REALISTIC, clock), ProtocolClock(clock, timedelta(0)))

    def refused(token: str) -> str:
        try:
            limits.check(token)
        except Refusal as refusal:
            return refusal.text
        return ""

    assert [refused("a") for _ in range(101)] == [""] * 100 + ["too many requests"]
    assert not refused("b")
    for _ in range(1_000):
        clock.moment += timedelta(seconds=2)
        assert not any(refused("a") for _ in range(100))
        if limits._taken.of("", clock.moment.astimezone(SHANGHAI).date()) > 99_900:
            break
    assert {refused("c") for _ in range(100)} >= {"daily quota exceeded"}


def test_a_letter_at_sichuan_is_pending_until_its_review_ends_and_the_caller_is_told(clock: SetClock) -> None:
    told: list[str] = []
    letters = Authorisations(
        clock=ProtocolClock(clock, timedelta(0)),
        book=Book(),
        on_change=lambda changed: told.append(changed.state),
        review=lambda: timedelta(seconds=30),
    )
    body = AuthorisationBody(
        credit_code="91510107XXTT00026H",
        query_reason="LOAN_APPROVAL",
        modules=["customized/score"],
        institution="bank-cq",
        valid_to=clock.moment.date() + timedelta(days=9),
        artefact_digest=hashlib.sha256(b"letter").hexdigest(),
        artefact="letter",
    )
    filed, is_new = letters.file(body)
    assert (filed.state, is_new) == ("PENDING", True)
    facts = {"code": body.credit_code, "institution": "bank-cq", "reason": "LOAN_APPROVAL", "is_public": False}
    with pytest.raises(Refusal, match="authorization pending"):
        letters.check(filed.authorisation_id, module="customized/score", **facts)  # type: ignore[arg-type]
    clock.moment += timedelta(seconds=30)
    letters.check(filed.authorisation_id, module="customized/score", **facts)  # type: ignore[arg-type]
    assert letters.file(body)[0].state == "ACTIVE"
    assert told == ["ACTIVE"]


def test_a_job_takes_its_time_and_says_how_far_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, profile=Profile.REALISTIC)
    submitted = bench.submit()
    assert code(submitted) == "0000"
    job = f"<RWH>{value(submitted, 'RWH')}</RWH>"
    under_way = bench.ask("XY1002", "Q1", job)
    assert (code(under_way), value(under_way, "JD")) == ("0002", "0")
    assert value(under_way, "YJWCSJ") > "20261123090130"
    assert code(bench.ask("XY1003", "Q1", job + "<DQYS>1</DQYS>")) == "0002"
    bench.clock.moment += timedelta(minutes=20)
    assert code(bench.ask("XY1002", "Q1", job)) == "0000"
    assert code(bench.ask("XY1003", "Q1", job + "<DQYS>1</DQYS>")) == "0000"


def test_in_a_window_chongqing_answers_9900_whatever_is_asked(tmp_path: Path) -> None:
    for profile, expected in ((Profile.REALISTIC, "9900"), (Profile.INSTANT, "0000")):
        (folder := tmp_path / profile).mkdir()
        bench = Bench(folder, profile=profile)
        bench.clock.moment = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
        assert code(bench.submit()) == expected


def test_a_stale_answer_is_as_it_stood_the_day_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.clocks.data.advance(3)
    days = []
    for lsh, kind in (("Q1", None), ("Q2", FaultKind.STALE)):
        if kind is not None:
            bench.force(kind)
        job = f"<RWH>{value(bench.submit(lsh, CXBH=lsh), 'RWH')}</RWH><DQYS>1</DQYS>"
        bench.faults.clear()
        days.append(value(bench.ask("XY1003", lsh, job), "SJSJ"))
    assert days == ["20261125", "20261124"]
