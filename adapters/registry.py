"""Build the configured adapters: none is loaded without agreement, impact assessment and the platform's licence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from adapters.chongqing.client import ITEMS as CHONGQING_ITEMS
from adapters.chongqing.client import ChongqingAdapter
from adapters.chongqing.exchange import POLLS, SUBMITS, ChongqingAccess
from adapters.chongqing.exchange import PUBLISHED_RATES as CHONGQING_RATES
from adapters.kit.caller import Limits
from adapters.kit.pacing import Rate
from adapters.kit.protocol import Adapter, PlatformInfo, PlatformLicence
from adapters.kit.transport import TransportSettings
from adapters.sichuan.client import SichuanAdapter
from adapters.sichuan.exchange import PUBLISHED_RATES as SICHUAN_RATES
from adapters.sichuan.exchange import REQUESTS, SichuanAccess
from adapters.sichuan.modules import ITEMS as SICHUAN_ITEMS
from core.clock import Clock
from core.errors import BashuError, Reason, Turn
from core.permit import SubjectKind
from standards.catalogue import Standard
from standards.days import beijing_day
from standards.licences import Side

Option = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformConfig:
    """One platform as settings describe it; ``adapter`` names the program that speaks to it.

    ``secrets`` are files by name. All: ``ca``, ``certificate``, ``certificate_key``. chongqing: ``hmac_key`` (the bytes
    of the shared secret), ``qm_keys`` (JWK Set). sichuan: ``credentials`` (JSON with appid, username, password),
    ``private_key`` (RSA, PEM), while a key is rotated ``previous_private_key``.
    ``options``: ``in_flight`` (calls at once); chongqing ``caller_code``, ``submits_per_s``, ``polls_per_s``; sichuan
    ``key_id``, ``previous_key_id``, ``requests_per_s``. A rate of 0 switches pacing off.
    """

    platform_id: str
    adapter: str
    url: str
    region: str
    platform_kind: str
    name_zh: str
    name_en: str
    agreement_id: str
    pia_id: str
    licence: PlatformLicence | None
    secrets: Mapping[str, Path] = field(default_factory=dict)
    options: Mapping[str, Option] = field(default_factory=dict)


class AdapterNotLoadedError(BashuError):
    """A platform's configuration does not allow its adapter to be loaded; the operator must act."""

    def __init__(self, platform_id: str, what: str) -> None:
        super().__init__(
            Reason.INTERNAL, f"platforms.{platform_id}: {what}", metadata={"platform": platform_id}, turn=Turn.OPERATOR
        )


def load(configs: Mapping[str, PlatformConfig], *, standard: Standard, clock: Clock) -> dict[str, Adapter]:
    """Return the adapters by platform id. Opens no connection; raises AdapterNotLoadedError."""
    return {platform_id: load_one(config, standard=standard, clock=clock) for platform_id, config in configs.items()}


def load_one(config: PlatformConfig, *, standard: Standard, clock: Clock) -> Adapter:
    """Return one adapter. Raises AdapterNotLoadedError, naming what is missing, wrong or cannot be read."""
    build = BUILDERS.get(config.adapter)
    if build is None:
        raise AdapterNotLoadedError(config.platform_id, f"no adapter {config.adapter!r} is installed")
    for name in ("agreement_id", "pia_id"):
        if not getattr(config, name).strip():
            raise AdapterNotLoadedError(config.platform_id, f"{name} is missing (rule R44)")
    licence = _valid_licence(config, standard, beijing_day(clock.now()))
    try:
        return build(config, licence, standard, clock)
    except KeyError as error:
        raise AdapterNotLoadedError(config.platform_id, f"secrets or options lack {error.args[0]}") from error
    except (OSError, ValueError, TypeError) as error:
        # The error may quote a key file; its type tells an operator enough to know where to look.
        what = f"cannot be built ({type(error).__name__}); check url, secrets and options"
        raise AdapterNotLoadedError(config.platform_id, what) from error


