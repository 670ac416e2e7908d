"""Chinese and English names of what a report shows; `labels.csv` follows the unified standard's dictionary."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import Final

PLATFORM_STATUS: Final = {
    "OK": "已返回",
    "NO_DATA": "无记录",
    "PENDING": "处理中",
    "DENIED": "被拒绝",
    "TIMEOUT": "超时",
    "UNAVAILABLE": "不可用",
    "MAINTENANCE": "维护中",
    "MALFORMED": "格式有误",
    "QUOTA_EXHAUSTED": "额度用尽",
    "SKIPPED": "未查询",
}
COMPLETENESS: Final = {"FULL": "完整", "PARTIAL": "部分", "THIN": "信息不足", "EMPTY": "无信息"}
CHECK: Final = {
    "certificate": "证书",
    "token": "令牌",
    "request-id": "请求号",
    "form": "请求格式",
    "role": "机构与工号",
    "artefact": "授权书",
    "requester": "被授权机构",
    "subject": "主体",
    "platforms": "平台与牌照",
    "purpose": "用途",
    "scope": "数据范围",
    "state": "授权状态",
    "policy": "规则限制",
    "holds": "暂停与冻结",
    "budget": "次数与频次",
    "evidence": "台账时效",
    "intent": "查询登记",
}
OUTCOME: Final = {
    "RELEASE": "已提供",
    "RELEASE_WITHHELD": "已拦下",
    "FAILED": "未取得",
    "ABANDONED": "超时作废",
    "QUERY_DENIED": "已拒绝",
}
PURPOSE: Final = {
    "PRE_LOAN_REVIEW": "贷前审查",
    "IN_LOAN_OPERATION": "贷中操作",
    "POST_LOAN_MANAGEMENT": "贷后管理",
    "GUARANTOR_REVIEW": "担保审查",
    "GUARANTEE_UNDERWRITING": "保前审查",
    "GUARANTEE_MONITORING": "保后管理",
    "RELATED_PARTY_REVIEW": "关联查询",
    "KEY_PERSON_REVIEW": "高管等资信审查",
    "DISPUTE_CHECK": "异议核查",
    "SELF_CHECK": "本人查询",
}
ERASURE_STATE: Final = {"RESTRICTED": "限制处理", "ERASED": "已删除"}
DECIDED_BY: Final = {"RETENTION_OVER": "保存期满", "TWO_OFFICERS": "两名合规人员"}
BUNDLE_STATE: Final = {
    "REQUESTED": "待授权",
    "GRANTED": "已同意",
    "DENIED": "已拒绝",
    "LAPSED": "逾期未处理",
}
CONSENT_STATE: Final = {
    "REQUESTED": "待授权",
    "DENIED": "已拒绝",
    "LAPSED": "逾期未处理",
    "PENDING_START": "待生效",
    "ACTIVE": "有效",
    "PAUSED": "主体暂停",
    "HELD": "暂停查询",
    "REVOKED": "已撤回",
    "EXPIRED": "已到期",
    "EXHAUSTED": "次数用尽",
    "SUPERSEDED": "已被替代",
}
REASON: Final = {
    "TOKEN_INVALID": "令牌无效",
    "TOKEN_EXPIRED": "令牌已过期",
    "TOKEN_BINDING_MISMATCH": "令牌与证书不符",
    "CLOCK_SKEW": "时钟偏差过大",
    "PARTICIPANT_SUSPENDED": "参与方已停用",
    "OPERATOR_UNKNOWN": "操作员工号未登记",
    "MALFORMED": "格式有误",
    "IDENTIFIER_INVALID": "标识不合国家标准",
    "PURPOSE_MISSING": "缺少用途或用途未知",
    "REFERENCE_MISSING": "缺少申请或贷款编号",
    "UNKNOWN_DATA_ITEM": "数据项不在标准内",
    "ITEMS_REQUIRED": "必须列明数据项",
    "ARTEFACT_MALFORMED": "授权书格式有误",
    "ARTEFACT_SIGNATURE": "授权书签名不符",
    "ARTEFACT_UNKNOWN_KEY": "授权书签名公钥未登记",
    "ROLE_NOT_ALLOWED": "该角色无此权限",
    "CONSENT_NOT_FOUND_OR_NOT_YOURS": "授权不存在或不属于本机构",
    "SUBJECT_MISMATCH": "授权属于另一主体",
    "PURPOSE_MISMATCH": "授权用途不同",
    "SCOPE_EXCEEDED": "数据项超出授权",
    "RANGE_EXCEEDED": "回溯期超出授权",
    "PLATFORM_NOT_GRANTED": "平台未获授权",
    "LENDER_NOT_ADMITTED": "平台未接纳本机构",
    "SEPARATE_CONSENT_MISSING": "缺少单独同意",
    "POLICY_LIMIT": "规则限制",
    "LOAN_NOT_FOUND": "贷款未登记",
    "NOT_FOUND_OR_NOT_YOURS": "不存在或不属于本机构",
    "CONSENT_NOT_STARTED": "授权尚未生效",
    "CONSENT_PAUSED": "主体已暂停授权",
    "CONSENT_REVOKED": "授权已撤回",
    "CONSENT_EXPIRED": "授权已到期",
    "CONSENT_EXHAUSTED": "授权次数已用尽",
    "CONSENT_SUPERSEDED": "授权已被替代",
    "CONSENT_HELD": "合规暂停查询",
    "SUBJECT_FROZEN": "主体已冻结",
    "LOAN_CLOSED": "贷款已结清",
    "REVISION_TOO_OLD": "授权版本过旧",
    "SECOND_OFFICER_NEEDED": "需第二人复核",
    "PRESERVED": "记录已封存",
    "LICENCE_MISSING": "许可不涵盖该主体",
    "RATE_LIMITED": "调用过于频繁",
    "FREQUENCY_EXCEEDED": "超出授权查询频次",
    "OVERLOADED": "网关繁忙",
    "IDEMPOTENCY_CONFLICT": "请求号已用于另一请求",
    "IN_PROGRESS": "相同请求正在处理",
    "REVISION_CHANGED": "授权已有变化",
    "CONSENT_ID_TAKEN": "授权编号已被使用",
    "PLATFORM_KIND_TAKEN": "该地区已有同类平台",
    "PLATFORMS_UNAVAILABLE": "各平台均不可用",
    "EVIDENCE_UNAVAILABLE": "无法留存证据",
    "EVIDENCE_STALE": "检查点未及时签署",
    "DRAINING": "网关正在停止",
    "OUT_OF_TIME": "时限内未完成",
    "LEDGER_INCONSISTENT": "访问日志不一致",
    "INTERNAL": "网关内部错误",
    "UNREACHABLE": "无法连接",
    "NO_ANSWER_IN_TIME": "时限内无应答",
}
LICENCE: Final = {
    "PERSONAL_CREDIT_LICENCE": "个人征信业务经营许可证",
    "ENTERPRISE_CREDIT_FILING": "企业征信机构备案",
    "RATING_FILING": "信用评级机构备案",
    "PUBLIC_FINANCING_PLATFORM": "融资信用服务平台",
}
FACT: Final = {
    "hop": "环节 hop",
    "rule": "规则 rule",
    "origin": "日志名称 origin",
    "type": "条目类型 entry type",
    "entry_id": "条目编号 entry id",
    "ts": "时间 time",
    "report_digest": "报告摘要 report digest",
    "publish_by": "入账期限 in the log by",
    "leaf_index": "序号 index",
    "tree_size": "条目数 tree size",
    "cosigned": "附署 cosigned",
    "size": "条目数 size",
    "root": "根 root",
    "header": "签名头 header",
    "payload_bytes": "正文字节数 payload bytes",
    "consent_id": "授权编号 consent id",
    "iss": "授权服务方 issuer",
    "nbf": "生效 from",
    "exp": "到期 until",
    "purpose": "用途 purpose",
    "institution": "信息使用机构 institution",
    "role": "角色 role",
    "kind": "标识种类 kind of identifier",
    "step": "核验步骤 step",
    "quota": "配额 quota",
    "limit": "上限 limit",
    "platform_id": "平台 platform",
    "region": "地区 region",
    "clock": "数据库时钟 database's clock",
    "witness_grade": "外部见证 outside witnesses",
    "policy_rule": "限制规则 policy rule",
    "policy_version": "规则表版本 policy version",
    "data_item": "数据项 data item",
    "item": "数据项 data item",
    "lookback_days": "回溯天数 look-back days",
    "granted_from": "授权起始日 granted from",
    "granted_to": "授权截止日 granted to",
    "in_force": "现行版本 version in force",
    "revision": "现行版本 revision now",
    "state_reason": "状态原因 reason of the state",
}
LOG_KEY: Final = {
    "ADDED": "待启用 added",
    "SIGNING": "签署中 signing",
    "RETIRED": "已停用 retired",
    "COMPROMISED": "已泄露 compromised",
}
REGION: Final = {"500000": "重庆", "510000": "四川"}


@cache
def _names() -> dict[tuple[str, str], str]:
    with resources.files("bashu").joinpath("labels.csv").open(encoding="utf-8") as file:
        return {
            (row["data_item"], row["field"]): f"{row['name_zh']} {row['name_en']}".strip()
            for row in csv.DictReader(file)
        }


def item_name(data_item: str) -> str:
    """Name a data item in both languages; its id where the dictionary does not have it."""
    return _names().get((data_item, ""), data_item)


def field_name(data_item: str, field: str) -> str:
    """Name a field of a data item in both languages; its id where the dictionary does not have it."""
    return _names().get((data_item, field), field)


def coded(code: str, names: dict[str, str]) -> str:
    """Show a code with its Chinese name before it."""
    return f"{names[code]} {code}" if code in names else code
