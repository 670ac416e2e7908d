import stat
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.books import Book, Books, Enquiry
from sandbox.credentials import open_credentials
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind, Faults

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


def enquiry(key: str = "a", kinds: tuple[str, ...] = ("KPXX",), at: datetime = AT) -> Enquiry:
    return Enquiry(key=key, institution="bank-cq", subject="s", purpose="01", kinds=kinds, at=at, evidence=None)


def test_one_key_is_one_mark_for_a_day_and_its_kinds_are_joined():
    book = Book()
    assert book.mark(enquiry())
    assert not book.mark(enquiry(kinds=("NSXY", "KPXX"), at=AT + timedelta(hours=23, minutes=59)))
    assert [line.kinds for line in book.enquiries] == [("KPXX", "NSXY")]
    assert book.mark(enquiry(at=AT + timedelta(hours=24)))
    assert len(book.enquiries) == 2


def test_books_are_bounded(monkeypatch):
    monkeypatch.setattr("sandbox.books.LINES_KEPT", 3)
    book = Book()
    for number in range(10):
        book.mark(enquiry(str(number)))
    assert [line.key for line in book.enquiries] == ["7", "8", "9"]


def test_books_read_as_the_page_says():
    books = Books()
    books.sichuan.mark(enquiry())
    document = books.as_json()
    assert {name: set(lists) for name, lists in document.items()} == {
        "chongqing": {"enquiries", "authorisations", "submits", "disputes"},
        "sichuan": {"enquiries", "authorizations", "disputes"},
    }
    line = document["sichuan"]["enquiries"][0]
    assert set(line) == {"key", "institution", "subject", "purpose", "kinds", "at", "evidence"}


def test_a_fault_meets_its_platform_subject_and_call_as_often_as_it_says():
    faults = Faults()
    faults.force(Fault(platform=PlatformId.SICHUAN, kind=FaultKind.STALL, subject="s", call="reports", count=2))
    assert faults.take(PlatformId.CHONGQING, "s", "reports") is None
    assert faults.take(PlatformId.SICHUAN, "other", "reports") is None
    assert faults.take(PlatformId.SICHUAN, "s", "identity") is None
    assert [faults.take(PlatformId.SICHUAN, "s", "reports") is not None for _ in range(3)] == [True, True, False]


def test_a_fault_without_subject_call_and_count_meets_everything_until_cleared():
    faults = Faults()
    faults.force(Fault(platform=PlatformId.CHONGQING, kind=FaultKind.MAINTENANCE))
    assert all(faults.take(PlatformId.CHONGQING, "s", "XY1001") for _ in range(5))
    assert faults.take_named(PlatformId.CHONGQING, "s", "XY1001") is None
    faults.clear()
    assert faults.take(PlatformId.CHONGQING, "s", "XY1001") is None


def test_a_fault_that_never_happens_is_refused():
    with pytest.raises(ValueError, match="at least once"):
        Faults().force(Fault(platform=PlatformId.CHONGQING, kind=FaultKind.STALL, count=0))


def test_credentials_are_the_owners_alone_and_kept(tmp_path):
    first, again = open_credentials(tmp_path), open_credentials(tmp_path)
    assert (first.chongqing, first.sichuan) == (again.chongqing, again.sichuan)
    assert first.envelope_key.public_key == again.envelope_key.public_key
    for file in (tmp_path / "credentials").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert "d" not in first.chongqing_keys_file.read_text().replace('"kid"', "").split('"')
