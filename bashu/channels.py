"""Connections to the gateway: mutual TLS, several of them, retries only where the contract makes a repeat harmless."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from bashu.profiles import Profile, ProfileError
from bashu.v1 import (
    admin_pb2_grpc,
    compliance_pb2_grpc,
    consent_pb2_grpc,
    credit_pb2,
    credit_pb2_grpc,
    ledger_pb2_grpc,
    platform_pb2_grpc,
    standard_pb2_grpc,
    subject_pb2,
    subject_pb2_grpc,
)

_LONGEST_ANSWER: Final = 16 * 1024 * 1024  # bytes; gRPC's default of 4 MiB is under a full report with history
_KEEPALIVE_MS: Final = 30_000
_SAFE_TO_RETRY: Final = (
    # Queries repeat by their request id; those without one go over `once`.
    ("bashu.v1.CreditService", "QueryCredit"),
    ("bashu.v1.CreditService", "EvaluateCredit"),
    ("bashu.v1.ConsentService", "GetConsent"),
    ("bashu.v1.ConsentService", "ListConsents"),
    ("bashu.v1.ComplianceService", "ExplainDecision"),
    ("bashu.v1.LedgerService", "GetCheckpoint"),
    ("bashu.v1.LedgerService", "GetEntry"),
    ("bashu.v1.LedgerService", "GetInclusionProof"),
    ("bashu.v1.LedgerService", "GetConsistencyProof"),
    ("bashu.v1.LedgerService", "ListLogKeys"),
    ("bashu.v1.StandardService", "ListDataItems"),
    ("bashu.v1.StandardService", "ListPurposes"),
    ("bashu.v1.StandardService", "ListPlatforms"),
)
SERVICE_CONFIG: Final = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": service, "method": method} for service, method in _SAFE_TO_RETRY],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        # Retries stop while more than a few calls fail, so that clients do not finish off a gateway in trouble.
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stubs:
    """The services over one channel; ``query``, ``query_stream`` and ``own_report`` give the report's bytes as sent."""

    channel: grpc.aio.Channel
    admin: admin_pb2_grpc.AdminServiceStub
    credit: credit_pb2_grpc.CreditServiceStub
    compliance: compliance_pb2_grpc.ComplianceServiceStub
    consent: consent_pb2_grpc.ConsentServiceStub
    ledger: ledger_pb2_grpc.LedgerServiceStub
    platform: platform_pb2_grpc.PlatformServiceStub
    standard: standard_pb2_grpc.StandardServiceStub
    subject: subject_pb2_grpc.SubjectServiceStub
    own_report: grpc.aio.UnaryUnaryMultiCallable[
        subject_pb2.RequestOwnReportRequest, subject_pb2.RequestOwnReportResponseBytes
    ]
    query: grpc.aio.UnaryUnaryMultiCallable[credit_pb2.QueryCreditRequest, credit_pb2.QueryCreditResponseBytes]
    query_stream: grpc.aio.StreamStreamMultiCallable[
        credit_pb2.QueryCreditRequest, credit_pb2.QueryCreditStreamResponseBytes
    ]


def open_stubs(profile: Profile, *, with_retries: bool) -> Stubs:
    """Open one channel of its own connection; nothing is sent before the first call."""
    channel = _open_channel(profile, with_retries=with_retries)
    return Stubs(
        channel=channel,
        admin=admin_pb2_grpc.AdminServiceStub(channel),
        credit=credit_pb2_grpc.CreditServiceStub(channel),
        compliance=compliance_pb2_grpc.ComplianceServiceStub(channel),
        consent=consent_pb2_grpc.ConsentServiceStub(channel),
        ledger=ledger_pb2_grpc.LedgerServiceStub(channel),
        platform=platform_pb2_grpc.PlatformServiceStub(channel),
        standard=standard_pb2_grpc.StandardServiceStub(channel),
        subject=subject_pb2_grpc.SubjectServiceStub(channel),
        own_report=channel.unary_unary(
            "/bashu.v1.SubjectService/RequestOwnReport",
            request_serializer=subject_pb2.RequestOwnReportRequest.SerializeToString,
            response_deserializer=subject_pb2.RequestOwnReportResponseBytes.FromString,
        ),
        query=channel.unary_unary(
            "/bashu.v1.CreditService/QueryCredit",
            request_serializer=credit_pb2.QueryCreditRequest.SerializeToString,
            response_deserializer=credit_pb2.QueryCreditResponseBytes.FromString,
        ),
        query_stream=channel.stream_stream(
            "/bashu.v1.CreditService/QueryCreditStream",
            request_serializer=credit_pb2.QueryCreditRequest.SerializeToString,
            response_deserializer=credit_pb2.QueryCreditStreamResponseBytes.FromString,
        ),
    )


def _open_channel(profile: Profile, *, with_retries: bool) -> grpc.aio.Channel:
    options: list[tuple[str, str | int]] = [
        # Channels of one process otherwise share one connection, and with it one worker of the gateway.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", _LONGEST_ANSWER),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.enable_retries", int(with_retries)),
    ]
    if with_retries:
        options.append(("grpc.service_config", SERVICE_CONFIG))
    if profile.server_name is not None:
        options.append(("grpc.ssl_target_name_override", profile.server_name))
    if profile.ca is None or profile.certificate is None or profile.certificate_key is None:
        return grpc.aio.insecure_channel(profile.endpoint, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(profile.ca),
        private_key=_pem(profile.certificate_key),
        certificate_chain=_pem(profile.certificate),
    )
    return grpc.aio.secure_channel(profile.endpoint, credentials, options=options)


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read") from error
