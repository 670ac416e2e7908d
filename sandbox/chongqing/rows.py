"""Write the rows of the list groups (docs/platforms/chongqing.md section 7), tags in the order of the tables."""

from __future__ import annotations

from typing import Final

from sandbox.chongqing import values
from sandbox.chongqing.writer import nest, tag, tags
from sandbox.facts import (
    Dishonesty,
    Enforcement,
    Guarantee,
    InsuranceMonth,
    KeyPerson,
    Penalty,
    SalesMonth,
    Shareholder,
    YearAmount,
)

_IN_CASH: Final = "1"
_FINANCING_GUARANTEE: Final = "1"
_SURETYSHIP: Final = "3"
_UNPERFORMED: Final = "0"


def shareholder(row: Shareholder) -> str:
    """Write ``GD``."""
    return nest(
        "GD",
        tags(
            (
                ("GDMC", row.name),
                ("GDLX", values.SHAREHOLDER_CODES[row.kind]),
                ("GDTYDM", row.code),
                ("RJE", values.wan(row.subscribed_fen)),
                ("SJE", values.wan(row.paid_in_fen)),
                ("CZFS", _IN_CASH),
                ("RJRQ", values.day(row.due_on) or values.UNKNOWN_DAY),
                ("SJRQ", values.day(row.paid_on)),
                ("CGBL", values.per_cent(row.ratio)),
                ("SFSKR", values.one_zero(row.is_controller)),
                ("ZJHM", row.id_no),
                ("ZZ", row.home_address),
            )
        ),
    )


def key_person(row: KeyPerson) -> str:
    """Write ``RY``."""
    return nest(
        "RY",
        tags(
            (
                ("XM", row.name),
                ("ZW", values.POST_CODES[row.post]),
                ("SFFR", values.yes_no(row.is_legal_rep)),
                ("RZRQ", values.day(row.term_from)),
                ("LZRQ", values.day(row.term_to) or values.OPEN_END),
                ("ZJLX", row.id_type),
                ("ZJHM", row.id_no),
                ("LXDH", row.telephone),
                ("JTZZ", row.home_address),
            )
        ),
    )


def year_amount(name: str, row: YearAmount) -> str:
    """Write ``NSE`` or ``YYSR``."""
    return nest(name, tag("ND", str(row.year)) + tag("JE", values.wan(row.fen)))


def sales_month(row: SalesMonth) -> str:
    """Write ``KP``."""
    return nest(
        "KP",
        tags(
            (
                ("YF", values.month(row.month)),
                ("XSE", values.wan(row.fen)),
                ("FPS", values.count(row.invoices)),
                ("GFS", values.count(row.buyers)),
                ("QWDZB", values.per_cent(row.top5)),
                ("HZFPZB", values.per_cent(row.red)),
                ("ZFFPZB", values.per_cent(row.void)),
            )
        ),
    )


def insurance_month(row: InsuranceMonth) -> str:
    """Write ``JF``."""
    return nest(
        "JF",
        tags(
            (
                ("YF", values.month(row.month)),
                ("CBRS", values.count(row.insured)),
                ("YJJE", values.wan(row.due_fen)),
                ("SJJE", values.wan(row.paid_fen)),
                ("SFJN", values.one_zero(row.is_paid)),
                ("ZJHM", row.employee_id_no),
            )
        ),
    )


def penalty(row: Penalty) -> str:
    """Write ``CF``; a repaired one is sent with ``XFRQ`` as long as the file holds it."""
    return nest(
        "CF",
        tags(
            (
                ("WSH", row.document_no),
                ("XDRMC", row.party_name),
                ("XDRDM", row.party_code),
                ("FDDBR", row.legal_rep),
                ("CFJG", row.authority),
                ("WFXW", row.violation),
                ("WFSS", row.facts),
                ("CFYJ", row.basis),
                ("CFNR", row.content),
                ("CFLB", row.category),
                ("FKJE", values.wan(row.fine_fen)),
                ("JDRQ", values.day(row.decided_on)),
                ("GSJZQ", values.day(row.publish_until)),
                ("SXCD", values.SEVERITY_CODES[row.severity]),
                ("XFRQ", values.day(row.repaired_on)),
                ("XDRZJHM", row.party_id_no),
                ("FRZJHM", row.legal_rep_id_no),
            )
        ),
    )


def enforcement(row: Enforcement) -> str:
    """Write ``ZX``; ``JAFS`` is blank as long as the case is open, 255 (other) after."""
    return nest(
        "ZX",
        tags(
            (
                ("AH", row.case_no),
                ("ZXFY", row.court),
                ("LARQ", values.day(row.filed_on)),
                ("ZXBD", values.wan(row.target_fen)),
                ("WLXJE", values.wan(row.outstanding_fen)),
                ("JARQ", values.day(row.closed_on)),
                ("JAFS", None if row.closed_on is None else "255"),
                ("ZJHM", row.id_no),
            )
        ),
    )


def dishonesty(row: Dishonesty) -> str:
    """Write ``SX``."""
    return nest(
        "SX",
        tags(
            (
                ("AH", row.case_no),
                ("ZXFY", row.court),
                ("SF", row.province),
                ("YJWH", row.basis_no),
                ("YJDW", row.basis_unit),
                ("YW", row.duty),
                ("XWQX", row.conduct),
                ("LXQK", _UNPERFORMED),
                ("FDDBR", row.legal_rep),
                ("LARQ", values.day(row.filed_on)),
                ("FBRQ", values.day(row.published_on)),
                ("YCRQ", values.day(row.removed_on)),
                ("ZJHM", row.id_no),
            )
        ),
    )


def guarantee(row: Guarantee) -> str:
    """Write ``DB``."""
    return nest(
        "DB",
        tags(
            (
                ("DBFX", values.DIRECTION_CODES[row.direction]),
                ("DBRLX", values.COUNTERPARTY_CODES[row.other_kind]),
                ("DBR", row.other_code),
                ("DBRMC", row.other_name),
                ("ZJHM", row.other_id_no),
                ("DBLX", _FINANCING_GUARANTEE),
                ("DBFS", _SURETYSHIP),
                ("DBJE", values.wan(row.fen)),
                ("DBYE", values.wan(row.balance_fen)),
                ("QSRQ", values.day(row.start)),
                ("DQRQ", values.day(row.end)),
            )
        ),
    )
