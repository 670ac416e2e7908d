from __future__ import annotations

from enum import StrEnum

import pytest

from core.canonical import canonical_json


class Colour(StrEnum):
    RED = "RED"


def test_members_are_sorted_and_compact():
    assert (
        canonical_json({"b": [1, True, None], "a": {"d": "é", "c": 2}})
        == '{"a":{"c":2,"d":"é"},"b":[1,true,null]}'.encode()
    )


def test_an_enum_is_written_as_its_text():
    assert canonical_json({"x": Colour.RED, "y": [Colour.RED]}) == b'{"x":"RED","y":["RED"]}'


@pytest.mark.parametrize(
    "value", [1.5, {"a": 1.0}, [float("nan")], {"a": {"b": (2.5,)}}, {"x": b"bytes"}, {1: 2}, {"é": 1}]
)
def test_what_rfc_8785_would_write_otherwise_is_refused(value):
    with pytest.raises(TypeError):
        canonical_json(value)
