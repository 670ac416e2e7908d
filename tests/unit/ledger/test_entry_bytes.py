from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from core.canonical import canonical_json
from ledger.model import COMMON, FIELDS, MEMBERS, EntryType, build_entry

NOW = datetime(2026, 3, 1, 8, 0, 0, 120, tzinfo=timezone(timedelta(hours=8)))
DENIED = {"requester": {"institution": "bank-cq"}, "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"}}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_bytes_equal_those_of_rfc8785(value):
    assert canonical_json(value) == rfc8785.dumps(value)


def test_entry_is_its_canonical_bytes_and_their_leaf_hash():
    entry = build_entry(EntryType.QUERY_DENIED, origin="log.example", ts=NOW, fields=DENIED)
    members = json.loads(entry.body)
    assert entry.body == rfc8785.dumps(members)
    assert entry.leaf_hash == hashlib.sha256(b"\x00" + entry.body).digest()
    assert members["ts"] == "2026-03-01T00:00:00.000120Z"
    assert members["entry_id"] == str(entry.entry_id)
    assert entry.entry_id.version == 7
    assert (members["v"], members["origin"], members["type"]) == (1, "log.example", "QUERY_DENIED")


def test_given_entry_id_is_kept_and_absent_members_are_left_out():
    number = uuid.UUID("01890a5d-ac96-774b-bcce-b302099a8057")
    fields = DENIED | {"consent": None}
    entry = build_entry(EntryType.QUERY_DENIED, origin="o", ts=NOW, fields=fields, entry_id=number)
    assert entry.entry_id == number
    assert b"consent" not in entry.body


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"requester": None}, "lacks requester"),
        ({"name": "x"}, "has no name"),
        ({"origin": "elsewhere"}, "has no origin"),
        ({"requester": {"institution": "b", "id_number": "x"}}, "requester has no id_number"),
        ({"report_digest": "00"}, "has no report_digest"),
    ],
)
def test_members_outside_the_table_are_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        build_entry(EntryType.QUERY_DENIED, origin="o", ts=NOW, fields=DENIED | change)


def test_floats_large_bodies_and_times_without_zone_are_refused():
    with pytest.raises(TypeError):
        build_entry(EntryType.QUERY_DENIED, origin="o", ts=NOW, fields=DENIED | {"count": 1.5})
    with pytest.raises(ValueError, match="over 65535"):
        build_entry(EntryType.QUERY_DENIED, origin="o" * 65536, ts=NOW, fields=DENIED)
    with pytest.raises(ValueError, match="time zone"):
        build_entry(EntryType.QUERY_DENIED, origin="o", ts=NOW.replace(tzinfo=None), fields=DENIED)


def test_every_type_and_member_of_the_tables_is_known_to_the_other():
    assert set(FIELDS) == set(EntryType)
    named = {name.removesuffix("!") for text in FIELDS.values() for name in text.split()}
    assert named == set(MEMBERS)
    assert not named & set(COMMON)


def test_time_is_utc_whatever_zone_it_came_in():
    a = build_entry(EntryType.QUERY_DENIED, origin="o", ts=NOW, fields=DENIED)
    b = build_entry(EntryType.QUERY_DENIED, origin="o", ts=NOW.astimezone(UTC), fields=DENIED, entry_id=a.entry_id)
    assert a == b
