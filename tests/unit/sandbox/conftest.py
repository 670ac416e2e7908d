from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.clock import Clocks, open_clocks
from sandbox.world import World, make_world

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


@dataclass
class SetClock:
    """Real time as a test sets it."""

    moment: datetime = START

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def pass_(self, **duration: float) -> None:
        self.moment += timedelta(**duration)


@dataclass
class Sandbox:
    real: SetClock
    clocks: Clocks
    world: World


@pytest.fixture
def make_sandbox(tmp_path: Path) -> Callable[..., Sandbox]:
    def make(**size: int) -> Sandbox:
        real = SetClock()
        clocks = open_clocks(real, tmp_path)
        return Sandbox(real=real, clocks=clocks, world=make_world(clocks.data, **size))

    return make


@pytest.fixture
def sandbox(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return make_sandbox(enterprises=100, persons=10)
