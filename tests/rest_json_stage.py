"""Invented platforms of plain JSON for the declarative adapter: they answer what examples/rest_json describes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives import hashes, hmac

from adapters.kit.config import PlatformConfig
from tests.platform_stage import ID_NUMBER, NAME, SECRET, SUBJECT, Behaviour, Stage, a_config

EXAMPLES = Path(__file__).parents[1] / "examples" / "rest_json"
REGISTRATION_JSON = {
    "name": NAME, "legalPerson": "张样本", "legalPersonIdNo": ID_NUMBER, "estDate": "2014-06-12",
    "regCapital": "1250万元人民币", "opTo": None, "status": "存续（在营、开业、在册）", "industry": "制造业",
    "province": "重庆市", "city": "市辖区", "district": "江北区",
}  # fmt: skip
A_PENALTY = {
    "party": NAME, "docNo": "渝示罚〔2026〕1号", "violation": "示例", "content": "罚款", "fineWan": "1.50",
    "decidedOn": 20260301, "authority": "示例局",
}  # fmt: skip


@dataclass
class RestJsonStage(Stage):
    """The platform of api-key.toml: every module is one path with another ``kind``."""

    platform_id: str = "example"
    data_path: str = "/v1/data"
    calls_a_question: int = 3
    example: str = "api-key.toml"
    subject: str = SUBJECT
    kinds: dict[str, object] = field(default_factory=lambda: {"registration": REGISTRATION_JSON})
    total: object = None

    def __post_init__(self) -> None:
        (self.folder / "api_key").write_bytes(SECRET + b"\n")
        self.file = self.folder / "platform.toml"
        self.file.write_bytes((EXAMPLES / self.example).read_bytes())

    def config(self) -> PlatformConfig:
        return a_config(self, secrets={"description": self.file, "api_key": self.folder / "api_key"}, options={})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("X-Api-Key") != SECRET.decode():
            return web.json_response({"code": 4010}, status=401)
        self.marks.add((request.headers["X-Evidence-Hash"], request.headers["X-Request-Id"]))
        rows = self.kinds.get(request.query["kind"])
        if rows is None and request.query["kind"] == "penalties":
            rows = []
        shown = rows
        total = len(rows) if isinstance(rows, list) else 1
        if isinstance(rows, list) and "page" in request.query:
            page, size = int(request.query["page"]), int(request.query["size"])
            shown = rows[(page - 1) * size : page * size]
        answer = {"code": 0, "creditCode": self.subject, "asOf": "2026-11-22", "data": shown}
        return web.json_response(answer | {"total": total if self.total is None else self.total})

    def says(self, status: int, **members: object) -> Behaviour:
        """A behaviour that answers with a status and members."""

        async def behaviour(request: web.Request) -> web.StreamResponse:
            return web.json_response(members, status=status)

        return behaviour


@dataclass
class SignedStage(Stage):
    """The platform of hmac-post.toml: checks each signature and keeps what it was handed."""

    platform_id: str = "example"
    data_path: str = "/query/invoices"
    artefacts: list[str] = field(default_factory=list)
    nonces: list[str] = field(default_factory=list)
    state: str = "DONE"

    def __post_init__(self) -> None:
        (self.folder / "hmac_key").write_bytes(SECRET)

    def config(self) -> PlatformConfig:
        secrets = {"description": EXAMPLES / "hmac-post.toml", "hmac_key": self.folder / "hmac_key"}
        return a_config(self, secrets=secrets, options={})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        digest = hashes.Hash(hashes.SM3())
        digest.update(body)
        time_, nonce = request.headers["X-Time"], request.headers["X-Nonce"]
        mac = hmac.HMAC(SECRET, hashes.SM3())
        mac.update(f"POST\n{request.path_qs}\n{time_}\n{nonce}\n{digest.finalize().hex()}".encode())
        if mac.finalize().hex() != request.headers["X-Sign"]:
            return web.json_response({}, status=401)
        asked = await request.json()
        self.artefacts.append(asked["consent"])
        self.nonces.append(nonce)
        assert asked["evidence"] == hashlib.sha256(b"intent").hexdigest()
        months = [{"m": 202610, "amount": "183500.00", "buyers": "37", "top5": "61.00", "red": 0.021}]
        answer = {"status": self.state, "code": asked["code"], "months": months}
        return web.json_response(answer, headers={"X-Data-AsOf": "20261031000000"})
