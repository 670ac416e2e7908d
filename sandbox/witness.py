"""``python -m sandbox.witness``: a simulated outside witness of one log (C2SP tlog-witness), until SIGTERM.

It shares no code with the ledger: a bug there must not be mirrored by the one who watches it. Its key is in its state
folder, so what it signs proves nothing to anybody but the sandbox.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.lifetime import follow_parent, stop_event

NAME: Final = "witness.bashu.example/dev"
MOST_REQUEST_BYTES: Final = 64 * 1024
_MOST_PROOF_LINES: Final = 63
_LOG_KEY, _WITNESS_KEY = b"\x01", b"\x04"
_EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
_SIGNATURE: Final = re.compile(r"— (\S+) (\S+)")
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class NotCosigned(Exception):  # noqa: N818 - named after the fact
    """A request is refused with ``status``; ``size`` is told with 409 alone."""

    def __init__(self, status: int, size: int | None = None) -> None:
        super().__init__(str(status))
        self.status: Final = status
        self.size: Final = size


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The last tree cosigned, and its note with the cosignature."""

    size: int = 0
    root: bytes = _EMPTY_ROOT
    note: str = ""


class Witness:
    """Cosigns what continues the last tree it saw; ``vkeys`` are the log's, one or more during a succession."""

    def __init__(self, state: Path, *, vkeys: Sequence[str]) -> None:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = state / "witness.json"
        self._key = _own_key(state / "witness.key")
        self._log = {key_id: key for _, key_id, key in map(_log_key, vkeys)}
        self.origin = _log_key(vkeys[0])[0]
        self._seen = self._read()

    @property
    def vkey(self) -> str:
        """Its verifier key, of signature type 0x04."""
        encoded = _WITNESS_KEY + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"{NAME}+{_key_id(NAME, encoded).hex()}+{base64.b64encode(encoded).decode()}"

    @property
    def seen(self) -> Seen:
        """What it cosigned last."""
        return self._seen

    def add_checkpoint(self, body: str, *, now: int) -> str:
        """Check one request and return the cosignature line (C2SP tlog-witness, add-checkpoint).

        Raises:
            NotCosigned: with the status that the protocol names.
        """
        head, _, note = body.partition("\n\n")
        first, *lines = head.split("\n")
        text, size, root = self._opened(note)
        matched = _OLD.fullmatch(first)
        if not matched or int(matched[1]) > size or len(lines) > _MOST_PROOF_LINES:
            raise NotCosigned(400)
        if int(matched[1]) != self._seen.size:
            raise NotCosigned(409, self._seen.size)
        proof = [_decoded(line) for line in lines]
        if not consistent(self._seen.size, size, self._seen.root, root, proof):
            raise NotCosigned(422)
        line = self._line(text, now)
        self._keep(Seen(size=size, root=root, note=f"{note}{line}"))
        return line

    def _opened(self, note: str) -> tuple[str, int, bytes]:
        """Return text, size and root of a checkpoint that a known key of the log signed."""
        text, found, signatures = note.rpartition("\n\n")
        lines = text.split("\n")
        if lines[0] != self.origin:
            raise NotCosigned(404)
        if not found or len(lines) < 3 or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - origin, size, root
            raise NotCosigned(400)
        self._require_signature(text + "\n", signatures)
        root = _decoded(lines[2])
        if len(root) != len(_EMPTY_ROOT):
            raise NotCosigned(400)
        return text + "\n", int(lines[1]), root

    def _require_signature(self, text: str, signatures: str) -> None:
        known = 0
        for line in signatures.removesuffix("\n").split("\n"):
            matched = _SIGNATURE.fullmatch(line)
            if not matched:
                raise NotCosigned(400)
            raw = _decoded(matched[2])
            key = self._log.get(raw[:4]) if matched[1] == self.origin else None
            if key is not None:
                known += 1
                try:
                    key.verify(raw[4:], text.encode())
                except InvalidSignature as error:
                    raise NotCosigned(403) from error
        if not known:
            raise NotCosigned(403)

    def _line(self, text: str, now: int) -> str:
        encoded = _WITNESS_KEY + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        signature = self._key.sign(f"cosignature/v1\ntime {now}\n{text}".encode())
        raw = _key_id(NAME, encoded) + now.to_bytes(8) + signature
        return f"— {NAME} {base64.b64encode(raw).decode()}\n"

    def _read(self) -> Seen:
        if not self._file.exists():
            return Seen()
        kept = json.loads(self._file.read_text(encoding="utf-8"))
        return Seen(size=kept["size"], root=bytes.fromhex(kept["root"]), note=kept["note"])

    def _keep(self, seen: Seen) -> None:
        """Have it on disk before anybody is told."""
        fresh = self._file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as out:
            json.dump({"size": seen.size, "root": seen.root.hex(), "note": seen.note}, out, ensure_ascii=False)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)
        self._seen = seen


