"""``make permutations``: shuffled and repeated answers of both platforms give the same report to the byte.

100 sets of answers made to collide (same papers under several numbers, equal as-of, clocks ahead, currencies that do
not fit), each shuffled 100 times with answers repeated at random and records turned inside each answer. Everything
follows from ``--seed``. Exit code 1 and the set's number on the first difference.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import Message

from bashu.v1 import items_pb2 as items
from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.report_pb2 import QUALITY_DERIVED, QUALITY_REPORTED
from core.permit import SubjectKind
from standards.answer import ItemAnswer, Mark, record_of
from standards.catalogue import Standard, load_standard
from standards.merge import ReportFrame, merge

NOW: Final = datetime(2026, 11, 23, 1, tzinfo=UTC)
SUBJECT: Final = "91500105XXTT00018M"
FRAME: Final = ReportFrame(
    report_id="r",
    generated_at=NOW,
    operator=GatewayOperator(name="示例"),
    subject_key=SUBJECT,
    subject_kind=SubjectKind.ENTERPRISE,
    home_region="500000",
)
PLATFORMS: Final = (("chongqing", "500000"), ("sichuan", "510000"), ("third", "510000"))
AGES_D: Final = (-2, 0, 0, 5, 29, 31, None)
"""Days before now; negative: a source whose clock or data are ahead."""
AMOUNTS: Final = ("1.00", "1.0", "2.50", "")
NAMES: Final = ("甲", "乙", "（甲）", "(甲)", "")
DAYS: Final = ("2026-11-20", "2021-01-05", "2024-02-29", "")


def bodies(dice: random.Random) -> dict[str, Callable[[], Message]]:
    """Return makers of one body an item, out of so few values that collisions are the rule."""

    def some(values: Sequence[str]) -> str | None:
        return dice.choice(values) or None

    return {
        "enterprise_registration": lambda: items.EnterpriseRegistration(
            uscc=SUBJECT, name=some(NAMES), registered_capital=some(AMOUNTS), currency=some(("CNY", "USD", "")),
            operating_status=some(("ACTIVE", "DEREGISTERED", "")), deregistered_on=some(DAYS), term_end=some(DAYS),
        ),
        "administrative_penalty": lambda: items.AdministrativePenalty(
            document_no=some(("1号", "2号", "〔1〕号", "")), authority=some(NAMES), decided_on=some(DAYS),
            fine_amount=some(AMOUNTS), publish_until=some(DAYS), severity=some(("minor", "general", "serious", "x")),
        ),
        "shareholder_and_capital": lambda: items.ShareholderAndCapital(
            shareholder_name=some(NAMES), subscribed_amount=some(AMOUNTS), share_ratio=some(("0.5", "0.50", "")),
        ),
        "platform_score": lambda: items.PlatformScore(scale_id="cq_score_0_100", score=some(AMOUNTS)),
        "judgment_debtor": lambda: items.JudgmentDebtor(
            case_no=some(("(2024)渝01执1号", "（2024）渝01执1号", "")), closed_on=some(DAYS), amount=some(AMOUNTS),
        ),
    }  # fmt: skip


def a_set(dice: random.Random) -> list[ItemAnswer]:
    """Return some answers of three platforms."""
    makers = bodies(dice)
    told = []
    for _ in range(dice.randint(2, 9)):
        item = dice.choice(sorted(makers))
        platform, region = dice.choice(PLATFORMS)
        marks = dice.choice(((), (), (Mark.BRANCH,), (Mark.REPAIRED,), (Mark.CODE_UNKNOWN,)))
        records = tuple(record_of(makers[item](), marks=marks) for _ in range(dice.randint(0, 4)))
        status = PlatformStatus.PLATFORM_STATUS_OK
        if not records:
            status = dice.choice(
                (PlatformStatus.PLATFORM_STATUS_NO_DATA, PlatformStatus.PLATFORM_STATUS_TIMEOUT,
                 PlatformStatus.PLATFORM_STATUS_SKIPPED)
            )  # fmt: skip
        age = dice.choice(AGES_D)
        told.append(
            ItemAnswer(
                platform_id=platform,
                region=region,
                item=item,
                status=status,
                records=records,
                as_of=None if age is None else NOW - timedelta(days=age),
                fetched_at=NOW - timedelta(seconds=dice.randint(0, 1)),
                raw_digest=dice.choice((b"a", b"b")),
                quality=dice.choice((QUALITY_REPORTED, QUALITY_DERIVED)),
            )
        )
    return told


def turned(told: Sequence[ItemAnswer], dice: random.Random) -> list[ItemAnswer]:
    """Return the same answers in another order, some of them again, each with its records in another order."""
    again = [*told, *dice.choices(told, k=dice.randint(0, len(told)))]
    dice.shuffle(again)
    return [replace(one, records=tuple(dice.sample(one.records, k=len(one.records)))) for one in again]


def content(told: Sequence[ItemAnswer], standard: Standard) -> bytes:
    """Return the bytes of the report."""
    return merge(told, frame=FRAME, standard=standard).SerializeToString(deterministic=True)


def first_difference(standard: Standard, *, sets: int, times: int, seed: int) -> tuple[int | None, str]:
    """Return the number of the first set that differs, None where none does, and a digest over all reports."""
    # Sets and shufflings are drawn apart, so that the reports are the same whatever ``times`` is.
    makes, shuffles = random.Random(seed), random.Random(seed + 1)
    total = hashlib.sha256()
    for number in range(sets):
        told = a_set(makes)
        expected = content(told, standard)
        total.update(expected)
        if any(content(turned(told, shuffles), standard) != expected for _ in range(times)):
            return number, total.hexdigest()
    return None, total.hexdigest()


def main() -> None:
    """Run it and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261123)
    asked = parser.parse_args()
    started = time.monotonic()
    differs, digest = first_difference(load_standard(), sets=asked.sets, times=asked.times, seed=asked.seed)
    took = time.monotonic() - started
    verdict = "byte-identical" if differs is None else f"DIFFER in set {differs}"
    total = asked.sets * asked.times
    sys.stdout.write(f"{total} permutations and duplications of {asked.sets} sets: {verdict} ({took:.1f} s)\n")
    sys.stdout.write(f"seed {asked.seed}, SHA-256 over the reports {digest}\n")
    sys.exit(0 if differs is None else 1)


if __name__ == "__main__":
    main()
