"""What authorities decided or keep about a firm: permits, its housing fund, their grades (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from adapters.chongqing.listing import Finish, Listing, may, must, numbered
from adapters.chongqing.reading import code, day, end_day, integer, month, shaped, text, uscc, wan
from adapters.chongqing.shapes import LIMIT, Shape
from bashu.v1 import items_pb2 as items
from standards.answer import Mark
from standards.days import year
from standards.quantities import score
from standards.ratings import RatingScales

OTHER: Final = {"9": "OTHER"}


def four_digits(value: str, path: str) -> int | None:
    """Read a year."""
    return year(value, path=path)


def points(value: str, path: str) -> str | None:
    """Read points as they are."""
    return score(value, path=path)


def on_scale(names: Mapping[str, str]) -> Finish:
    """Return how a grade written as its rank is read on the scale that the row names.

    ``names``: the platform's names of scales and ours; "" stands where it names none. What is in no scale stays as it
    came: the same rank means different grades on different scales, so none is guessed.
    """

    def finish(body: Message, scales: RatingScales) -> frozenset[Mark]:
        native = body.scale_id  # type: ignore[attr-defined]  # of the two messages below
        body.scale_id = scale = names.get(native, native)  # type: ignore[attr-defined]
        rank = body.grade  # type: ignore[attr-defined]
        grade = next((grade.code for grade in scales.grades(scale) if str(grade.rank) == rank), None)
        if grade is None:
            return frozenset({Mark.CODE_UNKNOWN})
        body.grade = grade  # type: ignore[attr-defined]
        return frozenset()

    return finish


AUTHORITIES: Final[Mapping[str, Listing]] = {
    "administrative_permission": Listing(
        group="XZXK",
        message=items.AdministrativePermission,
        owner="party_uscc",
        shape=Shape(
            tags=(
                must("WSH", "document_no", text(64)),
                must("WSMC", "document_name", text(64)),
                must("XDRMC", "party_name", text(200)),
                must("XDRDM", "party_uscc", uscc),
                may("FDDBR", "legal_rep", text(50)),
                must(
                    "XKLB",
                    "permission_category",
                    code(numbered("GENERAL", "FRANCHISE", "RECOGNITION", "VERIFICATION", "REGISTRATION") | OTHER),
                ),
                may("ZSMC", "certificate_name", text(64)),
                may("ZSBH", "certificate_no", text(64)),
                must("XKNR", "content", text(LIMIT)),
                must("JDRQ", "decided_on", day),
                must("YXQQ", "valid_from", day),
                may("YXQZ", "valid_until", end_day),
                must("XKJG", "authority", text(200)),
                may("XKJGDM", "authority_uscc", uscc),
                must("ZT", "status", code(numbered("VALID", "INVALID", "REVOKED", "DISPUTED") | OTHER)),
                may("LYDW", "source_unit", text(200)),
                may("LYDWDM", "source_unit_uscc", uscc),
            ),
            class3=frozenset({"XDRZJLX", "XDRZJHM", "FRZJHM"}),
        ),
    ),
    "housing_provident_fund": Listing(
        group="GJJXX",
        message=items.HousingProvidentFund,
        shape=Shape(
            tags=(
                may("CJNY", "first_paid_month", month),
                may("ZGRS", "employee_count", integer),
                may("JCJS", "contribution_base", wan),
                may("ZJJFRQ", "last_paid_on", day),
                must("JZNY", "paid_to_month", month),
                must("JFZT", "status", code({number: number for number in "012"})),
                may("QFJE", "arrears", wan),
            ),
            class3=frozenset({"ZJHM"}),
        ),
    ),
    "environment_credit": Listing(
        group="HBXX",
        message=items.EnvironmentCredit,
        shape=Shape(
            tags=(
                must("PJND", "year", four_digits),
                may("PJDF", "score", points),
                must("PJDJ", "grade", text(8)),
                may("PJJG", "authority", text(200)),
                may("PWXKZBH", "discharge_permit_no", text(32)),
            )
        ),
        finish=on_scale({"": "environment_chongqing"}),
    ),
    "customs_credit_grade": Listing(
        group="HGXX",
        message=items.CustomsCreditGrade,
        shape=Shape(
            tags=(
                may("HGBM", "customs_code", shaped("[0-9A-Z]{10}", "10 digits or letters")),
                must("DJBZ", "scale_id", text(8)),
                must("XYDJ", "grade", text(8)),
                may("RDRQ", "graded_on", day),
                may("AEOBM", "aeo_code", text(16)),
            )
        ),
        finish=on_scale({"2021": "customs_2021", "2026": "customs_2026"}),
    ),
}
"""By data item."""
