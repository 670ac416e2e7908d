"""What the doctor says about servers that are nearly right: certificates that end, clocks that are off, odd answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from adapters.kit.config import PlatformConfig
from adapters.suite.certificates import untrusted_server
from core.clock import SystemClock
from core.errors import Turn
from gateway.doctor.links import link_findings
from gateway.doctor.local import expiry_finding
from gateway.doctor.model import Finding, State
from gateway.doctor.witnesses import standing_finding
from ledger.witness.store import Standing
from standards.catalogue import load_standard
from tests.rest_json_stage import RestJsonStage


async def found(config: PlatformConfig) -> dict[str, Finding]:
    findings = link_findings(config, standard=load_standard(), clock=SystemClock())
    return {finding.check.removeprefix("platforms.example."): finding async for finding in findings}


@asynccontextmanager
async def answering(text: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return RestJsonStage(folder=tmp_path).config()


@pytest.mark.parametrize(
    ("ahead_s", "state"), [(0, State.OK), (59, State.OK), (90, State.WARN), (-90, State.WARN), (400, State.FAIL)]
)
async def test_a_clock_that_is_off_is_the_platforms_turn(config: PlatformConfig, ahead_s: int, state: State) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead_s), usegmt=True)
    async with answering(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\n\r\n".encode()) as url:
        clock = (await found(replace(config, url=url)))["clock"]
    assert clock.state is state
    assert clock.turn is (Turn.OPERATOR if state is State.OK else Turn.PLATFORM)


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n", b"x" * 100_000])
async def test_an_answer_without_a_date_is_not_checked(config: PlatformConfig, text: bytes) -> None:
    async with answering(text) as url:
        assert (await found(replace(config, url=url)))["clock"].state is State.NOT_CHECKED


async def test_a_certificate_of_nobody_is_not_trusted(config: PlatformConfig) -> None:
    async with untrusted_server() as (url, reached):
        tls = (await found(replace(config, url=url)))["tls"]
    assert (tls.state, tls.turn, reached) == (State.FAIL, Turn.PLATFORM, [])
    assert "not trusted" in tls.en


async def test_nobody_listening_ends_the_link(config: PlatformConfig) -> None:
    async with answering(b"") as url:
        pass
    assert {name: f.state for name, f in (await found(replace(config, url=url))).items()} == {
        "adapter": State.OK,
        "dns": State.OK,
        "port": State.FAIL,
    }


async def test_an_adapter_that_does_not_load_says_why(config: PlatformConfig) -> None:
    async with answering(b"") as url:
        adapter = (await found(replace(config, url=url, pia_id="")))["adapter"]
    assert (adapter.state, adapter.turn) == (State.FAIL, Turn.OPERATOR)
    assert "pia_id is missing (rule R44)" in adapter.en


@pytest.mark.parametrize(("days", "state"), [(-1, State.FAIL), (10, State.WARN), (29, State.WARN), (31, State.OK)])
def test_a_certificate_is_watched_a_month_ahead(days: int, state: State) -> None:
    assert expiry_finding("x", datetime.now(UTC) + timedelta(days=days, hours=1)).state is state


def test_a_line_names_the_turn_only_where_somebody_must_act() -> None:
    told = Finding(check="a", state=State.FAIL, zh="坏", en="bad", turn=Turn.PLATFORM).line()
    assert told.endswith("turn: PLATFORM")
    assert "turn" not in Finding(check="a", state=State.OK, zh="好", en="good").line()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("REFUSED", "ask the witness to register the log's vkey"),
        ("UNREACHABLE", "ask the witness, or look at the network"),
        ("WRONG_TIME", "ask the witness"),
    ],
)
def test_a_witness_that_does_not_cosign_comes_with_what_to_do(state: str, told: str) -> None:
    now = datetime.now(UTC)
    one = Standing(witness="w/1", size=7, state=state, changed_at=now, cosigned_at=None, recorded=None)
    (finding,) = standing_finding("w/1", one)
    assert finding.state is State.WARN
    assert finding.en.startswith(f"{state} since ")
    assert finding.en.endswith(told)