def _valid_licence(config: PlatformConfig, standard: Standard, today: date) -> PlatformLicence:
    licence = config.licence
    if licence is None or not licence.number.strip():
        raise AdapterNotLoadedError(config.platform_id, "the platform's licence is missing (rules R1, R4)")
    kinds = standard.licences
    if not any(kinds.allows(licence.kind, kind, Side.PROVIDER, on=today) for kind in SubjectKind):
        raise AdapterNotLoadedError(config.platform_id, f"a licence {licence.kind} does not let a platform answer")
    if licence.valid_from > today or (licence.valid_to is not None and licence.valid_to < today):
        raise AdapterNotLoadedError(config.platform_id, "the platform's licence is not valid today")
    return licence


def _chongqing(config: PlatformConfig, licence: PlatformLicence, standard: Standard, clock: Clock) -> Adapter:
    access = ChongqingAccess(
        caller_code=str(config.options["caller_code"]),
        secret_file=config.secrets["hmac_key"],
        jwks_file=config.secrets["qm_keys"],
    )
    return ChongqingAdapter(
        platform=_info(config, licence, standard, CHONGQING_ITEMS),
        access=access,
        transport=_transport(config),
        standard=standard,
        clock=clock,
        limits=_limits(config, CHONGQING_RATES, {SUBMITS: "submits_per_s", POLLS: "polls_per_s"}),
    )


def _sichuan(config: PlatformConfig, licence: PlatformLicence, standard: Standard, clock: Clock) -> Adapter:
    keys = {str(config.options["key_id"]): config.secrets["private_key"]}
    if "previous_private_key" in config.secrets:
        keys[str(config.options["previous_key_id"])] = config.secrets["previous_private_key"]
    return SichuanAdapter(
        platform=_info(config, licence, standard, SICHUAN_ITEMS),
        access=SichuanAccess(credentials_file=config.secrets["credentials"], private_keys=keys),
        transport=_transport(config),
        standard=standard,
        clock=clock,
        limits=_limits(config, SICHUAN_RATES, {REQUESTS: "requests_per_s"}),
    )


Build = Callable[[PlatformConfig, PlatformLicence, Standard, Clock], Adapter]
BUILDERS: Final[Mapping[str, Build]] = {"chongqing": _chongqing, "sichuan": _sichuan}
"""Adapters that are installed, by name."""


def _info(config: PlatformConfig, licence: PlatformLicence, standard: Standard, items: frozenset[str]) -> PlatformInfo:
    codes = {purpose.purpose_id: purpose.code_at(config.adapter) for purpose in standard.purposes.all()}
    return PlatformInfo(
        platform_id=config.platform_id,
        region=config.region,
        platform_kind=config.platform_kind,
        name_zh=config.name_zh,
        name_en=config.name_en,
        licence=licence,
        items=items,
        purposes={purpose_id: code for purpose_id, code in codes.items() if code is not None},
        agreement_id=config.agreement_id,
        pia_id=config.pia_id,
    )


def _transport(config: PlatformConfig) -> TransportSettings:
    return TransportSettings(
        base_url=config.url,
        ca_file=config.secrets.get("ca"),
        certificate_file=config.secrets.get("certificate"),
        key_file=config.secrets.get("certificate_key"),
    )


def _limits(config: PlatformConfig, published: Mapping[str, Rate], names: Mapping[str, str]) -> Limits:
    """Return the published rates, or the operator's own where it set them."""
    rates = dict(published)
    for lane, option in names.items():
        if option in config.options:
            rates[lane] = Rate(per_second=float(config.options[option]), burst=float(config.options[option]))
    in_flight = int(config.options.get("in_flight", 64))
    paced = {lane: rate for lane, rate in rates.items() if rate.per_second > 0}
    return Limits(in_flight=in_flight, waiting=8 * in_flight, rates=paced)
