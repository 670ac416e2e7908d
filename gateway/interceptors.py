"""What is true of every RPC, in this order: request id > access log > metrics > errors > deadline > identity > load.

One interceptor, because every further one costs each call; the order is the nesting in :class:`Edge`. Health,
reflection and channelz pass untouched: they need the TLS handshake (so a registered CA's client certificate, where
TLS is on) but no token. Everything else fails closed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import grpc
import structlog
from google.protobuf.message import DecodeError

from core.clock import Clock
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from gateway.faults import fault_lines
from gateway.identity.model import CALLER, DEADLINE, REQUEST_ID, Caller
from gateway.identity.roles import ALLOWED, require_role
from gateway.identity.tokens import Authenticator
from gateway.load import LoadLimit
from gateway.metrics import CallMetrics
from gateway.status import failure_of

OPEN_SERVICES: Final = ("/grpc.health.v1.Health/", "/grpc.reflection.v1alpha.ServerReflection/", "/grpc.channelz.v1.")
"""Prefixes of what needs no token."""

Context = Any  # grpc.aio's own context class is not public, and its stub demands type arguments nobody has.
Handler = Any
Work = Callable[[], Awaitable[Any]]
Denied = Callable[[Caller, BashuError], Awaitable[None]]
"""Records that a known caller's query was refused before a question could be made of it."""

QUERIES: Final = "/bashu.v1.CreditService/"
_UNDECODABLE: Final = object()
_log = structlog.get_logger("gateway.access")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds a call gets: by default, at most, and for streams (whose queries have deadlines of their own)."""

    default_s: float
    max_s: float
    max_stream_s: float

    def seconds(self, remaining_s: float | None, *, is_stream: bool) -> float:
        """Return how long a call may take whose client leaves it ``remaining_s`` (None: no deadline)."""
        most = self.max_stream_s if is_stream else self.max_s
        usual = self.max_stream_s if is_stream else self.default_s
        return usual if remaining_s is None else max(min(remaining_s, most), 0.0)


class _Unimplemented(Exception):  # noqa: N818 - never seen outside
    """The contract has the RPC, this gateway has not."""


class _Ended:
    """How a call ended, for log and metrics."""

    __slots__ = ("caller", "code", "fault", "reason")

    def __init__(self) -> None:
        self.code = grpc.StatusCode.OK.name
        self.reason = ""
        self.caller: Caller | None = None
        self.fault: list[str] | None = None


class Edge(grpc.aio.ServerInterceptor):
    """Wraps every handler once; one per worker."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        load: LoadLimit,
        metrics: CallMetrics,
        deadlines: Deadlines,
        clock: Clock,
        denied: Denied | None = None,
    ) -> None:
        self._denied = denied
        self._authenticator = authenticator
        self._load = load
        self._metrics = metrics
        self._deadlines = deadlines
        self._clock = clock
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the method's handler with everything around it, None where the method does not exist."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is not None:
            return wrapped
        handler = await continuation(handler_call_details)
        # Unknown methods are not kept: whoever invents names must not fill the memory.
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        decode = _decoder(handler.request_deserializer)
        if handler.request_streaming and handler.response_streaming:
            # A message that cannot be decoded reaches the servicer as no message, which answers that question alone.
            stream = self._stream(method, handler.stream_stream)
            return grpc.stream_stream_rpc_method_handler(stream, decode, wire_bytes)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), decode, wire_bytes)
        if handler.request_streaming:
            raise NotImplementedError(f"{method}: the contract has no client streams")
        return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), decode, wire_bytes)

    def _unary(self, method: str, inner: Handler) -> Handler:
        generated = _is_generated(inner)

        async def handle(request: Any, context: Context) -> Any:
            async def work() -> Any:
                await self._refuse_unusable(method, request, generated=generated)
                return await inner(request, context)

            return await self._logged(method, context, work, is_stream=False)

        return handle

    def _stream(self, method: str, inner: Handler) -> Handler:
        generated = _is_generated(inner)

        async def handle(request: Any, context: Context) -> None:
            async def work() -> None:
                await self._refuse_unusable(method, request, generated=generated)
                answers = inner(request, context)
                if inspect.isawaitable(answers):
                    await answers
                    return
                async with aclosing(answers):
                    async for answer in answers:
                        await context.write(answer)

            await self._logged(method, context, work, is_stream=True)

        return handle

    async def _logged(self, method: str, context: Context, work: Work, *, is_stream: bool) -> Any:
        """Request id, access log, metrics."""
        REQUEST_ID.set(str(uuid7()))
        ended = _Ended()
        started = self._clock.monotonic()
        self._metrics.start()
        try:
            return await self._answered(method, context, work, ended, is_stream=is_stream)
        finally:
            seconds = self._clock.monotonic() - started
            self._metrics.finish(method, code=ended.code, reason=ended.reason, seconds=seconds)
            _write_line(method, ended, seconds)

    async def _answered(self, method: str, context: Context, work: Work, ended: _Ended, *, is_stream: bool) -> Any:
        """Errors: the one place that catches everything, and always answers or re-raises."""
        try:
            return await self._in_time(method, context, work, ended, is_stream=is_stream)
        except grpc.aio.AbortError:
            # It is an Exception: caught below it would be answered a second time.
            ended.code = _code_name(context)
            raise
        except asyncio.CancelledError:
            ended.code = grpc.StatusCode.CANCELLED.name
            raise
        except _Unimplemented:
            ended.code = grpc.StatusCode.UNIMPLEMENTED.name
            name = method.rsplit(".", 1)[-1].replace("/", ".")
            await context.abort(
                grpc.StatusCode.UNIMPLEMENTED, f"{name} is in the contract and not implemented in this release"
            )
        except Exception as error:  # noqa: BLE001 - the border: what is not classified becomes INTERNAL
            failure = failure_of(error, request_id=REQUEST_ID.get())
            ended.code, ended.reason = failure.code.name, failure.reason.value
            ended.fault = fault_lines(error) if failure.reason is Reason.INTERNAL else None
            await context.abort(failure.code, failure.message, failure.trailers)

    async def _in_time(self, method: str, context: Context, work: Work, ended: _Ended, *, is_stream: bool) -> Any:
        """Deadline, identity, load."""
        seconds = self._deadlines.seconds(context.time_remaining(), is_stream=is_stream)
        DEADLINE.set(asyncio.get_running_loop().time() + seconds)
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                # Before the caller is known: telling who it is may write, and nothing may be written then.
                self._load.refuse_when_rewound()
                ended.caller = await self._identified(method, context)
                self._load.refuse_when_draining()
                places = self._load.streams if is_stream else self._load.work
                with places.of(ended.caller.institution):
                    return await work()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise BashuError(Reason.OUT_OF_TIME, "The deadline passed before there was an answer") from error

    async def _identified(self, method: str, context: Context) -> Caller:
        certificate = context.auth_context().get("x509_pem_cert")
        caller = await self._authenticator.authenticate(
            _authorization(context), certificate[0] if certificate else None
        )
        CALLER.set(caller)
        if caller.role not in ALLOWED.get(method, ()):
            try:
                require_role(method, caller.role)
            except BashuError as refused:
                await self._record(method, caller, refused)
                raise
        return caller

    async def _refuse_unusable(self, method: str, request: Any, *, generated: bool) -> None:
        if generated:
            raise _Unimplemented(method)
        if request is _UNDECODABLE:
            refused = BashuError(Reason.MALFORMED, "The request is not a message of the contract", turn=Turn.CALLER)
            await self._record(method, CALLER.get(), refused)
            raise refused

    async def _record(self, method: str, caller: Caller, refused: BashuError) -> None:
        if self._denied is not None and method.startswith(QUERIES):
            await self._denied(caller, refused)


