"""`bashu consent …`: register what an authority signed, look at it, revoke it."""

from __future__ import annotations

from pathlib import Path
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
    call,
    find_profile,
    message_json,
    print_json,
    read_bytes,
)
from bashu.cli.tables import consent_events, consent_facts, console, facts
from bashu.client import DEADLINE_S

app = typer.Typer(no_args_is_help=True, help="授权 consents")

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


@app.command(epilog=EXIT_CODES)
def revoke(
    consent_id: ConsentArgument,
    *,
    reason: Annotated[str, typer.Option(help="原因代码 reason code, for example SUBJECT_REQUEST")] = "",
    expected_revision: Annotated[
        int, typer.Option(min=0, help="所见版本 refuse if it changed since this revision")
    ] = 0,
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
