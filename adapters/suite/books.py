"""The books of a sandbox platform, read at its control."""

from __future__ import annotations

from typing import Final

import aiohttp

from adapters.suite.bench import Marks

WAIT_S: Final = 10.0


def sandbox_marks(control: str, platform_id: str) -> Marks:
    """Return what counts the enquiries in a sandbox platform's books."""

    async def marks() -> int:
        timeout = aiohttp.ClientTimeout(total=WAIT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as http,
            http.get(f"{control.rstrip('/')}/control/books") as answer,
        ):
            return len((await answer.json())[platform_id]["enquiries"])

    return marks