def wire_bytes(message: Any) -> bytes:
    """Serialise whatever message the servicer answers with: a twin with ready bytes goes out as it is."""
    answer: bytes = message.SerializeToString()
    return answer


def _decoder(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def decode(raw: bytes) -> Any:
        try:
            return deserialize(raw)
        except DecodeError:
            # Raised here, gRPC would answer INTERNAL, without a reason.
            return _UNDECODABLE

    return decode


def _is_generated(inner: Handler) -> bool:
    """Tell whether a method is still the generated base class's, which only says that nothing is there."""
    return str(getattr(inner, "__module__", "")).endswith("_pb2_grpc")


def _authorization(context: Context) -> str | bytes | None:
    found = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
    # Two headers could be read differently here and by whatever stands in front.
    return found[0] if len(found) == 1 else None


def _code_name(context: Context) -> str:
    code = context.code()
    known = {status.value[0]: status.name for status in grpc.StatusCode}
    return code.name if isinstance(code, grpc.StatusCode) else known.get(code, grpc.StatusCode.UNKNOWN.name)


def _write_line(method: str, ended: _Ended, seconds: float) -> None:
    fields: dict[str, Any] = {
        "method": method,
        "code": ended.code,
        "duration_ms": round(seconds * 1000, 2),
        "request_id": REQUEST_ID.get(),
    }
    if ended.reason:
        fields["reason"] = ended.reason
    if ended.caller is not None:
        fields["participant"] = ended.caller.participant_id
    if ended.fault is None:
        _log.info("rpc", **fields)
    else:
        _log.error("rpc", fault=ended.fault, **fields)
