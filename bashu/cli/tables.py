"""What people see on a terminal: Chinese first, English beside it. Nothing here decides anything."""

from __future__ import annotations

import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta, timezone
from typing import Final

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from bashu.cli.dictionary import code_name
from bashu.cli.labels import (
    BUNDLE_STATE,
    CHECK,
    COMPLETENESS,
    CONSENT_STATE,
    FACT,
    LICENCE,
    PLATFORM_STATUS,
    REASON,
    REGION,
    coded,
    field_name,
    item_name,
)
from bashu.errors import BashuCallError
from bashu.v1 import common_pb2, compliance_pb2, consent_pb2, credit_pb2, report_pb2

_WIDTH_OF_A_PIPE: Final = 120
_CHINA: Final = timezone(timedelta(hours=8))
_MOST_COLUMNS: Final = 8
"""More than these break their cells at 120 columns; then a record is a paragraph."""


def console(*, stderr: bool = False) -> Console:
    """Open the terminal; a pipe gets 120 columns instead of the 80 that break Chinese tables."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_PIPE, highlight=False)


def plain(value: object) -> Text:
    """Show text from outside as text: no markup, no control characters that would steer the terminal."""
    shown = "".join("�" if unicodedata.category(c) == "Cc" and c != "\n" else c for c in str(value))
    return Text(shown)


def moment(value: Timestamp) -> str:
    """Show a moment in UTC to the second; empty where it is unset."""
    return "" if not value.seconds else value.ToDatetime().strftime("%Y-%m-%d %H:%M:%SZ")


def day(value: Timestamp) -> str:
    """Show the day a moment falls on in China: an as-of is a day there, from its midnight (16:00 UTC before)."""
    return "" if not value.seconds else value.ToDatetime(tzinfo=_CHINA).strftime("%Y-%m-%d")


def facts(title: str, rows: Mapping[str, object]) -> Table:
    """Lay out names and values; rows without a value are left out."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value not in ("", None):
            table.add_row(name, plain(value))
    return table


def grid(title: str, columns: Iterable[str], rows: Iterable[Iterable[object]], *, is_keyed: bool = False) -> Table:
    """Lay out rows under bilingual headings; the first column of a keyed table is never broken, so it can be copied."""
    table = Table(title=title or None, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=is_keyed and not position)
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    return table


def print_report(out: Console, report: report_pb2.CreditReport) -> None:
    """Print a whole report."""
    out.print(_head(report))
    out.print(_platforms(report))
    sources = {source.source_id: source for source in report.sources}
    by_item: dict[str, list[report_pb2.CreditRecord]] = defaultdict(list)
    for record in report.records:
        by_item[record.data_item or record.WhichOneof("body") or ""].append(record)
    for item, records in by_item.items():
        out.print(_records(item, records, sources))
    for table in (_conflicts(report), _annotations(report), _withheld(report)):
        if table.row_count:
            out.print(table)
    if report.HasField("evaluation"):
        print_evaluation(out, report.evaluation)
    if report.disclaimer:
        out.print(plain(report.disclaimer))


def print_evaluation(out: Console, evaluation: report_pb2.Evaluation) -> None:
    """Print a reference evaluation and its reasons."""
    rows = {
        "模型 model": evaluation.model_version,
        "分数 score": evaluation.score if evaluation.HasField("score") else "",
        "等级 grade": evaluation.grade,
        "未评级原因 no grade": evaluation.no_grade_reason,
        "覆盖度 coverage": evaluation.coverage,
        "人工复核 human review": "可申请 available" if evaluation.human_review_available else "",
    }
    out.print(facts("参考评价 reference evaluation", rows))
    if evaluation.reasons:
        reasons = [(reason.code, reason.text_zh, reason.text_en) for reason in evaluation.reasons]
        out.print(grid("原因 reasons", ("代码 code", "中文", "English"), reasons))
    if evaluation.written_reasons_zh:
        out.print(plain(evaluation.written_reasons_zh))
    if evaluation.disclaimer:
        out.print(plain(evaluation.disclaimer))


