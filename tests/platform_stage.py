"""Scripted platforms for adapter tests: small servers written from docs/platforms, which break on demand."""

from __future__ import annotations

import asyncio
import base64
import functools
import gzip
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

from aiohttp import web
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.kit.config import PlatformConfig
from adapters.kit.protocol import Adapter, PlatformLicence
from adapters.registry import load_one
from core.clock import SHANGHAI, SystemClock
from core.permit import Permit, Subject, SubjectKind
from standards.catalogue import Standard

SUBJECT = "91500105XXTT00018M"
OTHER = "91510107XXTT00026H"
NAME = "重庆示例一号机电有限公司"
SECRET = b"sandbox-secret-not-real"
ID_NUMBER = "50010519XXXXXX0000"
REQUEST_ID = UUID("0192f3c0-1111-7abc-8def-000000000001")
DECLARATION = b'<?xml version="1.0" encoding="GB18030"?>\n'
MIB = 1024 * 1024

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


def a_firm(code: str) -> Subject:
    """A firm as a permit names it."""
    return Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=code, name="")


def a_permit(platform_id: str, items: frozenset[str], **changes: object) -> Permit:
    """A permit for one platform, good for an hour."""
    permit = Permit(
        request_id=REQUEST_ID,
        institution="bank-cq",
        attempt=1,
        subject=Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=SUBJECT, name=NAME),
        purpose="PRE_LOAN_REVIEW",
        targets={platform_id: items},
        look_from=date(2020, 1, 1),
        look_to=datetime.now(SHANGHAI).date(),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        intent_leaf_hash=hashlib.sha256(b"intent").digest(),
        consent_expires_at=datetime.now(UTC) + timedelta(days=90),
        artefact=b"eyJub3QiOiJyZWFsIn0.e30.not-a-signature",
    )
    return replace(permit, **changes)  # type: ignore[arg-type]


@dataclass
class Stage:
    """What both scripted platforms share: a server, a queue of behaviours by path, and what they saw."""

    folder: Path
    platform_id: str = ""
    data_path: str = ""
    calls_a_question: int = 1
    script: dict[str, list[Behaviour]] = field(default_factory=dict)
    always: dict[str, Behaviour] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    marks: set[tuple[str, str]] = field(default_factory=set)
    url: str = ""

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=MIB)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    def adapter(self, standard: Standard, **changes: object) -> Adapter:
        """The adapter under test, as the registry builds it."""
        return load_one(replace(self.config(), **changes), standard=standard, clock=SystemClock())  # type: ignore[arg-type]

    def config(self) -> PlatformConfig:
        raise NotImplementedError

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request.path)
        await request.read()
        if self.script.get(request.path):
            return await self.script[request.path].pop(0)(request)
        behaviour = self.always.get(request.path) or self.always.get("*")
        if behaviour is not None:
            return await behaviour(request)
        return await self.answer(request)


def a_config(stage: Stage, *, secrets: dict[str, Path], options: dict[str, str | int | float | bool]) -> PlatformConfig:
    """A configuration that loads."""
    return PlatformConfig(
        platform_id=stage.platform_id,
        adapter={"example": "rest_json"}.get(stage.platform_id, stage.platform_id),
        url=stage.url or "http://127.0.0.1:9",
        region={"sichuan": "510000"}.get(stage.platform_id, "500000"),
        platform_kind="REGIONAL_CREDIT_PLATFORM",
        name_zh="模拟平台",
        name_en="simulated platform",
        agreement_id="AGREEMENT-1",
        pia_id="PIA-1",
        licence=PlatformLicence(
            kind="ENTERPRISE_CREDIT_FILING", number="SANDBOX", authority="sandbox", valid_from=date(2020, 1, 1)
        ),
        secrets=secrets,
        options=options,
    )


