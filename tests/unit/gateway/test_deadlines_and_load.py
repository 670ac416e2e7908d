"""How long a call may take and how much is taken on."""

from contextlib import ExitStack

import pytest

from core.errors import BashuError, Reason
from gateway.interceptors import Deadlines
from gateway.load import LoadLimit, Places
from gateway.metrics import BOUNDS_S, CallMetrics

DEADLINES = Deadlines(default_s=30, max_s=60, max_stream_s=3600)


@pytest.mark.parametrize(
    ("asked", "is_stream", "given"),
    [(None, False, 30), (5, False, 5), (600, False, 60), (-1, False, 0), (None, True, 3600), (7200, True, 3600)],
)
def test_a_client_s_deadline_counts_up_to_the_longest(asked, is_stream, given):
    assert DEADLINES.seconds(asked, is_stream=is_stream) == given


def test_places_are_given_back_also_by_work_that_failed():
    places = Places(1)
    for _ in range(3):
        with pytest.raises(LookupError), places.of("bank"):
            raise LookupError
    assert places.taken == 0


def test_a_place_too_many_is_refused_and_takes_nothing():
    places = Places(1)
    with places.of("bank"):
        with pytest.raises(BashuError) as caught, places.of("other"):
            pytest.fail("two in one place")
        assert places.taken == 1
    assert caught.value.reason is Reason.OVERLOADED
    assert caught.value.retry_after_s > 0


def test_one_institution_that_takes_all_it_can_keeps_nobody_else_out():
    places = Places(8)
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(places.of("bank"))
        with pytest.raises(BashuError) as caught, places.of("bank"):
            pytest.fail("more than three quarters")
        assert caught.value.reason is Reason.OVERLOADED
        with places.of("other"):
            assert places.taken == 7
    with places.of("bank"):
        assert places.taken == 1


def test_a_draining_worker_takes_nothing_on():
    load = LoadLimit(max_concurrent=1, max_streams=1)
    load.refuse_when_draining()
    load.draining.set()
    with pytest.raises(BashuError) as caught:
        load.refuse_when_draining()
    assert caught.value.reason is Reason.DRAINING


def test_calls_are_counted_by_method_code_reason_and_duration():
    metrics = CallMetrics()
    for seconds, code, reason in ((0.001, "OK", ""), (0.3, "OK", ""), (99, "UNAVAILABLE", "DRAINING")):
        metrics.start()
        metrics.finish("/m", code=code, reason=reason, seconds=seconds)
    assert metrics.finished == {("/m", "OK"): 2, ("/m", "UNAVAILABLE"): 1}
    assert metrics.reasons == {"DRAINING": 1}
    counts = metrics.durations["/m"].counts
    assert (counts[0], counts[BOUNDS_S.index(0.5)], counts[-1]) == (1, 1, 1)
    assert metrics.under_way == 0


async def test_a_rewound_database_refuses_everything_until_it_has_caught_up():
    load = LoadLimit(max_concurrent=1, max_streams=1)
    load.rewound.set()
    for refuse in (load.refuse_when_rewound, load.refuse_when_draining):
        with pytest.raises(BashuError) as refused:
            refuse()
        assert refused.value.reason is Reason.EVIDENCE_UNAVAILABLE
    load.rewound.clear()
    load.refuse_when_draining()
