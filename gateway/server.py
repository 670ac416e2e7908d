"""The gRPC server of one worker: port, TLS, services, health, reflection; channelz on a loopback port of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bashu.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    compliance_pb2,
    compliance_pb2_grpc,
    consent_pb2,
    consent_pb2_grpc,
    credit_pb2,
    credit_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    loan_pb2,
    loan_pb2_grpc,
    platform_pb2,
    platform_pb2_grpc,
    standard_pb2,
    standard_pb2_grpc,
    subject_pb2,
    subject_pb2_grpc,
)
from gateway.interceptors import Edge
from gateway.load import LoadLimit
from gateway.settings import LOOPBACK, ServerSettings, SettingsError, read_secret

SERVICE_NAMES: Final = tuple(
    service.full_name
    for module in (
        admin_pb2,
        compliance_pb2,
        consent_pb2,
        credit_pb2,
        ledger_pb2,
        loan_pb2,
        platform_pb2,
        standard_pb2,
        subject_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
)
"""Every service of the contract."""

_OPTIONS: Final = (
    # Workers share the port; the kernel spreads connections over them.
    ("grpc.so_reuseport", 1),
    ("grpc.enable_channelz", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Clients ping through firewalls that forget idle connections; more often than this is abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_metadata_size", 16 * 1024),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Servicers:
    """The implementation of each service; what is not given answers UNIMPLEMENTED."""

    credit: credit_pb2_grpc.CreditServiceServicer = field(default_factory=credit_pb2_grpc.CreditServiceServicer)
    consent: consent_pb2_grpc.ConsentServiceServicer = field(default_factory=consent_pb2_grpc.ConsentServiceServicer)
    loan: loan_pb2_grpc.LoanServiceServicer = field(default_factory=loan_pb2_grpc.LoanServiceServicer)
    subject: subject_pb2_grpc.SubjectServiceServicer = field(default_factory=subject_pb2_grpc.SubjectServiceServicer)
    ledger: ledger_pb2_grpc.LedgerServiceServicer = field(default_factory=ledger_pb2_grpc.LedgerServiceServicer)
    compliance: compliance_pb2_grpc.ComplianceServiceServicer = field(
        default_factory=compliance_pb2_grpc.ComplianceServiceServicer
    )
    standard: standard_pb2_grpc.StandardServiceServicer = field(
        default_factory=standard_pb2_grpc.StandardServiceServicer
    )
    platform: platform_pb2_grpc.PlatformServiceServicer = field(
        default_factory=platform_pb2_grpc.PlatformServiceServicer
    )
    admin: admin_pb2_grpc.AdminServiceServicer = field(default_factory=admin_pb2_grpc.AdminServiceServicer)


class GatewayServer:
    """One worker's server. Start it, serve, then :meth:`drain` and it is gone."""

    def __init__(
        self,
        server: grpc.aio.Server,
        *,
        port: int,
        admin: grpc.aio.Server | None,
        admin_port: int | None,
        load: LoadLimit,
        health_servicer: Any,
    ) -> None:
        self._server = server
        self._admin = admin
        self.load: Final = load
        self._health = health_servicer
        self._listens = False
        self.port: Final = port
        """Where it listens; what port 0 became."""
        self.admin_port: Final = admin_port

    async def start(self) -> None:
        """Accept calls."""
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        await self._listen()

    async def start_refusing(self) -> None:
        """Listen and say NOT_SERVING, until :meth:`start`; whoever calls this sees to it that calls are refused."""
        await self.say_not_serving()
        await self._listen()

    async def say_not_serving(self) -> None:
        """Tell load balancers to send nothing here."""
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)

    async def _listen(self) -> None:
        if self._listens:
            return
        self._listens = True
        await self._server.start()
        if self._admin is not None:
            await self._admin.start()

    async def _say(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, status)

    async def drain(self, within_s: float) -> None:
        """Say NOT_SERVING, refuse new work with DRAINING, wait for calls under way, then close.

        Calls still running after ``within_s`` are cancelled; what they left open the sweeper closes.
        """
        self.load.draining.set()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(within_s)
        if self._admin is not None:
            await self._admin.stop(None)

    async def wait(self) -> None:
        """Wait until the server is gone."""
        await self._server.wait_for_termination()


def build_server(settings: ServerSettings, *, edge: Edge, load: LoadLimit, servicers: Servicers) -> GatewayServer:
    """Build a worker's server, bound to its port and not yet started; call it inside the running loop.

    Raises:
        SettingsError: plaintext beyond loopback, a certificate that cannot be read, or a port that is taken.
    """
    options = [
        *_OPTIONS,
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_send_message_length", settings.max_response_bytes),
    ]
    server = grpc.aio.server(interceptors=[edge], options=options)
    _register(server, servicers)
    health_servicer = _add_health_and_reflection(server)
    port = _bind(server, settings)
    admin, admin_port = _admin_server(settings.admin_port)
    return GatewayServer(
        server, port=port, admin=admin, admin_port=admin_port, load=load, health_servicer=health_servicer
    )


def _register(server: grpc.aio.Server, servicers: Servicers) -> None:
    adders = {
        "credit": credit_pb2_grpc.add_CreditServiceServicer_to_server,
        "consent": consent_pb2_grpc.add_ConsentServiceServicer_to_server,
        "loan": loan_pb2_grpc.add_LoanServiceServicer_to_server,
        "subject": subject_pb2_grpc.add_SubjectServiceServicer_to_server,
        "ledger": ledger_pb2_grpc.add_LedgerServiceServicer_to_server,
        "compliance": compliance_pb2_grpc.add_ComplianceServiceServicer_to_server,
        "standard": standard_pb2_grpc.add_StandardServiceServicer_to_server,
        "platform": platform_pb2_grpc.add_PlatformServiceServicer_to_server,
        "admin": admin_pb2_grpc.add_AdminServiceServicer_to_server,
    }
    for service in fields(servicers):
        adders[service.name](getattr(servicers, service.name), server)  # type: ignore[operator]


def _add_health_and_reflection(server: grpc.aio.Server) -> Any:
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection([*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return servicer


def _bind(server: grpc.aio.Server, settings: ServerSettings) -> int:
    address = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    try:
        if settings.certificate and settings.certificate_key and settings.client_ca:
            credentials = grpc.ssl_server_credentials(
                [
                    (
                        read_secret(settings.certificate_key, setting="server.certificate_key"),
                        settings.certificate.read_bytes(),
                    )
                ],
                root_certificates=settings.client_ca.read_bytes(),
                require_client_auth=True,
            )
            return server.add_secure_port(address, credentials)
        if settings.host not in LOOPBACK:
            raise SettingsError("server.host: without certificate the gateway listens on loopback only")
        return server.add_insecure_port(address)
    except (OSError, RuntimeError) as error:
        raise SettingsError(f"server: cannot listen on {address} with these certificates") from error


def _admin_server(port: int | None) -> tuple[grpc.aio.Server | None, int | None]:
    """Return the channelz server, which never leaves loopback: it shows peers' addresses and needs no token."""
    if port is None:
        return None, None
    server = grpc.aio.server(options=[("grpc.enable_channelz", 1), ("grpc.so_reuseport", 0)])
    channelz.add_channelz_servicer(server)
    try:
        return server, server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise SettingsError(f"server.admin_port: cannot listen on 127.0.0.1:{port}") from error
