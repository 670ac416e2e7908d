from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from core.clock import SHANGHAI
from sandbox.books import Books
from sandbox.chongqing.authorisations import AuthorisationBook
from sandbox.chongqing.codes import PUBLIC_KINDS
from sandbox.chongqing.gate import Call, Gate
from sandbox.chongqing.jobs import JobBook
from sandbox.chongqing.limits import Limits
from sandbox.chongqing.platform import CONTENT_TYPE, Platform, Silence, Written
from sandbox.chongqing.reader import DECLARATION
from sandbox.chongqing.serials import SerialBook
from sandbox.chongqing.signing import caller_signature, canonical_string
from sandbox.chongqing.state import State
from sandbox.clock import open_clocks
from sandbox.credentials import SigningKey
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind, Faults
from sandbox.profiles import Conduct, Profile
from sandbox.world import make_world

VECTORS = Path(__file__).resolve().parents[2] / "conformance" / "vectors" / "platforms"
FIRST, THIN, STUCK = "91500105XXTT00018M", "91500105XXTT000501", "91500105XXTT00093E"
JGDM, SECRET = "SBXGW0001", "sandbox-secret-not-real"
PATHS = {
    "XY1000": "/yjzx/v3/sq/ba",
    "XY1001": "/yjzx/v3/bg/tj",
    "XY1002": "/yjzx/v3/bg/cx",
    "XY1003": "/yjzx/v3/bg/qj",
    "XY1004": "/yjzx/v3/bg/qr",
    "XY1100": "/yjzx/v3/pl/tj",
    "XY2001": "/yjzx/v3/yy/tj",
    "XY9001": "/yjzx/v3/dz/cx",
}
ARTEFACT = "eyJub3QiOiJyZWFsIn0.e30.not-a-signature"


@dataclass
class SetClock:
    moment: datetime = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@dataclass
class Bench:
    """A platform with a set clock, and a caller that does everything right unless told otherwise."""

    folder: Path
    review: timedelta = timedelta(0)
    profile: Profile = Profile.INSTANT
    clock: SetClock = field(default_factory=SetClock)

    def __post_init__(self) -> None:
        self.clocks = open_clocks(self.clock, self.folder)
        self.books, self.faults = Books(), Faults()
        self.nonces = itertools.count()
        self.restart()

    def restart(self) -> None:
        conduct = Conduct(self.profile, name=PlatformId.CHONGQING, clock=self.clocks.chongqing, seed=1)
        state = State(
            world=make_world(self.clocks.data, enterprises=5, persons=1),
            book=self.books.chongqing,
            clocks=self.clocks,
            authorisations=AuthorisationBook(review=lambda: self.review),
            serials=SerialBook(),
            jobs=JobBook(),
            conduct=conduct,
        )
        key = SigningKey(kid="cq-qm-test", private_key=ec.generate_private_key(ec.SECP256R1()))
        self.platform = Platform(
            state=state,
            gate=Gate({JGDM: SECRET, "SBXGW0002": SECRET}),
            faults=self.faults,
            limits=Limits(conduct, self.clocks.chongqing),
            signing_key=key,
        )

    def call(
        self, jydm: str, lsh: str, body: str, *, jgdm: str = JGDM, skew: timedelta = timedelta(0), path: str = ""
    ) -> Call:
        document = f"<REQ><HEAD><JYDM>{jydm}</JYDM><LSH>{lsh}</LSH><JGDM>{jgdm}</JGDM></HEAD><BODY>{body}</BODY></REQ>"
        raw = DECLARATION + document.encode("gb18030")
        sent = self.clock.now() + skew
        return self.signed(raw, path=path or PATHS[jydm], jgdm=jgdm, sjc=f"{sent.astimezone(SHANGHAI):%Y%m%d%H%M%S}")

    def signed(self, raw: bytes, *, path: str, jgdm: str, sjc: str) -> Call:
        nonce = f"{next(self.nonces):016x}"
        canonical = canonical_string(path=path, jgdm=jgdm, sjc=sjc, nonce=nonce, body=raw)
        return Call(
            method="POST",
            path=path,
            content_type=CONTENT_TYPE,
            jgdm=jgdm,
            sjc=sjc,
            nonce=nonce,
            sign=caller_signature(SECRET, canonical),
            intent="ab" * 32,
            body=raw,
            certificate_name=jgdm,
        )

    def answer(self, call: Call) -> str:
        answer = self.platform.answer(call)
        assert isinstance(answer, Written)
        assert answer.body.startswith(DECLARATION)
        return answer.body[len(DECLARATION) :].decode("gb18030")

    def ask(self, jydm: str, lsh: str, body: str, *, jgdm: str = JGDM) -> str:
        return self.answer(self.call(jydm, lsh, body, jgdm=jgdm))

    def file(self, lsh: str = "A1", **changes: str) -> str:
        return self.ask("XY1000", lsh, filing(**changes))

    def authorised(self, **changes: str) -> str:
        return value(self.file(lsh=f"A{next(self.nonces)}", **changes), "SQSBH")

    def submit(self, lsh: str = "Q1", **changes: str) -> str:
        return self.ask("XY1001", lsh, submission(**changes))

    def force(self, kind: FaultKind, **changes: object) -> None:
        self.faults.force(Fault(platform=PlatformId.CHONGQING, kind=kind, **changes))


