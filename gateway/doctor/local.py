"""What this machine and its databases must hold: licence, secrets, rights, durability, the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from core.clock import SHANGHAI
from core.errors import BashuError
from database import Database, DatabaseMisconfigured, check_durability, open_database, unapplied
from gateway.clock import store as clock_store
from gateway.clock.model import ClockState
from gateway.dev import MIGRATIONS
from gateway.doctor.model import Finding, fail, ok, unchecked, warn
from gateway.doctor.witnesses import witness_findings
from gateway.settings import LicenceSettings, Settings, SettingsError, read_secret
from ledger import store
from ledger.highwater import HighWater
from ledger.keys import store as key_store
from ledger.keys.model import signing
from ledger.note import NoteError, open_checkpoint, parse_vkey
from ledger.signer import LogKeyFiles

SEALER: Final = "ledger.sealer"
SKEW_WARN_S, SKEW_FAIL_S = 1.0, 5.0
"""Between this machine and the database: decisions use the database's clock, tokens this one's."""
EXPIRY_WARN_DAYS: Final = 30
WAIT_S: Final = 10.0
_ROLES: Final = (
    ("database.gateway", "dsn_file"),
    ("database.sealer", "sealer_dsn_file"),
    ("database.reader", "reader_dsn_file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The databases that answered, by the role that logs in; None: not configured here, or it did not answer."""

    gateway: Database | None = None
    sealer: Database | None = None
    reader: Database | None = None


def settings_findings(settings: Settings, *, today: date | None = None) -> Iterator[Finding]:
    """Check the licence, the secrets' files and the certificate that clients see."""
    day = today or datetime.now(SHANGHAI).date()
    if settings.operator is None or settings.operator.licence is None:
        yield unchecked("operator.licence", "开发环境无许可", "dev runs without one; nothing else may (R73)")
    else:
        yield _licence("operator.licence", settings.operator.licence, day)
    for name, file in _secrets(settings):
        yield _secret(name, file)
    if settings.server.certificate is None:
        yield unchecked("server.certificate", "未启用 TLS", "plaintext on loopback, for measurements alone")
    else:
        yield certificate_finding("server.certificate", settings.server.certificate)


async def database_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Check that each configured role logs in, that the schema is this program's, and that commits are durable."""
    for check, field in _ROLES:
        file: Path | None = getattr(settings.database, field)
        if file is None:
            yield unchecked(check, "本机未配置", "not configured here; another process logs in as it")
            continue
        async for finding in _role(check, file, setting=f"database.{field}"):
            yield finding
    async for finding in _role("vault", settings.vault.dsn_file, setting="vault.dsn_file", is_main=False):
        yield finding


async def ledger_findings(settings: Settings) -> AsyncIterator[Finding]:
    """Check that the log is sealed freshly, by the key of these settings, and not behind its high-water mark."""
    try:
        async with asyncio.timeout(WAIT_S):
            db = await _open(settings.database.dsn_file, "database.dsn_file")
    except (BashuError, SettingsError, TimeoutError):
        yield unchecked("ledger", "数据库不可用", "the database did not answer; see database.gateway")
        return
    try:
        for finding in await _ledger(settings, db):
            yield finding
    finally:
        await db.close()


def certificate_finding(check: str, file: Path) -> Finding:
    """Check how long the certificate in a PEM file lasts."""
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        return fail(check, "证书文件无法读取", f"{file.name} cannot be read as a PEM certificate")
    return expiry_finding(check, certificate.not_valid_after_utc)


def expiry_finding(check: str, ends: datetime, **turn: object) -> Finding:
    """Check a certificate's last moment, UTC."""
    days = (ends - datetime.now(UTC)).days
    if days < 0:
        return fail(check, f"证书已于 {ends:%Y-%m-%d} 到期", f"the certificate ended on {ends:%Y-%m-%d}", **turn)  # type: ignore[arg-type]
    if days < EXPIRY_WARN_DAYS:
        return warn(check, f"证书还有 {days} 天到期", f"the certificate ends in {days} days", **turn)  # type: ignore[arg-type]
    return ok(check, f"证书有效至 {ends:%Y-%m-%d}", f"the certificate is good until {ends:%Y-%m-%d}")


def _licence(check: str, licence: LicenceSettings, day: date) -> Finding:
    if licence.valid_from > day or (licence.valid_to is not None and licence.valid_to < day):
        return fail(check, "许可或备案今日无效", "the licence or filing is not valid today (R73)")
    return ok(check, f"{licence.kind} 有效", f"{licence.kind} is valid today")


def _secrets(settings: Settings) -> Iterator[tuple[str, Path]]:
    yield "ledger.signing_key", settings.ledger.signing_key
    keys = settings.keys
    yield "keys.name_seal", keys.name_seal
    yield "keys.operator_commitment", keys.operator_commitment
    yield "keys.subject_commitment", keys.subject_commitment
    yield "vault.wrapping_key", settings.vault.wrapping_key
    for kid, lent in keys.commitments.items():
        yield f"keys.commitments.{kid}", lent.file


def _secret(name: str, file: Path) -> Finding:
    try:
        read_secret(file, setting=name)
    except SettingsError as error:
        return fail(name, "密钥文件有问题", str(error))
    return ok(name, "密钥文件仅属主可读", "the file is there, for its owner alone")


