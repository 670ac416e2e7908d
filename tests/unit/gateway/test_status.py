"""Every failure travels with its code and its details, and nothing else."""

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo

from bashu.v1 import admin_pb2, common_pb2
from core.errors import BashuError, Reason, Turn
from gateway.status import CODES, INTERNAL_SENTENCE, failure_of
from gateway.validation import ShapeRefused, validate


def detail(failure, kind):
    for packed in failure.status.details:
        if packed.Is(kind.DESCRIPTOR):
            found = kind()
            packed.Unpack(found)
            return found
    return None


def test_every_reason_has_a_code():
    assert set(CODES) == set(Reason)


def test_reasons_equal_those_of_the_contract():
    names = {name.removeprefix("ERROR_REASON_") for name in common_pb2.ErrorReason.DESCRIPTOR.values_by_name} - {
        "UNSPECIFIED"
    }
    assert names == {reason.value for reason in Reason}


def test_codes_equal_the_first_word_of_each_reason_in_the_contract(request):
    text = (request.config.rootpath / "proto/bashu/v1/common.proto").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    said = {}
    for number, line in enumerate(lines):
        if line.startswith("ERROR_REASON_") and "UNSPECIFIED" not in line:
            comment = number - 1
            while not lines[comment - 1].endswith(";") and lines[comment - 1].startswith("//"):
                comment -= 1
            name = line.split(" ")[0].removeprefix("ERROR_REASON_")
            said[name] = lines[comment].removeprefix("// ").split(".")[0]
    assert said == {reason.value: code.name for reason, code in CODES.items()}


@pytest.mark.parametrize("reason", list(Reason))
def test_each_failure_names_reason_domain_turn_hop_and_request(reason):
    failure = failure_of(BashuError(reason, "no", turn=Turn.LENDER), request_id="r-1")
    info = detail(failure, ErrorInfo)
    assert (info.reason, info.domain) == (reason.value, "bashu.credit")
    assert info.metadata["request_id"] == "r-1"
    assert info.metadata["hop"] == "gateway"
    assert info.metadata["turn"] == ("OPERATOR" if reason is Reason.INTERNAL else "LENDER")
    assert failure.status.code == CODES[reason].value[0]


def test_an_unknown_exception_says_one_sentence_and_nothing_of_itself():
    failure = failure_of(RuntimeError("password=hunter2"), request_id="r-2")
    assert failure.code is grpc.StatusCode.INTERNAL
    assert failure.message == INTERNAL_SENTENCE
    assert b"hunter2" not in failure.status.SerializeToString()


def test_an_internal_error_of_ours_keeps_its_text_to_itself():
    failure = failure_of(BashuError(Reason.INTERNAL, "secret text"), request_id="r-3")
    assert b"secret" not in failure.status.SerializeToString()


def test_an_exception_group_counts_as_the_first_classified_error_inside_it():
    inner = ExceptionGroup("inner", [ValueError("x"), BashuError(Reason.CONSENT_REVOKED, "revoked")])
    failure = failure_of(ExceptionGroup("outer", [KeyError("y"), inner]), request_id="r-4")
    assert failure.reason is Reason.CONSENT_REVOKED


def test_a_wrong_field_is_named():
    failure = failure_of(BashuError(Reason.IDENTIFIER_INVALID, "check digit", field="subject"), request_id="r")
    assert detail(failure, BadRequest).field_violations[0].field == "subject"


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.RATE_LIMITED, Reason.IN_PROGRESS, Reason.DRAINING])
def test_where_the_contract_promises_a_time_to_retry_there_is_one(reason):
    retry = detail(failure_of(BashuError(reason, "later"), request_id="r"), RetryInfo)
    assert retry.retry_delay.ToMilliseconds() > 0


def test_a_given_time_to_retry_is_sent():
    error = BashuError(Reason.FREQUENCY_EXCEEDED, "once a day", retry_after_s=2.5)
    failure = failure_of(error, request_id="r")
    assert detail(failure, RetryInfo).retry_delay.ToMilliseconds() == 2500
    assert detail(failure, QuotaFailure).violations[0].description == "once a day"


def test_a_wrong_shape_names_each_field_and_never_its_value():
    bad = admin_pb2.RegisterStaffRequest(institution="", staff_number="甲 乙", name="张三", kind="other")
    with pytest.raises(ShapeRefused) as caught:
        validate(bad)
    failure = failure_of(caught.value, request_id="r")
    fields = {violation.field for violation in detail(failure, BadRequest).field_violations}
    assert fields >= {"institution", "staff_number", "kind"}
    assert "张三".encode() not in failure.status.SerializeToString()
    assert "甲 乙".encode() not in failure.status.SerializeToString()


def test_a_right_shape_passes():
    validate(admin_pb2.RegisterStaffRequest(institution="bank", staff_number="0001", name="张三", kind="query"))


def test_a_field_inside_a_field_is_named_by_its_path():
    bad = admin_pb2.RotateKeyRequest(participant_id="bank", key=admin_pb2.PublicKey(kid="", jwk="{}", alg="ES256"))
    with pytest.raises(ShapeRefused) as caught:
        validate(bad)
    assert caught.value.field == "key.kid"


def test_an_element_of_a_list_is_named_by_its_position():
    bad = admin_pb2.RegisterParticipantRequest(participant=admin_pb2.Participant(keys=[admin_pb2.PublicKey()]))
    with pytest.raises(ShapeRefused) as caught:
        validate(bad)
    assert caught.value.field == "participant.keys[0].kid"