def tags(values: dict[str, str]) -> str:
    return "".join(f"<{name}>{text}</{name}>" for name, text in values.items() if text)


def filing(**changes: str) -> str:
    values = {
        "TYSHXYDM": FIRST,
        "CXYY": "01",
        "CXJG": "bank-cq",
        "SQMK": "JBXX,NSXY",
        "SQJZRQ": "20270522",
        "SQZY": hashlib.sha256(ARTEFACT.encode()).hexdigest(),
        "SQWJ": ARTEFACT,
    }
    return tags(values | changes)


def submission(**changes: str) -> str:
    values = {"TYSHXYDM": FIRST, "QYMC": "", "CXYY": "01", "BGLX": "1", "CXMK": "JBXX", "CXJG": "bank-cq", "CXBH": "E1"}
    return tags(values | changes)


def with_authorisation(number: str, **changes: str) -> dict[str, str]:
    return {"BGLX": "2", "SQSBH": number, "SQJZRQ": "20270522"} | changes


def code(answer: str) -> str:
    return value(answer, "FHM")


def value(answer: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]*)</{name}>", answer)
    return found[1] if found else ""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_whole_enquiry_of_the_page_goes_through(bench: Bench) -> None:
    messages = {m["name"]: m for m in json.loads((VECTORS / "chongqing_messages.json").read_text("utf-8"))["messages"]}
    filed = bench.answer(_sent(bench, messages["file an authorisation"]["request"]))
    number = value(filed, "SQSBH")
    assert filed == messages["file an authorisation"]["answer"].replace("SQ20261123000001", number)
    submitted = bench.answer(_sent(bench, messages["submit"]["request"].replace("SQ20261123000001", number)))
    job = value(submitted, "RWH")
    expected = messages["submit"]["answer"].replace("RW20261123090008000001", job)
    assert submitted == expected.replace("20261123090008<", "20261123090130<")
    polled = bench.answer(_sent(bench, messages["poll, done"]["request"].replace("RW20261123090008000001", job)))
    assert polled == messages["poll, done"]["answer"].replace("RW20261123090008000001", job)
    fetched = bench.answer(_sent(bench, messages["fetch"]["request"].replace("RW20261123090008000001", job)))
    assert code(fetched) == "0000"
    assert "<JBXX>" in fetched
    assert "<NSXX><SJSJ>20261031</SJSJ><NSXYDJ>A</NSXYDJ></NSXX>" in fetched
    assert "<GDXX>" not in fetched
    acknowledged = bench.answer(_sent(bench, messages["acknowledge"]["request"].replace("RW20261123090008000001", job)))
    assert acknowledged == messages["acknowledge"]["answer"]


def _sent(bench: Bench, document: str) -> Call:
    head = {name: value(document, name) for name in ("JYDM", "LSH")}
    return bench.call(head["JYDM"], head["LSH"], document.split("<BODY>")[1].split("</BODY>", maxsplit=1)[0])


