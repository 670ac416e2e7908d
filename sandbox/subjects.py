"""The subjects with fixed behaviour, exactly as docs/platforms/subjects.md sections 3 to 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from sandbox.baseline import (
    WUHOU,
    Moment,
    chongqing_file,
    chongqing_registration,
    empty_file,
    sichuan_file,
    sichuan_score,
)
from sandbox.facts import (
    PLANTED_ID_NO,
    Behaviour,
    Branch,
    Direction,
    Guarantee,
    Industry,
    PlatformFile,
    PlatformId,
    Status,
    wan,
    yuan,
)
from sandbox.listed import strong_firm
from sandbox.permits import DISCHARGE, HAULAGE, TELECOMS, permitted
from sandbox.personal_data import indiscreet_chongqing, indiscreet_sichuan
from sandbox.ratings import CERTIFIED, GRADED_WELL
from sandbox.ring import RING_A, RING_B, RING_C, RING_NAMES, ring_chongqing, ring_sichuan
from sandbox.subject_files import JINJIANG, dishonest, hairdresser, in_arrears, repaired, snack_bar

FIRST: Final = "91500105XXTT00018M"
SECOND: Final = "91510107XXTT00026H"

Build = Callable[[str, str, Moment], PlatformFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedSubject:
    """One row of the table: the file each platform that holds it answers with. ``note`` is for people."""

    code: str
    name: str
    home: PlatformId
    note: str
    files: Mapping[PlatformId, Build]


def _first_chongqing(code: str, name: str, at: Moment) -> PlatformFile:
    registration = replace(chongqing_registration(), business_reg_no="500105000000018")
    file = chongqing_file(code, name, at)
    return replace(
        file,
        registration=registration,
        guarantees=(_first_guarantee(Direction.RECEIVED),),
        listed=permitted(replace(file, listed={**strong_firm(file), **GRADED_WELL}), DISCHARGE),
    )


def _first_sichuan(code: str, name: str, at: Moment) -> PlatformFile:
    chengdu = Branch(
        code="91510107XXTT900179",
        name="重庆示例一号机电有限公司成都分公司",
        principal="孙样本",
        principal_id_no=PLANTED_ID_NO,
        division=WUHOU,
        established_on=date(2018, 5, 10),
        status=Status.ACTIVE,
    )
    jinjiang = Branch(
        code="91510104XXTT90025Q",
        name="重庆示例一号机电有限公司锦江分公司",
        principal="孙样本",
        division=JINJIANG,
        established_on=date(2019, 3, 1),
        status=Status.DEREGISTERED,
        cancelled_on=date(2021, 6, 30),
    )
    file = empty_file(PlatformId.SICHUAN, code, name, at)
    of_branch = {"party": chengdu.name, "party_code": chengdu.code, "head_office": code}
    return replace(
        file,
        branches=(chengdu, jinjiang),
        guarantees=(_first_guarantee(Direction.RECEIVED),),
        listed=permitted(file, {**HAULAGE, **of_branch}),
    )


def _second(code: str, name: str, at: Moment) -> PlatformFile:
    file = sichuan_file(code, name, at)
    listed = permitted(replace(file, listed={**strong_firm(file), **CERTIFIED}), TELECOMS)
    return replace(file, guarantees=(_first_guarantee(Direction.GIVEN),), listed=listed)


def _first_guarantee(direction: Direction) -> Guarantee:
    is_given = direction is Direction.GIVEN
    return Guarantee(
        direction=direction,
        other_code=FIRST if is_given else SECOND,
        other_name="重庆示例一号机电有限公司" if is_given else "四川示例二号（成都）软件有限公司",
        fen=yuan("2000000"),
        balance_fen=yuan("1500000"),
        start=date(2025, 3, 15),
        end=date(2028, 3, 14),
    )


def _thin(code: str, name: str, at: Moment) -> PlatformFile:
    opened = date(2025, 9, 1)
    registration = replace(
        chongqing_registration(),
        established_on=opened,
        term_from=opened,
        registered_fen=wan("10"),
        paid_in_fen=None,
        industry=Industry(code="7243", section="租赁和商务服务业"),
    )
    return replace(empty_file(PlatformId.CHONGQING, code, name, at), registration=registration)


def _nothing(code: str, name: str, at: Moment) -> PlatformFile:
    return empty_file(PlatformId.SICHUAN, code, name, at)


def _revoked_elsewhere(code: str, name: str, at: Moment) -> PlatformFile:
    registration = replace(chongqing_registration(), status=Status.REVOKED, revoked_on=date(2026, 3, 2))
    return replace(empty_file(PlatformId.SICHUAN, code, name, at), registration=registration)


def _never_answers(code: str, name: str, at: Moment) -> PlatformFile:
    behaviour = Behaviour(silent_module="ent-operate/social-insurance")
    return replace(sichuan_file(code, name, at), behaviour=behaviour)


def _never_ends(code: str, name: str, at: Moment) -> PlatformFile:
    return replace(chongqing_file(code, name, at), behaviour=Behaviour(job_never_ends=True))


def _revoked_midway(code: str, name: str, at: Moment) -> PlatformFile:
    return replace(sichuan_file(code, name, at), behaviour=Behaviour(is_revoked_after_first_module=True))


def _falling_score(code: str, name: str, at: Moment) -> PlatformFile:
    file = sichuan_file(code, name, at)
    has_fallen = at.days_since_start >= 1
    value, grade, risk = ("582", "C1", "0.44") if has_fallen else ("702", "B1", "0.22")
    return replace(file, score=sichuan_score(value, grade, risk, file.as_of.score))


def _chongqing(code: str, name: str, note: str, build: Build, elsewhere: Build | None = None) -> FixedSubject:
    files = {PlatformId.CHONGQING: build}
    if elsewhere is not None:
        files[PlatformId.SICHUAN] = elsewhere
    return FixedSubject(code=code, name=name, home=PlatformId.CHONGQING, note=note, files=files)


def _sichuan(code: str, name: str, note: str, build: Build) -> FixedSubject:
    return FixedSubject(code=code, name=name, home=PlatformId.SICHUAN, note=note, files={PlatformId.SICHUAN: build})


FIXED_SUBJECTS: Final[tuple[FixedSubject, ...]] = (
    _chongqing(FIRST, "重庆示例一号机电有限公司", "clean and strong", _first_chongqing, _first_sichuan),
    _sichuan(SECOND, "四川示例二号（成都）软件有限公司", "clean, guarantees …0018M", _second),
    _chongqing("91500105XXTT00034B", "重庆示例三号商贸有限公司", "dishonest judgment debtor", dishonest),
    _sichuan("91510107XXTT000427", "四川示例四号建材有限公司", "arrears, level D", in_arrears),
    _chongqing("91500105XXTT000501", "重庆示例五号咨询有限公司", "registration only", _thin),
    _sichuan("91510107XXTT00069Y", "四川示例六号商务服务有限公司", "nothing in any module", _nothing),
    _chongqing(
        "91500105XXTT00077Q", "重庆示例七号实业有限公司", "revoked says sichuan", chongqing_file, _revoked_elsewhere
    ),
    _sichuan("91510107XXTT00085L", "四川示例八号科技有限公司", "one module never answers", _never_answers),
    _chongqing("91500105XXTT00093E", "重庆示例九号物流有限公司", "the job never ends", _never_ends),
    _sichuan("91510107XXTT001065", "四川示例十号餐饮管理有限公司", "authorisation revoked midway", _revoked_midway),
    _chongqing(RING_A, RING_NAMES[RING_A], "ring A", ring_chongqing),
    _sichuan(RING_B, RING_NAMES[RING_B], "ring B", ring_sichuan),
    _chongqing(RING_C, RING_NAMES[RING_C], "ring C", ring_chongqing),
    _chongqing("92500112XXTT00130M", "渝北区示例十三号小吃店", "sole proprietor", snack_bar),
    _sichuan("92510104XXTT001494", "锦江区示例十四号理发店", "sole proprietor, no tax level", hairdresser),
    _sichuan("91510107XXTT001658", "四川示例十六号信息有限公司", "score falls by 120", _falling_score),
    _chongqing("91500105XXTT001732", "重庆示例十七号食品有限公司", "penalty repaired", repaired),
    _sichuan("91510107XXTT00181X", "四川示例十八号𠮷祥（成都）食品有限公司", "name beyond GBK", sichuan_file),
    _chongqing(
        "91500105XXTT0019XL",
        "重庆示例十九号印刷有限公司",
        "every class-3 tag",
        indiscreet_chongqing,
        indiscreet_sichuan,
    ),
)
