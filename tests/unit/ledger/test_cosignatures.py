"""Cosignatures of witnesses: what a public witness really signed opens, and nothing changed does."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger.note import NoteError, VerifierKey
from ledger.witness.cosignature import WitnessKey, add_checkpoint_body, find_cosignature, parse_witness_vkey

# A checkpoint of a public CT log as several public witnesses cosigned it, and the key that one of them publishes.
PUBLIC_TEXT = "arche2025h1.staging.ct.transparency.dev\n1432088532\nU7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=\n"
PUBLIC_LINES = (
    "— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei5"
    "9RA23oHP7Ry1k3ZFWwQ=\n"
    "— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP"
    "3v7sEodkRAErumC2q44vdgJY096st5BQ==\n"
    "— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrA"
    "WfBw==\n"
)
PUBLIC_VKEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
PUBLIC_TIME = 0x6A122120

TEXT = "log.example\n7\n" + base64.b64encode(bytes(32)).decode() + "\n"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RAW = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
WITNESS = WitnessKey(name="w.example", public_key=RAW)


def line(*, name="w.example", time=1_800_000_000, text=TEXT, key=KEY, header="cosignature/v1", kind=b"\x04", cut=None):
    key_id = hashlib.sha256(name.encode() + b"\n" + kind + RAW).digest()[:4]
    signature = key.sign(f"{header}\ntime {time}\n{text}".encode())
    raw = key_id + time.to_bytes(8) + signature
    return f"— {name} {base64.b64encode(raw[:cut]).decode()}\n"


def test_what_a_public_witness_signed_opens_with_the_key_it_publishes():
    key = parse_witness_vkey(PUBLIC_VKEY)
    found = find_cosignature(PUBLIC_LINES, key, text=PUBLIC_TEXT)
    assert (found.witness, found.time) == ("remora.n621.de", PUBLIC_TIME)
    assert found.line in PUBLIC_LINES.splitlines()
    assert key.text() == PUBLIC_VKEY


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (PUBLIC_LINES, PUBLIC_TEXT.replace("1432088532", "1432088533")),
        (PUBLIC_LINES, PUBLIC_TEXT + "an extension line\n"),
        (PUBLIC_LINES.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh"), PUBLIC_TEXT),
        (PUBLIC_LINES.replace("remora.n621.de 2net5wAAAABqEiEgP", "remora.n621.de 2net5wAAAABqEiEgQ"), PUBLIC_TEXT),
    ],
)
def test_another_text_time_or_signature_does_not_hold(lines, text):
    with pytest.raises(NoteError, match="wrong cosignature"):
        find_cosignature(lines, parse_witness_vkey(PUBLIC_VKEY), text=text)


def test_signatures_of_others_and_of_other_kinds_are_passed_over():
    assert find_cosignature(line(name="x.example"), WITNESS, text=TEXT) is None
    assert find_cosignature(line(kind=b"\x01"), WITNESS, text=TEXT) is None
    assert find_cosignature(line(name="x.example") + line(), WITNESS, text=TEXT).time == 1_800_000_000


@pytest.mark.parametrize(
    "lines",
    [
        line(time=0),
        line(time=2**63),
        line(cut=-1),
        line(header="cosignature/v2"),
        line(key=Ed25519PrivateKey.generate()),
        line().replace("— ", "- "),
        line() + "\n",
        line() + "ok\n",
        line().replace("==", "="),
        line() * 101,
        "",
        "\n",
    ],
)
def test_a_malformed_or_wrong_line_is_refused(lines):
    with pytest.raises(NoteError):
        find_cosignature(lines, WITNESS, text=TEXT)


@pytest.mark.parametrize(
    "vkey",
    [
        WITNESS.text().replace("w.example", "v.example"),
        WITNESS.text() + "x",
        "w.example",
        "w.example+00000000+" + base64.b64encode(b"\x04" + RAW).decode(),
        # The log's own kind of key, and the post-quantum one of C2SP tlog-cosignature.
        VerifierKey(name="w.example", public_key=RAW).text(),
        "w.example+00000000+" + base64.b64encode(b"\x06" + bytes(1312)).decode(),
    ],
)
def test_a_key_that_is_no_witness_key_is_refused(vkey):
    with pytest.raises(NoteError):
        parse_witness_vkey(vkey)


def test_a_request_is_the_old_size_the_proof_and_the_note():
    body = add_checkpoint_body(7, [bytes(32), b"\x01" * 32], "log.example\n9\nroot\n\n— log.example sig\n")
    assert body.decode() == (
        "old 7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n"
        "\nlog.example\n9\nroot\n\n— log.example sig\n"
    )
    assert add_checkpoint_body(0, [], "note\n") == b"old 0\n\nnote\n"
    with pytest.raises(NoteError):
        add_checkpoint_body(7, [bytes(32)] * 64, "note\n")