@pytest.mark.parametrize(
    "broken",
    [
        {"sign": "0" * 64},
        {"sign": ""},
        {"jgdm": "SBXGW0009"},
        {"jgdm": "lower"},
        {"certificate_name": "SBXGW0002"},
        {"certificate_name": ""},
        {"nonce": "A" * 16},
        {"nonce": "a" * 15},
        {"sjc": "2026112309000"},
        {"sjc": "20261323090000"},
        {"intent": "not-hex"},
        {"body": DECLARATION + b"<REQ/>"},
        {"path": "/yjzx/v3/bg/cx"},
    ],
)
def test_a_header_a_certificate_or_a_signature_that_does_not_hold_is_1002(
    bench: Bench, broken: dict[str, str | bytes]
) -> None:
    assert code(bench.answer(replace(bench.call("XY1001", "Q1", submission()), **broken))) == "1002"


def test_without_tls_no_certificate_is_checked_and_everything_else_is(bench: Bench) -> None:
    plain = replace(bench.call("XY1001", "Q1", submission()), certificate_name=None)
    assert code(bench.answer(replace(plain, sign="0" * 64))) == "1002"
    assert code(bench.answer(plain)) == "0000"


def test_a_refused_signature_burns_no_nonce_and_a_good_one_is_used_up(bench: Bench) -> None:
    call = bench.call("XY1001", "Q1", submission())
    assert code(bench.answer(replace(call, sign="0" * 64))) == "1002"
    assert code(bench.answer(call)) == "0000"
    assert code(bench.answer(call)) == "1004"


@pytest.mark.parametrize(("skew", "expected"), [(-210, "0000"), (-211, "1003"), (390, "0000"), (391, "1003")])
def test_the_clock_is_compared_with_the_platform_s_90_seconds_ahead(bench: Bench, skew: int, expected: str) -> None:
    call = bench.call("XY1001", "Q1", submission(), skew=timedelta(seconds=skew))
    assert code(bench.answer(call)) == expected


@pytest.mark.parametrize("jydm", ["XY1100", "XY2001"])
def test_a_body_without_its_tags_answers_1001_and_repeats_the_serial(bench: Bench, jydm: str) -> None:
    answer = bench.ask(jydm, "B1", "<PCH>1</PCH>")
    assert (code(answer), value(answer, "LSH")) == ("1001", "B1")


def test_a_day_s_book_has_its_marks_in_order_and_nothing_of_other_days(bench: Bench) -> None:
    for number in range(1, 52):
        bench.submit(f"Q{number}", CXBH=f"E{number}")
    first = bench.ask("XY9001", "D1", "<DZRQ>20261123</DZRQ><DQYS>1</DQYS>")
    assert (code(first), value(first, "ZYS"), first.count("<DZ>")) == ("0000", "2", 50)
    assert "<QM>" in first
    second = bench.ask("XY9001", "D2", "<DZRQ>20261123</DZRQ><DQYS>2</DQYS>")
    assert (value(second, "CXBH"), value(second, "YT"), second.count("<DZ>")) == ("E51", "ab" * 32, 1)
    empty = bench.ask("XY9001", "D3", "<DZRQ>20261122</DZRQ><DQYS>1</DQYS>")
    assert (code(empty), value(empty, "ZYS"), "<DZ>" in empty) == ("0000", "1", False)
    for day, page in (("20261124", "1"), ("20261123", "3"), ("20261123", "0"), ("2026-11-23", "1"), ("", "1")):
        assert code(bench.ask("XY9001", "D4", f"<DZRQ>{day}</DZRQ><DQYS>{page}</DQYS>")) == "1001"


def test_a_transaction_that_does_not_fit_its_path_or_its_caller_is_1001(bench: Bench) -> None:
    assert code(bench.answer(bench.call("XY1002", "Q1", submission(), path=PATHS["XY1001"]))) == "1001"
    assert code(bench.answer(bench.call("XY1001", "q-1", submission()))) == "1001"
    assert code(bench.answer(replace(bench.call("XY1001", "Q1", submission()), content_type="text/plain"))) == "1001"
    raw = bench.call("XY1001", "Q1", submission()).body.replace(b"<JGDM>SBXGW0001", b"<JGDM>SBXGW0002")
    sjc = f"{bench.clock.now().astimezone(SHANGHAI):%Y%m%d%H%M%S}"
    assert code(bench.answer(bench.signed(raw, path=PATHS["XY1001"], jgdm=JGDM, sjc=sjc))) == "1001"


