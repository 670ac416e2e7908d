"""The HTTP face of the simulated platform sichuan (docs/platforms/sichuan.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.books import Book, Books
from sandbox.clock import Clocks
from sandbox.credentials import EnvelopeKey, SichuanCredentials
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind, Faults
from sandbox.letters import SecondChecker
from sandbox.profiles import MODULE, TAX_MODULE, TOKEN, Conduct, Latency, instant
from sandbox.sichuan import faulty, requests
from sandbox.sichuan.authorisations import Authorisations
from sandbox.sichuan.callbacks import Callbacks
from sandbox.sichuan.disputes import DisputeBody, Disputes
from sandbox.sichuan.limits import REFUSED_FOR, Limits, in_maintenance
from sandbox.sichuan.modules import MODULES, Payload, SubjectKey
from sandbox.sichuan.queries import ModuleQuestion, Queries
from sandbox.sichuan.reconciliation import book_page
from sandbox.sichuan.refusals import Refusal, unknown_module
from sandbox.sichuan.tokens import Login, Tokens
from sandbox.world import World

REQUEST_MOST: Final = 65_536
INSTANT_PATIENCE_S: Final = 1.0
"""Profile ``instant``: a report waits no longer for a silent department (section 6)."""
_SHOWN_BY_ONE: Final = frozenset(FaultKind) - {FaultKind.PARTIAL, FaultKind.STALE}
LONGEST_REVIEW_S: Final = 60.0
_HASTE_S: Final = 0.2
"""The report is answered this long before the caller's deadline."""

_log = structlog.get_logger(__name__)


def build_app(
    *,
    world: World,
    books: Books,
    faults: Faults,
    clocks: Clocks,
    credentials: SichuanCredentials,
    envelope_key: EnvelopeKey,
    callback_url: str | None = None,
    conduct: Conduct | None = None,
    checker: SecondChecker | None = None,
) -> web.Application:
    """Return the platform; it owns its tokens and authorisations, everything else is given.

    ``conduct`` None: profile ``instant``.
    """
    conduct = conduct or instant(PlatformId.SICHUAN, clocks.sichuan)
    callbacks = Callbacks(
        url=callback_url,
        secret=credentials.callback_secret,
        clock=clocks.sichuan,
        repeats=conduct.repeats_callback,
    )
    authorisations = Authorisations(
        clock=clocks.sichuan,
        book=books.sichuan,
        on_change=callbacks.tell,
        review=lambda: conduct.review(LONGEST_REVIEW_S),
        checker=checker,
    )
    server = _Server(
        book=books.sichuan,
        tokens=Tokens(credentials, clocks.sichuan),
        authorisations=authorisations,
        disputes=Disputes(world=world, book=books.sichuan, clocks=clocks),
        queries=Queries(world=world, book=books.sichuan, faults=faults, clocks=clocks, authorisations=authorisations),
        faults=faults,
        clocks=clocks,
        envelope_key=envelope_key,
        conduct=conduct,
    )

    async def deliver_callbacks(_: web.Application) -> AsyncIterator[None]:
        async with callbacks.running():
            yield

    app = web.Application(client_max_size=REQUEST_MOST, middlewares=[server.speak])
    app.cleanup_ctx.append(deliver_callbacks)
    app.add_routes(
        [
            web.post("/auth/token", server.token),
            web.post("/v2/authorizations", server.file_authorisation),
            web.get("/v2/authorizations/{id}", server.read_authorisation),
            web.post("/v2/disputes", server.open_dispute),
            web.get("/v2/disputes/{id}", server.read_dispute),
            web.get("/v2/reconciliation/{day}", server.reconciliation),
            web.get("/v2/identity", server.identity),
            web.get("/v2/enterprises/{group}/modules/{module}", server.module),
            web.post("/v2/reports", server.report),
        ]
    )
    return app


