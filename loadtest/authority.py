"""A consent authority (授权服务方) as the scenarios need one: it signs ``bashu-consent/1`` artefacts with its own keys.

The gateway never holds these keys. Nothing of the gateway's own consent code is used here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.commitments import subject_commitment
from core.ids import uuid7
from core.jws import SigningKey, sign_compact
from loadtest.stack import Authority

NOTICE_TEXT: Final = "巴蜀信用互联网关沙箱告知书：处理者、联系方式、目的、方式、种类、保存期限与权利行使方式。"
PURPOSE_TEXTS: Final = {
    "PRE_LOAN_REVIEW": "贷前审查",
    "POST_LOAN_MANAGEMENT": "贷后管理",
    "GUARANTOR_REVIEW": "担保审查",
    "RELATED_PARTY_REVIEW": "关联查询",
}
PLATFORM_REGIONS: Final = {"chongqing": "500000", "sichuan": "510000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a borrower grants. Defaults: pre-loan, both platforms, a year's look-back of three, 90 days, three uses."""

    institution: str
    identifier: str
    items: Sequence[str]
    optional_items: Sequence[str] = ()
    display: str = ""
    id_type: str = "uscc"
    purpose: str = "PRE_LOAN_REVIEW"
    platforms: Sequence[str] = ("chongqing", "sichuan")
    not_before: datetime | None = None
    days: int = 90
    expires_at: datetime | None = None
    lookback_days: int = 1096
    mode: str = "PERIODIC"
    max_uses: int = 3
    frequency: tuple[int, str] = (3, "DAY")
    min_interval_s: int = 0
    acts: Sequence[str] = ("QUERY", "EVALUATE")
    term: dict[str, Any] | None = None
    consent_id: UUID = field(default_factory=uuid7)
    overrides: dict[str, Any] = field(default_factory=dict)


class SigningAuthority:
    """Signs grants as one authority of the dev stack."""

    def __init__(self, authority: Authority) -> None:
        self.authority_id = authority.authority_id
        self._kid = authority.kid
        key = load_pem_private_key(authority.private_key.read_bytes(), password=None)
        assert not isinstance(key, (bytes, str))
        self._key: SigningKey = key  # type: ignore[assignment]
        self._commitment_key = authority.commitment_key.read_bytes()
        self._commitment_kid = authority.commitment_kid

    def sign(self, grant: Grant) -> bytes:
        """Return the compact JWS of ``grant``; ``overrides`` replace top-level members, to make wrong ones too."""
        payload = {**self._payload(grant), **grant.overrides}
        encoded = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        return sign_compact(encoded, key=self._key, kid=self._kid, typ="bashu-consent+jws").encode()

    def _payload(self, grant: Grant) -> dict[str, Any]:
        now = datetime.now(UTC).replace(microsecond=0)
        start = grant.not_before or now - timedelta(minutes=1)
        end = grant.expires_at or start + timedelta(days=grant.days)
        kind = "enterprise" if grant.id_type == "uscc" else "person"
        commitment = subject_commitment(self._commitment_key, grant.id_type, grant.identifier)
        notice_hash = hashlib.sha256(NOTICE_TEXT.encode()).hexdigest()
        purpose_hash = hashlib.sha256(PURPOSE_TEXTS.get(grant.purpose, grant.purpose).encode()).hexdigest()
        return {
            "schema": "bashu-consent/1",
            "consent_id": str(grant.consent_id),
            "iss": self.authority_id,
            "aud": ["bashu-gateway"],
            "iat": int(now.timestamp()),
            "nbf": int(start.timestamp()),
            "exp": int(end.timestamp()),
            "term": grant.term,
            "supersedes": None,
            "subject": {
                "kind": kind,
                "id_type": grant.id_type,
                "commitment": commitment,
                "commitment_kid": self._commitment_kid,
                "display": grant.display or ("示例企业" if kind == "enterprise" else "示例个人"),
            },
            "requester": {"institution": grant.institution},
            "providers": [
                {
                    "region": PLATFORM_REGIONS.get(platform, "500000"),
                    "platform_id": platform,
                    "separate_consent": True,
                    "notice": notice_hash,
                }
                for platform in grant.platforms
            ],
            "purpose": {"code": grant.purpose, "text_sha256": purpose_hash, "legal_basis": "征信业管理条例 Art. 18"},
            "acts": list(grant.acts),
            "data": {
                "items": [
                    *({"id": item, "necessity": "required"} for item in grant.items),
                    *({"id": item, "necessity": "optional"} for item in grant.optional_items),
                ],
                "lookback_days": grant.lookback_days,
                "restricted_items_ack": True,
            },
            "usage": {
                "mode": grant.mode,
                "max_uses": grant.max_uses,
                "frequency": {"n": grant.frequency[0], "per": grant.frequency[1]},
                "min_interval_s": grant.min_interval_s,
                "tz": "Asia/Shanghai",
            },
            "retention": {"days": 1826, "on_expiry": "DELETE", "onward": "NONE"},
            "notice": {
                "id": "sandbox-notice",
                "version": "1",
                "lang": "zh-CN",
                "sha256": notice_hash,
                "shown_at": int(now.timestamp()),
            },
            "capture": {
                "form": "PORTAL",
                "assurance": "AUTHORITY_VERIFIED",
                "signatory": {
                    "mandate": "SELF" if kind == "person" else "LEGAL_REPRESENTATIVE",
                    "act": commitment,
                    "mandate_evidence_sha256": hashlib.sha256(b"mandate").hexdigest(),
                },
                "evidence_sha256": hashlib.sha256(b"evidence").hexdigest(),
            },
        }


def letter_capture(paper: bytes) -> dict[str, Any]:
    """Return ``capture`` of a sealed paper letter (纸质授权书) that its lender vouches for."""
    return {
        "form": "PAPER_SEAL",
        "assurance": "LENDER_ATTESTED",
        "signatory": {
            "mandate": "LEGAL_REPRESENTATIVE",
            "act": hashlib.sha256(b"signatory").hexdigest(),
            "mandate_evidence_sha256": hashlib.sha256(b"mandate").hexdigest(),
        },
        "evidence_sha256": hashlib.sha256(paper).hexdigest(),
    }
