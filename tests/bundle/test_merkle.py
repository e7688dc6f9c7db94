"""Proofs of membership: every one holds, and none can be bent into another."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.bundle.merkle import Tree
from forge_dagster.bundle.verifier.merkle import check_proof, root_of

IDS = st.lists(st.integers(0, 400).map(lambda n: hashlib.sha256(b"%d" % n).hexdigest()), max_size=40)
ID = st.integers(0, 400).map(lambda n: hashlib.sha256(b"%d" % n).hexdigest())


@given(IDS, ID)
def test_writer_and_verifier_agree_on_every_document(ids: list[str], wanted: str):
    tree = Tree(ids)
    assert tree.root == root_of(sorted(set(ids)))
    said = check_proof(tree.prove(wanted), tree.root, len(tree.ids))
    assert ("is one of" in said) == (wanted in ids)


@given(IDS, ID)
def test_a_proof_of_the_contrary_is_refused(ids: list[str], wanted: str):
    tree = Tree(ids)
    proof = tree.prove(wanted)
    with pytest.raises(ValueError, match="lea"):
        check_proof({**proof, "included": not proof["included"], "leaves": []}, tree.root, max(len(tree.ids), 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda leaf: {**leaf, "index": leaf["index"] + 1},
        lambda leaf: {**leaf, "id": "00" * 32},
        lambda leaf: {**leaf, "path": leaf["path"][:-1]},
        lambda leaf: {**leaf, "path": [*leaf["path"], "00" * 32]},
        lambda leaf: {**leaf, "path": ["00" * 32, *leaf["path"][1:]]},
        lambda leaf: {**leaf, "path": [None, *leaf["path"][1:]]},
    ],
)
def test_a_bent_proof_is_refused(change: Any):
    tree = Tree([hashlib.sha256(b"%d" % n).hexdigest() for n in range(11)])
    for wanted in tree.ids[:10]:  # the eleventh goes up alone, so its path begins with null as it is
        proof = tree.prove(wanted)
        with pytest.raises(ValueError):  # noqa: PT011
            check_proof({**proof, "leaves": [change(leaf) for leaf in proof["leaves"]]}, tree.root, 11)


def test_neighbours_with_room_between_prove_nothing():
    tree = Tree([hashlib.sha256(b"%d" % n).hexdigest() for n in range(9)])
    hidden = tree.ids[4]
    leaves = [tree.prove(tree.ids[at])["leaves"][0] for at in (3, 5)]
    with pytest.raises(ValueError, match="leave room"):
        check_proof({"id": hidden, "included": False, "leaves": leaves}, tree.root, 9)
