"""`bashu consent bundles|evidence`: what a lender asked borrowers for, and what paper it owes."""

from __future__ import annotations

from typing import Annotated

import typer

from bashu.cli.labels import BUNDLE_STATE, coded
from bashu.cli.session import (
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    answer_or_json,
    find_profile,
    usage,
)
from bashu.cli.subjects import PageSizeOption, PageTokenOption, next_page, page_request
from bashu.cli.tables import console, grid, moment
from bashu.client import DEADLINE_S
from bashu.v1 import consent_pb2


def bundles(
    *,
    state: Annotated[
        list[str] | None, typer.Option(help="状态 only REQUESTED, GRANTED, DENIED or LAPSED; repeat it")
    ] = None,
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """列出请求 List what was asked of borrowers, the newest first, with its state now."""
    wanted = state or []
    if not set(wanted) <= BUNDLE_STATE.keys():
        usage(f"--state is one of {', '.join(BUNDLE_STATE)}")
    request = consent_pb2.ListConsentBundlesRequest(
        page=page_request(page_size, page_token),
        states=[consent_pb2.BundleState.Value(f"BUNDLE_STATE_{name}") for name in wanted],
    )
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.consent.ListConsentBundles, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    rows = [
        (
            one.bundle_id,
            coded(consent_pb2.BundleState.Name(one.state).removeprefix("BUNDLE_STATE_"), BUNDLE_STATE),
            ", ".join(one.purposes),
            moment(one.requested_at),
            moment(one.decided_at) if one.HasField("decided_at") else f"截止 lapses {moment(one.expires_at)}",
            "\n".join(one.consent_ids),
        )
        for one in answer.bundles
    ]
    headings = (
        "请求编号 bundle id",
        "状态 state",
        "用途 purposes",
        "请求 asked",
        "决定 decided",
        "授权编号 consent ids",
    )
    out = console()
    out.print(grid("授权请求 requests", headings, rows, is_keyed=True))
    if more := next_page(answer.page):
        out.print(more)


def evidence(
    *,
    with_received: Annotated[bool, typer.Option("--all", help="含已收到 also papers that came")] = False,
    page_size: PageSizeOption = 50,
    page_token: PageTokenOption = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """待交原件 List papers that officers asked for, the soonest due first; a lender sees its own."""
    request = consent_pb2.ListEvidenceRequestsRequest(
        page=page_request(page_size, page_token), with_received=with_received
    )
    who = find_profile(profile, dev, participant, operator)
    answer = answer_or_json(
        who, lambda rpcs: rpcs.consent.ListEvidenceRequests, request, as_json=as_json, deadline_s=deadline
    )
    if answer is None:
        return
    rows = [
        (
            one.consent_id,
            one.institution,
            moment(one.requested_at),
            moment(one.due_at),
            moment(one.received_at) if one.HasField("received_at") else "逾期 late" if one.late else "",
        )
        for one in answer.requests
    ]
    headings = ("授权编号 consent id", "机构 institution", "调取 asked", "截止 due", "收到 received")
    out = console()
    out.print(grid("原件 papers", headings, rows, is_keyed=True))
    if more := next_page(answer.page):
        out.print(more)
