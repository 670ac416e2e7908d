"""Invented natural persons that both platforms know, served where the gateway asks about persons (subjects.md, 9).

Their identity numbers are of the year 1900, with valid check digits and serials of this project's choice: nobody alive
has them. Only what stands in ``PERSONAL_ITEMS`` is held about persons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sandbox import days
from sandbox.baseline import Moment, empty_file
from sandbox.facts import PLANTED_ID_NO, Dishonesty, Enforcement, Entry, PlatformFile, PlatformId, wan, yuan

CITIZEN_ID_KIND: Final = "10"
"""证件类型 of an identity card, in both platforms' words."""
CITIZEN_ID: Final = re.compile(r"[0-9]{17}[0-9X]")
PERSONAL_ITEMS: Final = frozenset({"judgment_debtor", "dishonest_judgment_debtor", "housing_provident_fund"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPerson:
    """One invented person and the platforms that know it."""

    id_no: str
    name: str
    note: str
    platforms: frozenset[PlatformId]


HAS_NOTHING_AGAINST: Final = FixedPerson(
    id_no="500105190001010012", name="周样本", note="fund paid, one case closed", platforms=frozenset(PlatformId)
)
IS_LISTED: Final = FixedPerson(
    id_no="510107190002020022", name="吴样本", note="dishonest judgment debtor", platforms=frozenset(PlatformId)
)
IS_UNKNOWN_IN_SICHUAN: Final = FixedPerson(
    id_no="500105190003030033",
    name="郑样本",
    note="Chongqing holds nothing, Sichuan does not know it",
    platforms=frozenset({PlatformId.CHONGQING}),
)
FIXED_PERSONS: Final[Mapping[str, FixedPerson]] = {
    person.id_no: person for person in (HAS_NOTHING_AGAINST, IS_LISTED, IS_UNKNOWN_IN_SICHUAN)
}


def is_person(subject: str) -> bool:
    """Tell whether a subject's key is an identity number: codes of organisations have a letter among the first 17."""
    return CITIZEN_ID.fullmatch(subject) is not None


def person_file(platform: PlatformId, id_no: str, at: Moment) -> PlatformFile | None:
    """Return what a platform holds about a person, None where it does not know it."""
    person = FIXED_PERSONS.get(id_no)
    if person is None or platform not in person.platforms:
        return None
    file = empty_file(platform, id_no, person.name, at)
    if person is HAS_NOTHING_AGAINST:
        return replace(file, enforcements=(_closed_case(platform),), listed={"housing_provident_fund": (_fund(file),)})
    if person is IS_LISTED:
        return replace(file, enforcements=(_open_case(),), dishonesty=(_dishonest(),), is_known_to_courts=True)
    return file


def _closed_case(platform: PlatformId) -> Enforcement:
    # Chongqing has it open still: the two regions' courts tell the platforms at different times.
    closed = date(2026, 6, 30) if platform is PlatformId.SICHUAN else None
    return Enforcement(
        case_no="（2026）渝0105执示例61号",
        court="重庆市示例区人民法院",
        filed_on=date(2026, 3, 2),
        target_fen=wan("2.00"),
        outstanding_fen=0,
        closed_on=closed,
        id_no=PLANTED_ID_NO,
    )


def _open_case() -> Enforcement:
    return Enforcement(
        case_no="（2025）川0107执示例62号",
        court="成都市示例区人民法院",
        filed_on=date(2025, 9, 1),
        target_fen=wan("18.00"),
        outstanding_fen=wan("18.00"),
        id_no=PLANTED_ID_NO,
    )


def _dishonest() -> Dishonesty:
    return Dishonesty(
        case_no="（2025）川0107执示例62号",
        court="成都市示例区人民法院",
        province="四川",
        basis_no="（2025）川0107民初示例8号",
        basis_unit="成都市示例区人民法院",
        duty="支付借款18.00万元",
        conduct="有履行能力而拒不履行生效法律文书确定义务",
        legal_rep="",
        filed_on=date(2025, 9, 1),
        published_on=date(2026, 1, 15),
        id_no=PLANTED_ID_NO,
    )


def _fund(file: PlatformFile) -> Entry:
    latest = days.first_of_month(file.as_of.tax)
    return {
        "first": date(2021, 4, 1), "employees": 1, "base": yuan("6500"), "paid_to": latest, "status": "0",
        "id_no": PLANTED_ID_NO,
    }  # fmt: skip
