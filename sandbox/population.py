"""The seeded population: a firm is made from its index when it is asked for, so a start costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Final

from sandbox.baseline import JIANGBEI, WUHOU, Moment, chongqing_file, sichuan_file
from sandbox.facts import (
    Direction,
    Division,
    Enforcement,
    Grade,
    Guarantee,
    Penalty,
    PlatformFile,
    PlatformId,
    PublicGrade,
    Registration,
    Score,
    Severity,
    wan,
    yuan,
)
from sandbox.identifiers import USCC_ALPHABET, enterprise_code

GRADE_SHARES: Final = ((Grade.EXCELLENT, 0.023), (Grade.GOOD, 0.764), (Grade.MEDIUM, 0.200), (Grade.POOR, 0.013))
"""As Zhejiang published for 2.3 million firms."""

_LETTERS: Final = USCC_ALPHABET[10:]
_SERIALS: Final = len(_LETTERS) * len(USCC_ALPHABET) ** 3
"""Serials start with a letter: those that start with a digit belong to the fixed subjects."""
DEFAULT_RATES: Final = {Grade.EXCELLENT: 0.005, Grade.GOOD: 0.02, Grade.MEDIUM: 0.10, Grade.POOR: 0.40}
"""Invented: which share of a grade's firms fails to pay within twelve months. Nothing is said of real firms."""
_GUARANTEE_SHARE: Final = 0.05
_HUNDRED_YUAN: Final = 10_000
"""chongqing's amounts have two decimals of 万元, so its values are whole hundreds of yuan."""


def _chongqing(code: str, district: str) -> Division:
    return Division(code=code, province="重庆市", city="市辖区", district=district)


def _chengdu(code: str, district: str) -> Division:
    return Division(code=code, province="四川省", city="成都市", district=district)


DIVISIONS: Final = (
    JIANGBEI,
    WUHOU,
    _chongqing("500103", "渝中区"),
    _chengdu("510104", "锦江区"),
    _chongqing("500106", "沙坪坝区"),
    _chengdu("510105", "青羊区"),
    _chongqing("500107", "九龙坡区"),
    _chengdu("510106", "金牛区"),
    _chongqing("500108", "南岸区"),
    _chengdu("510108", "成华区"),
    _chongqing("500113", "巴南区"),
    _chengdu("510112", "龙泉驿区"),
)
"""Chongqing and Sichuan in turn, so that every second firm is the other's."""