def test_an_unreadable_request_is_answered_with_an_empty_serial(bench: Bench) -> None:
    sjc = f"{bench.clock.now().astimezone(SHANGHAI):%Y%m%d%H%M%S}"
    for raw in (b"", b"\xff", DECLARATION + b"<!DOCTYPE R><R/>", DECLARATION + b"x" * 70_000):
        answer = bench.answer(bench.signed(raw, path=PATHS["XY1001"], jgdm=JGDM, sjc=sjc))
        assert answer.startswith("<RSP><HEAD><FHM>1001</FHM><FHXX>报文格式错误</FHXX><LSH></LSH></HEAD></RSP>")


@pytest.mark.parametrize(
    "changes",
    [
        {"TYSHXYDM": "9150"},
        {"TYSHXYDM": ""},
        {"CXYY": "10"},
        {"CXYY": ""},
        {"BGLX": "3"},
        {"BGLX": ""},
        {"SQSBH": "SQ20261123000001"},
        {"CXMK": "NOPE"},
        {"CXMK": "JBXX,JBXX"},
        {"CXMK": "JBXX,"},
        {"CXJG": "bank cq"},
        {"CXBH": "e1"},
        {"QYMC": "名" * 201},
        {"BGLX": "2", "SQSBH": "SQ20261123000001", "SQJZRQ": "20270230"},
    ],
)
def test_a_submit_of_the_wrong_form_is_1001(bench: Bench, changes: dict[str, str]) -> None:
    assert code(bench.submit(**changes)) == "1001"


@pytest.mark.parametrize(
    "changes",
    [
        {"SQMK": ""},
        {"SQMK": "XXXX"},
        {"SQJZRQ": "20270523"},
        {"SQJZRQ": "00000000"},
        {"SQZY": "AB" * 32},
        {"SQWJ": ""},
        {"SQWJ": "x" * 32_769},
        {"CXJG": ""},
    ],
)
def test_a_filing_of_the_wrong_form_or_beyond_180_days_is_1001(bench: Bench, changes: dict[str, str]) -> None:
    assert code(bench.file(**changes)) == "1001"


def test_a_subject_elsewhere_is_3001_and_another_name_3002_for_filing_and_submit(bench: Bench) -> None:
    for send in (bench.file, bench.submit):
        assert code(send(TYSHXYDM="91510107XXTT00026H")) == "3001"
        assert code(send(TYSHXYDM="91510107XXTT00181X", QYMC="四川示例十八号𠮷祥（成都）食品有限公司")) == "3001"
        assert code(send(QYMC="重庆示例二号机电有限公司")) == "3002"
        assert code(send(QYMC=" 重庆示例一号机电有限公司 ")) == "0000"
    assert bench.books.chongqing.enquiries[0].kinds == ("JBXX",)
    assert len(bench.books.chongqing.enquiries) == 1


def test_filing_what_is_in_force_already_gives_its_number_whatever_the_serial(bench: Bench) -> None:
    first = bench.file(lsh="A1")
    assert (value(first, "SQZT"), value(first, "SQJZRQ")) == ("1", "20270522")
    number = value(first, "SQSBH")
    assert re.fullmatch(r"SQ20261123\d{6}", number)
    again = bench.file(lsh="A2", SQMK="NSXY", SQJZRQ="20270101")
    assert (value(again, "SQSBH"), value(again, "SQJZRQ")) == (number, "20270522")
    for other in ({"SQMK": "NSXY,KPXX"}, {"CXJG": "bank-sc"}, {"CXYY": "02"}, {"SQZY": "cd" * 32}):
        assert value(bench.file(lsh=f"A{next(bench.nonces)}X", **other), "SQSBH") != number
    assert not bench.books.chongqing.enquiries
    assert bench.books.chongqing.filings[0].key == number


def test_a_serial_repeats_its_first_result_and_refuses_another_body(bench: Bench) -> None:
    filed, submitted = bench.file(lsh="A1"), bench.submit(lsh="Q1")
    assert bench.file(lsh="A1") == filed
    assert bench.submit(lsh="Q1") == submitted
    assert code(bench.file(lsh="A1", SQMK="JBXX")) == "1001"
    assert code(bench.submit(lsh="Q1", CXMK="GDXX")) == "1001"
    assert value(bench.ask("XY1001", "Q1", submission(), jgdm="SBXGW0002"), "RWH") != value(submitted, "RWH")
    bench.clocks.data.advance(3)
    assert value(bench.submit(lsh="Q1"), "RWH") != value(submitted, "RWH")


