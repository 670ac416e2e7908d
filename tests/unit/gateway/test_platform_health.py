"""A platform's health is what was seen of it lately; what its operator decided stands before."""

from __future__ import annotations

import pytest

from bashu.v1.common_pb2 import PlatformStatus
from gateway.identity.model import PlatformState
from gateway.platform.health import MOST_KEPT, WINDOW_S, PlatformHealth
from standards.answer import ItemAnswer

OK = PlatformStatus.PLATFORM_STATUS_OK
TIMEOUT = PlatformStatus.PLATFORM_STATUS_TIMEOUT
UNAVAILABLE = PlatformStatus.PLATFORM_STATUS_UNAVAILABLE


class Time:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def health(time: Time) -> PlatformHealth:
    return PlatformHealth(time)


def told(status: int = OK, *, ms: int = 10, detail: str = "", sent: bool = True, platform: str = "p") -> ItemAnswer:
    return ItemAnswer(
        platform_id=platform,
        region="500000",
        item="tax_arrears",
        status=status,  # type: ignore[arg-type]
        latency_ms=ms,
        detail=detail,
        was_sent=sent,
    )


def test_percentiles_are_nearest_ranks_of_each_enquirys_slowest_item(health: PlatformHealth) -> None:
    for ms in range(1, 101):
        health.note([told(ms=ms), told(ms=0)])
    seen = health.of("p")
    assert (seen.state, seen.enquiries, seen.p50_ms, seen.p95_ms, seen.p99_ms) == ("healthy", 100, 50, 95, 99)


def test_a_platform_nobody_asked_is_healthy_without_figures(health: PlatformHealth) -> None:
    health.note([told(ms=5, platform="other"), told(UNAVAILABLE, sent=False)])
    seen = health.of("p")
    assert (seen.state, seen.enquiries, seen.p50_ms) == ("healthy", 0, None)


def test_one_failure_in_ten_makes_it_degraded(health: PlatformHealth) -> None:
    for _ in range(10):
        health.note([told()])
    health.note([told(TIMEOUT), told()])
    assert health.of("p").state == "healthy"
    health.note([told(TIMEOUT)])
    assert health.of("p").state == "degraded"


def test_an_open_breaker_shows_until_an_enquiry_gets_through_and_makes_nothing_fast(health: PlatformHealth) -> None:
    health.note([told(ms=400)])
    health.note([told(UNAVAILABLE, ms=0, detail="CIRCUIT_OPEN", sent=False)])
    assert (health.of("p").state, health.of("p").p50_ms) == ("open", 400)
    for _ in range(10):
        health.note([told(ms=400)])
    assert health.of("p").state == "healthy"


def test_what_is_older_than_the_window_is_forgotten(health: PlatformHealth, time: Time) -> None:
    health.note([told(TIMEOUT)])
    time.now += WINDOW_S + 1
    assert (health.of("p").state, health.of("p").enquiries) == ("healthy", 0)


def test_no_more_is_kept_than_stated(health: PlatformHealth) -> None:
    for _ in range(MOST_KEPT + 5):
        health.note([told()])
    assert health.of("p").enquiries == MOST_KEPT


@pytest.mark.parametrize("state", [PlatformState.DRAINING, PlatformState.MAINTENANCE, PlatformState.STOPPED])
def test_what_the_operator_decided_stands_before_what_was_seen(health: PlatformHealth, state: PlatformState) -> None:
    health.note([told()])
    assert health.of("p", state).state == state.value.lower()