class _Server:
    def __init__(
        self,
        *,
        book: Book,
        tokens: Tokens,
        authorisations: Authorisations,
        disputes: Disputes,
        queries: Queries,
        faults: Faults,
        clocks: Clocks,
        envelope_key: EnvelopeKey,
        conduct: Conduct,
    ) -> None:
        self._conduct = conduct
        self._limits = Limits(conduct, clocks.sichuan)
        self._book = book
        self._tokens = tokens
        self._authorisations = authorisations
        self._disputes = disputes
        self._queries = queries
        self._faults = faults
        self._clocks = clocks
        self._key = envelope_key

    @web.middleware
    async def speak(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give every answer the platform's date, and every refusal its plain text."""
        try:
            self._check_window(request)
            answer = await handler(request)
        except Refusal as refusal:
            answer = _plain(refusal.status, refusal.text)
        except web.HTTPRequestEntityTooLarge:
            answer = _plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "request too large")
        except web.HTTPException as error:
            answer = _plain(error.status, error.reason.lower())
        except faulty.BrokenOff:
            return web.Response()
        except Exception as error:  # noqa: BLE001 - the border: a bug here is the platform's internal error
            _log.error("sichuan_internal_error", error=type(error).__name__, path=request.path)
            answer = _plain(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        answer.headers["Date"] = format_datetime(self._clocks.sichuan.now() + faulty.ahead(request), usegmt=True)
        return answer

    async def token(self, request: web.Request) -> web.Response:
        """``POST /auth/token``."""
        given = self._tokens.give(await requests.read_body(request, Login))
        await asyncio.sleep(self._conduct.seconds(TOKEN))
        return _json(HTTPStatus.OK, given)

    async def file_authorisation(self, request: web.Request) -> web.Response:
        """``POST /v2/authorizations``."""
        self._check_token(request)
        body = await requests.read_body(request, requests.AuthorisationBody)
        authorisation, is_new = self._authorisations.file(body)
        return _json(HTTPStatus.CREATED if is_new else HTTPStatus.OK, authorisation.as_json())

    async def read_authorisation(self, request: web.Request) -> web.Response:
        """``GET /v2/authorizations/{id}``."""
        self._check_token(request)
        return _json(HTTPStatus.OK, self._authorisations.get(request.match_info["id"]).as_json())

    async def open_dispute(self, request: web.Request) -> web.Response:
        """``POST /v2/disputes``."""
        self._check_token(request)
        answer, is_new = self._disputes.open(await requests.read_body(request, DisputeBody))
        return _json(HTTPStatus.CREATED if is_new else HTTPStatus.OK, answer)

    async def read_dispute(self, request: web.Request) -> web.Response:
        """``GET /v2/disputes/{id}``."""
        self._check_token(request)
        return _json(HTTPStatus.OK, self._disputes.get(request.match_info["id"]))

    async def reconciliation(self, request: web.Request) -> web.Response:
        """``GET /v2/reconciliation/{day}``."""
        self._check_token(request)
        requests.request_id(request)
        day, page = requests.book_page(request.match_info["day"], request.query, self._clocks.sichuan.today())
        fault = self._fault(None, "reconciliation")
        await faulty.before(request, fault, "reconciliation")
        return await self._enveloped(request, book_page(self._book, day, page), fault, {})

    async def identity(self, request: web.Request) -> web.Response:
        """``GET /v2/identity``."""
        self._check_token(request)
        requests.request_id(request)
        code = requests.subject_key(request.query, SubjectKey.CODE)
        fault = self._fault(code, "identity")
        await faulty.before(request, fault, "identity")
        return await self._enveloped(request, self._queries.identity(code), fault, {})

    async def module(self, request: web.Request) -> web.Response:
        """``GET /v2/enterprises/{group}/modules/{module}``."""
        self._check_token(request)
        name = f"{request.match_info['group']}/{request.match_info['module']}"
        module = MODULES.get(name)
        if module is None:
            raise unknown_module(name)
        question = ModuleQuestion(
            module=module,
            key=requests.subject_key(request.query, module.key),
            window=requests.window(request.query, module),
            reason=request.headers.get("X-Query-Reason"),
            authorisation_id=request.headers.get("X-Auth-Id"),
            asker=requests.asker(request),
        )
        file = self._queries.file_of(module, question.key)
        fault = self._fault(file.code if file else question.key, name)
        await faulty.before(request, fault, module.server)
        await asyncio.sleep(self._conduct.seconds(_latency(name)))
        answer = self._queries.module(question)
        if answer.is_silent:
            await faulty.silence(request)
        headers = {"x-data-asof": answer.as_of.isoformat()}
        if answer.code is not None:
            is_false = fault is not None and fault.kind is FaultKind.WRONG_SUBJECT
            headers["x-credit-code"] = faulty.WRONG_CODE if is_false else answer.code
        return await self._enveloped(request, answer.payload, fault, headers)

    async def report(self, request: web.Request) -> web.Response:
        """``POST /v2/reports``."""
        self._check_token(request)
        asker = requests.asker(request)
        patience_s = requests.deadline_ms(request) / 1000 - _HASTE_S
        if self._conduct.is_instant:
            patience_s = min(patience_s, INSTANT_PATIENCE_S)
        body = await requests.read_body(request, requests.ReportBody)
        fault = self._fault(body.subject, "reports", shown=frozenset(FaultKind))
        await faulty.before(request, fault, "report")
        kind = None if fault is None else fault.kind
        takes = {name: self._conduct.seconds(_latency(name)) for name in body.modules}
        late = {name for name, seconds in takes.items() if seconds > patience_s}
        down = _departments_down(body.modules) if kind is FaultKind.PARTIAL else frozenset[str]()
        answer = self._queries.report(body, asker, late=late, down=down, is_stale=kind is FaultKind.STALE)
        await faulty.wait(patience_s if answer.waits else max(takes.values(), default=0.0))
        return await self._enveloped(request, answer.payload, fault, {})

    def _check_window(self, request: web.Request) -> None:
        since = None if self._conduct.is_instant else in_maintenance(self._clocks.sichuan.now())
        if since is not None and since < REFUSED_FOR:
            faulty.break_off(request)
        if since is not None:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "system maintenance")

    def _check_token(self, request: web.Request) -> None:
        token = request.headers.get("Authorization")
        self._tokens.check(token)
        self._limits.check(token or "")

    def _fault(self, subject: str | None, call: str, *, shown: frozenset[FaultKind] = _SHOWN_BY_ONE) -> Fault | None:
        """Return the fault that was forced, or the one that chance brings."""
        forced = self._faults.take(PlatformId.SICHUAN, subject, call)
        if forced is not None:
            return forced
        kind = FaultKind.STALL if self._conduct.is_half_open() else self._conduct.fault(shown)
        return None if kind is None else Fault(platform=PlatformId.SICHUAN, kind=kind)

    async def _enveloped(
        self, request: web.Request, payload: Payload, fault: Fault | None, headers: dict[str, str]
    ) -> web.Response:
        is_zipped = requests.is_zipped(request)
        body = faulty.sealed(payload.content, payload.status, self._key.public_key, is_zipped=is_zipped, fault=fault)
        if fault is not None and fault.kind is FaultKind.HALF_OPEN:
            await faulty.half(request, body)
        return web.Response(
            body=body,
            content_type="application/json",
            headers={
                **headers,
                "x-request-id": requests.request_id(request),
                "x-key-id": self._key.kid,
                **({"internal-zip-version": "1"} if is_zipped else {}),
            },
        )


def _latency(module: str) -> Latency:
    return TAX_MODULE if module.startswith("taxinfo/") else MODULE


def _departments_down(modules: list[str]) -> frozenset[str]:
    """Return whose department does not answer when a report comes back in part: tax, else the first asked."""
    return frozenset(name for name in modules if name.startswith("taxinfo/")) or frozenset(modules[:1])


def _json(status: HTTPStatus, document: dict[str, Any]) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(document), content_type="application/json")


def _plain(status: int, text: str) -> web.Response:
    answer = web.Response(status=status, text=text, content_type="text/plain", charset="utf-8")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        answer.headers["Retry-After"] = "1"
    return answer
