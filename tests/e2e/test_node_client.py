"""A client in another language gets the same report: Node's @grpc/grpc-js through ``examples/node/query.mjs``."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bashu.client import Bashu
from loadtest.questions import question
from loadtest.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = "91500105XXTT00018M"
OF_ONE_QUERY = {"report_id", "generated_at", "fetched_at", "latency", "raw_digest"}
"""Fields that belong to one query and not to its subject."""
SIXTY_FOUR_BITS = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}

Consented = Callable[..., Awaitable[str]]


@pytest.fixture(scope="module")
def node() -> str:
    program = shutil.which("node")
    if program is not None and (ROOT / "node_modules" / "@grpc" / "grpc-js").is_dir():
        return program
    missing = "the Node client needs node and `make setup-node`"
    if os.environ.get("BASHU_REQUIRE_NODE") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


async def test_node_gets_the_report_that_python_gets(
    node: str, stack: Stack, bank: Bashu, consented: Consented
) -> None:
    consent_id = await consented()
    expected = (await bank.query_credit(question(SUBJECT, consent_id))).report
    code, answer = await ask_from_node(node, stack, consent_id, "PRE_LOAN_REVIEW")
    assert code == 0, answer
    assert answer["digest_matches"] is True
    assert len(expected.records) > 0
    assert list(differences(expected, answer["report"], "report")) == []


async def test_node_is_told_the_reason_of_a_refusal(node: str, stack: Stack, consented: Consented) -> None:
    code, answer = await ask_from_node(node, stack, await consented(), "GUARANTOR_REVIEW")
    assert (code, answer["reason"]) == (1, "PURPOSE_MISMATCH")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--nope",), "--nope"),
        (("--dev", "{state}"), "--as is missing"),
        (("--dev", "{state}/none", "--as", "bank-cq", "--code", SUBJECT, "--purpose", "X"), "stack running?"),
        (("--dev", "{state}/dev.json", "--as", "nobody", "--code", SUBJECT, "--purpose", "X"), "no participant nobody"),
    ],
)
async def test_what_node_cannot_ask_ends_with_2_and_one_line(
    node: str, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "dev.json").write_text('{"participants": {}}')
    process = await asyncio.create_subprocess_exec(
        *(node, "examples/node/query.mjs", *(argument.format(state=tmp_path) for argument in arguments)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    (line,) = err.decode().splitlines()
    assert process.returncode == 2
    assert line.startswith("用法错误 usage: ")
    assert told in line


async def ask_from_node(node: str, stack: Stack, consent_id: str, purpose: str) -> tuple[int | None, Any]:
    process = await asyncio.create_subprocess_exec(
        *(node, "examples/node/query.mjs", "--dev", str(stack.state), "--as", "bank-cq"),
        *("--consent", consent_id, "--code", SUBJECT, "--purpose", purpose, "--application-reference", "NODE-1"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    # Node warns on stderr before it about server names that are addresses.
    return process.returncode, json.loads((out or err).splitlines()[-1])


def differences(message: Message, node: Any, path: str) -> Iterator[str]:
    """Compare a message with what @grpc/proto-loader makes of the same bytes."""
    set_fields = {field.name: (field, value) for field, value in message.ListFields()}
    oneofs = {oneof.name for oneof in message.DESCRIPTOR.oneofs}
    for name in node.keys() - set_fields.keys() - oneofs - OF_ONE_QUERY:
        yield f"{path}.{name} is set for Node alone"
    for name, (field, value) in set_fields.items():
        if name in OF_ONE_QUERY:
            continue
        ours, theirs = (list(value), node.get(name)) if field.is_repeated else ([value], [node.get(name)])
        if theirs is None or len(ours) != len(theirs):
            yield f"{path}.{name} has another length"
            continue
        for place, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if isinstance(one, Message):
                yield from differences(one, other or {}, f"{path}.{name}[{place}]")
            elif as_node_writes(field, one) != other:
                yield f"{path}.{name}[{place}]: {one!r} is {other!r} for Node"


def as_node_writes(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if field.type in SIXTY_FOUR_BITS else value
