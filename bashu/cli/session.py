"""What every command shares: who calls which gateway, `--json`, and the exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import grpc
import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from bashu.channels import Stubs
from bashu.cli.tables import console, print_call_error
from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile, ProfileError
from bashu.verify import VerificationError

DEFAULT_PROFILES: Final = (Path("bashu.toml"), Path("~/.config/bashu/bashu.toml"))

_Result = TypeVar("_Result")
_Asked = TypeVar("_Asked", bound=Message)
_Answer = TypeVar("_Answer", bound=Message)


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    VERIFICATION_FAILED = 4


EXIT_CODES: Final = (
    "退出码 exit codes: 0 成功 ok · 1 网关拒绝并给出原因 refused with a reason · 2 用法错误 usage · "
    "3 无法连接或超时 unreachable or no answer in time · 4 核验不通过 verification failed"
)

ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        envvar="BASHU_CLIENT_PROFILE",
        help="配置文件 profile; default ./bashu.toml, ~/.config/bashu/bashu.toml",
    ),
]
DevOption = Annotated[
    Path | None,
    typer.Option(
        "--dev", envvar="BASHU_CLIENT_DEV", help="开发环境目录 folder of `bashu-gateway dev` (or its dev.json)"
    ),
]
AsOption = Annotated[str | None, typer.Option("--as", help="以哪个参与方身份 participant of the dev stack")]
OperatorOption = Annotated[str | None, typer.Option("--operator", help="操作员工号 staff number acting")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON instead of tables")]
DeadlineOption = Annotated[float, typer.Option("--deadline", min=0.1, max=60, help="时限（秒）seconds a call may take")]


def find_profile(profile: Path | None, dev: Path | None, participant: str | None, operator: str | None) -> Profile:
    """Choose the profile as the options say; ends with USAGE and one sentence where there is none."""
    if dev is not None and participant is None:
        usage("--dev needs --as PARTICIPANT, for example --as bank-cq")
    if dev is None and participant is not None:
        usage("--as chooses a participant of a dev stack; a profile file names its own")
    found = profile or next((path.expanduser() for path in DEFAULT_PROFILES if path.expanduser().exists()), None)
    try:
        if dev is not None and participant is not None:
            return Profile.of_dev_stack(dev, participant, operator=operator)
        if found is None:
            usage("no profile: name one with --profile, or a dev stack with --dev DIR --as PARTICIPANT")
        read = Profile.read(found)
    except ProfileError as error:
        usage(str(error))
    return read if operator is None else replace(read, operator=operator)


def call(
    profile: Profile, work: Callable[[Bashu], Coroutine[Any, Any, _Result]], *, as_json: bool, deadline_s: float
) -> _Result:
    """Run ``work`` with a client; a refusal, a missing gateway or failed evidence ends the command with its code."""

    async def run() -> _Result:
        async with Bashu(profile, deadline_s=deadline_s) as client:
            return await work(client)

    try:
        return asyncio.run(run())
    except BashuCallError as error:
        if as_json:
            print_json({"error": error.as_json()})
        else:
            print_call_error(console(stderr=True), error)
        raise typer.Exit(Exit.UNREACHABLE if error.is_unreachable else Exit.REFUSED) from error
    except VerificationError as error:
        failed(error, as_json=as_json)
    except ProfileError as error:
        usage(str(error))


def answer_or_json(
    profile: Profile,
    rpc: Callable[[Stubs], grpc.aio.UnaryUnaryMultiCallable[_Asked, _Answer]],
    request: _Asked,
    *,
    as_json: bool,
    deadline_s: float,
) -> _Answer | None:
    """Call one RPC and return its answer to be laid out; with ``--json`` print it as it is and return None."""
    answer = call(profile, lambda client: client.call(rpc, request), as_json=as_json, deadline_s=deadline_s)
    if not as_json:
        return answer
    print_json(message_json(answer))
    return None


def failed(error: VerificationError, *, as_json: bool) -> NoReturn:
    """End with VERIFICATION_FAILED."""
    if as_json:
        print_json({"ok": False, "error": str(error)})
    else:
        typer.echo(f"核验不通过 verification failed: {error}", err=True)
    raise typer.Exit(Exit.VERIFICATION_FAILED) from error


def usage(sentence: str) -> NoReturn:
    """End with USAGE and one sentence."""
    typer.echo(f"用法错误 usage: {sentence}", err=True)
    raise typer.Exit(Exit.USAGE)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def message_json(message: Message) -> dict[str, Any]:
    """Turn a message into JSON with the contract's own field names."""
    return MessageToDict(message, preserving_proto_field_name=True)


def read_bytes(path: Path) -> bytes:
    """Read a file, or standard input where it is ``-``."""
    try:
        return typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        usage(f"{path}: {error.strerror}")