async def stalls(request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def resets(request: web.Request) -> web.StreamResponse:
    """Cut the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def breaks_off(request: web.Request) -> web.StreamResponse:
    """Promise more bytes than come."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"<?xml")
    assert request.transport is not None
    request.transport.close()
    return response


async def server_error(request: web.Request) -> web.StreamResponse:
    """Answer 502, as something in between does."""
    return web.Response(status=502, text="<html>bad gateway 91500105XXTT00018M</html>")


async def drips(request: web.Request) -> web.StreamResponse:
    """Send a byte now and then, so that something always comes and nothing ever ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"<")
        await asyncio.sleep(0.02)


async def redirects(request: web.Request) -> web.StreamResponse:
    """Send the caller elsewhere."""
    return web.Response(status=307, headers={"Location": "/elsewhere"})


async def a_web_page(request: web.Request) -> web.StreamResponse:
    """Answer 200 with a page for people, as a proxy's login does."""
    return web.Response(text="<html>please log in</html>", content_type="text/html")


async def oversized(request: web.Request) -> web.StreamResponse:
    """Send more than any answer may have, without saying how much."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for _ in range(5):
        await response.write(b"x" * (MIB // 2))
    await response.write_eof()
    return response


async def oversized_as_said(request: web.Request) -> web.StreamResponse:
    """Say that more will come than any answer may have."""
    return web.Response(body=b"x" * (3 * MIB))


async def garbage(request: web.Request) -> web.StreamResponse:
    """Send bytes that are no message."""
    return web.Response(body=b"\xff\xfe\x00<hello>")


def tag(text: str, name: str) -> str:
    """Return a tag's text in a request of chongqing."""
    match = re.search(f"<{name}>(.*?)</{name}>", text)
    return "" if match is None else match[1]


@dataclass
class ChongqingStage(Stage):
    """The platform chongqing, with one job a question; ``pages`` are the groups of each page."""

    platform_id: str = "chongqing"
    data_path: str = "/yjzx/v3/bg/qj"
    pages: list[str] = field(default_factory=lambda: [REGISTRATION_XML])
    result_code: str = "0000"
    missing: str = ""
    subject: str = SUBJECT
    job_state: str = "0000"
    gone: set[str] = field(default_factory=set)
    serials: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        x, y = (base64.urlsafe_b64encode(n.to_bytes(32)).decode().rstrip("=") for n in (numbers.x, numbers.y))
        jwk = {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k1", "x": x, "y": y}
        (self.folder / "jwks.json").write_text(json.dumps({"keys": [jwk]}))
        (self.folder / "hmac").write_bytes(SECRET)

    def config(self) -> PlatformConfig:
        secrets = {"hmac_key": self.folder / "hmac", "qm_keys": self.folder / "jwks.json"}
        return a_config(self, secrets=secrets, options={"caller_code": "SBXGW0001"})

    async def answer(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911  # one answer a path
        body = await request.read()
        text = body.removeprefix(DECLARATION).decode("gb18030")
        serial, job = tag(text, "LSH"), "RW" + tag(text, "LSH")
        if not self._is_signed(request, body):
            return self.reply(serial, "1002")
        match request.path:
            case "/yjzx/v3/sq/ba":
                fields = f"<SQSBH>SQ20261123000001</SQSBH><SQZT>1</SQZT><SQJZRQ>{tag(text, 'SQJZRQ')}</SQJZRQ>"
                return self.reply(serial, "0000", fields)
            case "/yjzx/v3/bg/tj":
                self.serials.append(serial)
                self.kinds.append(tag(text, "CXMK"))
                self.marks.add((tag(text, "CXJG"), tag(text, "CXBH")))
                return self.reply(serial, "0000", f"<RWH>{job}</RWH><YJWCSJ>{self.now()}</YJWCSJ>")
            case "/yjzx/v3/bg/cx":
                if tag(text, "RWH") in self.gone:
                    return self.reply(serial, "4001")
                later = self.now(timedelta(seconds=30))
                fields = f"<RWH>{job}</RWH><JD>60</JD><YJWCSJ>{later}</YJWCSJ><ZYS>{len(self.pages)}</ZYS>"
                return self.reply(serial, self.job_state, fields)
            case "/yjzx/v3/bg/qj":
                return self.result(serial, tag(text, "RWH"), int(tag(text, "DQYS")))
            case _:
                return self.reply(serial, "0000")

    def result(
        self, serial: str, job: str, page: int, *, key: ec.EllipticCurvePrivateKey | None = None
    ) -> web.Response:
        """One page of the result, signed."""
        head = f"<RWH>{job}</RWH><TYSHXYDM>{self.subject}</TYSHXYDM><QYMC>{NAME}</QYMC><SJSJ>20261122</SJSJ>"
        more = f"<DQYS>{page}</DQYS><ZYS>{len(self.pages)}</ZYS>" + (
            f"<QSMK>{self.missing}</QSMK>" if self.missing else ""
        )
        signed = f"<BODY>{head}{more}{self.pages[page - 1]}</BODY>".encode("gb18030")
        r, s = decode_dss_signature((key or self.key).sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = base64.b64encode(r.to_bytes(32) + s.to_bytes(32)).decode()
        quality = f"<QMBH>k1</QMBH><QMSF>ES256</QMSF><QM>{signature}</QM>"
        start = f"<RSP><HEAD><FHM>{self.result_code}</FHM><FHXX>x</FHXX><LSH>{serial}</LSH>{quality}</HEAD>".encode()
        return self.raw(DECLARATION + start + signed + b"</RSP>")

    def reply(self, serial: str, code: str, body: str = "") -> web.Response:
        """An answer without signature."""
        text = f"<RSP><HEAD><FHM>{code}</FHM><FHXX>x</FHXX><LSH>{serial}</LSH></HEAD>"
        return self.raw(DECLARATION + (text + (f"<BODY>{body}</BODY>" if body else "") + "</RSP>").encode("gb18030"))

    def raw(self, body: bytes) -> web.Response:
        """Bytes with the platform's headers."""
        return web.Response(body=body, headers={"X-CQ-SJC": self.now(), "Content-Type": "text/xml; charset=GB18030"})

    def now(self, later: timedelta = timedelta()) -> str:
        """The platform's clock, 90 s ahead."""
        return (datetime.now(SHANGHAI) + timedelta(seconds=90) + later).strftime("%Y%m%d%H%M%S")

    def says(self, code: str, body: str = "") -> Behaviour:
        """A behaviour that answers with a code."""

        async def behaviour(request: web.Request) -> web.StreamResponse:
            text = (await request.read()).removeprefix(DECLARATION).decode("gb18030")
            return self.reply(tag(text, "LSH"), code, body)

        return behaviour

    def signed_by_another(self) -> Behaviour:
        """A result with a signature of a key that is not the platform's."""

        async def behaviour(request: web.Request) -> web.StreamResponse:
            text = (await request.read()).removeprefix(DECLARATION).decode("gb18030")
            return self.result(tag(text, "LSH"), tag(text, "RWH"), 1, key=ec.generate_private_key(ec.SECP256R1()))

        return behaviour

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        digest = hashes.Hash(hashes.SM3())
        digest.update(body)
        code, sent_at, nonce = (request.headers[name] for name in ("X-CQ-JGDM", "X-CQ-SJC", "X-CQ-NONCE"))
        mac = hmac.HMAC(SECRET, hashes.SM3())
        mac.update("\n".join(("POST", request.path, code, sent_at, nonce, digest.finalize().hex())).encode())
        return request.headers["X-CQ-SIGN"] == mac.finalize().hex()


REGISTRATION_XML = (
    f"<JBXX><SJSJ>20261122</SJSJ><QYMC>{NAME}</QYMC><TYSHXYDM>{SUBJECT}</TYSHXYDM><FDDBR>张样本</FDDBR>"
    f"<FRZJHM>{ID_NUMBER}</FRZJHM><CLRQ>20140612</CLRQ><ZCZB>1,250.00</ZCZB><JYZT>1</JYZT><HYDM>3441</HYDM>"
    "<XZQH>500105</XZQH><JYQXZ>99991231</JYQXZ></JBXX>"
)
BASIC_INFO = {
    "name": NAME, "creditCode": SUBJECT, "legalPerson": "张样本", "legalPersonIdNo": ID_NUMBER,
    "estDate": "2014-06-12", "regCapital": "1250万元人民币", "opTo": None, "status": "存续（在营、开业、在册）",
    "industry": "制造业", "province": "重庆市", "city": "市辖区", "district": "江北区", "updateTime": 1795325400000,
}  # fmt: skip


@functools.cache
def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class SichuanStage(Stage):
    """The platform sichuan; ``modules`` are entries of a report by name, every other module has nothing."""

    platform_id: str = "sichuan"
    data_path: str = "/v2/reports"
    modules: dict[str, object] = field(default_factory=lambda: {"ent-ba/basicinfo": success(BASIC_INFO)})
    extra: dict[str, object] = field(default_factory=dict)
    pages: dict[tuple[str, int], object] = field(default_factory=dict)
    subject: str = SUBJECT
    state: str = "ACTIVE"
    is_known: bool = True
    names_pages: bool = True
    tokens: int = 0
    filings: list[list[str]] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.key = _rsa_key()
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "rsa.pem").write_bytes(pem)
        credentials = {"appid": "sbx-gateway", "username": "bashu", "password": SECRET.decode()}
        (self.folder / "credentials.json").write_text(json.dumps(credentials))

    def config(self) -> PlatformConfig:
        secrets = {"credentials": self.folder / "credentials.json", "private_key": self.folder / "rsa.pem"}
        return a_config(self, secrets=secrets, options={"key_id": "k1"})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/auth/token":
            self.tokens += 1
            return web.json_response({"rbac_token": f"sbx.{self.tokens}", "expiresIn": 1800, "expiresAt": 1})
        if request.headers.get("Authorization") != f"sbx.{self.tokens}":
            return web.Response(status=401, text="token invalid")
        if request.path == "/v2/authorizations":
            asked = json.loads(await request.read())
            self.filings.append(asked["modules"])
            number = next((n for n, filed in enumerate(self.filings) if {*asked["modules"]} <= {*filed}), 0)
            answer = {
                "authorizationId": f"SCA{number}",
                "state": self.state,
                "validTo": asked["validTo"],
                "changedAt": 1,
            }
            return web.json_response(answer | {"modules": asked["modules"]}, status=201)
        asked = json.loads(await request.read()) if request.path == "/v2/reports" else {}
        authorisation = asked.get("authorizationId") or request.headers.get("X-Auth-Id")
        self.marks.add((authorisation or request.headers["X-Institution"], request.headers["x-request-id"]))
        if request.path == "/v2/reports":
            return self.report(asked["modules"])
        self.queries.append(dict(request.query))
        _, _, group, _, name = request.path.strip("/").split("/")
        page = self.pages[f"{group}/{name}", int(request.query["pageNumber"])]
        whose = {"x-credit-code": self.subject} if self.names_pages else {}
        return self.sealed(page, headers=whose | {"x-data-asof": "2026-11-22"})

    def report(self, modules: list[str]) -> web.Response:
        """The composite answer."""
        self.asked.append(modules)
        if not self.is_known:
            return self.sealed(None, status="STATUS_NODATA")
        entries = {name: self.modules.get(name, nothing()) for name in modules} | self.extra
        return self.sealed({"subject": {"creditCode": self.subject, "name": NAME}, "modules": entries}, zipped=True)

    def sealed(
        self,
        payload: object,
        *,
        status: str = "STATUS_SUCCESS",
        zipped: bool = False,
        tag_flip: int = 0,
        headers: dict[str, str] | None = None,
    ) -> web.Response:
        """An envelope."""
        text = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
        if zipped:
            text = base64.b64encode(gzip.compress(text))
        secret, nonce = os.urandom(16), os.urandom(12)
        encryptor = Cipher(algorithms.SM4(secret), modes.GCM(nonce)).encryptor()
        data = encryptor.update(text) + encryptor.finalize()
        mac = bytes([encryptor.tag[0] ^ tag_flip, *encryptor.tag[1:]])
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        wrapped = self.key.public_key().encrypt(secret, oaep)
        envelope = {
            "encryptKey": base64.b64encode(wrapped).decode(),
            "data": base64.b64encode(nonce + data + mac).decode(),
            "dataStatus": status,
        }
        more = {"x-key-id": "k1"} | ({"internal-zip-version": "1"} if zipped else {}) | (headers or {})
        return web.json_response(envelope, headers=more)

    def says(self, status: int, text: str, **headers: str) -> Behaviour:
        """A behaviour that answers with a status and a text."""

        async def behaviour(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

        return behaviour

    def sends(self, payload: object, *, tag_flip: int = 0) -> Behaviour:
        """A behaviour that answers with an envelope."""

        async def behaviour(request: web.Request) -> web.StreamResponse:
            return self.sealed(payload, tag_flip=tag_flip)

        return behaviour


def success(data: object, *, as_of: str = "2026-11-22") -> dict[str, object]:
    """An entry of a report with data."""
    return {"status": 200, "dataStatus": "STATUS_SUCCESS", "asOf": as_of, "data": data}


def nothing(*, as_of: str = "2026-11-22") -> dict[str, object]:
    """An entry of a report without data."""
    return {"status": 200, "dataStatus": "STATUS_NODATA", "asOf": as_of, "data": []}