def print_scope(out: Console, request_id: str, scope: credit_pb2.EffectiveScope) -> None:
    """Print what was asked after defaults and narrowing."""
    # `from` is a word of the language, so the field has no attribute of that spelling.
    days = f"{getattr(scope.lookback, 'from')} – {scope.lookback.to}" if scope.HasField("lookback") else ""
    rows = {
        "请求号 request id": request_id,
        "平台 platforms": ", ".join(scope.platform_ids),
        "数据项 items": len(scope.data_items) or "",
        "回溯期 look-back": days,
        "未获授权 dropped": ", ".join(scope.dropped_items),
        "次序 attempt": scope.attempt or "",
    }
    out.print(facts("查询范围 effective scope", rows))


def consent_facts(consent: consent_pb2.Consent) -> Table:
    """Lay out one consent as its parties may see it."""
    state = consent_pb2.ConsentState.Name(consent.state).removeprefix("CONSENT_STATE_")
    return facts(
        "授权 consent",
        {
            "授权编号 consent id": consent.consent_id,
            "状态 state": f"{coded(state, CONSENT_STATE)} {consent.state_reason}".strip(),
            "版本 revision": consent.revision,
            "主体 subject": f"{consent.subject_display} ({consent.subject_kind})",
            "被授权机构 institution": consent.institution,
            "授权服务方 authority": consent.authority,
            "用途 purpose": consent.purpose,
            "平台 platforms": ", ".join(consent.platform_ids),
            "数据项 items": "\n".join(item_name(item) for item in consent.data_items),
            "有效期 window": f"{moment(consent.not_before)} – {moment(consent.expires_at)}",
            "次数 uses": f"{consent.used} / {consent.max_uses} {consent.usage_mode}",
            "登记时间 registered": moment(consent.registered_at),
            "授权书摘要 artefact": consent.artefact_hash.hex(),
        },
    )


def bundle_facts(bundle: consent_pb2.GetConsentBundleResponse) -> Table:
    """Lay out a request for consents."""
    state = consent_pb2.BundleState.Name(bundle.state).removeprefix("BUNDLE_STATE_")
    rows = {
        "请求编号 bundle id": bundle.bundle_id,
        "状态 state": coded(state, BUNDLE_STATE),
        "请求机构 institution": bundle.institution,
        "请求与截止 asked, lapses": f"{moment(bundle.requested_at)} – {moment(bundle.expires_at)}",
        "决定时间 decided": moment(bundle.decided_at) if bundle.HasField("decided_at") else "",
        "授权编号 consent ids": "\n".join(bundle.consent_ids),
        "后果 consequences": bundle.consequences,
    }
    return facts("授权请求 request", rows)


def draft_facts(draft: consent_pb2.ConsentDraft) -> Table:
    """Lay out one consent asked for."""
    dates = draft.lookback.dates
    rows = {
        "用途 purpose": draft.purpose,
        "平台 platforms": ", ".join(draft.platform_ids),
        "必要信息 required": "\n".join(item_name(item) for item in draft.required_items),
        "可选信息 optional": "\n".join(item_name(item) for item in draft.optional_items),
        "天数与次数 days, uses": f"{draft.days} / {draft.max_uses}",
        "回溯 look-back": f"{getattr(dates, 'from')} – {dates.to}" if dates.to else f"{draft.lookback.days} 天 days",
    }
    return facts("所请求的授权 asked for", rows)


def notice_facts(notice: consent_pb2.Notice) -> Table:
    """Lay out a registered text."""
    rows = {
        "编号与版本 id, version": f"{notice.notice_id} {notice.version} ({notice.lang})",
        "登记机构 registered by": f"{notice.institution} {moment(notice.registered_at)}",
        "摘要 sha256": notice.sha256.hex(),
        "文本 text": notice.text,
    }
    return facts("告知文本 text shown", rows)


