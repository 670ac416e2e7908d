"""The way to a platform: name, port, TLS, clock, the adapter's own rules. Nothing about any subject is asked."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from adapters.kit.config import PlatformConfig
from adapters.registry import AdapterNotLoadedError, load_one
from core.clock import Clock
from core.errors import Turn
from gateway.doctor.local import certificate_finding, expiry_finding
from gateway.doctor.model import Finding, State, fail, ok, unchecked, warn
from standards.catalogue import Standard

STEP_S: Final = 5.0
"""Longest wait for one step of one link."""
SLOW_MS: Final = 1000
SKEW_WARN_S, SKEW_FAIL_S = 60.0, 300.0
"""chongqing refuses a clock that is 300 s off (9001 family); others are as strict."""
_MAX_HEAD: Final = 16 * 1024
_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Peer:
    """What a platform's server showed: last moment of its certificate, TLS version, its Date, milliseconds to reach."""

    ends: datetime | None
    version: str
    date: datetime | None
    milliseconds: int


async def link_findings(config: PlatformConfig, *, standard: Standard, clock: Clock) -> AsyncIterator[Finding]:
    """Check one platform's link; a step that fails ends it, since the next ones would only repeat it."""
    place = f"platforms.{config.platform_id}"
    yield await _adapter(place, config, standard, clock)
    if "certificate" in config.secrets:
        yield certificate_finding(f"{place}.client_certificate", config.secrets["certificate"])
    parts = urlsplit(config.url)
    name = await _name(place, parts)
    yield name
    if name.state is State.FAIL:
        return
    async for finding in _reached(place, config, parts):
        yield finding


async def _adapter(place: str, config: PlatformConfig, standard: Standard, clock: Clock) -> Finding:
    check = f"{place}.adapter"
    try:
        adapter = load_one(config, standard=standard, clock=clock)
    except AdapterNotLoadedError as error:
        return fail(check, "适配器无法加载", str(error))
    platform = adapter.platform
    await adapter.close()
    rates = [name for name, value in config.options.items() if name.endswith("_per_s") and not value]
    held = f"{len(platform.items)} items, {len(platform.purposes)} purposes, agreement {platform.agreement_id}"
    if rates:
        return warn(check, "已关闭限速", f"{held}; pacing is switched off: {', '.join(sorted(rates))}")
    return ok(check, "适配器可加载，协议、影响评估与许可齐全", held)


async def _name(place: str, parts: SplitResult) -> Finding:
    check, host = f"{place}.dns", parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return ok(check, "地址为 IP", "an address, no name to look up")
    try:
        async with asyncio.timeout(STEP_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, TimeoutError):
        return fail(check, "域名无法解析", f"{host} has no address: resolver, hosts file or a misspelt name")
    return ok(check, "域名可解析", f"{host} has {len({entry[4][0] for entry in found})} addresses")


async def _reached(place: str, config: PlatformConfig, parts: SplitResult) -> AsyncIterator[Finding]:
    check = f"{place}.tls"
    try:
        async with asyncio.timeout(STEP_S):
            peer = await _meet(config, parts)
    except ssl.SSLCertVerificationError as error:
        yield fail(
            check, "证书链未通过验证", f"the certificate is not trusted: {error.verify_message}", turn=Turn.PLATFORM
        )
        return
    except ssl.SSLError as error:
        yield fail(check, "TLS 握手失败", f"the handshake failed ({error.reason}): client certificate or TLS version")
        return
    except (OSError, TimeoutError) as error:
        why = type(error).__name__
        yield fail(
            f"{place}.port",
            "端口不可达",
            f"no connection ({why}): address, firewall, or it is down",
            turn=Turn.PLATFORM,
        )
        return
    for finding in _told(place, peer, is_tls=parts.scheme == "https"):
        yield finding


async def _meet(config: PlatformConfig, parts: SplitResult) -> _Peer:
    """Connect as the adapter does, say HEAD /, and return what was shown."""
    began = time.monotonic()
    is_tls = parts.scheme == "https"
    context = _context(config) if is_tls else None
    port = parts.port or _PORTS[parts.scheme]
    reader, writer = await asyncio.open_connection(
        parts.hostname, port, ssl=context, server_hostname=parts.hostname if is_tls else None
    )
    try:
        milliseconds = int((time.monotonic() - began) * 1000)
        shown = writer.get_extra_info("peercert") or {}
        version = str(writer.get_extra_info("ssl_object").version()) if is_tls else ""
        writer.write(f"HEAD / HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode("ascii"))
        await writer.drain()
        head = await reader.read(_MAX_HEAD)
    finally:
        writer.transport.abort()
    ends = ssl.cert_time_to_seconds(shown["notAfter"]) if "notAfter" in shown else None
    return _Peer(
        ends=None if ends is None else datetime.fromtimestamp(ends, UTC),
        version=version,
        date=_date(head),
        milliseconds=milliseconds,
    )


def _told(place: str, peer: _Peer, *, is_tls: bool) -> list[Finding]:
    found = []
    if is_tls and peer.ends is not None:
        found.append(expiry_finding(f"{place}.tls", peer.ends, turn=Turn.PLATFORM))
        found.append(ok(f"{place}.tls_version", peer.version, "the chain is trusted and the name fits"))
    elif not is_tls:
        found.append(unchecked(f"{place}.tls", "明文，仅限本机", "plain HTTP, which only a loopback address may be"))
    found.append(_clock(f"{place}.clock", peer.date))
    text = f"{peer.milliseconds} ms"
    is_slow = peer.milliseconds > SLOW_MS
    reach = f"{place}.latency"
    found.append(
        warn(reach, f"建连 {text}", f"connecting took {text}") if is_slow else ok(reach, f"建连 {text}", "to connect")
    )
    return found


def _clock(check: str, theirs: datetime | None) -> Finding:
    if theirs is None:
        return unchecked(check, "未给出时间", "its answer carries no Date")
    skew = abs((theirs - datetime.now(UTC)).total_seconds())
    zh, en = f"与平台时钟相差 {skew:.0f} 秒", f"{skew:.0f} s apart"
    if skew >= SKEW_FAIL_S:
        return fail(check, zh, f"{en}: signatures will be refused", turn=Turn.PLATFORM)
    return warn(check, zh, en, turn=Turn.PLATFORM) if skew >= SKEW_WARN_S else ok(check, zh, en)


def _context(config: PlatformConfig) -> ssl.SSLContext:
    ca, certificate, key = (config.secrets.get(name) for name in ("ca", "certificate", "certificate_key"))
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None and key is not None:
        context.load_cert_chain(certificate, key)
    return context


def _date(head: bytes) -> datetime | None:
    for line in head.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"date":
            try:
                return parsedate_to_datetime(value.strip().decode("ascii"))
            except (ValueError, UnicodeDecodeError):
                return None
    return None
