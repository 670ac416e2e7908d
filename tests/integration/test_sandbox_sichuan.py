"""The simulated platform sichuan over real sockets, read with a client written here from docs/platforms/sichuan.md."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

from sandbox.books import Books
from sandbox.clock import open_clocks
from sandbox.credentials import Credentials, open_credentials
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind, Faults
from sandbox.sichuan import faulty, server
from sandbox.sichuan.callbacks import sign
from sandbox.world import make_world

SECOND = "91510107XXTT00026H"
SILENT = "91510107XXTT00085L"
REVOKED_MIDWAY = "91510107XXTT001065"
ARTEFACT = "eyJub3QiOiJyZWFsIn0.e30.not-a-signature"
PUBLIC = ["ent-ba/basicinfo", "ent-ba/shareholders", "ent-ba/actual-controller", "ent-ba/persons", "ent-ba/branches"]
PROTECTED = ["ent-operate/social-insurance", "taxinfo/arrears", "taxinfo/saleinvoice", "customized/score"]


@dataclass
class SetClock:
    moment: datetime = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@dataclass
class Sichuan:
    url: str
    http: aiohttp.ClientSession
    credentials: Credentials
    books: Books
    faults: Faults
    real: SetClock
    token: str = ""
    request_id: str = "0192f3c0-1111-7abc-8def-000000000001"
    extra: dict[str, str] = field(default_factory=dict)

    async def login(self, **wrong: str) -> tuple[int, Any]:
        known = self.credentials.sichuan
        body = {"appid": known.appid, "username": known.username, "password": known.password} | wrong
        async with self.http.post(f"{self.url}/auth/token", json=body) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.status == 200 else text

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Authorization": self.token,
            "x-request-id": self.request_id,
            "X-Institution": "bank-cq",
            **self.extra,
            **more,
        }

    async def file(self, code: str = SECOND, **changed: Any) -> tuple[int, Any]:
        body = {
            "creditCode": code,
            "queryReason": "LOAN_APPROVAL",
            "modules": sorted(PROTECTED),
            "institution": "bank-cq",
            "validTo": "2027-02-20",
            "artefactDigest": hashlib.sha256(ARTEFACT.encode()).hexdigest(),
            "artefact": ARTEFACT,
        } | changed
        async with self.http.post(f"{self.url}/v2/authorizations", json=body, headers=self.headers()) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.status in (200, 201) else text

    async def authorised(self, code: str = SECOND) -> str:
        status, answer = await self.file(code)
        assert status in (200, 201)
        return answer["authorizationId"]

    async def module(
        self, name: str, code: str = SECOND, *, key: str = "creditCode", auth: str | None = None, **more: Any
    ):
        group, module = name.split("/")
        headers = self.headers(**{"X-Query-Reason": "LOAN_APPROVAL"} | more.pop("headers", {}))
        if auth is not None:
            headers["X-Auth-Id"] = auth
        url = f"{self.url}/v2/enterprises/{group}/modules/{module}"
        async with self.http.get(url, params={key: code, **more}, headers=headers) as answer:
            return await self.read(answer)

    async def report(self, modules: list[str], code: str = SECOND, **more: Any):
        headers = self.headers(**more.pop("headers", {}))
        body = {"creditCode": code, "modules": modules, "queryReason": "LOAN_APPROVAL", "months": 24} | more
        async with self.http.post(f"{self.url}/v2/reports", json=body, headers=headers) as answer:
            return await self.read(answer)

    async def read(self, answer: aiohttp.ClientResponse):
        """Return (dataStatus, payload, headers) of a 200, (status, text, headers) of anything else."""
        if answer.status != 200:
            assert answer.content_type == "text/plain"
            return answer.status, await answer.text(), answer.headers
        envelope = json.loads(await answer.text())
        assert set(envelope) == {"encryptKey", "data", "dataStatus"}
        content = self.opened(envelope)
        if "internal-zip-version" in answer.headers:
            content = gzip.decompress(base64.b64decode(content))
        return envelope["dataStatus"], json.loads(content), answer.headers

    def opened(self, envelope: dict[str, str]) -> bytes:
        key = serialization.load_pem_private_key(self.credentials.sichuan_private_key_file.read_bytes(), password=None)
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        sm4 = key.decrypt(base64.b64decode(envelope["encryptKey"]), oaep)
        data = base64.b64decode(envelope["data"])
        opener = Cipher(SM4(sm4), modes.GCM(data[:12], data[-16:])).decryptor()
        return opener.update(data[12:-16]) + opener.finalize()


@pytest.fixture
def callback_url() -> str | None:
    return None


@pytest.fixture
async def sichuan(tmp_path: Path, callback_url: str | None) -> AsyncIterator[Sichuan]:
    real = SetClock()
    clocks = open_clocks(real, tmp_path)
    credentials, books, faults = open_credentials(tmp_path), Books(), Faults()
    app = server.build_app(
        world=make_world(clocks.data, enterprises=100),
        books=books,
        faults=faults,
        clocks=clocks,
        credentials=credentials.sichuan,
        envelope_key=credentials.envelope_key,
        callback_url=callback_url,
    )
    async with served(app) as url, aiohttp.ClientSession() as http:
        platform = Sichuan(url=url, http=http, credentials=credentials, books=books, faults=faults, real=real)
        status, answer = await platform.login()
        assert status == 200
        platform.token = answer["rbac_token"]
        yield platform


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


# --- token ---------------------------------------------------------------------------------------------------------
async def test_a_token_lives_thirty_minutes_of_the_platforms_clock(sichuan):
    status, answer = await sichuan.login()
    assert (status, answer["expiresIn"]) == (200, 1800)
    assert answer["expiresAt"] == int((sichuan.real.moment + timedelta(seconds=1800 - 40)).timestamp() * 1000)
    sichuan.real.moment += timedelta(minutes=29, seconds=59)
    assert (await sichuan.module("ent-ba/basicinfo"))[0] == "STATUS_SUCCESS"
    sichuan.real.moment += timedelta(seconds=1)
    assert (await sichuan.module("ent-ba/basicinfo"))[:2] == (401, "token expired")


async def test_several_tokens_live_side_by_side(sichuan):
    await sichuan.login()
    assert (await sichuan.module("ent-ba/basicinfo"))[0] == "STATUS_SUCCESS"


@pytest.mark.parametrize("wrong", ["appid", "username", "password"])
async def test_a_wrong_login_does_not_say_what_was_wrong(sichuan, wrong):
    assert await sichuan.login(**{wrong: "other"}) == (401, "invalid credentials")


@pytest.mark.parametrize("token", ["", "sbx.unknown"])
async def test_no_or_an_unknown_token_is_refused_on_every_path(sichuan, token):
    sichuan.token = token
    assert (await sichuan.module("ent-ba/basicinfo"))[:2] == (401, "token invalid")
    assert (await sichuan.report(["ent-ba/basicinfo"]))[:2] == (401, "token invalid")
    assert await sichuan.file() == (401, "token invalid")


async def test_the_date_header_is_forty_seconds_behind(sichuan):
    _, _, headers = await sichuan.module("ent-ba/basicinfo")
    assert parsedate_to_datetime(headers["Date"]) == sichuan.real.moment - timedelta(seconds=40)


# --- one module ----------------------------------------------------------------------------------------------------
async def test_a_public_module_needs_no_authorisation(sichuan):
    status, content, headers = await sichuan.module("ent-ba/basicinfo")
    assert (status, content["regCapital"]) == ("STATUS_SUCCESS", "500万元人民币")
    assert headers["x-credit-code"] == SECOND
    assert headers["x-data-asof"] == "2026-11-23"
    assert headers["x-request-id"] == sichuan.request_id
    assert headers["x-key-id"] == "sc-env-1"
    assert "internal-zip-version" not in headers


async def test_the_zip_header_zips_the_payload(sichuan):
    status, content, headers = await sichuan.module("ent-ba/basicinfo", headers={"internal-zip-version": "1"})
    assert (status, content["creditCode"], headers["internal-zip-version"]) == ("STATUS_SUCCESS", SECOND, "1")


async def test_a_module_that_is_not_public_needs_an_authorisation_that_lists_it(sichuan):
    assert (await sichuan.module("customized/score"))[:2] == (403, "authorization required")
    assert (await sichuan.module("customized/score", auth="SCA20261123999999"))[:2] == (403, "authorization required")
    auth = await sichuan.authorised()
    assert (await sichuan.module("customized/score", auth=auth))[1]["score"] == 782
    assert (await sichuan.module("credit/public-evaluation", auth=auth))[:2] == (403, "authorization scope exceeded")


async def test_an_authorisation_is_for_its_subject_institution_and_reason(sichuan):
    auth = await sichuan.authorised()
    mismatch = (403, "authorization subject mismatch")
    assert (await sichuan.module("customized/score", SILENT, auth=auth))[:2] == mismatch
    other_reason = {"X-Query-Reason": "POST_LOAN"}
    assert (await sichuan.module("customized/score", auth=auth, headers=other_reason))[:2] == mismatch
    assert (await sichuan.module("ent-ba/basicinfo", auth=auth, headers=other_reason))[:2] == mismatch
    sichuan.extra["X-Institution"] = "bank-other"
    assert (await sichuan.module("customized/score", auth=auth))[:2] == mismatch


@pytest.mark.parametrize("reason", [None, "", "KEY_PERSON", "loan_approval"])
async def test_a_purpose_is_never_a_default(sichuan, reason):
    headers = {} if reason is None else {"X-Query-Reason": reason}
    async with sichuan.http.get(
        f"{sichuan.url}/v2/enterprises/ent-ba/modules/basicinfo",
        params={"creditCode": SECOND},
        headers=sichuan.headers(**headers),
    ) as answer:
        assert (answer.status, await answer.text()) == (403, "query reason not offered")


async def test_each_module_has_one_subject_key(sichuan):
    auth = await sichuan.authorised()
    assert (await sichuan.module("taxinfo/arrears", auth=auth))[:2] == (400, "invalid parameter: subject key")
    assert (await sichuan.module("taxinfo/arrears", key="taxpyrIdNo", auth=auth))[0] == "STATUS_NODATA"
    both = (400, "invalid parameter: subject key")
    assert (await sichuan.module("ent-ba/basicinfo", enterprise="x"))[:2] == both


async def test_a_name_off_by_one_bracket_finds_nothing(sichuan):
    name = "justices/enforcements"
    found = await sichuan.module(name, "四川示例二号（成都）软件有限公司", key="enterprise")
    assert (found[0], found[1], found[2]["x-credit-code"]) == ("STATUS_NODATA", [], SECOND)
    missed = await sichuan.module(name, "四川示例二号(成都)软件有限公司", key="enterprise")
    assert (missed[0], missed[1]) == ("STATUS_NODATA", [])
    assert "x-credit-code" not in missed[2]
    assert missed[2]["x-data-asof"] == "2026-11-22"


async def test_pages_are_clamped_to_twenty_and_months_to_what_is_held(sichuan):
    auth = await sichuan.authorised()

    async def sales(**query: str):
        return (await sichuan.module("taxinfo/saleinvoice", key="taxpyrIdNo", auth=auth, **query))[1]

    assert len((await sales())["list"]) == 12
    page = await sales(months="99", pageSize="100")
    assert (len(page["list"]), page["total"], page["pageSize"]) == (20, 24, 20)
    page = await sales(months="24", pageNumber="2")
    assert (len(page["list"]), page["pageNumber"]) == (4, 2)
    assert (await sales(months="23"))["total"] == "23"
    for wrong in ({"pageNumber": "0"}, {"pageSize": "x"}, {"months": "0"}):
        answer = await sichuan.module("taxinfo/saleinvoice", key="taxpyrIdNo", auth=auth, **wrong)
        assert answer[:2] == (400, f"invalid parameter: {next(iter(wrong))}")


async def test_unknown_modules_are_not_served(sichuan):
    assert (await sichuan.module("ent-operate/payroll"))[:2] == (404, "unknown module: ent-operate/payroll")


async def test_a_book_of_a_day_to_come_or_of_no_day_is_an_invalid_parameter(sichuan):
    for day in ("2999-01-01", "2026-02-30", "yesterday"):
        url = f"{sichuan.url}/v2/reconciliation/{day}"
        async with sichuan.http.get(url, headers=sichuan.headers()) as answer:
            assert (answer.status, await answer.text()) == (400, "invalid parameter: day")
    async with sichuan.http.get(f"{sichuan.url}/v2/reconciliation/2026-01-01") as answer:
        assert answer.status == 401


async def test_an_unknown_subject_has_no_data_and_makes_no_mark(sichuan):
    status, content, headers = await sichuan.module("ent-ba/basicinfo", "91500105XXTT000501")
    assert (status, content) == ("STATUS_NODATA", None)
    assert "x-credit-code" not in headers
    assert (await sichuan.report(PUBLIC, "91500105XXTT000501"))[:2] == ("STATUS_NODATA", None)
    assert sichuan.books.sichuan.enquiries == []


async def test_identity_tells_the_exact_name_and_makes_no_mark(sichuan):
    url = f"{sichuan.url}/v2/identity"
    async with sichuan.http.get(url, params={"creditCode": "91510107XXTT00181X"}, headers=sichuan.headers()) as answer:
        status, content, _ = await sichuan.read(answer)
    assert (status, content["name"]) == ("STATUS_SUCCESS", "四川示例十八号\U00020bb7祥（成都）食品有限公司")
    async with sichuan.http.get(url, params={"creditCode": "91500105XXTT000501"}, headers=sichuan.headers()) as answer:
        assert (await sichuan.read(answer))[:2] == ("STATUS_NODATA", None)
    assert sichuan.books.sichuan.enquiries == []


async def test_0085l_never_answers_its_one_module(sichuan):
    auth = await sichuan.authorised(SILENT)
    call = asyncio.create_task(sichuan.module("ent-operate/social-insurance", SILENT, auth=auth))
    assert (await sichuan.module("customized/score", SILENT, auth=auth))[0] == "STATUS_SUCCESS"
    assert not call.done()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


# --- composite -----------------------------------------------------------------------------------------------------
async def test_a_report_answers_every_module_in_the_order_sent(sichuan):
    auth = await sichuan.authorised()
    modules = [*PROTECTED, *PUBLIC]
    status, content, headers = await sichuan.report(
        modules, authorizationId=auth, headers={"internal-zip-version": "1"}
    )
    assert status == "STATUS_SUCCESS"
    assert content["subject"] == {"creditCode": SECOND, "name": "四川示例二号（成都）软件有限公司"}
    assert list(content["modules"]) == modules
    assert {part["status"] for part in content["modules"].values()} == {200}
    assert content["modules"]["taxinfo/arrears"] == {
        "status": 200,
        "dataStatus": "STATUS_NODATA",
        "asOf": "2026-09-30",
        "data": [],
    }
    assert content["modules"]["taxinfo/saleinvoice"]["data"]["total"] == 24
    assert headers["internal-zip-version"] == "1"


async def test_trouble_with_the_authorisation_stands_in_each_module(sichuan):
    auth = await sichuan.authorised()
    modules = ["ent-ba/basicinfo", "credit/public-evaluation", "ent-operate/payroll"]
    status, content, _ = await sichuan.report(modules, authorizationId=auth)
    assert status == "STATUS_PARTIAL"
    assert content["modules"]["ent-ba/basicinfo"]["status"] == 200
    assert content["modules"]["credit/public-evaluation"] == {"status": 403, "message": "authorization scope exceeded"}
    assert content["modules"]["ent-operate/payroll"] == {
        "status": 404,
        "message": "unknown module: ent-operate/payroll",
    }
    _, content, _ = await sichuan.report(["ent-ba/basicinfo", "customized/score"])
    assert [part["status"] for part in content["modules"].values()] == [200, 403]


async def test_0085l_is_partial_with_one_module_timed_out(sichuan, monkeypatch):
    waited = []

    async def wait(patience_s: float) -> None:
        waited.append(patience_s)

    monkeypatch.setattr(faulty, "wait", wait)
    auth = await sichuan.authorised(SILENT)
    status, content, _ = await sichuan.report(PROTECTED, SILENT, authorizationId=auth, headers={"X-Deadline-Ms": "700"})
    assert status == "STATUS_PARTIAL"
    assert content["modules"]["ent-operate/social-insurance"] == {
        "status": 504,
        "message": "request to social-insurance-server timed out",
    }
    assert [part["status"] for part in content["modules"].values()] == [504, 200, 200, 200]
    await sichuan.report(PROTECTED, SILENT, authorizationId=auth)
    assert waited == [pytest.approx(0.5), 1.0]


async def test_001065_is_revoked_after_the_first_module_each_time(sichuan):
    for _ in range(2):
        auth = await sichuan.authorised(REVOKED_MIDWAY)
        status, content, _ = await sichuan.report([*PUBLIC, *PROTECTED], REVOKED_MIDWAY, authorizationId=auth)
        parts = list(content["modules"].values())
        assert (status, parts[0]["status"]) == ("STATUS_PARTIAL", 200)
        assert parts[1:] == [{"status": 403, "message": "authorization revoked"}] * 8
        async with sichuan.http.get(f"{sichuan.url}/v2/authorizations/{auth}", headers=sichuan.headers()) as answer:
            assert (await answer.json())["state"] == "REVOKED"
    status, content, _ = await sichuan.report(PUBLIC, REVOKED_MIDWAY)
    assert status == "STATUS_SUCCESS"


async def test_a_name_that_differs_is_refused_and_brackets_are_forgiven(sichuan):
    refused = await sichuan.report(PUBLIC, name="四川示例三号软件有限公司")
    assert refused[:2] == (403, "name and credit code differ")
    assert (await sichuan.report(PUBLIC, name=" 四川示例二号(成都)软件有限公司 "))[0] == "STATUS_SUCCESS"


@pytest.mark.parametrize("modules", [[], ["ent-ba/basicinfo"] * 2, [f"a/{number}" for number in range(31)]])
async def test_a_report_asks_one_to_thirty_different_modules(sichuan, modules):
    assert (await sichuan.report(modules))[:2] == (400, "invalid parameter: modules")


async def test_bodies_are_strict_and_bounded(sichuan):
    async def post(body: str):
        headers = sichuan.headers(**{"Content-Type": "application/json"})
        async with sichuan.http.post(f"{sichuan.url}/v2/reports", data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    doubled = f'{{"creditCode":"{SECOND}","creditCode":"{SILENT}","modules":["ent-ba/basicinfo"]}}'
    assert await post(doubled) == (400, "invalid parameter: body")
    assert await post("[" * 20_000) == (400, "invalid parameter: body")
    assert await post("x" * 70_000) == (413, "request too large")


# --- authorisations ------------------------------------------------------------------------------------------------
async def test_an_equal_letter_in_force_is_answered_again(sichuan):
    first, answer = await sichuan.file()
    again, same = await sichuan.file(modules=["customized/score"])
    assert (first, again) == (201, 200)
    assert same == answer
    assert answer["state"] == "ACTIVE"
    assert answer["authorizationId"].startswith("SCA20261123")
    more, other = await sichuan.file(modules=sorted([*PROTECTED, "ent-operate/guarantees"]))
    assert more == 201
    assert other["authorizationId"] != answer["authorizationId"]
    assert [line.state for line in sichuan.books.sichuan.filings] == ["ACTIVE", "ACTIVE"]
    assert sichuan.books.sichuan.enquiries == []


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({"validTo": "2027-11-25"}, (400, "invalid parameter: validTo")),
        ({"validTo": "2026-11-22"}, (400, "invalid parameter: validTo")),
        ({"modules": ["taxinfo/arrears", "customized/score"]}, (400, "invalid parameter: modules")),
        ({"modules": []}, (400, "invalid parameter: modules")),
        ({"artefactDigest": "0" * 64}, (400, "invalid parameter: artefactDigest")),
        ({"artefact": "x" * 32_769}, (400, "invalid parameter: artefact")),
        ({"queryReason": "KEY_PERSON_REVIEW"}, (403, "query reason not offered")),
    ],
)
async def test_a_letter_of_wrong_form_is_refused(sichuan, changed, answer):
    assert await sichuan.file(**changed) == answer


async def test_an_authorisation_is_over_after_its_last_day(sichuan):
    auth = (await sichuan.file(validTo="2026-11-23"))[1]["authorizationId"]
    assert (await sichuan.module("customized/score", auth=auth))[0] == "STATUS_SUCCESS"
    sichuan.real.moment += timedelta(days=1)
    sichuan.token = (await sichuan.login())[1]["rbac_token"]
    assert (await sichuan.module("customized/score", auth=auth))[:2] == (403, "authorization expired")
    status, anew = await sichuan.file()
    assert status == 201
    assert anew["authorizationId"] != auth


async def test_an_unknown_authorisation_is_not_found(sichuan):
    async with sichuan.http.get(f"{sichuan.url}/v2/authorizations/SCA1", headers=sichuan.headers()) as answer:
        assert (answer.status, await answer.text()) == (404, "authorization not found")


class TestCallback:
    @pytest.fixture
    async def received(self):
        return asyncio.Queue()

    @pytest.fixture
    async def callback_url(self, received):
        async def take(request: web.Request) -> web.Response:
            await received.put((request.headers, await request.read()))
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/callback", take)
        async with served(app) as url:
            yield f"{url}/callback"

    async def test_a_revocation_is_told_to_the_caller_signed(self, sichuan, received):
        auth = await sichuan.authorised(REVOKED_MIDWAY)
        await sichuan.report(PUBLIC, REVOKED_MIDWAY, authorizationId=auth)
        headers, body = await asyncio.wait_for(received.get(), 10)
        event = json.loads(body)
        assert (event["authorizationId"], event["state"]) == (auth, "REVOKED")
        expected = sign(sichuan.credentials.sichuan.callback_secret, headers["X-SC-Timestamp"], body)
        assert hmac.compare_digest(headers["X-SC-Signature"], expected)


# --- books ---------------------------------------------------------------------------------------------------------
async def test_authorisation_and_request_id_are_one_enquiry_for_a_day(sichuan):
    auth = await sichuan.authorised()
    sichuan.extra["X-Evidence-Hash"] = "ab" * 32
    for _ in range(2):
        await sichuan.report(["ent-ba/basicinfo", "customized/score"], authorizationId=auth)
        await sichuan.module("taxinfo/saleinvoice", key="taxpyrIdNo", auth=auth, pageNumber="2")
    [line] = sichuan.books.sichuan.enquiries
    assert (line.key, line.institution, line.subject) == (f"{auth}/{sichuan.request_id}", "bank-cq", SECOND)
    assert (line.purpose, line.evidence) == ("LOAN_APPROVAL", "ab" * 32)
    assert line.kinds == ("ent-ba/basicinfo", "customized/score", "taxinfo/saleinvoice")
    sichuan.request_id = "another"
    await sichuan.module("ent-ba/basicinfo", auth=auth)
    assert len(sichuan.books.sichuan.enquiries) == 2


async def test_a_refused_call_makes_no_mark(sichuan):
    await sichuan.module("customized/score")
    await sichuan.report(["customized/score"])
    assert sichuan.books.sichuan.enquiries == []


# --- forced faults -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (FaultKind.HTTP_500, (500, "request to basicinfo-server failed")),
        (FaultKind.CODE_9999, (500, "internal error")),
        (FaultKind.MAINTENANCE, (503, "system maintenance")),
        (FaultKind.QUOTA, (403, "daily quota exceeded")),
    ],
)
async def test_a_forced_fault_is_answered_once(sichuan, kind, answer):
    sichuan.faults.force(Fault(platform=PlatformId.SICHUAN, kind=kind, subject=SECOND, count=1))
    assert (await sichuan.module("ent-ba/basicinfo"))[:2] == answer
    assert (await sichuan.module("ent-ba/basicinfo"))[0] == "STATUS_SUCCESS"


async def test_a_forced_reset_breaks_the_connection(sichuan):
    sichuan.faults.force(Fault(platform=PlatformId.SICHUAN, kind=FaultKind.RESET, call="reports", count=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await sichuan.report(PUBLIC)


async def test_a_forced_stall_never_answers(sichuan):
    sichuan.faults.force(Fault(platform=PlatformId.SICHUAN, kind=FaultKind.STALL, count=1))
    call = asyncio.create_task(sichuan.report(PUBLIC))
    while sichuan.faults.in_force:
        await asyncio.sleep(0)
    assert (await sichuan.report(PUBLIC))[0] == "STATUS_SUCCESS"
    assert not call.done()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_lies_are_told_as_forced(sichuan):
    def force(kind: FaultKind) -> None:
        sichuan.faults.clear()
        sichuan.faults.force(Fault(platform=PlatformId.SICHUAN, kind=kind))

    force(FaultKind.WRONG_SUBJECT)
    assert (await sichuan.module("ent-ba/basicinfo"))[2]["x-credit-code"] != SECOND
    assert (await sichuan.report(PUBLIC))[1]["subject"]["creditCode"] != SECOND
    force(FaultKind.EXTRA_ITEMS)
    assert set((await sichuan.report(PUBLIC))[1]["modules"]) - set(PUBLIC) == {"finance/credit-summary"}
    force(FaultKind.WRONG_ENCODING)
    with pytest.raises(UnicodeDecodeError):
        await sichuan.report(PUBLIC)
    force(FaultKind.WRONG_SIGNATURE)
    with pytest.raises(InvalidTag):
        await sichuan.report(PUBLIC)
    force(FaultKind.OVERSIZED)
    async with sichuan.http.get(
        f"{sichuan.url}/v2/enterprises/ent-ba/modules/basicinfo",
        params={"creditCode": SECOND},
        headers=sichuan.headers(**{"X-Query-Reason": "LOAN_APPROVAL"}),
    ) as answer:
        assert len(await answer.read()) > 2 * 1024 * 1024


async def test_a_fault_for_one_module_stands_in_that_module_of_a_report(sichuan):
    sichuan.faults.force(Fault(platform=PlatformId.SICHUAN, kind=FaultKind.HTTP_500, call="ent-ba/persons"))
    status, content, _ = await sichuan.report(PUBLIC)
    assert status == "STATUS_PARTIAL"
    assert content["modules"]["ent-ba/persons"] == {"status": 500, "message": "request to persons-server failed"}