def consent_list(consents: Iterable[consent_pb2.Consent]) -> Table:
    """Lay out consents, one a line."""
    return grid(
        "授权 consents",
        (
            "授权编号 consent id",
            "状态 state",
            "主体 subject",
            "机构 institution",
            "用途 purpose",
            "到期 until",
            "次数 uses",
        ),
        [
            (
                consent.consent_id,
                coded(consent_pb2.ConsentState.Name(consent.state).removeprefix("CONSENT_STATE_"), CONSENT_STATE),
                consent.subject_display,
                consent.institution,
                consent.purpose,
                day(consent.expires_at),
                f"{consent.used} / {consent.max_uses}",
            )
            for consent in consents
        ],
    )


def decision_steps(steps: Iterable[compliance_pb2.DecisionStep]) -> Table:
    """Lay out the checks made for a request, in their order."""
    return grid(
        "准入检查 admission checks",
        ("序 no.", "检查 check", "结果 result", "原因 reason", "规则 rule"),
        [
            (
                step.number,
                coded(step.name, CHECK),
                "通过 passed" if step.passed else "拒绝 refused",
                coded(step.reason, REASON) if step.reason else "",
                step.rule,
            )
            for step in steps
        ],
    )


def consent_events(events: Iterable[consent_pb2.ConsentEvent]) -> Table:
    """Lay out the life of a consent."""

    def state(value: int) -> str:
        name = consent_pb2.ConsentState.Name(consent_pb2.ConsentState.ValueType(value))
        return coded(name.removeprefix("CONSENT_STATE_"), CONSENT_STATE)

    return grid(
        "经过 history",
        ("版本 rev.", "从 from", "到 to", "原因 reason", "操作方 actor", "时间 at"),
        [
            (
                event.revision,
                state(event.from_state),
                state(event.to_state),
                event.reason,
                event.actor,
                moment(event.at),
            )
            for event in events
        ],
    )


def print_call_error(out: Console, error: BashuCallError) -> None:
    """Say what was refused, why, and whose turn it is."""
    title = "无法连接 unreachable" if error.is_unreachable else "已拒绝 refused"
    retry = "" if error.retry_after_s is None else f"{error.retry_after_s:g} s"
    rows: dict[str, object] = {
        "原因 reason": coded(error.reason, REASON),
        "说明 message": error.message,
        "由谁处理 whose turn": f"{error.turn_zh} {error.turn}",
        "多久后重试 retry after": retry,
        "请求号 request id": error.request_id,
    }
    rows |= {f"字段 field {name}": text for name, text in error.fields.items()}
    rows |= {FACT.get(name, name): value for name, value in sorted(error.metadata.items())}
    out.print(facts(title, rows))


def _head(report: report_pb2.CreditReport) -> Table:
    operator = report.gateway_operator
    licence = f"{coded(operator.licence.kind, LICENCE)} {operator.licence.number}".strip()
    if operator.sandbox_licence and "SANDBOX LICENCE" not in licence:
        licence = f"沙箱许可 SANDBOX LICENCE {licence}".strip()
    completeness = report_pb2.Completeness.Name(report.completeness).removeprefix("COMPLETENESS_")
    return facts(
        "信用报告 credit report",
        {
            "报告编号 report id": report.report_id,
            "完整性 completeness": coded(completeness, COMPLETENESS),
            "生成时间 generated": moment(report.generated_at),
            "标准 standard": report.standard_version,
            "网关运营方 operator": operator.name,
            "许可 licence": licence,
        },
    )


def _platforms(report: report_pb2.CreditReport) -> Table:
    def row(result: report_pb2.PlatformResult) -> tuple[object, ...]:
        status = common_pb2.PlatformStatus.Name(result.status).removeprefix("PLATFORM_STATUS_")
        detail = result.detail
        if result.HasField("resume_after"):
            detail = f"{detail} 可于 {moment(result.resume_after)} 后重查 repeat the request id then".strip()
        return (
            f"{REGION.get(result.region, result.region)} {result.platform_id}",
            item_name(result.data_item),
            coded(status, PLATFORM_STATUS),
            result.record_count,
            f"{result.latency.ToTimedelta().total_seconds() * 1000:.0f} ms" if result.HasField("latency") else "",
            detail,
        )

    columns = ("平台 platform", "数据项 item", "状态 status", "条数 records", "耗时 took", "说明 detail")
    return grid("平台应答 platform results", columns, [row(result) for result in report.platform_results])


