"""What is said of a ring holds in the whole network, of which only the covered edges were seen; against brute force."""

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from standards.guarantees import MOST_RINGS, Edge, Network, Seen, Told, judge, rings_through

FIRMS = "ABCDEF"
edge_sets = st.sets(st.builds(Edge, guarantor=st.sampled_from(FIRMS), guaranteed=st.sampled_from(FIRMS)), max_size=18)


class World(NamedTuple):
    """All guarantees there are, and what consents cover and platforms answer of them."""

    edges: set[Edge]
    covered: set[str]
    silent: set[str]


worlds = st.builds(
    World,
    edges=edge_sets,
    covered=st.sets(st.sampled_from(FIRMS)).map(lambda some: some | {"A"}),
    silent=st.sets(st.sampled_from(FIRMS), max_size=2),
)


def brute_force(edges: set[Edge]) -> Iterator[tuple[str, ...]]:
    """Every ring through A, by trying every order of every choice of firms."""
    for length in range(1, len(FIRMS)):
        for others in permutations(FIRMS[1:], length):
            ring = ("A", *others)
            if all(Edge(guarantor=a, guaranteed=b) in edges for a, b in zip(ring, (*others, "A"), strict=True)):
                yield ring


def seen_of(world: World, firm: str) -> Seen:
    """Tell what a firm's records tell: all its guarantees, or none where its platforms are silent."""
    own = [edge for edge in world.edges if firm in (edge.guarantor, edge.guaranteed) and firm not in world.silent]
    told = [edge for edge in own if {edge.guarantor, edge.guaranteed} <= world.covered]
    return Seen(
        subject=firm,
        told=tuple(Told(edge=edge, record_id=f"{firm}{n}") for n, edge in enumerate(told)),
        hidden_given=sum(edge.guarantor == firm for edge in own if edge not in told),
        hidden_received=sum(edge.guaranteed == firm for edge in own if edge not in told),
        is_whole=firm not in world.silent,
    )


def judged(world: World) -> bool | None:
    return judge("A", {firm: seen_of(world, firm) for firm in world.covered}).in_ring


@given(edges=edge_sets)
def test_the_rings_are_those_that_brute_force_finds(edges: set[Edge]) -> None:
    expected = set(brute_force(edges))
    rings = rings_through("A", edges)
    assert rings.is_cut_off == (len(expected) > MOST_RINGS)
    assert len(rings.found) == min(len(expected), MOST_RINGS) == len(set(rings.found))
    assert set(rings.found) <= expected
    assert [len(ring) for ring in rings.found] == sorted(map(len, expected))[:MOST_RINGS]


@given(world=worlds)
def test_what_is_said_of_covered_edges_holds_in_the_whole_network(world: World) -> None:
    said, true = judged(world), any(brute_force(world.edges))
    assert said is None or said == true


@given(world=worlds)
def test_what_is_called_clean_has_no_guarantee_anywhere(world: World) -> None:
    if judge("A", {firm: seen_of(world, firm) for firm in world.covered}).network is Network.NEITHER:
        assert not any("A" in (edge.guarantor, edge.guaranteed) for edge in world.edges)


@given(world=worlds)
def test_with_everybody_covered_and_answering_nothing_is_unknown(world: World) -> None:
    assert judged(world._replace(covered=set(FIRMS), silent=set())) is any(brute_force(world.edges))


@given(world=worlds, more=st.sets(st.sampled_from(FIRMS)))
def test_a_further_consent_never_takes_a_ring_away(world: World, more: set[str]) -> None:
    if judged(world):
        assert judged(world._replace(covered=world.covered | more))


@given(world=worlds)
def test_without_related_consents_a_firm_with_guarantees_both_ways_is_neither_clean_nor_accused(world: World) -> None:
    alone = judge("A", {"A": seen_of(world._replace(covered={"A"}, silent=set()), "A")})
    assert not alone.rings.found
    given, received = (
        {getattr(edge, end) for edge in world.edges if getattr(edge, at) == "A"} - {"A"}
        for end, at in (("guaranteed", "guarantor"), ("guarantor", "guaranteed"))
    )
    if given and received:
        assert (alone.network, alone.in_ring) == (None, None)
    elif not given and not received and not alone.told:
        assert alone.network is Network.NEITHER
