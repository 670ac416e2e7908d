"""XY9001, the enquiry marks of a day (docs/platforms/chongqing.md section 11)."""

from __future__ import annotations

from sandbox.books import Enquiry
from sandbox.chongqing import messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.codes import Fhm
from sandbox.chongqing.messages import compact_day, compact_time
from sandbox.chongqing.paging import ROWS_A_PAGE
from sandbox.chongqing.state import Asked, State
from sandbox.chongqing.writer import nest, tags
from sandbox.persons import is_person


def reconcile(state: State, asked: Asked) -> Answer:
    """Answer one page of a day's book, signed. The sandbox has one caller, so the whole book is its own."""
    wanted = messages.book_page(asked.request.body, today=state.clocks.chongqing.today())
    if wanted is None:
        return bare(Fhm.FORMAT)
    day, page = wanted
    lines = state.book.of_day(day)
    pages = max(1, -(-len(lines) // ROWS_A_PAGE))
    if page > pages:
        return bare(Fhm.FORMAT)
    inner = tags((("DZRQ", compact_day(day)), ("DQYS", str(page)), ("ZYS", str(pages))))
    inner += "".join(_row(line) for line in lines[ROWS_A_PAGE * (page - 1) : ROWS_A_PAGE * page])
    return Answer(fhm=Fhm.DONE, words=Fhm.DONE.words, inner=inner, is_signed=True)


def _row(line: Enquiry) -> str:
    return nest(
        "DZ",
        tags(
            (
                ("CXBH", line.key),
                ("CXJG", line.institution),
                ("ZJHM" if is_person(line.subject) else "TYSHXYDM", line.subject),
                ("CXYY", line.purpose),
                ("CXMK", ",".join(line.kinds)),
                ("SLSJ", compact_time(line.at)),
                ("YT", line.evidence),
            )
        ),
    )
