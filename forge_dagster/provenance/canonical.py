"""Canonical JSON and the fingerprint over it; what has no one canonical form is refused."""

import hashlib
import json
import math
from typing import Any

from forge_dagster.errors import UserError


def _check(value: Any, where: str) -> None:
    if value is None or isinstance(value, (str, bool, int)):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UserError(
                f"{where} = {value}", rule="a fingerprint takes finite numbers only", mend="choose a number"
            )
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UserError(f"{where} has the key {key!r}", rule="keys of a fingerprint are strings")
            _check(item, f"{where}.{key}")
        return
    raise UserError(
        f"{where} is a {type(value).__name__}",
        rule="a fingerprint takes null, booleans, numbers, strings, lists and mappings",
        mend="pass plain data; for a model, model_dump(mode='json')",
    )


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces. Raises UserError on anything without one canonical form."""
    _check(value, "value")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fingerprint(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
