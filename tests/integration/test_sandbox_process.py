"""The sandbox as a process: sockets, TLS, sandbox.json, control, clean stop."""

import asyncio
import base64
import hashlib
import json
import os
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.certificates import DevAuthority


@asynccontextmanager
async def sandbox(state: Path, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "--state", str(state), *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            if b"sandbox_ready" in line:
                break
        yield json.loads((state / "sandbox.json").read_bytes())
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0


async def advance(control: str, days: int) -> str:
    async with aiohttp.ClientSession() as http, http.post(f"{control}/control/advance", json={"days": days}) as answer:
        return (await answer.json())["data_day"]


async def test_a_stop_is_clean_and_the_next_start_continues(tmp_path):
    async with sandbox(tmp_path, "--plaintext") as first:
        assert set(first) == {"pid", "platforms", "control", "chongqing_keys", "credentials"}
        kept = {name: Path(path).read_bytes() for name, path in first["credentials"].items()}
        assert stat.S_IMODE((tmp_path / "sandbox.json").stat().st_mode) == 0o600
        day = await advance(first["control"], 3)
    assert not (tmp_path / "sandbox.json").exists()
    async with sandbox(tmp_path, "--plaintext", "--population", "5") as second:
        assert {name: Path(path).read_bytes() for name, path in second["credentials"].items()} == kept
        assert await advance(second["control"], 0) == day
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{second['control']}/control/subjects") as answer:
                subjects = await answer.json()
            async with http.post(f"{second['control']}/control/faults", json={"platform": "x", "kind": "reset"}) as no:
                assert no.status == 400
            async with http.post(f"{second['control']}/control/advance", json={"days": -1}) as no:
                assert no.status == 400
            async with http.get(f"{second['control']}/control/books") as answer:
                assert set(await answer.json()) == {"chongqing", "sichuan"}
        assert (len(subjects["fixed"]), subjects["size"], len(subjects["population"])) == (19, 5, 5)


async def test_chongqing_asks_for_a_client_certificate_and_sichuan_does_not(tmp_path):
    authority = DevAuthority(tmp_path / "ca")
    server, client = authority.server("sandbox"), authority.client("SBXGW0001")
    files = ("--ca", authority.certificate, "--certificate", server.certificate, "--key", server.key)
    async with sandbox(tmp_path / "state", *map(str, files)) as running, aiohttp.ClientSession() as http:
        stranger, gateway = (ssl.create_default_context(cafile=str(authority.certificate)) for _ in range(2))
        gateway.load_cert_chain(client.certificate, client.key)
        chongqing = f"{running['platforms']['chongqing']}/yjzx/v3/sq/ba"
        sichuan = f"{running['platforms']['sichuan']}/v2/identity"
        async with http.get(sichuan, ssl=stranger) as answer:
            assert (answer.status, await answer.text()) == (401, "token invalid")
        with pytest.raises(aiohttp.ClientConnectionError):
            async with http.post(chongqing, data=b"", ssl=stranger):
                pass
        async with http.post(chongqing, data=b"", ssl=gateway) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("profile", ["realistic", "bad-day"])
async def test_every_profile_is_served(tmp_path, profile):
    arguments = ("--plaintext", "--population", "5", "--profile", profile)
    async with (
        sandbox(tmp_path, *arguments) as running,
        aiohttp.ClientSession() as http,
        http.get(f"{running['control']}/healthz") as answer,
    ):
        assert answer.status == 200


async def test_the_page_shows_faults_and_books_escaped_and_runs_no_script(tmp_path):
    async with sandbox(tmp_path, "--plaintext", "--population", "5") as running, aiohttp.ClientSession() as http:
        fault = {"platform": "sichuan", "kind": "slow", "subject": "<b>91510107XXTT00026H", "count": 3}
        async with http.post(f"{running['control']}/control/faults", json=fault) as forced:
            assert forced.status == 201
        async with http.get(f"{running['control']}/") as answer:
            page = await answer.text()
            policy = answer.headers["Content-Security-Policy"]
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "&lt;b&gt;91510107XXTT00026H" in page
        assert "<b>9151" not in page
        assert "<script" not in page
        assert policy.startswith("default-src 'none'")
        style = page.split("<style>")[1].split("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy
