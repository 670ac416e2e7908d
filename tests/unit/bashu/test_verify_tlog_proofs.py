import base64

import pytest

from bashu.verify import TlogProof, VerificationError, VerifierKey, verify_tlog_proof
from ledger.model import leaf_hash
from ledger.proofs import InclusionProof
from ledger.store import SignedHead
from tests.unit.bashu.conftest import Log, recursive_path, recursive_root, tlog_proof

LEAVES = [leaf_hash(b"entry %d" % number) for number in range(5)]


def _verified(log, text, leaf=LEAVES[2]):
    return verify_tlog_proof(text, leaf=leaf, vkey=VerifierKey.parse(log.vkey))


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 5), (2, 5), (4, 5)])
def test_a_tlog_proof_names_the_place_of_its_entry_under_the_signed_tree(log, index, size):
    proven = _verified(log, tlog_proof(index, LEAVES[:size], log.checkpoint(LEAVES[:size])), LEAVES[index])
    assert (proven.leaf_index, proven.checkpoint.size) == (index, size)
    assert proven.checkpoint.root == recursive_root(LEAVES[:size])


def test_a_flipped_bit_or_a_missing_byte_anywhere_is_refused(log):
    raw = tlog_proof(2, LEAVES, log.checkpoint(LEAVES)).encode()
    assert _verified(log, raw.decode()).leaf_index == 2
    for place in range(len(raw)):
        for bit in (1, 32, 128):
            flipped = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            with pytest.raises(VerificationError):
                _verified(log, flipped.decode("utf-8", "surrogateescape"))
        with pytest.raises(VerificationError):
            _verified(log, (raw[:place] + raw[place + 1 :]).decode("utf-8", "surrogateescape"))


def test_the_server_writes_what_the_client_reads(log):
    note = log.checkpoint(LEAVES)
    head = SignedHead(size=5, root=recursive_root(LEAVES), note=note, signed_at=None)
    path = tuple(recursive_path(3, LEAVES))
    served = InclusionProof(leaf_index=3, leaf_hash=LEAVES[3], hashes=path, checkpoint=head).tlog_proof()
    assert served == tlog_proof(3, LEAVES, note)
    assert _verified(log, served, LEAVES[3]).leaf_index == 3


def test_a_witness_beside_the_log_is_passed_over_and_another_log_is_refused(log):
    note = log.checkpoint(LEAVES)
    witness = Log(origin="witness.example").sign(note.split("\n\n")[0] + "\n").split("\n\n")[1]
    assert _verified(log, tlog_proof(2, LEAVES, note + witness)).leaf_index == 2
    with pytest.raises(VerificationError):
        _verified(log, tlog_proof(2, LEAVES, Log(origin=log.origin).checkpoint(LEAVES)))


def test_extra_data_is_read_but_never_vouched_for(log):
    first, rest = tlog_proof(2, LEAVES, log.checkpoint(LEAVES)).split("\n", 1)
    text = f"{first}\nextra {base64.b64encode(b'more').decode()}\n{rest}"
    assert TlogProof.parse(text).extra == b"more"
    with pytest.raises(VerificationError, match="nothing vouches"):
        _verified(log, text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("@v1", "@v2"),
        lambda text: text.replace("index 2", "index 02"),
        lambda text: text.replace("index 2", "index +2"),
        lambda text: text.replace("index 2", "index ٢"),
        lambda text: text.replace("index 2\n", "index 2\n" + "A" * 43 + "=\n"),
        lambda text: text.replace("index 2\n", "index 2\n" + ("A" * 43 + "=\n") * 64),
        lambda text: text.replace("index 2\n", ""),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.split("\n\n")[0],
        lambda text: "\n" + text,
        lambda text: text + "\n",
        lambda text: text.encode(),
        lambda text: text + "x" * 1_100_000,
    ],
)
def test_a_second_spelling_of_a_proof_is_refused(log, spoil):
    with pytest.raises(VerificationError):
        _verified(log, spoil(tlog_proof(2, LEAVES, log.checkpoint(LEAVES))))
