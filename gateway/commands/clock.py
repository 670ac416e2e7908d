"""`bashu-gateway clock …`: what the database's clock is taken for, and an operator's word that it is right."""

from __future__ import annotations

from typing import Final

import typer

from core.clock import rfc3339
from gateway.clock import store
from gateway.clock.model import ClockState
from gateway.clock.watch import accept as accept_clock
from gateway.commands.shared import SettingsFile, spoken, work_on
from gateway.settings import load_settings

_STATES: Final = {ClockState.SOUND: "正常", ClockState.BACK: "回拨", ClockState.AHEAD: "超前"}

clock_app = typer.Typer(no_args_is_help=True, help="数据库时钟 The database's clock: show, accept.")


@clock_app.command()
def show(settings: SettingsFile) -> None:
    """时钟状态. What the clock is taken for, where it is, and where it was when it was last sound."""
    with spoken():
        reading = work_on(load_settings(settings), store.read)
    state = reading.mark.state
    typer.echo(f"{_STATES[state]} {state}  now {rfc3339(reading.now)}  last sound {rfc3339(reading.mark.at)}")


@clock_app.command()
def accept(settings: SettingsFile) -> None:
    """确认现在的时钟是对的；查询随即恢复. Says that the clock is right as it is now: queries are admitted again."""
    with spoken():
        loaded = load_settings(settings)
        was = work_on(loaded, lambda db: accept_clock(db, origin=loaded.ledger.origin))
    typer.echo(f"{_STATES[was]} {was} → 正常 SOUND")
