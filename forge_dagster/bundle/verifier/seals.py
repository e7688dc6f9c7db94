"""Signatures: DSSE envelopes, the model signature, and which keys count when."""

import base64
import binascii
import hashlib
import json
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Refused(ValueError):
    """A signature that does not count, and why."""


class Keys:
    """The registry of a bundle, judged at one time of the ledger; `trusted` holds key ids told by another way."""

    def __init__(self, registry: Any, trusted: list[str], newer: Any = None) -> None:
        self.trusted = trusted
        later = {key["kid"]: key for key in newer["keys"]} if newer else {}
        self.by_id: dict[str, dict[str, Any]] = {}
        for key in registry["keys"]:
            public = serialization.load_pem_public_key(key["public"].encode())
            der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            if hashlib.sha256(der).hexdigest() != key["kid"]:
                raise Refused(f"key {key['name']}: its id is not that of its public key")
            revoked = {name: later.get(key["kid"], key)[name] for name in ("revoked_at", "reason")}
            self.by_id[key["kid"]] = {**key, **revoked, "loaded": public}

    def at(self, kid: str, time: str) -> dict[str, Any]:
        """The key of an id, if its signatures count at a time. Raises Refused."""
        key = self.by_id.get(kid)
        if key is None:
            raise Refused(f"key {kid[:16]} is not in the registry")
        moment = datetime.fromisoformat(time)
        if moment < datetime.fromisoformat(key["valid_from"]):
            raise Refused(f"key {key['name']} was not yet valid at {time}")
        if moment > datetime.fromisoformat(key["valid_to"]):
            raise Refused(f"key {key['name']} had expired at {time}")
        if key["revoked_at"] and moment >= datetime.fromisoformat(key["revoked_at"]):
            raise Refused(f"key {key['name']} was revoked at {key['revoked_at']}: {key['reason']}")
        if self.trusted and not any(kid.startswith(given) for given in self.trusted):
            raise Refused(f"key {key['name']} ({kid[:16]}) is none of those you trust")
        return key


def opened(envelope: Any, keys: Keys, time: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Statement of an in-toto envelope and the key that signed it. Raises Refused."""
    try:
        (signature,) = envelope["signatures"]
        payload, kind = base64.b64decode(envelope["payload"], validate=True), envelope["payloadType"]
        key = keys.at(signature["keyid"], time)
        _verify(key["loaded"], base64.b64decode(signature["sig"], validate=True), kind.encode(), payload)
        statement = json.loads(payload)
    except (KeyError, TypeError, binascii.Error, AttributeError) as error:
        raise Refused(f"no envelope ({error})") from error
    if kind != "application/vnd.in-toto+json" or statement["_type"] != "https://in-toto.io/Statement/v1":
        raise Refused("no in-toto statement")
    return statement, key


def model_files(bundle: Any, key: dict[str, Any]) -> dict[str, str]:
    """SHA-256 of each file that an OpenSSF model signature names. Raises Refused."""
    try:
        envelope = bundle["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        _verify(key["loaded"], base64.b64decode(signature["sig"]), envelope["payloadType"].encode(), payload)
        said = json.loads(payload)
        if said["predicateType"] != "https://model_signing/signature/v1.0":
            raise Refused(f"a statement of another kind: {said['predicateType']}")
        resources = said["predicate"]["resources"]
        if any(each["algorithm"] != "sha256" for each in resources):
            raise Refused("it names files by another hash than SHA-256")
        joined = hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in resources)).hexdigest()
        if said["subject"][0]["digest"]["sha256"] != joined:
            raise Refused("its subject is not the digest of its files")
        return {each["name"]: each["digest"] for each in resources}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, Refused):
            raise
        raise Refused(f"no model signature ({error})") from error


def _verify(public: ec.EllipticCurvePublicKey, signature: bytes, kind: bytes, body: bytes) -> None:
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)
    try:
        public.verify(signature, encoded, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise Refused("the signature is not of this text") from error
