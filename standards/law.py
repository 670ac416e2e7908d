"""Rules of law (``rules.csv``) that say when a clock ends, what a value has to be at least, or what it may say.

One named, pure function a rule, its source in the docstring. Rules that withhold records: :mod:`standards.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from standards.items import Access, DataItem, SharingMode

VERIFIED: Final = frozenset({"YES", "NO", "UNKNOWN"})
"""R48: all that a verification may answer (list ``yes_no_unknown``)."""
DISPUTE_DAYS: Final = 20
ONE_OFF_FIRST: Final = date(2020, 1, 1)
ONE_OFF_LAST: Final = date(2025, 12, 31)
ONE_OFF_REPAID_BY: Final = date(2026, 3, 31)
ONE_OFF_AMOUNT: Final = Decimal(10_000)
"""R29: parameters of the PBOC notice of 2025-12-22; the amount is in yuan and included."""
FLOORS: Final = ((360, 5), (270, 4), (90, 3))
"""R69: more overdue days than the first number: the class is at least the second."""
TECHNICAL_DAYS: Final = 7
_NORMAL, _SPECIAL_MENTION = 1, 2


def says_more_than_verified(item: DataItem, values: Mapping[str, str]) -> tuple[str, ...]:
    """R48, 国办发〔2021〕52号: an item shared by verification answers yes, no or unknown, and never the value itself.

    Return the fields of ``values`` that say more. What the asker gave itself (note "given by the asker") may stand.
    """
    if item.sharing_mode is not SharingMode.VERIFY_ONLY:
        return ()
    fields = {field.field_id: field for field in item.fields if field.access is Access.VERIFY}
    known = {name for name, field in fields.items() if field.note == "given by the asker"}
    open_ = {field.field_id for field in item.fields if field.access is Access.PUBLIC} | known
    return tuple(sorted(name for name, value in values.items() if name not in open_ and value not in VERIFIED))


def is_hidden_one_off(
    arisen_on: date, amount: Decimal, repaid_on: date | None, *, is_of_national_database: bool
) -> bool:
    """R29, PBOC notice of 2025-12-22: one-off repair of persons' small overdue entries, in the national database alone.

    ``amount`` is one entry's, in yuan. An adapter that carries the data of that database asks this for each entry; none
    is connected, and on any other platform the notice hides nothing.
    """
    if not is_of_national_database or repaid_on is None:
        return False
    is_in_time = ONE_OFF_FIRST <= arisen_on <= ONE_OFF_LAST and repaid_on <= ONE_OFF_REPAID_BY
    return is_in_time and amount <= ONE_OFF_AMOUNT


def dispute_due_at(received_at: datetime) -> datetime:
    """R31, 征信业管理条例 Art. 25: checked and answered in writing within 20 days of receipt.

    Calendar days (Beijing time has no other hours): received on the 3rd at noon, due on the 23rd at noon.
    """
    return received_at + timedelta(days=DISPUTE_DAYS)


def five_class_floor(overdue_days: int, *, is_technical: bool = False) -> int:
    """R69, 商业银行金融资产风险分类办法: the best class (1 normal .. 5 loss) that so many overdue days allow.

    Technical arrears of at most 7 days may stay normal (general knowledge, unverified). No item carries a class of one
    loan today: :data:`bank_credit_summary` holds sums.
    """
    if overdue_days <= 0 or (is_technical and overdue_days <= TECHNICAL_DAYS):
        return _NORMAL
    return next((floor for days, floor in FLOORS if overdue_days > days), _SPECIAL_MENTION)


def is_better_than_floor(reported_class: int, overdue_days: int, *, is_technical: bool = False) -> bool:
    """R69: tell whether a reported class is better than its overdue days allow: shown with a doubt, never corrected."""
    return reported_class < five_class_floor(overdue_days, is_technical=is_technical)