def test_an_authorisation_that_is_missing_or_another_caller_s_is_2001(bench: Bench) -> None:
    assert code(bench.submit(**with_authorisation("SQ20261123999999"))) == "2001"
    assert code(bench.submit(**with_authorisation("", SQJZRQ=""))) == "2001"
    number = bench.authorised()
    assert code(bench.ask("XY1001", "Q9", submission(**with_authorisation(number)), jgdm="SBXGW0002")) == "2001"


def test_an_authorisation_of_another_subject_institution_purpose_or_day_is_2003(bench: Bench) -> None:
    number = bench.authorised()
    for other in ({"TYSHXYDM": THIN}, {"CXJG": "bank-sc"}, {"CXYY": "02"}, {"SQJZRQ": "20270521"}):
        assert code(bench.submit(**with_authorisation(number, **other))) == "2003"
    assert code(bench.submit(**with_authorisation(number))) == "0000"


def test_an_authorisation_ends_with_its_last_day_on_the_platform_s_clock(bench: Bench) -> None:
    number = bench.authorised(SQJZRQ="20261123")
    asked = with_authorisation(number, SQJZRQ="20261123")
    bench.clock.moment = datetime(2026, 11, 23, 15, 58, 29, tzinfo=UTC)
    assert code(bench.submit(lsh="Q1", **asked)) == "0000"
    bench.clock.moment = datetime(2026, 11, 23, 15, 58, 30, tzinfo=UTC)
    assert code(bench.submit(lsh="Q2", **asked)) == "2002"


def test_an_authorisation_under_review_is_2005_until_its_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, review=timedelta(seconds=60))
    filed = bench.file(lsh="A1")
    assert (value(filed, "SQZT"), value(filed, "YJSHSJ")) == ("0", "20261123090230")
    asked = with_authorisation(value(filed, "SQSBH"))
    assert code(bench.submit(lsh="Q1", **asked)) == "2005"
    bench.clock.moment += timedelta(seconds=60)
    again = bench.file(lsh="A1")
    assert (value(again, "SQZT"), value(again, "YJSHSJ")) == ("1", "")
    assert code(bench.submit(lsh="Q1", **asked)) == "0000"
    assert [line.state for line in bench.books.chongqing.filings] == ["1"]


def test_a_kind_beyond_the_authorisation_or_not_public_without_one_is_2004(bench: Bench) -> None:
    assert code(bench.submit(**with_authorisation(bench.authorised(), CXMK="JBXX,KPXX"))) == "2004"
    assert code(bench.submit(CXMK="JBXX,NSXY")) == "2004"


def test_blank_kinds_mean_all_that_may_be_had_and_blank_senders_the_caller(bench: Bench) -> None:
    assert code(bench.submit(lsh="Q1", CXMK="", CXJG="", CXBH="")) == "0000"
    mark = bench.books.chongqing.enquiries[0]
    assert set(mark.kinds) == set(PUBLIC_KINDS)
    assert (mark.institution, mark.key, mark.evidence) == (JGDM, "Q1", "ab" * 32)
    assert code(bench.submit(lsh="Q2", CXMK="", **with_authorisation(bench.authorised()))) == "0000"
    assert set(bench.books.chongqing.enquiries[-1].kinds) == {"JBXX", "NSXY"}


def test_one_enquiry_number_is_one_mark_in_24_hours_however_many_jobs(bench: Bench) -> None:
    serial = "Q" + "0" * 29
    for lsh in (serial, serial, serial + "R1", "Q2"):
        assert code(bench.submit(lsh=lsh)) == "0000"
    assert len(bench.books.chongqing.enquiries) == 1
    assert len(bench.books.chongqing.submits) == 3
    bench.submit(lsh="Q3", CXJG="bank-sc")
    assert len(bench.books.chongqing.enquiries) == 2
    bench.clock.moment += timedelta(hours=24)
    bench.submit(lsh="Q4")
    assert len(bench.books.chongqing.enquiries) == 3


