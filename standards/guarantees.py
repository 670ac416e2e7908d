"""What a subject's guarantees come to over the edges that consents cover: neither, chain, ring, bad. Pure (XN02).

A guarantee is an edge from guarantor to guaranteed. It is covered where both ends are: by the query's own consent or
by a related one. The strongly connected component of the subject comes first, then bounded cycles inside it. Edges
that no consent covers are only counted, so a ring may run where nothing is seen: then the answer is unknown, not clean.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditReport, GuaranteeEdge, GuaranteeNetwork, GuaranteeRing, Provenance
from standards.answer import Mark

GUARANTEE: Final = "financing_guarantee"
GIVEN: Final = "GIVEN"
RECEIVED: Final = "RECEIVED"
UNKNOWN: Final = "unknown"
MOST_RINGS: Final = 16
MOST_STEPS: Final = 20_000
"""Bounds of one enumeration: nine firms that all guarantee each other make 109,600 rings, and nobody reads them."""

_ANSWERED: Final = frozenset({PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_NO_DATA})
_SKIPPED: Final = PlatformStatus.PLATFORM_STATUS_SKIPPED
_NOT_HELD: Final = "NOT_HELD"


class Network(StrEnum):
    """What XN02 bins: no guarantee at all, a chain, a ring, or a covered party under a hard stop."""

    NEITHER = "NEITHER"
    CHAIN = "CHAIN"
    RING = "RING"
    BAD = "BAD"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Edge:
    """``guarantor`` stands for ``guaranteed``; both are unified social credit codes."""

    guarantor: str
    guaranteed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One guarantee as the record of one of its ends tells it, with that record's id and sources."""

    edge: Edge
    record_id: str
    sources: tuple[Provenance, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one covered subject's own records tell of its open guarantees.

    ``hidden_given``, ``hidden_received``: how many have another end that no consent covers. ``is_whole``: every
    platform that was asked answered, and kept nothing back. ``stops``: codes of the hard stops found about the subject.
    """

    subject: str
    told: tuple[Told, ...] = ()
    hidden_given: int = 0
    hidden_received: int = 0
    is_whole: bool = True
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Rings through one subject, the shortest first, each from the subject on; ``is_cut_off``: there may be more."""

    found: tuple[tuple[str, ...], ...] = ()
    is_cut_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the guarantees of a subject come to; ``network`` None: unknown, since edges are not covered.

    ``told``: every covered guarantee, in order of its edge; ``uncovered``: how many guarantees of the subject and of
    the covered parties lead where no consent does; ``bad``: the covered parties under a hard stop.
    """

    network: Network | None
    in_ring: bool | None
    rings: Rings
    told: tuple[Told, ...]
    uncovered: int
    bad: tuple[str, ...]

    @property
    def said(self) -> str:
        """Return whether the subject is in a ring as an answer says it."""
        return UNKNOWN if self.in_ring is None else "yes" if self.in_ring else "no"

    @property
    def ring_members(self) -> frozenset[str]:
        """Everybody in a ring with the subject, as far as rings were listed."""
        return frozenset(member for ring in self.rings.found for member in ring)


def judge(subject: str, seen: Mapping[str, Seen]) -> Judged:
    """Judge the guarantees of ``subject``; ``seen`` holds it and every covered party that answered, by code."""
    every = (one for each in seen.values() for one in each.told)
    told = tuple(sorted(every, key=lambda one: (one.edge, one.record_id)))
    edges = {one.edge for one in told}
    onward, back = _neighbours(edges), _neighbours(edges, backwards=True)
    rings = rings_through(subject, edges)
    in_ring = True if rings.found else False if _is_closed(subject, seen, onward, back) else None
    bad = tuple(sorted(code for code, each in seen.items() if code != subject and each.stops))
    return Judged(
        network=_network(seen[subject], in_ring=in_ring, is_bad=bool(bad)),
        in_ring=in_ring,
        rings=rings,
        told=told,
        uncovered=sum(each.hidden_given + each.hidden_received for each in seen.values()),
        bad=bad,
    )


def network_message(found: Judged, report: CreditReport) -> GuaranteeNetwork:
    """Return what was found as a report says it; ``report`` is the subject's own, whose records edges refer to."""
    own = {record.record_id for record in report.records}
    edges: dict[Edge, GuaranteeEdge] = {}
    for one in found.told:
        ends = GuaranteeEdge(guarantor_uscc=one.edge.guarantor, guaranteed_uscc=one.edge.guaranteed)
        edge = edges.setdefault(one.edge, ends)
        edge.record_ids.extend({one.record_id} & own)
        edge.sources.extend(one.sources)
    for edge in edges.values():
        for source in edge.sources:
            # Ids are of the report that a source stands in, and the other parties' reports are not shown.
            source.ClearField("source_id")
    return GuaranteeNetwork(
        result=found.network.value if found.network else "",
        in_ring=found.said,
        edges=edges.values(),
        rings=[GuaranteeRing(unified_social_credit_codes=ring) for ring in found.rings.found],
        rings_cut_off=found.rings.is_cut_off,
        uncovered_guarantees=found.uncovered,
    )


def rings_through(subject: str, edges: Collection[Edge]) -> Rings:
    """Return the rings through ``subject``: nothing outside its strongly connected component is walked."""
    onward, back = _neighbours(edges), _neighbours(edges, backwards=True)
    component = _reached(subject, onward) & _reached(subject, back)
    found: list[tuple[str, ...]] = []
    paths: deque[tuple[str, ...]] = deque([(subject,)])
    steps = 0
    while paths and steps < MOST_STEPS and len(found) <= MOST_RINGS:
        steps += 1
        path = paths.popleft()
        for step in onward.get(path[-1], ()):
            if step == subject:
                found.append(path)
            elif step in component and step not in path:
                paths.append((*path, step))
    return Rings(found=tuple(found[:MOST_RINGS]), is_cut_off=bool(paths) or len(found) > MOST_RINGS)


def read_seen(report: CreditReport, *, subject: str, covered: Collection[str], stops: Iterable[str] = ()) -> Seen:
    """Read what a merged report of ``subject`` tells of its open guarantees; a branch's are not its own."""
    sources = {source.source_id: source for source in report.sources}
    told: list[Told] = []
    hidden = {GIVEN: 0, RECEIVED: 0}
    for record in report.records:
        guarantee = record.financing_guarantee
        if record.data_item != GUARANTEE or Mark.BRANCH in record.marks or guarantee.HasField("released_on"):
            continue
        other = guarantee.counterparty_uscc
        if guarantee.direction not in hidden or other not in covered:
            # A direction that nobody knows may be either.
            for direction in hidden.keys() & {guarantee.direction} or hidden:
                hidden[direction] += 1
            continue
        ends = (subject, other) if guarantee.direction == GIVEN else (other, subject)
        known = tuple(sources[name] for name in record.source_ids if name in sources)
        edge = Edge(guarantor=ends[0], guaranteed=ends[1])
        told.append(Told(edge=edge, record_id=record.record_id, sources=known))
    return Seen(
        subject=subject,
        told=tuple(told),
        hidden_given=hidden[GIVEN],
        hidden_received=hidden[RECEIVED],
        is_whole=_is_whole(report),
        stops=tuple(stops),
    )


def _is_whole(report: CreditReport) -> bool:
    results = [result for result in report.platform_results if result.data_item == GUARANTEE]
    asked = [r for r in results if not (r.status == _SKIPPED and r.detail.startswith(_NOT_HELD))]
    is_answered = all(result.status in _ANSWERED and not result.held_back_records for result in asked)
    return bool(asked) and is_answered and all(one.data_item != GUARANTEE for one in report.withheld)


def _network(own: Seen, *, in_ring: bool | None, is_bad: bool) -> Network | None:
    if is_bad:
        return Network.BAD
    if in_ring:
        return Network.RING
    if own.is_whole and not own.told and not own.hidden_given and not own.hidden_received:
        return Network.NEITHER
    return None if in_ring is None else Network.CHAIN


def _is_closed(
    subject: str, seen: Mapping[str, Seen], onward: Mapping[str, list[str]], back: Mapping[str, list[str]]
) -> bool:
    """Tell whether no ring can run unseen: nobody guaranteed from here on, or nobody who guarantees up to here, hides.

    A ring leaves the subject and comes back to it, so it is enough that one of both ways is seen to its end.
    """
    ahead = [seen.get(code) for code in _reached(subject, onward)]
    behind = [seen.get(code) for code in _reached(subject, back)]
    return all(each is not None and each.is_whole and not each.hidden_given for each in ahead) or all(
        each is not None and each.is_whole and not each.hidden_received for each in behind
    )


def _neighbours(edges: Iterable[Edge], *, backwards: bool = False) -> Mapping[str, list[str]]:
    """Return where edges lead from each node, in order; who stands for itself is no ring."""
    found: dict[str, list[str]] = defaultdict(list)
    for edge in sorted({edge for edge in edges if edge.guarantor != edge.guaranteed}):
        start, end = (edge.guaranteed, edge.guarantor) if backwards else (edge.guarantor, edge.guaranteed)
        found[start].append(end)
    return found


def _reached(start: str, neighbours: Mapping[str, list[str]]) -> frozenset[str]:
    """Return everybody reached from ``start``, itself among them."""
    found, left = {start}, [start]
    while left:
        for step in neighbours.get(left.pop(), ()):
            if step not in found:
                found.add(step)
                left.append(step)
    return frozenset(found)