async def _open(file: Path, setting: str) -> Database:
    dsn = read_secret(file, setting=setting).decode()
    return await open_database(dsn, min_size=1, max_size=1, application_name="bashu-doctor")


async def _role(check: str, file: Path, *, setting: str, is_main: bool = True) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(WAIT_S):
            db = await _open(file, setting)
    except SettingsError as error:
        yield fail(check, "连接文件有问题", str(error))
        return
    except (BashuError, TimeoutError) as error:
        why = type(error).__name__
        yield fail(check, "登录失败", f"the role cannot log in ({why}): server, password or grants")
        return
    try:
        yield ok(check, "可登录", "the role logs in")
        async for finding in _server(check, db, is_main=is_main):
            yield finding
    finally:
        await db.close()


async def _server(check: str, db: Database, *, is_main: bool) -> AsyncIterator[Finding]:
    try:
        await check_durability(db)
    except DatabaseMisconfigured as error:
        yield fail(f"{check}.durability", "提交未必落盘", str(error))
    else:
        yield ok(f"{check}.durability", "提交即落盘", "a commit that returned is on disk")
    if not is_main:
        return
    try:
        waiting = await unapplied(db, MIGRATIONS)
    except BashuError as error:
        yield fail(f"{check}.schema", "数据库结构与程序不符", str(error))
        return
    if waiting:
        yield fail(f"{check}.schema", "有迁移未执行", f"{len(waiting)} migrations wait: bashu-gateway migrate")
    else:
        yield ok(f"{check}.schema", "结构为最新", "the schema is this program's")


async def _ledger(settings: Settings, db: Database) -> list[Finding]:
    return [
        await _clock(db),
        await clock_finding(db),
        _fresh(await store.freshness(db), settings.ledger.stale_s),
        await _key(settings, db),
        await _mark(settings, db),
        *await witness_findings(settings, db),
    ]


async def _clock(db: Database) -> Finding:
    here = datetime.now(UTC)
    skew = abs((await store.machine_time(db) - here).total_seconds())
    check, en = "database.clock", f"{skew:.1f} s apart from this machine"
    if skew >= SKEW_FAIL_S:
        return fail(check, f"与本机时钟相差 {skew:.1f} 秒", f"{en}: set both by NTP")
    if skew >= SKEW_WARN_S:
        return warn(check, f"与本机时钟相差 {skew:.1f} 秒", en)
    return ok(check, "时钟一致", en)


async def clock_finding(db: Database) -> Finding:
    """Check that the gateways take the database's clock for sound."""
    check, reading = "database.clock.jump", await clock_store.read(db)
    if reading.mark.state is ClockState.SOUND:
        return ok(check, "时钟未跳变", "no gateway saw the database's clock jump, or it is right again")
    en = f"the database's clock went {reading.mark.state}: admissions are refused"
    return fail(
        check, "数据库时钟跳变，查询将被拒", f"{en}; set it right, or bashu-gateway clock accept (docs/clock.md)"
    )


def _fresh(fresh: store.Freshness, stale_s: float) -> Finding:
    check = SEALER
    oldest = fresh.oldest_pending_s or 0.0
    if max(oldest, fresh.heartbeat_s) > stale_s:
        en = f"heartbeat {fresh.heartbeat_s:.0f} s, oldest entry {oldest:.0f} s: admissions are refused"
        return fail(check, "封存进程停滞，查询将被拒", f"{en} (EVIDENCE_STALE); start bashu-gateway sealer")
    return ok(check, "封存进程正常", f"last round {fresh.heartbeat_s:.1f} s ago, {stale_s:g} s are allowed")


async def _key(settings: Settings, db: Database) -> Finding:
    check = "ledger.key"
    latest = await store.latest_checkpoint(db)
    if latest is None:
        return unchecked(check, "尚无检查点", "no checkpoint is signed yet")
    try:
        keys = LogKeyFiles(settings.ledger.signing_key, name=settings.ledger.origin)
        keys.follow(signing(await key_store.steps(db)))
    except (NoteError, OSError) as error:
        return fail(check, "签名密钥文件缺失", f"a key of the log is not on this machine: {error}")
    try:
        for signer in keys.signers:
            open_checkpoint(latest.note, parse_vkey(signer.vkey))
    except NoteError:
        return fail(check, "签名密钥与日志不符", "the newest checkpoint is not signed by the key of these settings")
    if len(keys.signers) > 1:
        return ok(check, "新旧密钥重叠期", "the newest checkpoint is signed by both keys of the overlap")
    return ok(check, "签名密钥即日志密钥", "the newest checkpoint is signed by the key on this machine")


async def _mark(settings: Settings, db: Database) -> Finding:
    check = "ledger.highwater"
    try:
        mark = HighWater(path=settings.ledger.highwater).read()
    except (NoteError, OSError):
        return fail(check, "高水位文件损坏", "the high-water mark cannot be read: do not delete it, restore it")
    size = (await store.head(db)).size
    if mark is not None and mark.size > size:
        return fail(
            check, "日志小于高水位：疑为旧备份", f"tree {size} < signed {mark.size}: an older database was restored"
        )
    return ok(check, "日志不小于高水位", f"tree {size}, mark {0 if mark is None else mark.size}")