def consistent(size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Check an RFC 6962 section 2.1.2 proof by building both roots from it, as its definition reads."""
    if size1 in {0, size2}:
        return not proof and (root1 == root2 or size1 != size2) and (size2 > 0 or root2 == _EMPTY_ROOT)
    rest = list(proof)
    try:
        found = _subproof(size1, size2, rest, whole=root1)
    except IndexError:
        return False
    return not rest and found == (root1, root2)


def _subproof(m: int, n: int, rest: list[bytes], *, whole: bytes | None) -> tuple[bytes, bytes]:
    """Return the roots that SUBPROOF(m, D[n]) gives; ``whole``: the old root, while the subtree is the old tree."""
    if m == n:
        same = rest.pop(0) if whole is None else whole
        return same, same
    k = 1 << (n - 1).bit_length() - 1
    if m <= k:
        old, new = _subproof(m, k, rest, whole=whole)
        return old, _node(new, rest.pop(0))
    old, new = _subproof(m - k, n - k, rest, whole=None)
    left = rest.pop(0)
    return _node(left, old), _node(left, new)


def application(witness: Witness) -> web.Application:
    """Return the routes: submission, and the monitoring that lets anybody see what it saw."""

    async def add_checkpoint(request: web.Request) -> web.Response:
        body = (await request.read()).decode("utf-8", "replace")
        # Nothing waits from here to the answer: between check and record comes no other request.
        try:
            return web.Response(text=witness.add_checkpoint(body, now=int(time.time())))
        except NotCosigned as refused:
            if refused.size is None:
                return web.Response(status=refused.status)
            return web.Response(status=refused.status, text=f"{refused.size}\n", content_type="text/x.tlog.size")

    async def checkpoint(request: web.Request) -> web.Response:
        known = hashlib.sha256(witness.origin.encode()).hexdigest()
        if request.match_info["origin"] != known or not witness.seen.note:
            return web.Response(status=404)
        return web.Response(text=witness.seen.note)

    routes = web.Application(client_max_size=MOST_REQUEST_BYTES)
    routes.add_routes([web.post("/add-checkpoint", add_checkpoint), web.get("/{origin}/checkpoint", checkpoint)])
    return routes


def serve(
    state: Annotated[Path, typer.Option(file_okay=False, help="folder of its key and what it saw")],
    log_vkey: Annotated[list[str], typer.Option(help="the log's verifier key (repeat)")],
    ready: Annotated[Path, typer.Option(help="file that says where it listens, once it does")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 picks a free one")] = 0,
) -> None:
    """Serve a witness on 127.0.0.1 until SIGTERM or Ctrl-C."""
    follow_parent()
    asyncio.run(_until_stopped(Witness(state, vkeys=log_vkey), port, ready))


async def _until_stopped(witness: Witness, port: int, ready: Path) -> None:
    stop = stop_event()
    runner = web.AppRunner(application(witness), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    facts: Mapping[str, str] = {
        "name": NAME,
        "url": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "vkey": witness.vkey,
    }
    draft = ready.with_suffix(".draft")
    draft.write_text(json.dumps(facts))
    draft.replace(ready)
    await stop.wait()
    await runner.cleanup()


def _own_key(file: Path) -> Ed25519PrivateKey:
    if not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(Ed25519PrivateKey.generate().private_bytes_raw())
    return Ed25519PrivateKey.from_private_bytes(file.read_bytes())


def _log_key(vkey: str) -> tuple[str, bytes, Ed25519PublicKey]:
    name, key_id, encoded = vkey.split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    if raw[:1] != _LOG_KEY or _key_id(name, raw).hex() != key_id:
        raise typer.BadParameter("--log-vkey: not the verifier key of a log")
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(raw[1:])


def _key_id(name: str, encoded: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + encoded).digest()[:4]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotCosigned(400) from error


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


if __name__ == "__main__":
    typer.run(serve)
