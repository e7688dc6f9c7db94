"""The Merkle tree over document ids, and proofs that one is in it or not (hashing of RFC 6962)."""

import hashlib
from collections.abc import Sequence
from typing import Any


def root_of(ids: Sequence[str]) -> str:
    """Root (hex) over sorted ids."""
    level = [hashlib.sha256(b"\0" + bytes.fromhex(given)).digest() for given in ids]
    if not level:
        return hashlib.sha256(b"").hexdigest()
    while len(level) > 1:
        level = [
            hashlib.sha256(b"\1" + level[at] + level[at + 1]).digest() if at + 1 < len(level) else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0].hex()


def check_proof(proof: dict[str, Any], root: str, count: int) -> str:
    """What a proof shows of its document under this root. Raises ValueError if it shows nothing."""
    given, leaves = proof["id"], proof["leaves"]
    for leaf in leaves:
        if _climb(leaf, count) != root:
            raise ValueError(f"leaf {leaf['index']} does not lead to the root {root[:16]}")
    places = [leaf["index"] for leaf in leaves]
    ids = [leaf["id"] for leaf in leaves]
    if proof["included"]:
        if ids != [given]:
            raise ValueError("the leaf shown is another document's")
        return f"document {given} is one of the {count:,} that were trained on"
    between = len(ids) == 2 and places[1] == places[0] + 1 and ids[0] < given < ids[1]
    before = len(ids) == 1 and places == [0] and given < ids[0]
    behind = len(ids) == 1 and places == [count - 1] and ids[0] < given
    if not (between or before or behind or count == len(ids) == 0):
        raise ValueError("the leaves shown leave room for it")
    return f"document {given} is none of the {count:,} that were trained on"


def _climb(leaf: dict[str, Any], count: int) -> str:
    """Root that a leaf leads to; the shape of the tree follows from the count, so no place can be made up."""
    place, size = leaf["index"], count
    if not 0 <= place < count:
        raise ValueError(f"leaf {place} of {count}")
    state, path = hashlib.sha256(b"\0" + bytes.fromhex(leaf["id"])).digest(), list(leaf["path"])
    while size > 1:
        other = path.pop(0) if path else None
        if (other is None) != (place ^ 1 >= size):
            raise ValueError(f"the path of leaf {leaf['index']} has another shape than a tree of {count}")
        if other is not None:
            pair = (bytes.fromhex(other), state) if place & 1 else (state, bytes.fromhex(other))
            state = hashlib.sha256(b"\1" + pair[0] + pair[1]).digest()
        place, size = place // 2, (size + 1) // 2
    if path:
        raise ValueError(f"the path of leaf {leaf['index']} is too long")
    return state.hex()
