"""Which records are of the release itself, and which of models that it was compared with or gone on from."""

from collections.abc import Mapping
from typing import Any

Records = Mapping[tuple[str, str], dict[str, Any]]
"""Records by key and digest."""
OTHERS = ("incumbent", "start/", "serving/", "former/")
"""How the names of inputs begin that are of another version."""
CARRIED = ("previous", "start/checkpoint", "adapter")
"""Inputs whose weights a training goes on from."""


def own(records: Records, release: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Of each artifact the record that the release is made of."""
    found: dict[str, dict[str, Any]] = {}
    todo = [release]
    while todo:
        at = todo.pop(0)
        if at[0] in found:
            continue
        found[at[0]] = records[at]
        inputs = sorted(records[at]["identity"]["inputs"].items())
        todo += [(r["key"], r["digest"]) for name, r in inputs if r["key"] is not None and not name.startswith(OTHERS)]
    return found


def learnt(records: Records, release: tuple[str, str]) -> list[tuple[str, str]]:
    """Key and digest of the trainings that are in the weights, the first one first."""
    chain: list[tuple[str, str]] = []
    ref = records[release]["identity"]["inputs"].get("checkpoint")
    while ref is not None:
        chain.insert(0, (ref["key"], ref["digest"]))
        inputs = records[chain[0]]["identity"]["inputs"]
        ref = next((inputs[name] for name in CARRIED if name in inputs), None)
    return chain
