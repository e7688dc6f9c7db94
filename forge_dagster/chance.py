"""Chance that is none: bytes, numbers and points that a seed and a text alone decide, the same on every machine."""

import hashlib


def drawn(seed: int, text: str) -> bytes:
    """32 bytes; a sort key that shuffles."""
    return hashlib.sha256(f"{seed}:{text}".encode()).digest()


def number(seed: int, text: str) -> int:
    """A number in [0, 2**64)."""
    return int.from_bytes(drawn(seed, text)[:8])


def point(seed: int, text: str) -> float:
    """A number in [0, 1)."""
    return number(seed, text) / 2**64
