"""A clock that is read late, goes on, jumps, or comes back: what it is taken for."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock.model import ClockState, Mark, Sight, compared, judge

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOUND, BACK, AHEAD = ClockState.SOUND, ClockState.BACK, ClockState.AHEAD


def sight(seconds, *, off=0.0, took=0.0):
    """The clock after ``seconds`` of true time, ``off`` apart from it, in an answer that ``took`` so long."""
    return Sight(at=NOON + timedelta(seconds=seconds + off), since=100 + seconds - took, until=100 + seconds)


def mark(state=SOUND, seconds=0.0):
    return Mark(at=NOON + timedelta(seconds=seconds), state=state, number=1)


@pytest.mark.parametrize(
    ("later", "found"),
    [
        (sight(1), SOUND),
        (sight(86_400), SOUND),
        (sight(60, off=-4), SOUND),
        (sight(60, off=-6), BACK),
        (sight(60, off=-3600), BACK),
        (sight(60, off=59), SOUND),
        (sight(60, off=86_400), AHEAD),
        # The answer hung for a minute: it may have been read at its beginning.
        (sight(60, off=-60, took=60), SOUND),
    ],
)
def test_what_went_by_there_is_compared_with_what_went_by_here(later, found):
    assert compared(sight(0), later) is found


def test_a_clock_that_went_back_is_sound_again_once_it_passed_what_it_showed():
    anchor = sight(10)
    assert judge(anchor, sight(20, off=-3600), mark()) is BACK
    assert judge(anchor, sight(3605, off=-3600), mark(BACK)) is BACK
    assert judge(anchor, sight(3611, off=-3600), mark(BACK)) is SOUND
    assert judge(None, sight(3611, off=-3600), mark(BACK, 20)) is BACK
    assert judge(None, sight(3621, off=-3600), mark(BACK, 20)) is SOUND


def test_a_clock_that_went_ahead_is_sound_again_for_who_knew_it_before_and_for_no_newcomer():
    assert judge(sight(10), sight(20, off=86_400), mark()) is AHEAD
    assert judge(sight(10), sight(30), mark(AHEAD)) is SOUND
    assert judge(None, sight(30), mark(AHEAD)) is AHEAD


def test_a_newcomer_knows_of_a_jump_back_while_it_was_away():
    assert judge(None, sight(0), mark(seconds=3600)) is BACK
    assert judge(None, sight(7200), mark()) is SOUND