def test_a_result_is_gone_once_acknowledged_and_the_acknowledgement_repeats(bench: Bench) -> None:
    job = f"<RWH>{value(bench.submit(), 'RWH')}</RWH>"
    assert code(bench.ask("XY1003", "Q1", job + "<DQYS>2</DQYS>")) == "1001"
    assert code(bench.ask("XY1003", "Q1", job + "<DQYS>0</DQYS>")) == "1001"
    assert code(bench.ask("XY1003", "Q1", job + "<DQYS>1</DQYS>")) == "0000"
    assert code(bench.ask("XY1002", "Q1", job, jgdm="SBXGW0002")) == "4001"
    assert code(bench.ask("XY1004", "Q1", job)) == "0000"
    assert code(bench.ask("XY1004", "Q1", job)) == "0000"
    assert code(bench.ask("XY1002", "Q1", job)) == "4001"
    assert code(bench.ask("XY1003", "Q1", job + "<DQYS>1</DQYS>")) == "4001"


def test_a_result_is_kept_for_two_hours_and_a_restart_forgets_it(bench: Bench) -> None:
    job = f"<RWH>{value(bench.submit(), 'RWH')}</RWH>"
    bench.clock.moment += timedelta(hours=2)
    assert code(bench.ask("XY1002", "Q1", job)) == "0000"
    bench.clock.moment += timedelta(seconds=1)
    assert code(bench.ask("XY1002", "Q1", job)) == "4001"
    fresh = f"<RWH>{value(bench.submit(lsh='Q2'), 'RWH')}</RWH>"
    bench.restart()
    assert code(bench.ask("XY1002", "Q2", fresh)) == "4001"
    assert code(bench.ask("XY1004", "Q2", fresh)) == "4001"
    assert code(bench.submit(lsh="Q2")) == "0000"


def test_a_result_keeps_the_day_it_was_built_on(bench: Bench) -> None:
    bench.clock.moment = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    job = f"<RWH>{value(bench.submit(), 'RWH')}</RWH><DQYS>1</DQYS>"
    bench.clock.moment += timedelta(hours=1)
    assert value(bench.ask("XY1003", "Q1", job), "SJSJ") == "20261122"
    fresh = f"<RWH>{value(bench.submit(lsh='Q2'), 'RWH')}</RWH><DQYS>1</DQYS>"
    assert value(bench.ask("XY1003", "Q2", fresh), "SJSJ") == "20261123"


def test_the_stuck_job_is_under_way_until_it_is_24_hours_old_and_failed_then(bench: Bench) -> None:
    submitted = bench.submit(TYSHXYDM=STUCK)
    job = f"<RWH>{value(submitted, 'RWH')}</RWH>"
    polled = bench.ask("XY1002", "Q1", job)
    assert (code(polled), value(polled, "JD")) == ("0002", "60")
    assert value(polled, "YJWCSJ") > value(polled, "RWH")[2:16]
    fetched = bench.ask("XY1003", "Q1", job + "<DQYS>1</DQYS>")
    assert code(fetched) == "0002"
    assert "<BODY>" not in fetched
    bench.clocks.data.advance(1)
    repeated = bench.submit(TYSHXYDM=STUCK)
    assert value(repeated, "RWH") == value(submitted, "RWH")
    assert code(bench.ask("XY1002", "Q1", job)) == "9001"
    assert len(bench.books.chongqing.enquiries) == 1


def test_nothing_found_is_0001_with_the_heading_tags_alone(bench: Bench) -> None:
    number = bench.authorised(TYSHXYDM=THIN, SQMK="KPXX")
    asked = with_authorisation(number, TYSHXYDM=THIN, CXMK="KPXX")
    job = f"<RWH>{value(bench.submit(**asked), 'RWH')}</RWH>"
    assert value(bench.ask("XY1002", "Q1", job), "ZYS") == "1"
    fetched = bench.ask("XY1003", "Q1", job + "<DQYS>1</DQYS>")
    assert code(fetched) == "0001"
    assert fetched.endswith("<DQYS>1</DQYS><ZYS>1</ZYS></BODY></RSP>")
    assert len(value(fetched, "QM")) == 88


