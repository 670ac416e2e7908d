"""`bashu consent …`: register what an authority signed, list, read, pause, revoke; why a request was decided so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bashu.cli.labels import CONSENT_STATE, REASON, coded
from bashu.cli.session import (
    EXIT_CODES,
    AsOption,
    DeadlineOption,
    DevOption,
    JsonOption,
    OperatorOption,
    ProfileOption,
    call,
    find_profile,
    message_json,
    print_json,
    read_bytes,
    usage,
)
from bashu.cli.tables import (
    consent_events,
    consent_facts,
    consent_list,
    console,
    decision_steps,
    facts,
    notice_facts,
)
from bashu.client import DEADLINE_S
from bashu.v1 import consent_pb2

app = typer.Typer(no_args_is_help=True, help="授权 consents")

RevisionOption = Annotated[int, typer.Option(min=0, help="所见版本 refuse if it changed since this revision")]
ConsentArgument = Annotated[str, typer.Argument(help="授权编号 consent id")]


@app.command(epilog=EXIT_CODES)
def register(
    file: Annotated[Path, typer.Argument(help="授权书 artefact as the authority signed it (compact JWS); - is stdin")],
    *,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """登记 Register a signed consent artefact."""
    who = find_profile(profile, dev, participant, operator)
    # A text editor's last line break is not part of what was signed.
    artefact = read_bytes(file).removesuffix(b"\n").removesuffix(b"\r")
    answer = call(who, lambda client: client.register_consent(artefact), as_json=as_json, deadline_s=deadline)
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    out.print(consent_facts(answer.consent))
    out.print(facts("访问日志 ledger", {"条目 entry id": answer.entry_id}))


@app.command(epilog=EXIT_CODES)
def show(
    consent_id: ConsentArgument,
    *,
    history: Annotated[bool, typer.Option("--history", help="附全部经过 with artefact and events")] = False,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """查看 Show a consent with its state now."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who, lambda client: client.get_consent(consent_id, with_history=history), as_json=as_json, deadline_s=deadline
    )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    out.print(consent_facts(answer.consent))
    if answer.events:
        out.print(consent_events(answer.events))
    for notice in answer.notices:
        out.print(notice_facts(notice))


@app.command(epilog=EXIT_CODES)
def revoke(
    consent_id: ConsentArgument,
    *,
    reason: Annotated[str, typer.Option(help="原因代码 reason code, for example SUBJECT_REQUEST")] = "",
    expected_revision: RevisionOption = 0,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """撤回 Revoke a consent; once this returns nothing is released under it."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.revoke_consent(consent_id, reason=reason, expected_revision=expected_revision),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    out.print(consent_facts(answer.consent))
    rows = {
        "拦下的在途查询 withheld queries": answer.withheld_queries,
        "后果 consequences": answer.consequences,
        "日志条目 entry id": answer.entry_id,
    }
    out.print(facts("撤回 revocation", rows))


@app.command("list", epilog=EXIT_CODES)
def list_(
    *,
    state: Annotated[
        list[str] | None, typer.Option(help="只列此状态 only this state, for example ACTIVE; repeat it")
    ] = None,
    page_size: Annotated[int, typer.Option(min=1, max=500, help="每页条数 rows on a page")] = 50,
    page_token: Annotated[str, typer.Option(help="上页末尾给出的续页标记 where the page before ended")] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """列出 List one's own consents: a lender's, an authority's or a subject's; the oldest first."""
    states = [_state(name) for name in state or ()]
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.list_consents(states=states, page_size=page_size, page_token=page_token),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    out.print(consent_list(answer.consents))
    if answer.page.next_page_token:
        out.print(facts("续页 next page", {"--page-token": answer.page.next_page_token}))


@app.command(epilog=EXIT_CODES)
def pause(
    consent_id: ConsentArgument,
    *,
    expected_revision: RevisionOption = 0,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """暂停 Pause a consent as its subject; once this returns nothing is released until it is resumed."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.pause_consent(consent_id, expected_revision=expected_revision),
        as_json=as_json,
        deadline_s=deadline,
    )
    _print_changed(answer, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def resume(
    consent_id: ConsentArgument,
    *,
    expected_revision: RevisionOption = 0,
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """恢复 End a pause as the subject."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.resume_consent(consent_id, expected_revision=expected_revision),
        as_json=as_json,
        deadline_s=deadline,
    )
    _print_changed(answer, as_json=as_json)


@app.command(epilog=EXIT_CODES)
def explain(
    request_id: Annotated[str, typer.Argument(help="请求号 request id of a query")],
    *,
    institution: Annotated[
        str, typer.Option(help="机构 whose request, for reviewers; default one's own institution")
    ] = "",
    deadline: DeadlineOption = DEADLINE_S,
    profile: ProfileOption = None,
    dev: DevOption = None,
    participant: AsOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> None:
    """说明 List the admission checks of the latest decision on a request, and their outcome."""
    who = find_profile(profile, dev, participant, operator)
    answer = call(
        who,
        lambda client: client.explain_decision(request_id, institution=institution),
        as_json=as_json,
        deadline_s=deadline,
    )
    if as_json:
        print_json(message_json(answer))
        return
    out = console()
    out.print(decision_steps(answer.steps))
    outcome = coded(answer.outcome, {"PERMIT": "准许", **REASON})
    shown = {"结果 outcome": outcome, "规则表版本 policy version": answer.policy_version}
    out.print(facts("决定 decision", shown))


def _state(name: str) -> consent_pb2.ConsentState.ValueType:
    if name not in CONSENT_STATE:
        usage(f"--state is one of {', '.join(CONSENT_STATE)}")
    return consent_pb2.ConsentState.Value(f"CONSENT_STATE_{name}")


def _print_changed(
    answer: consent_pb2.PauseConsentResponse | consent_pb2.ResumeConsentResponse, *, as_json: bool
) -> None:
    if as_json:
        print_json(message_json(answer))
    else:
        console().print(consent_facts(answer.consent))
