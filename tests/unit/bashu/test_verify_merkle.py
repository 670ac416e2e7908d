import hashlib

import pytest

from bashu.verify import VerificationError, tree_root, verify_consistency, verify_inclusion
from tests.unit.bashu.conftest import recursive_consistency, recursive_path, recursive_root

LEAVES = [hashlib.sha256(b"\x00%d" % number).digest() for number in range(20)]


def _refused(check, **arguments):
    with pytest.raises(VerificationError):
        check(**arguments)


@pytest.mark.parametrize("size", range(21))
def test_the_root_is_the_one_of_the_rfc(size):
    assert tree_root(LEAVES[:size]) == recursive_root(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, 21))
def test_every_leaf_of_every_small_tree_is_proved_where_it_stands_and_nowhere_else(size):
    root = recursive_root(LEAVES[:size])
    for index in range(size):
        proof = recursive_path(index, LEAVES[:size])
        verify_inclusion(LEAVES[index], leaf_index=index, tree_size=size, proof=proof, root=root)
        for other in range(size):
            if other != index:
                _refused(verify_inclusion, leaf=LEAVES[index], leaf_index=other, tree_size=size, proof=proof, root=root)


def test_an_inclusion_proof_with_one_hash_more_or_less_or_changed_is_refused():
    root, proof = recursive_root(LEAVES), recursive_path(5, LEAVES)
    changed = [bytes([proof[0][0] ^ 1]) + proof[0][1:], *proof[1:]]
    for wrong in ([*proof, LEAVES[0]], proof[:-1], changed, [b"", *proof], []):
        _refused(verify_inclusion, leaf=LEAVES[5], leaf_index=5, tree_size=20, proof=wrong, root=root)


@pytest.mark.parametrize("size2", range(1, 21))
def test_every_prefix_of_every_small_tree_is_consistent_and_a_changed_root_is_not(size2):
    for size1 in range(1, size2 + 1):
        roots = {"root1": recursive_root(LEAVES[:size1]), "root2": recursive_root(LEAVES[:size2])}
        proof = recursive_consistency(size1, LEAVES[:size2])
        verify_consistency(size1=size1, size2=size2, proof=proof, **roots)
        for name in roots:
            _refused(verify_consistency, size1=size1, size2=size2, proof=proof, **(roots | {name: LEAVES[0][::-1]}))
        _refused(verify_consistency, size1=size1, size2=size2, proof=[*proof, LEAVES[3]], **roots)


def test_from_the_empty_tree_only_an_empty_proof_is_accepted():
    roots = {"root1": tree_root([]), "root2": recursive_root(LEAVES)}
    verify_consistency(size1=0, size2=20, proof=[], **roots)
    _refused(verify_consistency, size1=0, size2=20, proof=[LEAVES[0]], **roots)


def test_a_tree_that_shrank_is_refused():
    root = recursive_root(LEAVES[:3])
    _refused(verify_consistency, size1=4, size2=3, root1=root, root2=root, proof=[])
