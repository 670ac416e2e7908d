"""``python -m sandbox``: both simulated platforms in the foreground until SIGTERM."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from core.clock import SystemClock
from core.lifetime import follow_parent, stop_event
from sandbox.app import Settings, Tls, running
from sandbox.profiles import Profile
from sandbox.world import DEFAULT_ENTERPRISES, DEFAULT_PERSONS, DEFAULT_SEED

File = Annotated[Path | None, typer.Option(exists=True, dir_okay=False)]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 picks a free one")]


def serve(
    state: Annotated[Path, typer.Option(file_okay=False, help="folder of data clock, credentials, sandbox.json")],
    ca: File = None,
    certificate: File = None,
    key: File = None,
    *,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="plain HTTP on the loopback interface")] = False,
    profile: Profile = Profile.INSTANT,
    population: Annotated[int, typer.Option(min=0, help="enterprises besides the fixed subjects")] = (
        DEFAULT_ENTERPRISES
    ),
    persons: Annotated[int, typer.Option(min=0, help="persons the enterprises' heads are drawn from")] = (
        DEFAULT_PERSONS
    ),
    seed: int = DEFAULT_SEED,
    chongqing_port: Port = 0,
    sichuan_port: Port = 0,
    control_port: Port = 0,
    authorities: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="issuers of letters that the platforms verify")
    ] = None,
    callback_url: Annotated[str | None, typer.Option(help="where sichuan tells changes of authorisations")] = None,
) -> None:
    """Serve both simulated platforms and their control on 127.0.0.1 until SIGTERM or Ctrl-C."""
    follow_parent()
    settings = Settings(
        state=state,
        tls=_tls(ca, certificate, key, is_plain=plaintext),
        seed=seed,
        enterprises=population,
        persons=persons,
        chongqing_port=chongqing_port,
        sichuan_port=sichuan_port,
        control_port=control_port,
        profile=profile,
        authorities=authorities,
        callback_url=None if callback_url is None else _loopback(callback_url),
    )
    asyncio.run(_until_stopped(settings))


def _tls(ca: Path | None, certificate: Path | None, key: Path | None, *, is_plain: bool) -> Tls | None:
    if is_plain:
        return None
    if ca is None or certificate is None or key is None:
        raise typer.BadParameter("--ca, --certificate and --key are needed, or --plaintext")
    return Tls(ca=ca, certificate=certificate, key=key)


def _loopback(url: str) -> str:
    """Return ``url`` when it leads to this machine: a simulator calls nobody else."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or _is_loopback_address(host):
        return url
    raise typer.BadParameter("--callback-url must lead to the loopback interface")


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _until_stopped(settings: Settings) -> None:
    stop = stop_event()
    async with running(settings, SystemClock()):
        await stop.wait()


if __name__ == "__main__":
    typer.run(serve)
