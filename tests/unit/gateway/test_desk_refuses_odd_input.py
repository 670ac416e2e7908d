"""What the desk and the subject's services refuse before they read anything: wrong shapes, ids that are none."""

from __future__ import annotations

import pytest

from bashu.v1 import compliance_pb2, subject_pb2
from core.errors import BashuError, Reason
from gateway.services.compliance import ComplianceServicer
from gateway.services.subject import SubjectServicer

ODD = {
    "a consent id that is none": compliance_pb2.TraceConsentRequest(consent_id="xyz"),
    "no consent": compliance_pb2.TraceConsentRequest(),
    "a search by a request that is none": compliance_pb2.SearchAccessRequest(request_id="xyz"),
    "a search from a day that is none": compliance_pb2.SearchAccessRequest(from_day="yesterday"),
    "a day that no calendar has": compliance_pb2.SearchAccessRequest(from_day="2026-02-30"),
    "days the wrong way round": compliance_pb2.SearchAccessRequest(from_day="2026-02-02", to_day="2026-02-01"),
    "an institution that cannot be stored": compliance_pb2.SearchAccessRequest(institution="a\x00b"),
    "a page too large": compliance_pb2.SearchAccessRequest(page={"page_size": 501}),
    "a report for no reason": compliance_pb2.ReportSubjectRequest(subject={"enterprise": {}}),
    "an unmasking for no reason": compliance_pb2.UnmaskRequest(entry_id="x", field="operator"),
    "an entry id that is none": compliance_pb2.UnmaskRequest(entry_id="xyz", field="operator", reason="r"),
    "a sample of nothing": compliance_pb2.DrawSampleRequest(size=0),
    "a sample too large": compliance_pb2.DrawSampleRequest(size=501),
    "a verdict on a sample that is none": compliance_pb2.RecordVerdictRequest(
        sample_id="xyz", entry_id="xyz", verdict="OK"
    ),
    "an erasure that is none": compliance_pb2.DecideErasureRequest(erasure_id="xyz", reason="r"),
    "accesses from a day that is none": subject_pb2.ListAccessesRequest(to_day="today"),
    "an own report of nobody": subject_pb2.RequestOwnReportRequest(),
    "an export of nobody": subject_pb2.ExportMineRequest(),
    "an erasure of nobody": subject_pb2.RequestErasureRequest(),
    "an erasure of too many words": subject_pb2.RequestErasureRequest(subject={"enterprise": {}}, reason="x" * 501),
}


@pytest.mark.parametrize("case", ODD)
async def test_desk_and_subject_are_asked_in_shape(case):
    request = ODD[case]
    servicer = ComplianceServicer if request.DESCRIPTOR.file.name.endswith("compliance.proto") else SubjectServicer
    rpc = type(request).__name__.removesuffix("Request")
    # Without anything it could read from: the shape is looked at first.
    answer = getattr(servicer.__new__(servicer), rpc)(request, None)
    with pytest.raises(BashuError) as caught:
        await (anext(answer) if hasattr(answer, "__anext__") else answer)
    assert caught.value.reason is Reason.MALFORMED
