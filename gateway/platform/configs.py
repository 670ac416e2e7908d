"""The platforms of the settings, as adapters are configured with them."""

from __future__ import annotations

from adapters.kit.config import PlatformConfig
from adapters.kit.protocol import PlatformLicence
from gateway.settings import Settings


def platform_configs(settings: Settings) -> dict[str, PlatformConfig]:
    """Return what each platform's adapter is configured with, by platform id."""
    return {
        name: PlatformConfig(
            platform_id=name,
            adapter=platform.adapter,
            url=platform.url,
            region=platform.region,
            platform_kind=platform.platform_kind,
            name_zh=platform.name_zh,
            name_en=platform.name_en,
            agreement_id=platform.agreement_id,
            pia_id=platform.pia_id,
            licence=PlatformLicence(**platform.licence.model_dump()),
            secrets=platform.secrets,
            options=platform.options,
        )
        for name, platform in settings.platforms.items()
    }
