"""`bashu rating …`: rating scales, and a rating on another scale where a basis exists."""

from __future__ import annotations

from typing import Annotated

import typer

from bashu.cli.session import (
    EXIT_CODES,
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    find_profile,
)
from bashu.cli.tables import console, facts, grid
from bashu.client import DEADLINE_S
from bashu.v1 import standard_pb2

app = typer.Typer(no_args_is_help=True, help="评级量表 rating scales, and translation between them")


@app.command(epilog=EXIT_CODES)
def scales(
    *,
    scale: Annotated[str, typer.Option(help="只列此量表 list this scale only")] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """列出评级量表 List every grade of every scale; a grade without a rank stands outside the order."""
    who = find_profile(profile, dev, participant, operator)
    request = standard_pb2.ListRatingScalesRequest()
    answer = answer_or_json(
        who, lambda stubs: stubs.standard.ListRatingScales, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    rows = [
        (one.scale_id, one.grade, str(one.rank or ""), one.label_zh, one.source)
        for one in answer.grades
        if scale in {"", one.scale_id}
    ]
    headings = ("量表 scale", "等级 grade", "次序 rank", "名称 label", "来源 source")
    console().print(grid("评级量表 rating scales", headings, rows))


@app.command(epilog=EXIT_CODES)
def translate(
    scale: Annotated[str, typer.Argument(help="原量表 scale of the rating")],
    grade: Annotated[str, typer.Argument(help="等级 its grade")],
    target: Annotated[str, typer.Argument(help="目标量表 scale wanted")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """换算评级 Translate a rating to a range on another scale, or say why there is no basis for it."""
    who = find_profile(profile, dev, participant, operator)
    request = standard_pb2.TranslateRatingRequest(scale_id=scale, grade=grade, target_scale_id=target)
    answer = answer_or_json(
        who, lambda stubs: stubs.standard.TranslateRating, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    kind = "仅供参考 indicative" if answer.indicative else "按定义对应 by definition"
    rows = {
        "原评级 rating": f"{scale} {grade}",
        "目标量表 target": target,
        "范围 range": f"{answer.best} … {answer.worst}" if answer.translatable else "不能换算 none",
        "性质 kind": kind if answer.translatable else answer.refusal,
        "对照版本 mapping": answer.mapping_version,
        "依据 basis": answer.basis,
    }
    console().print(facts("评级换算 rating translation", rows))
