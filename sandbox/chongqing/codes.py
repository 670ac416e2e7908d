"""Answer codes, kinds and purposes (docs/platforms/chongqing.md sections 7, 9 and 10)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Fhm(StrEnum):
    """``FHM``: what the platform answers."""

    DONE = "0000"
    NO_RECORD = "0001"
    UNDER_WAY = "0002"
    PARTIAL = "0003"
    FORMAT = "1001"
    SIGNATURE = "1002"
    CLOCK = "1003"
    NONCE = "1004"
    AUTHORISATION_MISSING = "2001"
    AUTHORISATION_EXPIRED = "2002"
    AUTHORISATION_DIFFERS = "2003"
    AUTHORISATION_SCOPE = "2004"
    AUTHORISATION_UNDER_REVIEW = "2005"
    NOT_IN_REGION = "3001"
    NAME_DIFFERS = "3002"
    JOB_GONE = "4001"
    DEPARTMENT_TIMEOUT = "9001"
    QUOTA = "9007"
    MAINTENANCE = "9900"
    SYSTEM_ERROR = "9999"

    @property
    def words(self) -> str:
        """``FHXX``, for a person; never parsed."""
        return _WORDS[self]


_WORDS: Final = {
    Fhm.DONE: "成功",
    Fhm.NO_RECORD: "查无记录",
    Fhm.UNDER_WAY: "处理中",
    Fhm.PARTIAL: "部分成功",
    Fhm.FORMAT: "报文格式错误",
    Fhm.SIGNATURE: "签名验证失败",
    Fhm.CLOCK: "时间戳超限",
    Fhm.NONCE: "随机数重复",
    Fhm.AUTHORISATION_MISSING: "授权不存在",
    Fhm.AUTHORISATION_EXPIRED: "授权已过期",
    Fhm.AUTHORISATION_DIFFERS: "授权主体不符",
    Fhm.AUTHORISATION_SCOPE: "超出授权范围",
    Fhm.AUTHORISATION_UNDER_REVIEW: "授权审核中",
    Fhm.NOT_IN_REGION: "主体不在本区域",
    Fhm.NAME_DIFFERS: "名称与代码不符",
    Fhm.JOB_GONE: "任务已过期",
    Fhm.DEPARTMENT_TIMEOUT: "部门系统超时",
    Fhm.QUOTA: "超出限额",
    Fhm.MAINTENANCE: "系统维护",
    Fhm.SYSTEM_ERROR: "系统异常",
}


class Kind(StrEnum):
    """模块: what may be authorised, asked for and be missing, each by itself."""

    JBXX = "JBXX"
    GDXX = "GDXX"
    ZYRY = "ZYRY"
    NSXY = "NSXY"
    NSSJ = "NSSJ"
    QSXX = "QSXX"
    KPXX = "KPXX"
    SBXX = "SBXX"
    XZCF = "XZCF"
    BZXR = "BZXR"
    SXXX = "SXXX"
    DBXX = "DBXX"
    GGXY = "GGXY"
    PTPF = "PTPF"
    BGXX = "BGXX"
    JYYC = "JYYC"
    YZSX = "YZSX"
    ZDSS = "ZDSS"
    SJAJ = "SJAJ"
    PCCZ = "PCCZ"
    CWBB = "CWBB"
    ZJLX = "ZJLX"
    RZXX = "RZXX"
    YSXX = "YSXX"
    YDXX = "YDXX"
    YQXX = "YQXX"
    ZSCQ = "ZSCQ"
    ZJTX = "ZJTX"
    RYBZ = "RYBZ"
    XZXK = "XZXK"
    GJJX = "GJJX"
    HBXX = "HBXX"
    HGXX = "HGXX"


PUBLIC_KINDS: Final = frozenset(
    {Kind.JBXX, Kind.GDXX, Kind.ZYRY, Kind.XZCF, Kind.BZXR, Kind.SXXX}
    | {Kind.BGXX, Kind.JYYC, Kind.YZSX, Kind.ZDSS, Kind.SJAJ, Kind.PCCZ, Kind.ZSCQ, Kind.ZJTX, Kind.RYBZ, Kind.XZXK}
    | {Kind.HBXX, Kind.HGXX}
)
"""Marked P in section 7: asked for without an authorisation under ``BGLX`` 1."""

PERSONAL_KINDS: Final = frozenset({Kind.BZXR, Kind.SXXX, Kind.GJJX})
"""Held about natural persons; any other kind asked about one is ``2004``."""

PURPOSES: Final = frozenset(f"0{number}" for number in range(1, 10))
"""``CXYY`` 01 to 09."""


class Transaction(StrEnum):
    """``JYDM`` of the transactions that are served."""

    FILE = "XY1000"
    SUBMIT = "XY1001"
    POLL = "XY1002"
    FETCH = "XY1003"
    ACKNOWLEDGE = "XY1004"
    BATCH = "XY1100"
    DISPUTE = "XY2001"
    RECONCILE = "XY9001"


PATHS: Final = {
    "/yjzx/v3/sq/ba": Transaction.FILE,
    "/yjzx/v3/bg/tj": Transaction.SUBMIT,
    "/yjzx/v3/bg/cx": Transaction.POLL,
    "/yjzx/v3/bg/qj": Transaction.FETCH,
    "/yjzx/v3/bg/qr": Transaction.ACKNOWLEDGE,
    "/yjzx/v3/pl/tj": Transaction.BATCH,
    "/yjzx/v3/yy/tj": Transaction.DISPUTE,
    "/yjzx/v3/dz/cx": Transaction.RECONCILE,
}
