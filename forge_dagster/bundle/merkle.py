"""A Merkle tree over sorted document ids (RFC 6962 hashing): one is shown, or its absence, without the others."""

import bisect
import hashlib
from collections.abc import Sequence
from typing import Any

EMPTY = hashlib.sha256(b"").hexdigest()


def _leaf(given: str) -> bytes:
    return hashlib.sha256(b"\0" + bytes.fromhex(given)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Ids (64 hexadecimal digits, sorted, each once) and every level of hashes above them."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.ids = sorted(set(ids))
        self.levels = [[_leaf(given) for given in self.ids]]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            pairs = [_node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            self.levels.append(pairs + below[len(pairs) * 2 :])  # an odd one goes up as it is

    @property
    def root(self) -> str:
        """Hash over all ids (hex)."""
        return self.levels[-1][0].hex() if self.ids else EMPTY

    def prove(self, given: str) -> dict[str, Any]:
        """That an id is in the tree, or that it is not: then by the neighbours between which it would stand."""
        at = bisect.bisect_left(self.ids, given)
        head = {"id": given, "root": self.root, "count": len(self.ids)}
        if at < len(self.ids) and self.ids[at] == given:
            return {**head, "included": True, "leaves": [self._shown(at)]}
        beside = [place for place in (at - 1, at) if 0 <= place < len(self.ids)]
        return {**head, "included": False, "leaves": [self._shown(place) for place in beside]}

    def _shown(self, at: int) -> dict[str, Any]:
        """One leaf with the hashes that lead from it to the root; null where it goes up alone."""
        path, place = [], at
        for level in self.levels[:-1]:
            other = place ^ 1
            path.append(level[other].hex() if other < len(level) else None)
            place //= 2
        return {"id": self.ids[at], "index": at, "path": path}
