"""What `make crash` computes from an export: intents and how each was closed."""

from __future__ import annotations

from typing import Any

from loadtest.crash import count_closings


def entry(kind: str, request: str, attempt: int = 1, institution: str = "bank-cq") -> dict[str, Any]:
    return {
        "type": kind,
        "requester": {"institution": institution},
        "intent": {"request": request, "attempt": attempt},
    }


def test_an_intent_without_closing_is_open() -> None:
    counts = count_closings([entry("QUERY_INTENT", "a"), entry("QUERY_INTENT", "b"), entry("RELEASE", "a")])
    assert (counts["QUERY_INTENT"], counts["RELEASE"], counts["open"]) == (2, 1, 1)


def test_the_closing_of_another_attempt_or_institution_closes_nothing() -> None:
    counts = count_closings(
        [entry("QUERY_INTENT", "a"), entry("ABANDONED", "a", attempt=2), entry("RELEASE", "a", institution="bank-sc")]
    )
    assert counts["open"] == 1


def test_each_way_of_closing_closes() -> None:
    ways = ("RELEASE", "RELEASE_WITHHELD", "FAILED", "ABANDONED")
    counts = count_closings([entry(kind, way) for way in ways for kind in ("QUERY_INTENT", way)])
    assert counts["open"] == 0
    assert [counts[way] for way in ways] == [1, 1, 1, 1]