LARGEST: Final = _SERIALS * len(DIVISIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quality:
    """What goes with a public grade: tax level, chongqing's score and grade, sichuan's."""

    tax: str
    chongqing: tuple[str, str]
    sichuan: tuple[str, str, str]


_QUALITIES: Final = {
    Grade.EXCELLENT: _Quality(tax="A", chongqing=("91.0", "AAA"), sichuan=("860", "A1", "0.06")),
    Grade.GOOD: _Quality(tax="B", chongqing=("72.5", "A"), sichuan=("705", "B1", "0.22")),
    Grade.MEDIUM: _Quality(tax="C", chongqing=("51.0", "BB"), sichuan=("560", "C1", "0.47")),
    Grade.POOR: _Quality(tax="D", chongqing=("23.5", "CC"), sichuan=("410", "C2", "0.78")),
}


class Population:
    """``enterprises`` invented firms with ``persons`` invented heads, all determined by ``seed``."""

    def __init__(self, *, seed: int, enterprises: int, persons: int) -> None:
        if not 0 <= enterprises <= LARGEST:
            raise ValueError(f"a population has 0 to {LARGEST} enterprises, not {enterprises}")
        self._seed = seed
        self._persons = max(persons, 1)
        self.size = enterprises

    def codes(self, offset: int, limit: int) -> Iterator[str]:
        """Yield the codes of at most ``limit`` firms from index ``offset`` on."""
        return (self.code(index) for index in range(offset, min(offset + limit, self.size)))

    def firms(self, offset: int, limit: int) -> Iterator[tuple[str, str, PlatformId]]:
        """Yield code, name and home of at most ``limit`` firms from index ``offset`` on."""
        last = min(offset + limit, self.size)
        return ((self.code(index), self.name(index), self.home(index)) for index in range(offset, last))

    def code(self, index: int) -> str:
        """Return the 18-character code of a firm, check digits included (GB 32100-2015, GB 11714-1997)."""
        return enterprise_code(self._division(index).code, "XXTT" + _serial_text(index % _SERIALS))

    def name(self, index: int) -> str:
        """Return a firm's registered name; it contains its serial, so that names are found without a table."""
        division = self._division(index)
        city = "重庆市" if division.province == "重庆市" else "成都市"
        return f"{city}{division.district}样本{_serial_text(index % _SERIALS)}号贸易有限公司"

    def index_of_code(self, code: str) -> int | None:
        """Return the index of the firm with ``code``, None when there is none."""
        return next((index for index in self._candidates(code[12:16]) if self.code(index) == code), None)

    def index_of_name(self, name: str) -> int | None:
        """Return the index of the firm with exactly this name, None when there is none."""
        _, _, rest = name.partition("样本")
        return next((index for index in self._candidates(rest[:4]) if self.name(index) == name), None)

    def home(self, index: int) -> PlatformId:
        """Return the one platform that holds the firm."""
        return PlatformId.CHONGQING if self._division(index).code.startswith("50") else PlatformId.SICHUAN

    def grade(self, index: int) -> Grade:
        """Return the firm's public-credit grade."""
        return self._grade(self._random(index))

    def defaulted(self, index: int) -> bool:
        """Tell whether the firm failed to pay within twelve months of the data day: seeded, by its grade's rate."""
        return Random(f"{self._seed}/outcome/{index}").random() < DEFAULT_RATES[self.grade(index)]

    def file(self, index: int, at: Moment) -> PlatformFile:
        """Return what the firm's platform holds about it on a data day."""
        random = self._random(index)
        grade = self._grade(random)
        quality = _QUALITIES[grade]
        if self.home(index) is PlatformId.CHONGQING:
            file = self._chongqing_file(index, at, quality, random)
        else:
            file = self._sichuan_file(index, at, quality, random)
        assert file.public_grade is not None
        return replace(
            file,
            tax_grades=tuple(replace(row, grade=quality.tax) for row in file.tax_grades),
            public_grade=PublicGrade(grade=grade, evaluated_on=file.public_grade.evaluated_on),
            guarantees=self._guarantees(index),
            penalties=self._penalties(file, grade, random),
            enforcements=_enforcements(file, grade),
        )

    def _chongqing_file(self, index: int, at: Moment, quality: _Quality, random: Random) -> PlatformFile:
        file = chongqing_file(self.code(index), self.name(index), at)
        per_mille = random.randint(150, 4000)
        value, grade = quality.chongqing
        return replace(
            file,
            registration=self._registration(file, index, random),
            sales=tuple(
                replace(row, fen=row.fen * per_mille // 1000 // _HUNDRED_YUAN * _HUNDRED_YUAN) for row in file.sales
            ),
            score=Score(value=Decimal(value), grade=grade, calculated_on=file.as_of.score),
        )

    def _sichuan_file(self, index: int, at: Moment, quality: _Quality, random: Random) -> PlatformFile:
        file = sichuan_file(self.code(index), self.name(index), at)
        per_mille = random.randint(150, 4000)
        value, grade, risk = quality.sichuan
        assert file.score is not None
        return replace(
            file,
            registration=self._registration(file, index, random),
            sales=tuple(replace(row, fen=row.fen * per_mille // 1000) for row in file.sales),
            score=replace(file.score, value=Decimal(value), grade=grade, risk=Decimal(risk)),
        )

    def _registration(self, file: PlatformFile, index: int, random: Random) -> Registration:
        assert file.registration is not None
        opened = date(random.randint(2003, 2024), random.randint(1, 12), random.randint(1, 28))
        capital = wan(str(random.choice((10, 50, 100, 200, 500, 1000, 3000))))
        return replace(
            file.registration,
            legal_rep=f"样本{random.randrange(self._persons):04d}",
            established_on=opened,
            term_from=opened,
            division=self._division(index),
            registered_fen=capital,
            paid_in_fen=None if file.registration.paid_in_fen is None else capital,
        )

    def _penalties(self, file: PlatformFile, grade: Grade, random: Random) -> tuple[Penalty, ...]:
        if grade not in (Grade.MEDIUM, Grade.POOR):
            return ()
        is_chongqing = file.platform is PlatformId.CHONGQING
        short, place = ("渝", "重庆市") if is_chongqing else ("川", "成都市")
        assert file.registration is not None
        number = random.randint(1, 999)
        return (
            Penalty(
                document_no=f"{short}示例市监罚〔2026〕{number}号",
                party_name=file.name,
                party_code=file.code,
                legal_rep=file.registration.legal_rep,
                authority=f"{place}示例区市场监督管理局",
                violation="违反广告管理规定",
                facts="发布不合规广告",
                basis="《中华人民共和国广告法》",
                category="03",
                content="罚款5000元",
                fine_fen=yuan("5000"),
                decided_on=date(2026, 5, 6),
                publish_until=date(2029, 5, 6),
                severity=Severity.GENERAL,
            ),
        )

    def _guarantees(self, index: int) -> tuple[Guarantee, ...]:
        """A firm that gives one gives it to the firm after it, so that both platforms tell the same fact."""
        rows = []
        if index + 1 < self.size and self._gives(index):
            rows.append(self._guarantee(Direction.GIVEN, index, index + 1))
        if index > 0 and self._gives(index - 1):
            rows.append(self._guarantee(Direction.RECEIVED, index - 1, index - 1))
        return tuple(sorted(rows, key=lambda row: row.start, reverse=True))

    def _guarantee(self, direction: Direction, guarantor: int, other: int) -> Guarantee:
        fen = wan(str(50 * (1 + guarantor % 8)))
        return Guarantee(
            direction=direction,
            other_code=self.code(other),
            other_name=self.name(other),
            fen=fen,
            balance_fen=fen,
            start=date(2025, 1 + guarantor % 12, 1),
            end=date(2028, 12, 31),
        )

    def _gives(self, index: int) -> bool:
        return Random(f"{self._seed}/gives/{index}").random() < _GUARANTEE_SHARE

    def _grade(self, random: Random) -> Grade:
        return random.choices([grade for grade, _ in GRADE_SHARES], [share for _, share in GRADE_SHARES])[0]

    def _random(self, index: int) -> Random:
        return Random(f"{self._seed}/firm/{index}")

    def _division(self, index: int) -> Division:
        return DIVISIONS[(index % _SERIALS + index // _SERIALS) % len(DIVISIONS)]

    def _candidates(self, serial: str) -> range:
        number = _serial_number(serial)
        return range(0) if number is None else range(number, self.size, _SERIALS)


def _enforcements(file: PlatformFile, grade: Grade) -> tuple[Enforcement, ...]:
    if grade is not Grade.POOR:
        return ()
    is_chongqing = file.platform is PlatformId.CHONGQING
    place, court = ("渝0105", "重庆市示例区人民法院") if is_chongqing else ("川0107", "成都市示例区人民法院")
    return (
        Enforcement(
            case_no=f"（2026）{place}执示例{file.code[12:16]}号",
            court=court,
            filed_on=date(2026, 2, 3),
            target_fen=wan("12.50"),
            outstanding_fen=wan("12.50"),
        ),
    )


def _serial_text(number: int) -> str:
    text = ""
    for _ in range(3):
        number, digit = divmod(number, len(USCC_ALPHABET))
        text = USCC_ALPHABET[digit] + text
    return _LETTERS[number] + text


def _serial_number(text: str) -> int | None:
    if len(text) != 4 or text[0] not in _LETTERS or any(sign not in USCC_ALPHABET for sign in text):  # noqa: PLR2004
        return None
    number = _LETTERS.index(text[0])
    for sign in text[1:]:
        number = number * len(USCC_ALPHABET) + USCC_ALPHABET.index(sign)
    return number
