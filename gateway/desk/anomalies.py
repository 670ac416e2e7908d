"""What looks unusual in the access list: a few rules, each with its number and threshold from ``anomaly_rules.csv``.

An anomaly is a hint to look, never a finding: thresholds are working values, and nothing is decided by them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from typing import Final
from uuid import UUID

from consent import store as consent_store
from database import Database
from gateway.accesses import AccessLists
from gateway.desk import store

LOOK_BACK: Final = timedelta(days=30)
MOST: Final = 1_000
"""Anomalies of one rule that are looked at, the latest; more than that is one big anomaly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table: counted per institution or staff number, within an hour or a day of Beijing time."""

    rule_id: str
    kind: str
    per: str
    window: str
    threshold: int
    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """A count that reached its rule's threshold. ``operator`` is masked; ``at`` is the latest access counted."""

    rule: Rule
    institution: str
    operator: str
    count: int
    at: datetime
    entry_ids: tuple[UUID, ...]

    @property
    def key(self) -> str:
        """Where it stands in the order of a listing, the latest first."""
        return f"{int(self.at.timestamp()):012d}.{self.rule.rule_id}.{self.entry_ids[0]}"


def load_rules() -> tuple[Rule, ...]:
    """Read the table."""
    text = resources.files("gateway.desk").joinpath("anomaly_rules.csv").read_text(encoding="utf-8")
    return tuple(
        Rule(
            rule_id=row["rule_id"],
            kind=row["kind"],
            per=row["per"],
            window=row["window"],
            threshold=int(row["threshold"]),
            zh=row["zh"],
            en=row["en"],
        )
        for row in csv.DictReader(text.splitlines())
    )


class Anomalies:
    """Finds them by counting the access list; nothing is kept."""

    def __init__(self, db: Database, *, lists: AccessLists, rules: tuple[Rule, ...]) -> None:
        self._db = db
        self._lists = lists
        self._rules = rules

    async def page(self, *, below: str, limit: int) -> list[Anomaly]:
        """Return anomalies of the last 30 days, the latest first, behind the key ``below`` (empty: from the first)."""
        since = await consent_store.now(self._db) - LOOK_BACK
        found = [anomaly for rule in self._rules for anomaly in await self._by(rule, since)]
        found.sort(key=lambda anomaly: anomaly.key, reverse=True)
        return [anomaly for anomaly in found if not below or anomaly.key < below][:limit]

    async def _by(self, rule: Rule, since: datetime) -> list[Anomaly]:
        counts = await store.counts(
            self._db, rule.kind, per=rule.per, window=rule.window, since=since, threshold=rule.threshold, most=MOST
        )
        names = await self._lists.operators({count.institution for count in counts})
        return [
            Anomaly(
                rule=rule,
                institution=count.institution,
                operator=names.get((count.institution, count.operator), "") if count.operator else "",
                count=count.count,
                at=count.at,
                entry_ids=count.entry_ids,
            )
            for count in counts
        ]