def test_a_partial_job_names_the_missing_kinds_and_its_serial_rebuilds_them(bench: Bench) -> None:
    asked = with_authorisation(bench.authorised())
    bench.force(FaultKind.PARTIAL, count=1)
    job = value(bench.submit(**asked, CXMK="JBXX,NSXY"), "RWH")
    body = f"<RWH>{job}</RWH><DQYS>1</DQYS>"
    fetched = bench.ask("XY1003", "Q1", body)
    assert (code(fetched), value(fetched, "QSMK")) == ("0003", "NSXY")
    assert "<NSXX>" not in fetched
    bench.ask("XY1004", "Q1", f"<RWH>{job}</RWH>")
    assert value(bench.submit(**asked, CXMK="JBXX,NSXY"), "RWH") == job
    again = bench.ask("XY1003", "Q1", body)
    assert code(again) == "0000"
    assert "<NSXX>" in again
    assert len(bench.books.chongqing.enquiries) == 1


def test_forced_maintenance_comes_before_the_signature_and_quota_after_it(bench: Bench) -> None:
    broken = replace(bench.call("XY1001", "Q1", submission()), sign="0" * 64)
    bench.force(FaultKind.MAINTENANCE, count=1)
    assert code(bench.answer(broken)) == "9900"
    bench.force(FaultKind.QUOTA)
    assert code(bench.answer(broken)) == "1002"
    refused = bench.submit()
    assert (code(refused), value(refused, "XZLX")) == ("9007", "2")
    refused = bench.ask("XY1002", "Q1", "<RWH>RW1</RWH>")
    assert (code(refused), value(refused, "XZLX")) == ("9007", "1")
    assert not bench.books.chongqing.submits


def test_forced_silences_and_system_errors_bite_the_subject_and_the_call_named(bench: Bench) -> None:
    bench.force(FaultKind.STALL, subject=FIRST, call="XY1001", count=1)
    bench.force(FaultKind.RESET, subject=FIRST, call="XY1002", count=1)
    bench.force(FaultKind.CODE_9999, subject=FIRST, call="XY1004", count=1)
    assert code(bench.submit(TYSHXYDM=THIN)) == "0000"
    assert bench.platform.answer(bench.call("XY1001", "Q2", submission())) is Silence.STALL
    job = f"<RWH>{value(bench.submit(lsh='Q2'), 'RWH')}</RWH>"
    assert bench.platform.answer(bench.call("XY1002", "Q2", job)) is Silence.RESET
    assert code(bench.ask("XY1002", "Q2", job)) == "0000"
    assert code(bench.ask("XY1004", "Q2", job)) == "9999"
    assert code(bench.ask("XY1004", "Q2", job)) == "0000"


def test_forced_lies_wait_for_the_fetch_that_can_tell_them(bench: Bench) -> None:
    bench.force(FaultKind.WRONG_SUBJECT, subject=FIRST, count=1)
    bench.force(FaultKind.EXTRA_ITEMS, subject=FIRST, count=1)
    body = f"<RWH>{value(bench.submit(), 'RWH')}</RWH><DQYS>1</DQYS>"
    lying = bench.ask("XY1003", "Q1", body)
    assert value(lying, "TYSHXYDM") == "91500105XXTT00034B"
    telling = bench.ask("XY1003", "Q1", body)
    assert value(telling, "TYSHXYDM") == FIRST
    assert "<GDXX>" in telling
    assert "<GDXX>" not in bench.ask("XY1003", "Q1", body)


def test_forced_bytes_do_not_decode_or_are_too_many(bench: Bench) -> None:
    body = f"<RWH>{value(bench.submit(), 'RWH')}</RWH><DQYS>1</DQYS>"
    bench.force(FaultKind.WRONG_ENCODING, count=1)
    undecodable = bench.platform.answer(bench.call("XY1003", "Q1", body))
    assert isinstance(undecodable, Written)
    with pytest.raises(UnicodeDecodeError):
        undecodable.body.decode("gb18030")
    bench.force(FaultKind.OVERSIZED, count=1)
    oversized = bench.platform.answer(bench.call("XY1003", "Q1", body))
    assert isinstance(oversized, Written)
    assert len(oversized.body) > 2 * 1024 * 1024
