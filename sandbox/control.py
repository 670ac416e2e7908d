"""Control of the sandbox over HTTP, on the loopback interface alone: data clock, books, forced faults, subjects."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from sandbox import page
from sandbox.books import Books
from sandbox.clock import Clocks
from sandbox.faults import Fault, Faults
from sandbox.world import World

REQUEST_MOST: Final = 65_536
CODES_DEFAULT: Final = 100
CODES_MOST: Final = 10_000
DAYS_MOST: Final = 3_660


class _Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: int


def build_control_app(*, world: World, books: Books, faults: Faults, clocks: Clocks) -> web.Application:
    """Return the control application."""
    control = _Control(world=world, books=books, faults=faults, clocks=clocks)
    app = web.Application(client_max_size=REQUEST_MOST)
    app.add_routes(
        [
            web.get("/", control.page),
            web.get("/healthz", control.healthz),
            web.post("/control/advance", control.advance),
            web.get("/control/books", control.books),
            web.post("/control/faults", control.force),
            web.get("/control/faults", control.faults),
            web.delete("/control/faults", control.clear),
            web.get("/control/subjects", control.subjects),
            web.get("/control/outcomes", control.outcomes),
        ]
    )
    return app


class _Control:
    def __init__(self, *, world: World, books: Books, faults: Faults, clocks: Clocks) -> None:
        self._world = world
        self._books = books
        self._faults = faults
        self._clocks = clocks

    async def healthz(self, _: web.Request) -> web.Response:
        """Answer that the process serves."""
        return _json({"status": "ok"})

    async def page(self, _: web.Request) -> web.Response:
        """Show what the sandbox is doing."""
        text = page.render(world=self._world, books=self._books, faults=self._faults, clocks=self._clocks)
        headers = {"Content-Security-Policy": page.CONTENT_POLICY, "Cache-Control": "no-store"}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def advance(self, request: web.Request) -> web.Response:
        """Move the data clock: ``{"days": n}`` → ``{"data_day": "yyyy-MM-dd"}``."""
        try:
            days = msgspec.json.decode(await request.read(), type=_Advance).days
        except msgspec.DecodeError as error:
            return _wrong(str(error))
        if not 0 <= days <= DAYS_MOST:
            return _wrong(f"days must be 0 to {DAYS_MOST}")
        return _json({"data_day": self._clocks.data.advance(days)})

    async def books(self, _: web.Request) -> web.Response:
        """Return the books of both platforms."""
        return _json(self._books.as_json())

    async def force(self, request: web.Request) -> web.Response:
        """Put a fault in force."""
        try:
            self._faults.force(msgspec.json.decode(await request.read(), type=Fault))
        except (msgspec.DecodeError, ValueError) as error:
            return _wrong(str(error))
        return self._in_force(HTTPStatus.CREATED)

    async def faults(self, _: web.Request) -> web.Response:
        """Return the faults in force."""
        return self._in_force(HTTPStatus.OK)

    async def clear(self, _: web.Request) -> web.Response:
        """End every fault."""
        self._faults.clear()
        return self._in_force(HTTPStatus.OK)

    async def subjects(self, request: web.Request) -> web.Response:
        """Return the fixed subjects and a page of the population: ``?offset=0&limit=100``."""
        page = _page(request)
        if isinstance(page, web.Response):
            return page
        fixed = [
            {
                "code": subject.code,
                "name": subject.name,
                "home": subject.home,
                "held_by": list(subject.files),
                "note": subject.note,
            }
            for subject in self._world.fixed_subjects
        ]
        population = [{"code": code, "name": name, "home": home} for code, name, home in self._world.firms(*page)]
        return _json({"fixed": fixed, "size": self._world.size, "population": population})

    async def outcomes(self, request: web.Request) -> web.Response:
        """Return whether firms of the population defaulted within twelve months: ``?offset=0&limit=100``."""
        page = _page(request)
        if isinstance(page, web.Response):
            return page
        rows = [
            {"code": code, "name": name, "home": home, "defaulted": defaulted}
            for code, name, home, defaulted in self._world.outcomes(*page)
        ]
        return _json({"outcomes": rows})

    def _in_force(self, status: HTTPStatus) -> web.Response:
        return _json({"faults": self._faults.in_force}, status)


def _page(request: web.Request) -> tuple[int, int] | web.Response:
    try:
        offset = int(request.query.get("offset", "0"))
        limit = int(request.query.get("limit", str(CODES_DEFAULT)))
    except ValueError:
        return _wrong("offset and limit are whole numbers")
    if offset < 0 or not 0 <= limit <= CODES_MOST:
        return _wrong(f"offset must be at least 0, limit 0 to {CODES_MOST}")
    return offset, limit


def _json(document: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(document), content_type="application/json")


def _wrong(reason: str) -> web.Response:
    return _json({"error": reason}, HTTPStatus.BAD_REQUEST)
