"""`bashu-gateway doctor`: prove each link before go-live, and say whose turn it is where one fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from core.clock import SystemClock
from gateway.doctor.links import link_findings
from gateway.doctor.local import SEALER, database_findings, ledger_findings, settings_findings
from gateway.doctor.model import Finding, State
from gateway.doctor.quotas import quota_findings
from gateway.platform.configs import platform_configs
from gateway.settings import Settings
from standards.catalogue import load_standard

__all__ = ["Finding", "State", "diagnose", "say_faults"]


async def diagnose(settings: Settings, *, platforms: Collection[str] | None = None) -> AsyncIterator[Finding]:
    """Check everything that needs no subject; ``platforms`` None: all of them. Raises nothing."""
    for finding in settings_findings(settings):
        yield finding
    async for finding in database_findings(settings):
        yield finding
    async for finding in ledger_findings(settings):
        yield finding
    standard, clock = load_standard(settings.standard.tables), SystemClock()
    configs = platform_configs(settings)
    chosen = [config for name, config in sorted(configs.items()) if platforms is None or name in platforms]
    for config in chosen:
        async for finding in link_findings(config, standard=standard, clock=clock):
            yield finding
    async for finding in quota_findings(settings, chosen, standard=standard, clock=clock):
        yield finding


async def say_faults(settings: Settings, *, say: Callable[[str], None]) -> None:
    """Tell at a start what is wrong; what must not start refuses by itself. The sealer may well start later."""
    async for finding in diagnose(settings):
        if finding.state in {State.WARN, State.FAIL} and finding.check != SEALER:
            say(finding.line())
