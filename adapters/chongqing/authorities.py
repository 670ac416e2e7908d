"""What authorities decided or keep about a firm: permits, its housing fund (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.chongqing.listing import Listing, may, must, numbered
from adapters.chongqing.reading import code, day, end_day, integer, month, text, uscc, wan
from adapters.chongqing.shapes import LIMIT, Shape
from bashu.v1 import items_pb2 as items

OTHER: Final = {"9": "OTHER"}
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
}
"""By data item."""
