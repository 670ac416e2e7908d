"""沙箱在做什么 What the sandbox is doing, as one page: day, faults in force, and the last lines of both books.

Rendered on the server and drawn anew every two seconds; it changes nothing, and runs no script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final, TypeVar

from core.clock import SHANGHAI
from sandbox.books import Book, Books
from sandbox.clock import Clocks
from sandbox.faults import Faults
from sandbox.world import World

LINES_SHOWN: Final = 15
_Row = TypeVar("_Row")
_STYLE: Final = """
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
  color: #1c2733; background: #fbfbf9 }
h1 { font-size: 1.4rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin: 1.6rem 0 .3rem }
h3 { font-size: .95rem; margin: .9rem 0 .2rem; color: #55606b }
p { margin: .2rem 0 } table { border-collapse: collapse; width: 100%; background: #fff }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #e4e4dc; vertical-align: top }
th { color: #55606b; font-weight: 600; background: #f3f3ec }
td { font-variant-numeric: tabular-nums; word-break: break-all }
.none { color: #76808a } .fault { color: #a3261b; font-weight: 600 }
"""
CONTENT_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def render(*, world: World, books: Books, faults: Faults, clocks: Clocks) -> str:
    """Return the page in HTML."""
    parts = [
        _facts(world, clocks),
        "<h2>强制的故障 Faults in force</h2>",
        _table(
            ("平台 platform", "故障 fault", "主体 subject", "调用 call", "还有 left"),
            [
                (fault.platform.value, fault.kind.value, fault.subject or "*", fault.call or "*", fault.count or "∞")
                for fault in faults.in_force
            ],
            mark="fault",
        ),
    ]
    for name, title, book, clock in (
        ("chongqing", "重庆", books.chongqing, clocks.chongqing),
        ("sichuan", "四川", books.sichuan, clocks.sichuan),
    ):
        parts += [f"<h2>{title} {name}</h2>", f"<p>平台时钟 its clock {_moment(clock.now())}</p>", *_book(book)]
    return (
        '<!doctype html><html lang="zh"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2">'
        f"<title>巴蜀沙箱 Bashu sandbox</title><style>{_STYLE}</style></head><body>"
        "<h1>巴蜀沙箱 Bashu sandbox</h1><p>两个模拟平台，均为虚构，不兼容任何真实平台。"
        "Two simulated platforms, invented; compatible with no real one.</p>" + "".join(parts) + "</body></html>"
    )


def _facts(world: World, clocks: Clocks) -> str:
    firms = world.size + len(world.fixed_subjects)
    links = '<a href="/control/subjects">主体 subjects</a> · <a href="/control/books">全部账册 whole books</a>'
    return f"<p>数据日 data day <b>{clocks.data.day.isoformat()}</b> · 企业 firms {firms} · {links}</p>"


def _book(book: Book) -> Iterable[str]:
    enquiries, filings, submits, disputes = book.enquiries, book.filings, book.submits, book.disputes
    who = ("时间 at", "机构 institution", "主体 subject")
    yield f"<h3>查询记录 Enquiries ({len(enquiries)})</h3>"
    yield _table(
        (*who, "用途 purpose", "内容 kinds", "凭证 evidence"),
        [
            (_moment(one.at), one.institution, one.subject, one.purpose, " ".join(one.kinds), (one.evidence or "")[:16])
            for one in _last(sorted(enquiries, key=lambda line: line.at))
        ],
    )
    yield f"<h3>授权 Authorisations ({len(filings)})</h3>"
    yield _table(
        (*who, "用途 purpose", "状态 state"),
        [(_moment(one.at), one.institution, one.subject, one.purpose, one.state) for one in _last(filings)],
    )
    if submits:
        yield f"<h3>任务 Jobs ({len(submits)})</h3>"
        yield _table(
            ("时间 at", "任务号 job", "主体 subject"),
            [(_moment(one.at), one.job, one.subject) for one in _last(submits)],
        )
    if disputes:
        yield f"<h3>异议 Disputes ({len(disputes)})</h3>"
        yield _table(
            (*who, "种类 kind"), [(_moment(one.at), one.institution, one.subject, one.kind) for one in _last(disputes)]
        )


def _last(rows: Sequence[_Row]) -> list[_Row]:
    return list(rows[-LINES_SHOWN:])[::-1]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]], *, mark: str = "") -> str:
    if not rows:
        return '<p class="none">无 none</p>'
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows)
    body = "".join(f'<tr class="{mark}">{line}</tr>' if mark else f"<tr>{line}</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{body}</table>"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%m-%d %H:%M:%S}"
