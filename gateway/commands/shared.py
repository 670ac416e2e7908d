"""What the operator's commands share: the settings file, one line for each error, its exit code, one connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from core.errors import BashuError
from database import Database, DatabaseUnavailable, open_database
from gateway.settings import Settings, SettingsError, read_secret

REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

EXIT_CODES: Final = (
    "退出码 exit codes: 0 成功 done · 1 未能执行 refused, or could not go on · 2 用法或设置有误 usage or settings · "
    "3 数据库不可用 the database is unavailable"
)

SettingsFile = Annotated[
    Path, typer.Option("--settings", envvar="BASHU_SETTINGS", help="设置文件 TOML settings file.", exists=True)
]
_Result = TypeVar("_Result")


@contextlib.contextmanager
def spoken(*refused: type[Exception], usage: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Say what an operator can act on in one line, and leave the rest to a traceback.

    ``refused`` and ``usage`` are further errors that end as REFUSED and as USAGE.
    """
    wrong_usage: tuple[type[Exception], ...] = (SettingsError, *usage)
    told: tuple[type[Exception], ...] = (BashuError, *refused)
    try:
        yield
    except wrong_usage as error:
        typer.echo(f"设置有误 Settings: {error}", err=True)
        raise typer.Exit(USAGE) from error
    except DatabaseUnavailable as error:
        typer.echo(f"数据库不可用 Database unavailable: {error}", err=True)
        raise typer.Exit(UNREACHABLE) from error
    except told as error:
        typer.echo(f"未能执行 Refused: {error}", err=True)
        raise typer.Exit(REFUSED) from error


def work_on(settings: Settings, work: Callable[[Database], Awaitable[_Result]]) -> _Result:
    """Run ``work`` with a connection of the gateway's role and return its result."""

    async def run() -> _Result:
        dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
        db = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-operator")
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())
