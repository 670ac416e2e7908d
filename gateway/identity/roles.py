"""Which role may call which RPC: one table (contract: section Services)."""

from __future__ import annotations

from typing import Final

from core.errors import BashuError, Reason
from gateway.identity.model import Role

_LENDER: Final = frozenset({Role.LENDER})
_SUBJECT: Final = frozenset({Role.SUBJECT_AGENT})
_COMPLIANCE: Final = frozenset({Role.COMPLIANCE})
_REVIEW: Final = frozenset({Role.COMPLIANCE, Role.AUDITOR, Role.REGULATOR})
_OPERATOR: Final = frozenset({Role.PLATFORM_OPERATOR})
_ADMIN: Final = frozenset({Role.GATEWAY_ADMIN})
_ANY: Final = frozenset(Role)

_TABLE: Final = {
    "CreditService": {
        "QueryCredit": _LENDER,
        "QueryCreditStream": _LENDER,
        "EvaluateCredit": _LENDER,
    },
    "ConsentService": {
        "RegisterNotice": _LENDER | {Role.CONSENT_AUTHORITY},
        "GetNotice": _LENDER | _SUBJECT | _REVIEW | {Role.CONSENT_AUTHORITY},
        "RegisterConsent": _LENDER | _SUBJECT | {Role.CONSENT_AUTHORITY},
        "RequestConsent": _LENDER,
        "DecideConsent": _SUBJECT,
        "GetConsentBundle": _LENDER | _SUBJECT,
        "RevokeConsent": _SUBJECT | _LENDER | {Role.CONSENT_AUTHORITY},
        "PauseConsent": _SUBJECT,
        "ResumeConsent": _SUBJECT,
        "GetConsent": _LENDER | _SUBJECT | _REVIEW | {Role.CONSENT_AUTHORITY},
        "ListConsents": _LENDER | _SUBJECT | _REVIEW | {Role.CONSENT_AUTHORITY},
        "RequestEvidence": _COMPLIANCE,
        "SubmitEvidence": _LENDER,
        "ListConsentBundles": _LENDER,
        "ListEvidenceRequests": _LENDER | _REVIEW,
    },
    "LoanService": {
        "RegisterLoan": _LENDER,
        "CloseLoan": _LENDER,
        "ListLoans": _LENDER,
    },
    "SubjectService": {
        "ListAccesses": _SUBJECT,
        "RequestOwnReport": _SUBJECT,
        "AddStatement": _SUBJECT,
        "OpenDispute": _SUBJECT | _LENDER | _COMPLIANCE,
        "GetDispute": _SUBJECT | _LENDER | _COMPLIANCE,
        "ListCorrections": _LENDER,
        "FreezeFile": _SUBJECT,
        "ThawFile": _SUBJECT,
        "ExportMine": _SUBJECT,
        "RequestErasure": _SUBJECT,
        "GetErasure": _SUBJECT,
    },
    "LedgerService": {
        "GetCheckpoint": _ANY,
        "GetEntry": _REVIEW | _LENDER,
        "ListEntries": _REVIEW | _LENDER,
        "ExportEntries": _REVIEW | _LENDER,
        "GetInclusionProof": _ANY,
        "GetConsistencyProof": _ANY,
        "ListLogKeys": _ANY,
    },
    "ComplianceService": {
        "SearchAccess": _REVIEW,
        "TraceConsent": _REVIEW,
        "ExplainDecision": _REVIEW | _LENDER,
        "ReportSubject": _REVIEW,
        "Unmask": _COMPLIANCE,
        "PlaceHold": _COMPLIANCE,
        "LiftHold": _COMPLIANCE,
        # Preservation (封存, 条例 Art. 33) is the regulator's own order, or two officers'.
        "PreserveRecords": _COMPLIANCE | {Role.REGULATOR},
        "ReleasePreservation": _COMPLIANCE | {Role.REGULATOR},
        "ListPreservations": _REVIEW,
        "ListHolds": _REVIEW,
        "ListDisputes": _REVIEW,
        "UpdateDispute": _COMPLIANCE,
        "DrawSample": _COMPLIANCE,
        "RecordVerdict": _COMPLIANCE,
        "ListAnomalies": _REVIEW,
        "ListErasures": _REVIEW,
        "DecideErasure": _COMPLIANCE,
        "RunFsck": _REVIEW,
    },
    "StandardService": {
        "ListDataItems": _ANY,
        "GetCodeList": _ANY,
        "ListRatingScales": _ANY,
        "TranslateRating": _ANY,
        "ListPurposes": _ANY,
        "ListPlatforms": _ANY,
    },
    "PlatformService": {
        "SetPlatformState": _OPERATOR,
        "SetPlatformAccess": _OPERATOR,
        "ListPlatformAccess": _OPERATOR,
        "ReconcileDay": _OPERATOR,
        "ListDisclosureFindings": _OPERATOR,
    },
    "AdminService": {
        "RegisterParticipant": _ADMIN,
        # Two officers of compliance together; the servicer waits for the second.
        "SuspendParticipant": _ADMIN | _COMPLIANCE,
        "RotateKey": _ADMIN,
        "RevokeKey": _ADMIN,
        "RegisterStaff": _ADMIN | {Role.LENDER_ADMIN},
        "ListParticipants": _ADMIN,
        "SetQuota": _ADMIN,
        "GetQuota": _ADMIN | _LENDER | {Role.LENDER_ADMIN},
        "SetPolicy": _ADMIN,
        # Who is refused by a rule may read it.
        "GetPolicy": _ADMIN | _LENDER | _REVIEW,
        "GetSettings": _ADMIN,
        "RunDoctor": _ADMIN,
    },
}

ALLOWED: Final = {
    f"/bashu.v1.{service}/{rpc}": roles for service, rpcs in _TABLE.items() for rpc, roles in rpcs.items()
}
"""Full method name to the roles that may call it; what a role sees there is the servicer's to narrow."""


def require_role(method: str, role: Role) -> None:
    """Refuse ``role`` where the table does not name it for ``method`` (full name, ``/bashu.v1.Service/Rpc``).

    Raises:
        BashuError: ROLE_NOT_ALLOWED, also for a method that the table does not know.
    """
    allowed = ALLOWED.get(method)
    if allowed is None or role not in allowed:
        raise BashuError(
            Reason.ROLE_NOT_ALLOWED,
            "The caller's role may not call this",
            metadata={"role": role.value, "rule": "contract: Services"},
        )
