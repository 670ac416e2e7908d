"""Guarantees as records tell them: which are covered, which only counted, and what they come to."""

from itertools import pairwise

import pytest

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditReport
from standards.guarantees import MOST_RINGS, Edge, Network, Seen, Told, judge, read_seen, rings_through

A, B, C, D = "91500105XXTT00114Y", "91510107XXTT00122T", "91500105XXTT00157C", "91500105XXTT00018M"
OK, TIMEOUT = PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_TIMEOUT


def report_of(*guarantees: tuple[str, str], status: PlatformStatus.ValueType = OK) -> CreditReport:
    """Make a merged report with guarantees, each a direction and the other party's code ("" where it is hidden)."""
    report = CreditReport()
    report.sources.add(source_id="s1", platform_id="chongqing")
    report.platform_results.add(platform_id="chongqing", data_item="financing_guarantee", status=status)
    for number, (direction, other) in enumerate(guarantees):
        record = report.records.add(record_id=f"g{number}", source_ids=["s1"], data_item="financing_guarantee")
        record.financing_guarantee.direction = direction
        if other:
            record.financing_guarantee.counterparty_uscc = other
    return report


def seen(subject: str, *guarantees: tuple[str, str], covered: tuple[str, ...] = (A, B, C), bad: bool = False) -> Seen:
    return read_seen(report_of(*guarantees), subject=subject, covered=covered, stops=["XH01"] if bad else [])


RING = {
    A: seen(A, ("GIVEN", B), ("RECEIVED", C)),
    B: seen(B, ("GIVEN", C), ("RECEIVED", A)),
    C: seen(C, ("GIVEN", A), ("RECEIVED", B)),
}


def test_three_firms_that_guarantee_each_other_are_a_ring() -> None:
    found = judge(A, RING)
    assert (found.network, found.in_ring, found.rings.found) == (Network.RING, True, ((A, B, C),))
    assert found.ring_members == {A, B, C}
    assert found.uncovered == 0


def test_every_edge_says_which_record_of_which_source_tells_it() -> None:
    told = [one for one in judge(A, RING).told if one.edge == Edge(guarantor=A, guaranteed=B)]
    assert [(one.record_id, one.sources[0].platform_id) for one in told] == [("g0", "chongqing"), ("g1", "chongqing")]


def test_an_edge_whose_other_end_is_not_covered_is_counted_and_not_named() -> None:
    alone = read_seen(report_of(("GIVEN", B), ("RECEIVED", C), ("RECEIVED", "")), subject=A, covered=(A,))
    assert (alone.told, alone.hidden_given, alone.hidden_received) == ((), 1, 2)
    found = judge(A, {A: alone})
    assert (found.network, found.in_ring, found.uncovered) == (None, None, 3)


def test_a_ring_over_an_uncovered_firm_stays_unknown() -> None:
    own = seen(A, ("GIVEN", B), ("RECEIVED", C), covered=(A, B))
    found = judge(A, {A: own, B: seen(B, ("GIVEN", C), covered=(A, B))})
    assert (found.network, found.in_ring) == (None, None)


def test_who_guarantees_nobody_that_guarantees_further_is_in_a_chain() -> None:
    found = judge(A, {A: seen(A, ("GIVEN", B), ("RECEIVED", D)), B: seen(B, ("RECEIVED", A))})
    assert (found.network, found.in_ring) == (Network.CHAIN, False)


def test_a_platform_that_did_not_answer_leaves_the_ring_unknown() -> None:
    silent = read_seen(report_of(("RECEIVED", A), status=TIMEOUT), subject=B, covered=(A, B))
    assert judge(A, {A: seen(A, ("GIVEN", B), ("RECEIVED", D)), B: silent}).network is None


def test_a_covered_party_that_gave_no_answer_leaves_the_ring_unknown() -> None:
    assert judge(A, {A: seen(A, ("GIVEN", B), ("RECEIVED", D))}).network is None


def test_a_covered_party_under_a_hard_stop_is_bad_and_the_ring_stays_said() -> None:
    found = judge(A, {**RING, B: seen(B, ("GIVEN", C), ("RECEIVED", A), bad=True)})
    assert (found.network, found.in_ring, found.bad) == (Network.BAD, True, (B,))


def test_no_guarantee_is_neither() -> None:
    assert judge(A, {A: seen(A)}).network is Network.NEITHER


def test_a_guarantee_that_ended_is_none() -> None:
    report = report_of(("GIVEN", B))
    report.records[0].financing_guarantee.released_on = "2026-01-01"
    assert judge(A, {A: read_seen(report, subject=A, covered=(A, B))}).network is Network.NEITHER


def test_a_direction_that_nobody_knows_may_be_either() -> None:
    found = read_seen(report_of(("SIDEWAYS", B)), subject=A, covered=(A, B))
    assert (found.told, found.hidden_given, found.hidden_received) == ((), 1, 1)


def test_who_guarantees_itself_is_no_ring() -> None:
    assert judge(A, {A: seen(A, ("GIVEN", A))}).network is Network.CHAIN


def test_a_ring_among_others_is_not_the_subjects() -> None:
    found = judge(A, {A: seen(A, ("GIVEN", B)), B: seen(B, ("GIVEN", C), ("RECEIVED", C)), C: seen(C, ("GIVEN", B))})
    assert (found.network, found.rings.found) == (Network.CHAIN, ())


@pytest.mark.parametrize("firms", [9, 60])
def test_where_all_guarantee_all_the_shortest_rings_are_listed_and_the_rest_is_said_to_be_cut_off(firms: int) -> None:
    names = [f"{number:02}" for number in range(firms)]
    edges = {Edge(guarantor=a, guaranteed=b) for a in names for b in names}
    rings = rings_through("00", edges)
    assert (len(rings.found), rings.is_cut_off) == (MOST_RINGS, True)
    assert {len(ring) for ring in rings.found[:8]} == {2}


def test_a_chain_of_ten_thousand_firms_is_walked_without_recursion() -> None:
    told = tuple(Told(edge=Edge(guarantor=str(n), guaranteed=str(n + 1)), record_id="g") for n in range(10_000))
    assert judge("0", {"0": Seen(subject="0", told=told, hidden_received=1)}).in_ring is None


def test_what_leads_nowhere_is_not_walked() -> None:
    """Without the component first, the ways through these firms would use up the bound before the ring is found."""
    layers = [[f"{layer}-{number}" for number in range(8)] for layer in range(8)]
    dead_ends = {Edge(guarantor=a, guaranteed=b) for one, two in pairwise(layers) for a in one for b in two}
    ring = [A, *(f"r{number}" for number in range(20))]
    edges = dead_ends | {Edge(guarantor=A, guaranteed=b) for b in layers[0]}
    edges |= {Edge(guarantor=a, guaranteed=b) for a, b in pairwise([*ring, A])}
    assert rings_through(A, edges).found == (tuple(ring),)
