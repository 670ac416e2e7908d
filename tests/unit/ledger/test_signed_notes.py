from __future__ import annotations

import base64
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.highwater import HighWater
from ledger.note import Checkpoint, NoteError, open_checkpoint, open_note, parse_checkpoint, parse_vkey, sign_note
from ledger.signer import FileSigner, generate_signer, load_signer

# The example of golang.org/x/mod/sumdb/note, the format C2SP signed-note writes down.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The same package's documented private key, from which the signature above is made.
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]


def test_the_known_note_opens_with_its_key():
    assert open_note(GO_NOTE, parse_vkey(GO_VKEY)).startswith("If you think")


def test_signing_the_known_text_gives_the_known_note():
    signer = FileSigner("PeterNeumann", Ed25519PrivateKey.from_private_bytes(GO_SEED))
    assert signer.vkey == GO_VKEY
    assert sign_note(GO_NOTE.rpartition("\n\n")[0] + "\n", signer) == GO_NOTE


@pytest.mark.parametrize(
    "broken",
    [
        GO_NOTE.replace("problem is", "problem was"),
        GO_NOTE.replace("x08go/ZJ", "x08go/ZK"),
        GO_NOTE.replace("x08go/", "x08gp/"),
        GO_NOTE.replace("— PeterNeumann", "— PeterNewman"),
        GO_NOTE.removesuffix("\n"),
        GO_NOTE.replace("\n\n", "\n"),
        GO_NOTE.replace("— ", "- "),
        GO_NOTE.replace("nAM=\n", "nAN=\n"),
        "",
    ],
)
def test_a_changed_note_does_not_open(broken):
    with pytest.raises(NoteError):
        open_note(broken, parse_vkey(GO_VKEY))


def test_signatures_by_unknown_keys_are_passed_over():
    other = FileSigner("witness.example", Ed25519PrivateKey.generate())
    text = GO_NOTE.rpartition("\n\n")[0] + "\n"
    line = sign_note(text, other).rpartition("\n\n")[2]
    assert open_note(GO_NOTE + line, parse_vkey(GO_VKEY)) == text


@pytest.mark.parametrize(
    "vkey",
    [
        GO_VKEY.replace("c74f20a3", "c74f20a4"),
        GO_VKEY.replace("PeterNeumann", "Peter Neumann"),
        GO_VKEY.replace("+ARpc", "+AhPc"),
        "PeterNeumann+c74f20a3",
        "",
    ],
)
def test_a_verifier_key_that_contradicts_itself_is_refused(vkey):
    with pytest.raises(NoteError):
        parse_vkey(vkey)


@pytest.mark.parametrize(
    "text",
    [
        "log\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "log\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "log\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "log\n1\n" + base64.b64encode(bytes(32)).decode(),
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "log\n1\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        parse_checkpoint(text)


def test_a_checkpoint_of_another_log_under_the_same_key_is_refused():
    signer = FileSigner("log.example/a", Ed25519PrivateKey.generate())
    note = sign_note(Checkpoint(origin="log.example/b", size=3, root=bytes(32)).text(), signer)
    with pytest.raises(NoteError, match="checkpoint of"):
        open_checkpoint(note, parse_vkey(signer.vkey))


def test_key_file_is_private_and_never_overwritten(tmp_path):
    path = tmp_path / "log.pem"
    made = generate_signer(path, name="log.example")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_signer(path, name="log.example").vkey == made.vkey
    with pytest.raises(FileExistsError):
        generate_signer(path, name="log.example")
    path.chmod(0o640)
    with pytest.raises(NoteError, match="0600"):
        load_signer(path, name="log.example")


def test_high_water_mark_survives_a_write_and_refuses_damage(tmp_path):
    mark = HighWater(path=tmp_path / "highwater")
    assert mark.read() is None
    mark.write(Checkpoint(origin="log.example", size=7, root=bytes(32)))
    assert mark.read() == Checkpoint(origin="log.example", size=7, root=bytes(32))
    mark.path.write_text("log.example\n7\n")
    with pytest.raises(NoteError):
        mark.read()