def _records(
    item: str, records: list[report_pb2.CreditRecord], sources: Mapping[str, report_pb2.Provenance]
) -> RenderableType:
    title = f"{item_name(item)} ({len(records)})"
    rows = [_values(item, record) | {"来源 source": _source(record, sources)} for record in records]
    if len(rows) == 1:
        return facts(title, rows[0])
    names = list(dict.fromkeys(name for row in rows for name in row))
    # What is the same in every record, such as whose it is, is said once.
    shared = [name for name in names if len({str(row.get(name)) for row in rows}) == 1]
    own = [name for name in names if name not in shared] or names
    heading = plain(f"{title}\n{_told(rows[0], shared)}".strip())
    if len(own) <= _MOST_COLUMNS:
        return Group(heading, grid("", map(_short, own), [[row.get(name, "") for name in own] for row in rows]))
    return Group(heading, grid("", ("记录 record",), [(_told(row, own),) for row in rows]))


def _told(row: Mapping[str, object], names: Iterable[str]) -> str:
    return "; ".join(f"{_short(name)}: {row[name]}" for name in names if row.get(name) not in (None, ""))


def _short(name: str) -> str:
    """Return the Chinese half of a name, or all of one that the dictionary does not have."""
    return name.split(" ", maxsplit=1)[0]


def _values(item: str, record: report_pb2.CreditRecord) -> dict[str, object]:
    body = record.WhichOneof("body")
    if body is None:
        return {}
    found = getattr(record, body)
    shown: dict[str, object] = {
        field_name(item, descriptor.name): _value(item, descriptor.name, value, found)
        for descriptor, value in found.ListFields()
    }
    if record.marks:
        shown["标记 marks"] = ", ".join(record.marks)
    return shown


def _value(item: str, field: str, value: object, body: Message) -> object:
    if isinstance(value, bool):
        return "是 yes" if value else "否 no"
    name = code_name(item, field, body)
    # Some lists have the Chinese name itself as the code.
    return f"{name} {value}" if name and name != value else value


def _source(record: report_pb2.CreditRecord, sources: Mapping[str, report_pb2.Provenance]) -> str:
    named = []
    for source_id in record.source_ids:
        source = sources.get(source_id)
        if source is None:
            named.append(source_id)
        else:
            as_of = day(source.as_of)
            named.append(f"{REGION.get(source.region, source.region)} {source.platform_id} {as_of}".strip())
    return "\n".join(named)


def _conflicts(report: report_pb2.CreditReport) -> Table:
    def values(conflict: report_pb2.Conflict) -> str:
        return "\n".join(
            f"{value.platform_id}: {value.value or '无 none'} ({day(value.as_of)})" for value in conflict.values
        )

    rows = [
        (item_name(conflict.data_item), field_name(conflict.data_item, conflict.field), values(conflict), conflict.rule)
        for conflict in report.conflicts
    ]
    return grid("不一致 conflicts", ("数据项 item", "字段 field", "各方所报 values", "取值规则 rule"), rows)


def _annotations(report: report_pb2.CreditReport) -> Table:
    rows = [(note.kind, note.text, moment(note.since)) for note in report.annotations]
    return grid("标注 annotations", ("种类 kind", "内容 text", "自 since"), rows)


def _withheld(report: report_pb2.CreditReport) -> Table:
    rows = [
        (
            item_name(item.data_item),
            field_name(item.data_item, item.field) if item.field else "",
            item.reason,
            item.rule,
            item.count,
        )
        for item in report.withheld
    ]
    return grid("依法不展示 withheld", ("数据项 item", "字段 field", "原因 reason", "规则 rule", "数量 count"), rows)
