"""Turn a file into the groups of ``BODY``, in their order (docs/platforms/chongqing.md section 7).

A group is either one element (or one tag), which stands on page 1, or a list of rows, which is paged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Final

from sandbox.chongqing import rows, values
from sandbox.chongqing.codes import Kind
from sandbox.chongqing.listed import rows_by_group
from sandbox.chongqing.writer import nest, tag, tags
from sandbox.facts import PlatformFile, Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """What stands on page 1 only, written."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """A list group: its rows, each written."""

    name: str
    as_of: date
    rows: tuple[str, ...]

    def text(self, chosen: Iterable[str]) -> str:
        """Write the group with some of its rows; every page repeats ``SJSJ``."""
        return nest(self.name, tag("SJSJ", values.day(self.as_of)) + "".join(chosen))


Group = Single | RowGroup


def groups(file: PlatformFile, kinds: AbstractSet[Kind]) -> tuple[Group, ...]:
    """Return what the file holds of ``kinds``, nothing else and nothing empty, in the order of section 7."""
    return tuple(chain.from_iterable(build(file, kinds) for build in _BUILDERS))


def _registration(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    if Kind.JBXX in kinds and file.registration is not None:
        inner = tag("SJSJ", values.day(file.as_of.registration)) + _registration_tags(file, file.registration)
        yield Single(text=nest("JBXX", inner))


def _registration_tags(file: PlatformFile, known: Registration) -> str:
    return tags(
        (
            ("QYMC", file.name),
            ("TYSHXYDM", file.code),
            ("GSZCH", known.business_reg_no),
            ("FDDBR", known.legal_rep),
            ("FRZJHM", known.legal_rep_id_no),
            ("FRLXDH", known.legal_rep_telephone),
            ("CLRQ", values.day(known.established_on)),
            ("ZCZB", values.wan(known.registered_fen)),
            ("SJZB", values.wan(known.paid_in_fen)),
            ("ZBBZ", known.currency),
            ("JYZT", values.STATUS_CODES[known.status]),
            ("HYDM", known.industry.code),
            ("XZQH", known.division.code),
            ("JYQXQ", values.day(known.term_from)),
            ("JYQXZ", values.day(known.term_to) or values.OPEN_END),
        )
    )


def _people(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    if Kind.GDXX in kinds:
        yield from _listed("GDXX", file.as_of.registration, map(rows.shareholder, file.shareholders))
    if Kind.ZYRY in kinds:
        yield from _listed("ZYRY", file.as_of.registration, map(rows.key_person, file.key_persons))


def _tax(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    inner = ""
    if Kind.NSXY in kinds and file.tax_grades:
        inner += tag("NSXYDJ", max(file.tax_grades, key=lambda grade: grade.year).grade)
    if Kind.NSSJ in kinds:
        inner += "".join(rows.year_amount("NSE", amount) for amount in file.tax_paid)
        inner += "".join(rows.year_amount("YYSR", amount) for amount in file.tax_sales)
    if Kind.QSXX in kinds and file.arrears_total_fen is not None:
        inner += tag("QSJE", values.wan(file.arrears_total_fen) if file.arrears_total_fen else "0")
    if inner:
        yield Single(text=nest("NSXX", tag("SJSJ", values.day(file.as_of.tax)) + inner))
    if Kind.KPXX in kinds:
        yield from _listed("KPXX", file.as_of.invoices, map(rows.sales_month, file.sales))


def _insurance(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    if Kind.SBXX not in kinds:
        return
    if file.insured is not None:
        inner = tags(
            (
                ("SJSJ", values.day(file.as_of.insurance)),
                ("CBRS", values.count(file.insured.heads)),
                ("JFJZY", values.month(file.insured.paid_to)),
            )
        )
        yield Single(text=nest("SBXX", inner))
    yield from _listed("SHJF", file.as_of.insurance, map(rows.insurance_month, file.insurance))


def _penalties(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    if Kind.XZCF in kinds:
        yield from _listed("XZCF", file.as_of.penalties, map(rows.penalty, file.penalties))


def _courts(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    inner = ""
    if file.is_known_to_courts and Kind.BZXR in kinds:
        inner += tag("BZXRS", values.count(sum(case.closed_on is None for case in file.enforcements)))
    if file.is_known_to_courts and Kind.SXXX in kinds:
        inner += tag("SFSXBZXR", values.yes_no(any(entry.removed_on is None for entry in file.dishonesty)))
    if inner:
        yield Single(text=nest("SFXX", tag("SJSJ", values.day(file.as_of.judicial)) + inner))
    if Kind.BZXR in kinds:
        yield from _listed("ZXMC", file.as_of.judicial, map(rows.enforcement, file.enforcements))
    if Kind.SXXX in kinds:
        yield from _listed("SXMX", file.as_of.judicial, map(rows.dishonesty, file.dishonesty))


def _guarantees(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    if Kind.DBXX in kinds:
        yield from _listed("DBXX", file.as_of.guarantees, map(rows.guarantee, file.guarantees))


def _plain_lists(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    for name, as_of, written in rows_by_group(file, kinds):
        yield from _listed(name, as_of, written)


def _grades(file: PlatformFile, kinds: AbstractSet[Kind]) -> Iterable[Group]:
    if Kind.GGXY in kinds and file.public_grade is not None:
        yield Single(text=tag("GGXYPJ", values.PUBLIC_GRADE_CODES[file.public_grade.grade]))
        yield Single(text=tag("GGXYRQ", values.day(file.public_grade.evaluated_on)))
    if Kind.PTPF in kinds and file.score is not None:
        yield Single(text=tag("PTPF", f"{file.score.value:.1f}"))
        yield Single(text=tag("PTDJ", file.score.grade))


def _listed(name: str, as_of: date, written: Iterable[str]) -> Iterable[Group]:
    found = tuple(written)
    if found:
        yield RowGroup(name=name, as_of=as_of, rows=found)


_BUILDERS: Final[tuple[Callable[[PlatformFile, AbstractSet[Kind]], Iterable[Group]], ...]] = (
    _registration,
    _people,
    _tax,
    _insurance,
    _penalties,
    _courts,
    _guarantees,
    _plain_lists,
    _grades,
)
