"""The simulated Chongqing platform over real sockets, with TLS and client certificates."""

from __future__ import annotations

import base64
import itertools
import json
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from core.clock import SHANGHAI, SystemClock
from sandbox.books import Books
from sandbox.chongqing.server import build_app
from sandbox.chongqing.signing import caller_signature, canonical_string
from sandbox.clock import open_clocks
from sandbox.credentials import SigningKey
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind, Faults
from sandbox.world import make_world

FIRST = "91500105XXTT00018M"
JGDM, SECRET = "SBXGW0001", "sandbox-secret-not-real"
DECLARATION = b'<?xml version="1.0" encoding="GB18030"?>\n'
TYPE = "application/xml; charset=GB18030"
FILE, SUBMIT, POLL, FETCH, ACKNOWLEDGE = (f"/yjzx/v3/{end}" for end in ("sq/ba", "bg/tj", "bg/cx", "bg/qj", "bg/qr"))
ALL_KINDS = "BZXR,DBXX,GDXX,GGXY,JBXX,KPXX,NSSJ,NSXY,PTPF,QSXX,SBXX,SXXX,XZCF,ZYRY"


class Authority:
    """A certificate authority of this test alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.file = folder / "ca.pem"
        builder = self._builder(self.name, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        certificate, key_file = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        certificate.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key_file

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5),
            not_valid_after=now + timedelta(days=1),
        )

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.file))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(*self.issue("localhost"))
        return context

    def client_context(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.file))
        context.load_cert_chain(*self.issue(name))
        return context


@dataclass
class Answered:
    raw: bytes
    headers: dict[str, str]
    status: int

    @property
    def text(self) -> str:
        assert self.raw.startswith(DECLARATION)
        return self.raw[len(DECLARATION) :].decode("gb18030")

    def value(self, name: str) -> str:
        found = re.search(f"<{name}>([^<]*)</{name}>", self.text)
        return found[1] if found else ""

    @property
    def code(self) -> str:
        return self.value("FHM")


@dataclass
class Bench:
    session: aiohttp.ClientSession
    port: int
    contexts: dict[str, ssl.SSLContext]
    books: Books
    faults: Faults
    public_key: ec.EllipticCurvePublicKey
    nonces: itertools.count = field(default_factory=itertools.count)

    def headers(self, path: str, body: bytes, *, jgdm: str = JGDM, behind: int = 0, nonce: str = "") -> dict[str, str]:
        sjc = f"{datetime.now(UTC).astimezone(SHANGHAI) - timedelta(seconds=behind):%Y%m%d%H%M%S}"
        nonce = nonce or f"{next(self.nonces):032x}"
        canonical = canonical_string(path=path, jgdm=jgdm, sjc=sjc, nonce=nonce, body=body)
        return {
            "Content-Type": TYPE,
            "X-CQ-JGDM": jgdm,
            "X-CQ-SJC": sjc,
            "X-CQ-NONCE": nonce,
            "X-CQ-SIGN": caller_signature(SECRET, canonical),
        }

    async def post(
        self,
        path: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        certificate: str = JGDM,
        timeout_s: float = 30,
    ) -> Answered:
        url = f"https://localhost:{self.port}{path}"
        sent = headers if headers is not None else self.headers(path, body)
        context = self.contexts[certificate]
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with self.session.post(url, data=body, headers=sent, ssl=context, timeout=timeout) as response:
            return Answered(await response.read(), dict(response.headers), response.status)

    async def ask(self, path: str, jydm: str, lsh: str, body: str) -> Answered:
        return await self.post(path, document(jydm, lsh, body))


def document(jydm: str, lsh: str, body: str) -> bytes:
    head = f"<JYDM>{jydm}</JYDM><LSH>{lsh}</LSH><JGDM>{JGDM}</JGDM>"
    return DECLARATION + f"<REQ><HEAD>{head}</HEAD><BODY>{body}</BODY></REQ>".encode("gb18030")


def submission(number: str = "", day: str = "", *, kinds: str = "JBXX", subject: str = FIRST) -> str:
    granted = f"<SQSBH>{number}</SQSBH><SQJZRQ>{day}</SQJZRQ><BGLX>2</BGLX>" if number else "<BGLX>1</BGLX>"
    end = f"<CXMK>{kinds}</CXMK><CXJG>bank-cq</CXJG><CXBH>E1</CXBH>"
    return f"<TYSHXYDM>{subject}</TYSHXYDM><CXYY>01</CXYY>{granted}{end}"


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    authority = Authority(tmp_path)
    clocks = open_clocks(SystemClock(), tmp_path)
    books, faults = Books(), Faults()
    key = SigningKey(kid="cq-qm-test", private_key=ec.generate_private_key(ec.SECP256R1()))
    app = build_app(
        make_world(clocks.data, enterprises=5, persons=1),
        books,
        faults=faults,
        clocks=clocks,
        credentials={JGDM: SECRET, "SBXBANK01": SECRET},
        signing_key=key,
    )
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=authority.server_context())
    await site.start()
    port = runner.addresses[0][1]
    contexts = {name: authority.client_context(name) for name in (JGDM, "SBXBANK01")}
    try:
        async with aiohttp.ClientSession() as session:
            yield Bench(session, port, contexts, books, faults, key.private_key.public_key())
    finally:
        await runner.cleanup()


async def test_a_whole_enquiry_over_tls_has_two_signed_pages_and_one_mark(bench: Bench) -> None:
    day = f"{datetime.now(UTC).astimezone(SHANGHAI).date() + timedelta(days=100):%Y%m%d}"
    filing = (
        f"<TYSHXYDM>{FIRST}</TYSHXYDM><QYMC>重庆示例一号机电有限公司</QYMC><CXYY>01</CXYY><CXJG>bank-cq</CXJG>"
        f"<SQMK>{ALL_KINDS}</SQMK><SQJZRQ>{day}</SQJZRQ><SQZY>{'ab' * 32}</SQZY><SQWJ>a.b.c</SQWJ>"
    )
    filed = await bench.ask(FILE, "XY1000", "A1", filing)
    assert (filed.code, filed.value("SQZT")) == ("0000", "1")
    question = submission(filed.value("SQSBH"), day, kinds=ALL_KINDS)
    submitted = await bench.ask(SUBMIT, "XY1001", "Q1", question)
    assert (await bench.ask(SUBMIT, "XY1001", "Q1", question)).value("RWH") == submitted.value("RWH")
    job = f"<RWH>{submitted.value('RWH')}</RWH>"
    polled = await bench.ask(POLL, "XY1002", "Q1", job)
    assert (polled.code, polled.value("ZYS")) == ("0000", "2")
    pages = [await bench.ask(FETCH, "XY1003", "Q1", f"{job}<DQYS>{page}</DQYS>") for page in (1, 2)]
    for page in pages:
        _verify(page, bench.public_key)
    assert sum(page.text.count("<KP>") for page in pages) == 24
    assert sum(page.text.count("<JF>") for page in pages) == 24
    assert (await bench.ask(ACKNOWLEDGE, "XY1004", "Q1", job)).code == "0000"
    assert (await bench.ask(POLL, "XY1002", "Q1", job)).code == "4001"
    assert [mark.key for mark in bench.books.chongqing.enquiries] == ["E1"]


def _verify(page: Answered, public_key: ec.EllipticCurvePublicKey) -> None:
    signed = page.raw[page.raw.index(b"<BODY>") : page.raw.index(b"</BODY>") + len(b"</BODY>")]
    raw = base64.b64decode(page.value("QM"), validate=True)
    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public_key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    assert (page.value("QMBH"), page.value("QMSF")) == ("cq-qm-test", "ES256")


async def test_every_answer_is_http_200_xml_with_the_platform_s_clock(bench: Bench) -> None:
    for path, body in ((SUBMIT, b"not xml"), ("/elsewhere", b""), ("/yjzx/v3/pl/tj", b"")):
        answer = await bench.post(path, body)
        assert (answer.status, answer.code) == (200, "1001")
        assert answer.headers["Content-Type"] == "text/xml; charset=GB18030"
        shown = datetime.strptime(answer.headers["X-CQ-SJC"], "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI)
        assert timedelta(seconds=60) < shown - datetime.now(UTC) < timedelta(seconds=120)


async def test_signature_clock_and_nonce_are_checked_in_this_order(bench: Bench) -> None:
    body = document("XY1001", "Q1", submission())
    good = bench.headers(SUBMIT, body)
    late = bench.headers(SUBMIT, body, behind=240)
    wrong = {**late, "X-CQ-SIGN": "0" * 64}
    assert (await bench.post(SUBMIT, body, wrong)).code == "1002"
    assert (await bench.post(SUBMIT, body, late)).code == "1003"
    assert (await bench.post(SUBMIT, body, good)).code == "0000"
    assert (await bench.post(SUBMIT, body, good)).code == "1004"
    reused = await bench.ask(SUBMIT, "XY1001", "Q1", submission(kinds="GDXX"))
    assert (reused.code, reused.value("LSH")) == ("1001", "Q1")


async def test_another_caller_s_certificate_is_1002_and_none_at_all_gets_no_connection(bench: Bench) -> None:
    body = document("XY1001", "Q1", submission())
    assert (await bench.post(SUBMIT, body, certificate="SBXBANK01")).code == "1002"
    bench.contexts["nobody"] = ssl.create_default_context(cafile=None)
    bench.contexts["nobody"].load_verify_locations(cadata=_trusted(bench.contexts[JGDM]))
    with pytest.raises(aiohttp.ClientError):
        await bench.post(SUBMIT, body, certificate="nobody")


def _trusted(context: ssl.SSLContext) -> str:
    return "".join(ssl.DER_cert_to_PEM_cert(der) for der in context.get_ca_certs(binary_form=True))


async def test_the_vector_s_signature_is_accepted_by_the_check_and_only_its_age_refused(bench: Bench) -> None:
    folder = Path(__file__).resolve().parents[1] / "conformance" / "vectors" / "platforms"
    vector = json.loads((folder / "chongqing_sign.json").read_text("utf-8"))
    body = (folder / vector["body_file"]).read_bytes()
    headers = bench.headers(SUBMIT, body, jgdm=vector["jgdm"])
    headers |= {"X-CQ-SJC": vector["sjc"], "X-CQ-NONCE": vector["nonce"], "X-CQ-SIGN": vector["sign"]}
    assert (await bench.post(SUBMIT, body, headers, certificate=vector["jgdm"])).code == "1003"


async def test_a_body_over_64_kib_is_1002_and_no_other_http_status(bench: Bench) -> None:
    answer = await bench.post(SUBMIT, b"x" * 70_000)
    assert (answer.status, answer.code, answer.value("LSH")) == (200, "1002", "")


async def test_forced_reset_stall_and_gateway_error_reach_the_caller_as_such(bench: Bench) -> None:
    def force(kind: FaultKind) -> None:
        bench.faults.force(Fault(platform=PlatformId.CHONGQING, kind=kind, count=1))

    body = document("XY1001", "Q1", submission())
    force(FaultKind.RESET)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await bench.post(SUBMIT, body)
    force(FaultKind.HTTP_500)
    assert (await bench.post(SUBMIT, body)).status == 500
    force(FaultKind.STALL)
    with pytest.raises(TimeoutError):
        await bench.post(SUBMIT, body, timeout_s=0.2)
    assert (await bench.post(SUBMIT, body)).code == "0000"


async def test_refusals_about_authorisation_subject_and_name(bench: Bench) -> None:
    day = f"{datetime.now(UTC).astimezone(SHANGHAI).date() + timedelta(days=100):%Y%m%d}"
    refused = [
        ("2001", submission("SQ20261123999999", day)),
        ("2004", submission(kinds="KPXX")),
        ("3001", submission(subject="91510107XXTT00026H")),
        ("3002", submission().replace("<CXYY>", "<QYMC>别的公司</QYMC><CXYY>")),
    ]
    for number, (expected, body) in enumerate(refused):
        assert (await bench.ask(SUBMIT, "XY1001", f"Q{number}", body)).code == expected
    assert not bench.books.chongqing.enquiries
