"""How each fault of the matrix is brought about: forced at the sandbox, or played by the third platform."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.platform_stage import MIB, OTHER, Behaviour, garbage, resets, stalls
from tests.rest_json_stage import RestJsonStage

PATH = "/v1/data"


def play(platform: RestJsonStage, fault: str) -> None:
    """Have the third platform show a fault from now on, a token's end once."""
    behaviour = _BEHAVIOURS[fault](platform)
    if fault == "token_expired":
        platform.script[PATH] = [behaviour]
    else:
        platform.always[PATH] = behaviour


def honest(platform: RestJsonStage) -> None:
    """End what was played."""
    platform.always.clear()
    platform.script.clear()


def _slow(platform: RestJsonStage) -> Behaviour:
    async def behaviour(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.5)
        return await platform.answer(request)

    return behaviour


def _clock_off(platform: RestJsonStage) -> Behaviour:
    async def behaviour(request: web.Request) -> web.StreamResponse:
        answer = await platform.answer(request)
        answer.headers["Date"] = "Mon, 01 Jan 2024 00:00:00 GMT"
        return answer

    return behaviour


def _half_open(platform: RestJsonStage) -> Behaviour:
    async def behaviour(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "200"})
        await answer.prepare(request)
        await answer.write(b'{"code": 0, "creditCode": "')
        return await stalls(request)

    return behaviour


def _extra_items(platform: RestJsonStage) -> Behaviour:
    async def behaviour(request: web.Request) -> web.StreamResponse:
        rows = platform.kinds.get(request.query["kind"], [])
        total = len(rows) if isinstance(rows, list) else 1
        said = {"code": 0, "creditCode": platform.subject, "asOf": "2026-11-22", "data": rows, "total": total}
        return web.json_response(said | {"creditSummary": {"balance": 1}})

    return behaviour


def _oversized(platform: RestJsonStage) -> Behaviour:
    return platform.says(200, code=0, data="x" * (3 * MIB))


def _says(status: int, **members: object) -> Any:
    return lambda platform: platform.says(status, **members)


_BEHAVIOURS: Mapping[str, Any] = {
    "slow": _slow,
    "stall": lambda _: stalls,
    "half_open": _half_open,
    "reset": lambda _: resets,
    "http_500": _says(500),
    "unlisted_code": _says(418, code=7777),
    "wrong_encoding": lambda _: garbage,
    "wrong_subject": _says(200, code=0, creditCode=OTHER, asOf="2026-11-22", data=[], total=0),
    "extra_items": _extra_items,
    "oversized": _oversized,
    "clock_off": _clock_off,
    "token_expired": _says(401, code=4010),
    "quota": _says(429),
    "maintenance": _says(503),
    "revoked": _says(403, code=4001),
}
