"""A platform as settings describe it, and what every adapter's builder makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.kit.caller import IN_FLIGHT, Limits
from adapters.kit.pacing import Rate
from adapters.kit.protocol import Adapter, PlatformInfo, PlatformLicence
from adapters.kit.quota import Quota, Quotas
from adapters.kit.transport import TransportSettings
from core.clock import Clock
from standards.catalogue import Standard

Option = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformConfig:
    """One platform as settings describe it; ``adapter`` names the program that speaks to it.

    ``secrets`` are files by name. All: ``ca``, ``certificate``, ``certificate_key``. chongqing: ``hmac_key`` (the bytes
    of the shared secret), ``qm_keys`` (JWK Set). sichuan: ``credentials`` (JSON with appid, username, password),
    ``private_key`` (RSA, PEM), while a key is rotated ``previous_private_key``. rest_json: ``description`` (the TOML
    file), and as its ``auth`` says ``api_key``, ``hmac_key`` or ``client``.
    ``options``: ``in_flight`` (calls at once); chongqing ``caller_code``, ``submits_per_s``, ``polls_per_s``; sichuan
    ``key_id``, ``previous_key_id``, ``requests_per_s``. A rate of 0 switches pacing off.
    All: ``daily_quota`` (calls a day over all workers, 0: none; what counts as one, the platform's page says).
    ``hedge_after_s`` (a read that is not answered by then is sent a second time, 0 and default: never).
    ``quotas`` keeps them; None: nobody counts, as in checks of one adapter alone.
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
    quotas: Quotas | None = None


Build = Callable[[PlatformConfig, PlatformLicence, Standard, Clock], Adapter]
"""Make an adapter from its configuration; the licence is valid today.

Raises KeyError naming the secret or option that lacks, OSError or ValueError for one that cannot be used.
"""


def platform_info(
    config: PlatformConfig,
    licence: PlatformLicence,
    *,
    items: frozenset[str],
    purposes: Mapping[str, str],
    personal_items: frozenset[str] = frozenset(),
) -> PlatformInfo:
    """Return who is asked; ``purposes`` maps the standard's purposes to the platform's own codes."""
    return PlatformInfo(
        platform_id=config.platform_id,
        region=config.region,
        platform_kind=config.platform_kind,
        name_zh=config.name_zh,
        name_en=config.name_en,
        licence=licence,
        items=items,
        purposes=dict(purposes),
        agreement_id=config.agreement_id,
        pia_id=config.pia_id,
        personal_items=personal_items,
    )


def transport_settings(config: PlatformConfig) -> TransportSettings:
    """Return how the platform is reached: its address, the authority trusted there, the client's own certificate."""
    return TransportSettings(
        base_url=config.url,
        ca_file=config.secrets.get("ca"),
        certificate_file=config.secrets.get("certificate"),
        key_file=config.secrets.get("certificate_key"),
        max_connections=_in_flight(config),
    )


def limits_of(
    config: PlatformConfig, published: Mapping[str, Rate], names: Mapping[str, str], *, daily: int = 0
) -> Limits:
    """Return the published rates and quota of a day (0: none), or the operator's own where it set them."""
    rates = dict(published)
    for lane, option in names.items():
        if option in config.options:
            rates[lane] = Rate(per_second=float(config.options[option]), burst=float(config.options[option]))
    in_flight = _in_flight(config)
    paced = {lane: rate for lane, rate in rates.items() if rate.per_second > 0}
    return Limits(
        in_flight=in_flight,
        waiting=8 * in_flight,
        rates=paced,
        quota=quota_of(config, daily=daily),
        hedge_after_s=hedge_after(config),
    )


def _in_flight(config: PlatformConfig) -> int:
    """Return how many calls may be under way at once; each takes a connection."""
    return int(config.options.get("in_flight", IN_FLIGHT))


def hedge_after(config: PlatformConfig) -> float | None:
    """Return after how many seconds a read is hedged, None (the default, or 0): never."""
    return float(config.options.get("hedge_after_s", 0)) or None


def quota_of(config: PlatformConfig, *, daily: int = 0) -> Quota | None:
    """Return the platform's shared quota: the operator's own, or the published one; None where there is none."""
    limit = int(config.options.get("daily_quota", daily))
    return None if config.quotas is None or limit < 1 else config.quotas(config.platform_id, limit)
