# ruff: noqa: E501, ISC004 - a page has long lines
"""``make validation``: the reference evaluation against the sandbox's seeded outcomes, as an HTML page with plots.

Each firm is evaluated by a real call under a consent of its own, both platforms asked. The outcomes are invented, by
the firm's public-credit grade: the page proves that the figures are computed, and nothing about predictive power.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import sys
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bashu.client import Bashu, new_request_id
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import credit_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.enquiries import COUNTED
from loadtest.stack import Stack, dev_stack
from loadtest.validation_figures import Band, Case, auc, brier, by, curve, deciles, ks, psi, rises_never
from standards.catalogue import load_standard

PAGE: Final = Path(__file__).parents[1] / "docs/standard/validation.html"
AT_ONCE: Final = 6
MOST_FIRMS: Final = 10_000
"""What the sandbox tells of in one answer."""
DEADLINE_S: Final = 30.0
MICRO, SMALL = 500_000, 5_000_000
"""Largest registered capital, yuan, of each size class: this page's own cut, no official one."""
PROVINCES: Final = {"chongqing": "重庆 Chongqing", "sichuan": "四川 Sichuan"}
STYLE: Final = """body{font:16px/1.6 "Noto Sans CJK SC",sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.3rem .7rem;text-align:right}
th:first-child,td:first-child{text-align:left}.note{background:#fff4d6;padding:.8rem 1rem;border-left:4px solid #d99a00}
svg{background:#fafafa;border:1px solid #ddd;max-width:100%}"""


