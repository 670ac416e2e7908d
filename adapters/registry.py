"""Build the configured adapters: none is loaded without agreement, impact assessment and the platform's licence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from adapters.chongqing.client import ITEMS as CHONGQING_ITEMS
from adapters.chongqing.client import ChongqingAdapter
from adapters.chongqing.exchange import POLLS, SUBMITS, ChongqingAccess
from adapters.chongqing.exchange import PUBLISHED_DAILY as CHONGQING_DAILY
from adapters.chongqing.exchange import PUBLISHED_RATES as CHONGQING_RATES
from adapters.chongqing.shapes import PERSONAL_ITEMS as CHONGQING_PERSONAL
from adapters.kit.config import (
    Build,
    PlatformConfig,
    hedge_after,
    limits_of,
    platform_info,
    quota_of,
    transport_settings,
)
from adapters.kit.protocol import Adapter, PlatformLicence
from adapters.rest_json.client import RestJsonAdapter
from adapters.rest_json.description import DescriptionError
from adapters.sichuan.client import SichuanAdapter
from adapters.sichuan.exchange import PUBLISHED_DAILY as SICHUAN_DAILY
from adapters.sichuan.exchange import PUBLISHED_RATES as SICHUAN_RATES
from adapters.sichuan.exchange import REQUESTS, SichuanAccess
from adapters.sichuan.modules import ITEMS as SICHUAN_ITEMS
from adapters.sichuan.modules import PERSONAL_ITEMS as SICHUAN_PERSONAL
from core.clock import Clock
from core.errors import BashuError, Reason, Turn
from core.permit import SubjectKind
from standards.catalogue import Standard
from standards.days import beijing_day
from standards.licences import Side


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
    try:
        build = _builder(config.adapter)
    except (ImportError, AttributeError) as error:
        what = f"adapter {config.adapter!r} cannot be imported ({type(error).__name__})"
        raise AdapterNotLoadedError(config.platform_id, what) from error
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
    except DescriptionError as error:
        raise AdapterNotLoadedError(config.platform_id, f"{error}") from error
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


def _may_tell_of_persons(licence: PlatformLicence, standard: Standard) -> bool:
    """The gateway decides it again for each query; an adapter of a platform without the licence cannot even ask."""
    return standard.licences.allows(licence.kind, SubjectKind.PERSON, Side.PROVIDER)


def _chongqing(config: PlatformConfig, licence: PlatformLicence, standard: Standard, clock: Clock) -> Adapter:
    access = ChongqingAccess(
        caller_code=str(config.options["caller_code"]),
        secret_file=config.secrets["hmac_key"],
        jwks_file=config.secrets["qm_keys"],
    )
    return ChongqingAdapter(
        platform=platform_info(
            config,
            licence,
            items=CHONGQING_ITEMS,
            purposes=_purposes(standard, "chongqing"),
            personal_items=CHONGQING_PERSONAL if _may_tell_of_persons(licence, standard) else frozenset(),
        ),
        access=access,
        transport=transport_settings(config),
        standard=standard,
        clock=clock,
        limits=limits_of(
            config, CHONGQING_RATES, {SUBMITS: "submits_per_s", POLLS: "polls_per_s"}, daily=CHONGQING_DAILY
        ),
    )


def _sichuan(config: PlatformConfig, licence: PlatformLicence, standard: Standard, clock: Clock) -> Adapter:
    keys = {str(config.options["key_id"]): config.secrets["private_key"]}
    if "previous_private_key" in config.secrets:
        keys[str(config.options["previous_key_id"])] = config.secrets["previous_private_key"]
    return SichuanAdapter(
        platform=platform_info(
            config,
            licence,
            items=SICHUAN_ITEMS,
            purposes=_purposes(standard, "sichuan"),
            personal_items=SICHUAN_PERSONAL if _may_tell_of_persons(licence, standard) else frozenset(),
        ),
        access=SichuanAccess(credentials_file=config.secrets["credentials"], private_keys=keys),
        transport=transport_settings(config),
        standard=standard,
        clock=clock,
        limits=limits_of(config, SICHUAN_RATES, {REQUESTS: "requests_per_s"}, daily=SICHUAN_DAILY),
    )


def _rest_json(config: PlatformConfig, licence: PlatformLicence, standard: Standard, clock: Clock) -> Adapter:
    return RestJsonAdapter(
        platform=platform_info(config, licence, items=frozenset(), purposes={}),
        file=config.secrets["description"],
        files=config.secrets,
        transport=transport_settings(config),
        standard=standard,
        clock=clock,
        in_flight=int(config.options["in_flight"]) if "in_flight" in config.options else None,
        quota=quota_of(config),
        hedge_after_s=hedge_after(config),
    )


def _purposes(standard: Standard, platform_id: str) -> Mapping[str, str]:
    codes = {purpose.purpose_id: purpose.code_at(platform_id) for purpose in standard.purposes.all()}
    return {purpose_id: code for purpose_id, code in codes.items() if code is not None}


BUILDERS: Final[Mapping[str, Build]] = {
    "chongqing": _chongqing,
    "sichuan": _sichuan,
    "rest_json": _rest_json,
}
"""Adapters that this package ships, by name."""

GROUP: Final = "bashu.adapters"
"""Entry points of this group name builders of adapters that come as packages of their own."""


def installed() -> Mapping[str, EntryPoint | None]:
    """Return every adapter's name, with the entry point of one that is not ours; a name of ours cannot be taken."""
    foreign = {point.name: point for point in entry_points(group=GROUP) if point.name not in BUILDERS}
    return dict.fromkeys(BUILDERS) | foreign


def _builder(name: str) -> Build | None:
    if name in BUILDERS:
        return BUILDERS[name]
    point = installed().get(name)
    if point is None:
        return None
    build: Build = point.load()
    return build
