"""One firm's facts, told by either simulated platform in its own words over real sockets, come to the same evaluation."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from bashu.v1.common_pb2 import GatewayOperator
from bashu.v1.report_pb2 import CreditReport, Evaluation
from core.permit import SubjectKind
from sandbox import days, world
from sandbox.baseline import Moment, chongqing_file, declarations
from sandbox.facts import (
    Arrears,
    Enforcement,
    Penalty,
    PlatformFile,
    PlatformId,
    Severity,
    TaxGrade,
    TaxKind,
    wan,
    yuan,
)
from sandbox.listed import strong_firm
from sandbox.subjects import FixedSubject
from standards.catalogue import load_standard
from standards.merge import ReportFrame, evaluate_into, merge
from tests.platform_stage import NAME, SUBJECT, a_permit
from tests.sandbox_stage import open_platforms

STANDARD = load_standard()
ASKED = frozenset({item for rule in STANDARD.card.indicators for item in rule.items} | {*STANDARD.card.hard_stop_items})


def strong(code: str, name: str, at: Moment) -> PlatformFile:
    """The facts as chongqing holds them."""
    file = chongqing_file(code, name, at)
    return replace(file, listed=strong_firm(file))


def weak(code: str, name: str, at: Moment) -> PlatformFile:
    """A penalty, an open enforcement, tax level D and arrears."""
    file = strong(code, name, at)
    penalty = Penalty(
        document_no="渝示例市监罚〔2026〕7号",
        party_name=name,
        party_code=code,
        legal_rep="张样本",
        authority="重庆市示例区市场监督管理局",
        violation="违反广告管理规定",
        facts="发布不合规广告",
        basis="《中华人民共和国广告法》",
        category="03",
        content="罚款5000元",
        fine_fen=yuan("5000"),
        decided_on=date(2026, 5, 6),
        publish_until=date(2029, 5, 6),
        severity=Severity.GENERAL,
    )
    case = Enforcement(
        case_no="（2026）渝0105执示例7号",
        court="重庆市示例区人民法院",
        filed_on=date(2026, 2, 3),
        target_fen=wan("12.50"),
        outstanding_fen=wan("12.50"),
    )
    return replace(
        file,
        tax_grades=(TaxGrade(year=file.as_of.tax.year - 1, grade="D"),),
        arrears_total_fen=wan("40.40"),
        arrears=(Arrears(kind=TaxKind.VAT, month=date(2026, 4, 1), fen=wan("40.40"), announced=True),),
        penalties=(penalty,),
        enforcements=(case,),
    )


def moved(build):
    """The same facts as sichuan holds them: its as-of days, its forms of declarations."""

    def built(code: str, name: str, at: Moment) -> PlatformFile:
        as_of = days.as_of(PlatformId.SICHUAN, at.day)
        told = declarations(as_of.tax, sales_fen=yuan("550350"), tax_fen=yuan("16510.5"))
        return replace(build(code, name, at), platform=PlatformId.SICHUAN, as_of=as_of, declarations=told, score=None)

    return built


def evaluated(answers, home: str) -> Evaluation:
    frame = ReportFrame(
        report_id="r",
        generated_at=datetime.now(UTC),
        operator=GatewayOperator(),
        subject_key=SUBJECT,
        subject_kind=SubjectKind.ENTERPRISE,
        home_region=home,
    )
    report: CreditReport = merge(answers, frame=frame, standard=STANDARD)
    evaluate_into(report, standard=STANDARD, granted=ASKED)
    return report.evaluation


def points(evaluation: Evaluation) -> dict[str, tuple[str, str]]:
    return {one.code: (one.points, one.missing) for one in evaluation.indicators}


@pytest.mark.parametrize("build", [strong, weak], ids=["strong", "weak"])
async def test_the_same_firm_scores_the_same_in_either_region_and_in_both(build, tmp_path, monkeypatch) -> None:
    files = {PlatformId.CHONGQING: build, PlatformId.SICHUAN: moved(build)}
    firm = FixedSubject(code=SUBJECT, name=NAME, home=PlatformId.CHONGQING, note="", files=files)
    monkeypatch.setattr(world, "FIXED_SUBJECTS", (firm,))
    told = {}
    async with open_platforms(tmp_path) as platforms:
        for name, adapter in platforms.adapters.items():
            told[name] = await adapter.ask(a_permit(name, ASKED), ASKED, deadline=time.monotonic() + 30)
    chongqing = evaluated(told["chongqing"], "500000")
    sichuan = evaluated(told["sichuan"], "510000")
    both = evaluated([*told["chongqing"], *told["sichuan"]], "500000")
    for one in (chongqing, sichuan, both):
        print(one.grade, one.score, one.coverage, one.no_grade_reason, [reason.code for reason in one.reasons])
    assert points(chongqing) == points(sichuan) == points(both)
    assert chongqing.HasField("score")
    assert (chongqing.score, chongqing.grade, chongqing.coverage) == (sichuan.score, sichuan.grade, sichuan.coverage)
    assert [reason.code for reason in chongqing.reasons] == [reason.code for reason in sichuan.reasons]