def main(arguments: Sequence[str]) -> int:
    """Evaluate, compute, write the page; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--firms", type=int, default=1000, help="firms of the population to evaluate")
    parser.add_argument("--page", type=Path, default=PAGE, help="HTML file to write")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.firms <= MOST_FIRMS:
        parser.error(f"--firms: 1 to {MOST_FIRMS}, not {chosen.firms}")
    with dev_stack() as stack:
        cases, failed = asyncio.run(_evaluate_all(stack, chosen.firms))
    chosen.page.write_text(render(cases, failed=failed, day=datetime.now(UTC).date().isoformat()), encoding="utf-8")
    pairs = _pairs(cases)
    print(f"{len(cases)} evaluated, {failed} failed, {len(pairs)} with a score; AUC {_figure(auc(pairs))}")
    print(f"written: {chosen.page}")
    return 0


async def _evaluate_all(stack: Stack, firms: int) -> tuple[list[Case], int]:
    rows = _outcomes(stack.sandbox_control, firms)
    authority = SigningAuthority(stack.authorities["authority-cq"])
    card = load_standard().card
    items = sorted({item for rule in card.indicators for item in rule.items}.union(card.hard_stop_items))
    gate, cases, failed = asyncio.Semaphore(AT_ONCE), list[Case](), 0
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:

        async def one(row: dict[str, Any]) -> None:
            nonlocal failed
            async with gate:
                try:
                    cases.append(await _evaluate(bank, authority, items, row))
                except BashuCallError as error:
                    failed += 1
                    print(f"not evaluated: {error.reason}", file=sys.stderr)
            if (done := len(cases) + failed) % 100 == 0:
                print(f"{done} / {len(rows)}", file=sys.stderr)

        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(one(row))
    return sorted(cases, key=lambda case: case.code), failed


async def _evaluate(bank: Bashu, authority: SigningAuthority, items: Sequence[str], row: dict[str, Any]) -> Case:
    code, name = row["code"], row["name"]
    grant = Grant(institution="bank-cq", identifier=code, items=items, display=name, max_uses=1, acts=COUNTED)
    await bank.register_consent(authority.sign(grant))
    request = credit_pb2.QueryCreditRequest(
        request_id=new_request_id(),
        consent_id=str(grant.consent_id),
        purpose="PRE_LOAN_REVIEW",
        application_reference="VALIDATION-1",
        include_evaluation=True,
    )
    request.subject.enterprise.unified_social_credit_code = code
    request.subject.enterprise.name = name
    report = (await bank.query_credit(request, deadline_s=DEADLINE_S)).report
    told = report.evaluation
    capital = [
        float(record.enterprise_registration.registered_capital)
        for record in report.records
        if record.data_item == "enterprise_registration"
        and record.enterprise_registration.HasField("registered_capital")
    ]
    return Case(
        code=code,
        grade=told.grade,
        score=told.score if told.HasField("score") else None,
        coverage=float(told.coverage),
        bad=row["defaulted"],
        province=PROVINCES[row["home"]],
        size=_size(max(capital, default=None)),
    )


def _outcomes(control: str, firms: int) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{control}/control/outcomes?offset=0&limit={firms}", timeout=60) as answer:  # noqa: S310 - the sandbox's own loopback address
        rows: list[dict[str, Any]] = json.loads(answer.read())["outcomes"]
    return rows


def _size(capital: float | None) -> str:
    if capital is None:
        return "不详 unknown"
    if capital <= MICRO:
        return "注册资本至50万元 to CNY 0.5 m"
    return "50万-500万元 to CNY 5 m" if capital <= SMALL else "500万元以上 over CNY 5 m"


def render(cases: Sequence[Case], *, failed: int, day: str) -> str:
    """Return the page."""
    pairs, card = _pairs(cases), load_standard().card
    edges = sorted(least for _, least in card.grades)
    grades = [name for name, _ in card.grades] + ["XYD-S", "XYD-N"]
    of_grade = by(cases, lambda case: case.grade)
    bands = [_band(name, of_grade[name]) for name in grades if name in of_grade]
    ten = deciles(pairs)
    halves = [[case.score for case in cases[start::2] if case.score is not None] for start in (0, 1)]
    regions = [
        [case.score for case in part if case.score is not None] for part in by(cases, lambda c: c.province).values()
    ]
    between = psi(regions[0], regions[1], edges) if len(regions) == len(PROVINCES) else None
    parts = [
        f"<h1>{card.version} 效果检验 Validation</h1>",
        '<p class="note"><b>这些结果不能说明预测能力。</b>违约结果由沙箱按公共信用等级随机生成，企业均为虚构（打分卡不读该等级，但所读的纳税级别、处罚随之而定）；本页只证明指标能够算出。'
        "实际使用前应以真实结果检验，并按规定向中国人民银行分支机构报告。<br><b>This proves plumbing, not predictive power.</b> Outcomes "
        "are invented by the sandbox from the public-credit grade, which the card does not read, but tax level and penalties go with it; validate on real "
        "outcomes, and report the card to the PBOC branch, before any real use.</p>",
        f"<p>{day}：{len(cases)} 家企业经真实调用评价 firms evaluated by real calls，{failed} 家失败 failed，"
        f"{len(pairs)} 家有分数 with a score，违约 bad {sum(bad for _, bad in pairs)}。<code>make validation</code></p>",
        _table(
            "总体 Overall",
            ("指标 figure", "值 value"),
            [
                ("KS", _figure(ks(pairs))),
                ("AUC", _figure(auc(pairs))),
                ("Brier（按量表设计概率，未校准 on the scale's design, not fitted）", _figure(brier(pairs))),
                ("PSI 样本两半之间 between halves of the sample", _figure(psi(halves[0], halves[1], edges))),
                ("PSI 两省之间 between the provinces", _figure(between)),
                ("违约率随分数十分位单调 monotone over deciles", _yes(rises_never([band.rate for band in ten]))),
                (
                    "违约率随等级单调 monotone over grades",
                    _yes(rises_never([band.rate for band in reversed(bands) if band.name not in {"XYD-S", "XYD-N"}])),
                ),
            ],
        ),
        _plot_curve(curve(pairs)),
        _bands("十分位（低分在前）Deciles, lowest scores first", ten),
        _plot_bands(ten),
        _bands("等级 Grades", bands),
        _groups("省份 Province", by(cases, lambda case: case.province)),
        _groups(
            "规模（按注册资本，本页自定）Size by registered capital, this page's own cut", by(cases, lambda c: c.size)
        ),
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="zh-CN"><head><meta charset="utf-8"><title>{card.version} validation</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _pairs(cases: Iterable[Case]) -> list[tuple[int, bool]]:
    return [(case.score, case.bad) for case in cases if case.score is not None]


def _band(name: str, cases: Sequence[Case]) -> Band:
    return Band(name=name, count=len(cases), bad=sum(case.bad for case in cases))


def _bands(title: str, bands: Sequence[Band]) -> str:
    rows = [(band.name, band.count, band.bad, f"{band.rate:.1%}") for band in bands]
    return _table(title, ("档 band", "户数 firms", "违约 bad", "违约率 rate"), rows)


def _groups(title: str, groups: dict[str, list[Case]]) -> str:
    rows = []
    for name, cases in groups.items():
        pairs = _pairs(cases)
        coverage = sum(case.coverage for case in cases) / len(cases)
        bad = sum(case.bad for case in cases)
        rows.append((name, len(cases), bad, f"{coverage:.3f}", _figure(auc(pairs)), _figure(ks(pairs))))
    return _table(title, ("组 group", "户数 firms", "违约 bad", "平均覆盖度 coverage", "AUC", "KS"), rows)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = ["<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<h2>{html.escape(title)}</h2>\n<table><tr>{head}</tr>\n" + "\n".join(lines) + "\n</table>"


def _plot_curve(points: Sequence[tuple[int, float, float]]) -> str:
    """Draw the cumulative shares of good and bad firms over the score; their widest gap is KS."""
    if not points:
        return ""
    lowest, highest = points[0][0], points[-1][0]
    across: Callable[[int], float] = lambda score: 50 + 500 * (score - lowest) / max(highest - lowest, 1)  # noqa: E731
    lines = [
        f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="'
        + " ".join(f"{across(point[0]):.1f},{260 - 240 * point[place]:.1f}" for point in points)
        + '"/>'
        for place, colour in ((1, "#1b7f4b"), (2, "#b3261e"))
    ]
    return (
        "<h2>累计分布 Cumulative shares</h2>\n"
        '<svg viewBox="0 0 600 300" width="600" role="img" aria-label="cumulative shares">'
        + "".join(lines)
        + f'<text x="50" y="285">{lowest}</text><text x="530" y="285">{highest}</text>'
        '<text x="60" y="30" fill="#b3261e">违约 bad</text><text x="60" y="50" fill="#1b7f4b">未违约 good</text></svg>'
    )


def _plot_bands(bands: Sequence[Band]) -> str:
    """Draw the rate of each decile as a bar."""
    most = max((band.rate for band in bands), default=0.0) or 1.0
    bars = "".join(
        f'<rect x="{40 + 52 * number}" y="{200 - 170 * band.rate / most:.1f}" width="40"'
        f' height="{170 * band.rate / most:.1f}" fill="#3b6fb6"/>'
        f'<text x="{40 + 52 * number}" y="218" font-size="11">{band.rate:.1%}</text>'
        for number, band in enumerate(bands)
    )
    return f'<svg viewBox="0 0 580 230" width="580" role="img" aria-label="rates of deciles">{bars}</svg>'


def _figure(value: float | None) -> str:
    return "无 none" if value is None else f"{value:.3f}"


def _yes(value: bool) -> str:
    return "是 yes" if value else "否 no"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
