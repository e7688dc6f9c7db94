"""DSSE envelopes (secure-systems-lab/dsse v1) over in-toto statements."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.signing.keys import Key, Signer

PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"


def statement(subject: Mapping[str, str], predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """An in-toto statement about things by name and SHA-256 (hex)."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subject.items())],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def envelope(said: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """The statement, signed; the same statement and key give the same bytes (RFC 6979)."""
    payload = canonical_json(dict(said))
    signature = signer.private.sign(
        _encoded(PAYLOAD.encode(), payload), ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    )
    return {
        "payloadType": PAYLOAD,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": signer.key.kid, "sig": base64.b64encode(signature).decode()}],
    }


def opened(said: Mapping[str, Any], keys: Mapping[str, Key]) -> tuple[dict[str, Any], Key]:
    """The statement of an envelope with one signature, and the key that made it.

    Raises InvalidSignature; KeyError, TypeError or ValueError if it is no such envelope or `keys` lack its key.
    """
    (signature,) = said["signatures"]
    key = keys[signature["keyid"]]
    payload = base64.b64decode(said["payload"], validate=True)
    public = serialization.load_pem_public_key(key.public.encode())
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise ValueError(f"key {key.name} lies on no curve")
    signed = _encoded(said["payloadType"].encode(), payload)
    public.verify(base64.b64decode(signature["sig"], validate=True), signed, ec.ECDSA(hashes.SHA256()))
    told: dict[str, Any] = json.loads(payload)
    return told, key


def _encoded(kind: bytes, body: bytes) -> bytes:
    """Pre-authentication encoding: what is signed."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)
