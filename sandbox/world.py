"""The seeded truth that both platforms answer from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from sandbox.baseline import Moment
from sandbox.clock import DataClock
from sandbox.facts import PlatformFile, PlatformId
from sandbox.persons import is_person, person_file
from sandbox.population import Population
from sandbox.subjects import FIXED_SUBJECTS, FixedSubject

DEFAULT_SEED: Final = 20_261_123
DEFAULT_ENTERPRISES: Final = 20_000
DEFAULT_PERSONS: Final = 2_000
FILES_KEPT: Final = 4_096
"""Files made for the current data day; some 10 kB each."""


class World:
    """Fixed subjects and population, on the data clock's day."""

    def __init__(self, clock: DataClock, population: Population) -> None:
        self._clock = clock
        self._population = population
        self._fixed: Mapping[str, FixedSubject] = {subject.code: subject for subject in FIXED_SUBJECTS}
        self._fixed_names: Mapping[str, str] = {subject.name: subject.code for subject in FIXED_SUBJECTS}
        self._files: OrderedDict[tuple[PlatformId, str, Moment], PlatformFile | None] = OrderedDict()

    @property
    def fixed_subjects(self) -> tuple[FixedSubject, ...]:
        """The subjects of docs/platforms/subjects.md."""
        return tuple(self._fixed.values())

    @property
    def size(self) -> int:
        """Number of population firms."""
        return self._population.size

    def codes(self, offset: int, limit: int) -> list[str]:
        """Return the codes of at most ``limit`` population firms from ``offset`` on."""
        return list(self._population.codes(offset, limit))

    def firms(self, offset: int, limit: int) -> list[tuple[str, str, PlatformId]]:
        """Return code, name and home of at most ``limit`` population firms from ``offset`` on."""
        return list(self._population.firms(offset, limit))

    def outcomes(self, offset: int, limit: int) -> list[tuple[str, str, PlatformId, bool]]:
        """Return code, name, home and whether it defaulted of population firms from ``offset`` on."""
        firms = self._population.firms(offset, limit)
        return [(*firm, self._population.defaulted(index)) for index, firm in enumerate(firms, start=offset)]

    def file(self, platform: PlatformId, code: str, *, is_stale: bool = False) -> PlatformFile | None:
        """Return what ``platform`` holds about ``code`` today (data day), None when it has no file.

        ``is_stale``: as it stood the day before, what a cache that was not refreshed answers.
        """
        at = Moment(day=self._clock.day - timedelta(days=is_stale), first_day=self._clock.first_day)
        key = (platform, code, at)
        if key in self._files:
            self._files.move_to_end(key)
            return self._files[key]
        file = self._make(platform, code, at)
        self._files[key] = file
        if len(self._files) > FILES_KEPT:
            self._files.popitem(last=False)
        return file

    def file_by_name(self, platform: PlatformId, name: str) -> PlatformFile | None:
        """Return the file of the subject whose registered name is ``name``, code point by code point."""
        code = self._fixed_names.get(name)
        if code is None:
            index = self._population.index_of_name(name)
            code = None if index is None else self._population.code(index)
        return None if code is None else self.file(platform, code)

    def _make(self, platform: PlatformId, code: str, at: Moment) -> PlatformFile | None:
        if is_person(code):
            return person_file(platform, code, at)
        fixed = self._fixed.get(code)
        if fixed is not None:
            build = fixed.files.get(platform)
            return None if build is None else build(code, fixed.name, at)
        index = self._population.index_of_code(code)
        if index is None or self._population.home(index) is not platform:
            return None
        return self._population.file(index, at)


def make_world(
    clock: DataClock,
    *,
    seed: int = DEFAULT_SEED,
    enterprises: int = DEFAULT_ENTERPRISES,
    persons: int = DEFAULT_PERSONS,
) -> World:
    """Return a world of the fixed subjects and a population of the given size."""
    return World(clock, Population(seed=seed, enterprises=enterprises, persons=persons))
