"""A subject named on the command line, and how accesses and erasures look there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table

from bashu.cli.labels import DECIDED_BY, ERASURE_STATE, OUTCOME, PURPOSE, REASON, coded, item_name
from bashu.cli.session import usage
from bashu.cli.tables import facts, grid, moment
from bashu.v1 import common_pb2, subject_pb2

SubjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT",
        help="统一社会信用代码 code of the enterprise, or a person's number with --person; - reads it from stdin",
    ),
]
NameOption = Annotated[str, typer.Option("--name", help="名称 registered name")]
PersonOption = Annotated[bool, typer.Option("--person", help="主体为自然人 the subject is a natural person")]
FromOption = Annotated[str, typer.Option("--from", help="首日 first day, YYYY-MM-DD, Beijing time")]
ToOption = Annotated[str, typer.Option("--to", help="末日 last day, YYYY-MM-DD, Beijing time")]
PageSizeOption = Annotated[int, typer.Option("--page-size", min=1, max=500, help="每页条数 rows on a page")]
PageTokenOption = Annotated[
    str, typer.Option("--page-token", help="上页末尾给出的续页标记 where the page before ended")
]


def named_subject(subject: str, name: str, *, person: bool) -> common_pb2.Subject:
    """Return the subject named; ``-`` reads the first line of standard input.

    A person's number on a command line stays in the shell's history.
    """
    identifier = typer.get_text_stream("stdin").readline().strip() if subject == "-" else subject
    if not identifier:
        usage("no subject")
    if person:
        who = common_pb2.PersonSubject(id_type="citizen_id", id_number=identifier, name=name)
        return common_pb2.Subject(person=who)
    firm = common_pb2.EnterpriseSubject(unified_social_credit_code=identifier, name=name)
    return common_pb2.Subject(enterprise=firm)


def page_request(size: int, token: str) -> common_pb2.PageRequest:
    """Return which page is wanted."""
    return common_pb2.PageRequest(page_size=size, page_token=token)


def next_page(page: common_pb2.PageResponse) -> Table | None:
    """Say how the next page is asked for, None on the last."""
    return facts("续页 next page", {"--page-token": page.next_page_token}) if page.next_page_token else None


def access_list(accesses: Iterable[subject_pb2.Access]) -> Table:
    """Lay out accesses, one a line; staff come masked."""
    columns = (
        "时间 at",
        "机构 institution",
        "工号 staff",
        "用途 purpose",
        "数据项 items",
        "结果 outcome",
        "条目 entry id",
    )
    table = grid("访问记录 accesses", columns, [_access(access) for access in accesses])
    # An id broken over two lines cannot be copied into the next command.
    table.columns[-1].no_wrap = True
    return table


def erasure_facts(erasure: subject_pb2.Erasure) -> Table:
    """Lay out where an erasure stands."""
    state = subject_pb2.ErasureState.Name(erasure.state).removeprefix("ERASURE_STATE_")
    rows = {
        "编号 erasure id": erasure.erasure_id,
        "状态 state": coded(state, ERASURE_STATE),
        "申请时间 requested": moment(erasure.requested_at),
        "保存期止 due": moment(erasure.due_at),
        "删除时间 erased": moment(erasure.erased_at),
        "决定 decided by": coded(erasure.decided_by, DECIDED_BY) if erasure.decided_by else "",
        "最后备份失效日 last backup lapses on": erasure.backups_lapse_on,
        "封存 preserved": "是，暂不能删除 yes, stops it" if erasure.preserved else "",
        "条目 entry id": erasure.entry_id,
    }
    return facts("删除 erasure", rows)


def _access(access: subject_pb2.Access) -> tuple[object, ...]:
    outcome = coded(access.outcome, OUTCOME)
    if access.reason:
        outcome = f"{outcome}\n{coded(access.reason, REASON)}"
    if access.count > 1:
        outcome = f"{outcome} × {access.count}"
    return (
        moment(access.at),
        access.institution,
        access.operator,
        coded(access.purpose, PURPOSE),
        "\n".join(item_name(item) for item in access.data_items),
        outcome,
        access.entry_id,
    )
