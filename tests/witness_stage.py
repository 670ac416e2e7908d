"""A small witness (C2SP tlog-witness, tlog-cosignature) of its own code, over real HTTP on a free port.

It shares nothing with the server: notes and proofs are checked by the lender's verifier (``bashu.verify``). It keeps
its state in a file, so one that is started again goes on where it was. ``conduct`` makes it misbehave.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bashu.verify import VerificationError, VerifierKey, verify_checkpoint, verify_consistency


class SmallWitness:
    """One witness of one log; ``conduct``: None, or what it does wrong (see :meth:`_answer`).

    ``conflict``: what it says with 409 to whatever comes.
    """

    def __init__(
        self,
        name: str,
        *,
        log_vkey: str,
        state: Path,
        key: Ed25519PrivateKey | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.key = key or Ed25519PrivateKey.generate()
        self.log = VerifierKey.parse(log_vkey)
        self.state = state
        self.now = now
        self.conduct: str | None = None
        self.conflict: str | None = None
        self.requests: list[str] = []
        self.shown: str | None = None
        """The checkpoint it shows whoever asks."""
        self.released = asyncio.Event()
        self.url = ""
        self._runner: web.AppRunner | None = None

    @property
    def vkey(self) -> str:
        encoded = base64.b64encode(b"\x04" + _public(self.key)).decode()
        return f"{self.name}+{_key_id(self.name, self.key).hex()}+{encoded}"

    @property
    def seen(self) -> tuple[int, bytes] | None:
        if not self.state.exists():
            return None
        kept = json.loads(self.state.read_text())
        return kept["size"], bytes.fromhex(kept["root"])

    def remember(self, size: int, root: bytes) -> None:
        self.state.write_text(json.dumps({"size": size, "root": root.hex()}))

    async def start(self) -> None:
        application = web.Application()
        application.add_routes(
            [
                web.post("/add-checkpoint", self._add_checkpoint),
                web.get("/{origin}/checkpoint", self._checkpoint),
            ]
        )
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self.released.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def cosign(self, text: str, *, at: int | None = None) -> str:
        return _cosigned(self.name, self.key, text, at=int(self.now()) if at is None else at)

    async def _add_checkpoint(self, request: web.Request) -> web.Response:  # noqa: PLR0911 - one for each refusal
        body = (await request.read()).decode()
        self.requests.append(body.partition("\n")[0])
        head, _, note = body.partition("\n\n")
        old, *proof = head.split("\n")
        if not note.startswith(f"{self.log.name}\n"):
            return web.Response(status=404)
        try:
            signed = verify_checkpoint(note, self.log)
        except VerificationError:
            return web.Response(status=403)
        if self.conflict is not None:
            return web.Response(status=409, text=self.conflict, content_type="text/x.tlog.size")
        size = int(old.removeprefix("old "))
        if size > signed.size or len(proof) > 63:
            return web.Response(status=400)
        seen_size, seen_root = self.seen or (0, hashlib.sha256(b"").digest())
        if size != seen_size:
            return web.Response(status=409, text=f"{seen_size}\n", content_type="text/x.tlog.size")
        hashes = [base64.b64decode(line, validate=True) for line in proof]
        try:
            verify_consistency(size1=size, size2=signed.size, root1=seen_root, root2=signed.root, proof=hashes)
        except VerificationError:
            return web.Response(status=422)
        # From here to the answer nothing waits: no other request comes between the check and the record.
        self.remember(signed.size, signed.root)
        return await self._answer(note.partition("\n\n")[0] + "\n")

    async def _checkpoint(self, request: web.Request) -> web.Response:
        if self.shown is None or request.match_info["origin"] != hashlib.sha256(self.log.name.encode()).hexdigest():
            return web.Response(status=404)
        return web.Response(text=self.shown)

    async def _answer(self, text: str) -> web.Response:
        match self.conduct:
            case "bad signature":
                line = self.cosign(text + "more\n")
            case "other key":
                line = _cosigned("stranger.example", Ed25519PrivateKey.generate(), text, at=int(self.now()))
            case "yesterday":
                line = self.cosign(text, at=int(self.now()) - 86_400)
            case "no time":
                line = self.cosign(text, at=0)
            case "never answers":
                await self.released.wait()
                line = self.cosign(text)
            case "oversized":
                line = self.cosign(text) * 1000
            case "html":
                return web.Response(text="<html>ok</html>", content_type="text/html")
            case "overloaded":
                return web.Response(status=503)
            case "redirects":
                return web.Response(status=307, headers={"location": f"{self.url}/elsewhere"})
            case _:
                line = self.cosign(text)
        return web.Response(text=line)


def _cosigned(name: str, key: Ed25519PrivateKey, text: str, *, at: int) -> str:
    signature = key.sign(f"cosignature/v1\ntime {at}\n{text}".encode())
    return f"— {name} {base64.b64encode(_key_id(name, key) + at.to_bytes(8, 'big') + signature).decode()}\n"


def _key_id(name: str, key: Ed25519PrivateKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n\x04" + _public(key)).digest()[:4]


def _public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
