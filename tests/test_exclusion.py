"""A signed exclusion list counts as it was signed, and by a key that counted then."""

import base64
import json
from pathlib import Path

import pytest

from forge_dagster.errors import IntegrityError
from forge_dagster.exclusion import ERASURE, PREDICATE, Erased, Exclusion, load_exclusions, rest_of
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.signing.dsse import envelope, statement
from forge_dagster.signing.keys import KeyRing, Signer

LIST = Exclusion(
    name="erasure-1",
    reason="request 17",
    documents=(Erased(document="a" * 64, texts=("b" * 64,), because="asked"),),
    layouts=(),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.jsonl")


@pytest.fixture
def signer(tmp_path: Path, ledger: Ledger) -> Signer:
    ring = KeyRing(tmp_path / "keys", ledger)
    ring.new("privacy", "Ada Reed", 30)
    return ring.signer("privacy")


def _signed(signer: Signer, predicate: str = PREDICATE) -> dict:
    return envelope(statement({"a": "a" * 64}, predicate, LIST.model_dump(mode="json")), signer)


def _registry(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "registry.json"


def test_what_was_signed_is_read_again(ledger: Ledger, signer: Signer, tmp_path: Path):
    assert load_exclusions(KeyRing(tmp_path / "keys", ledger)) == ()
    ledger.append(ERASURE, {"envelope": _signed(signer)})
    ledger.append("other", {"told": f"a text that names {ERASURE}"})
    assert load_exclusions(KeyRing(tmp_path / "keys", ledger)) == (LIST,)


@pytest.mark.parametrize("doctored", ["payload", "signature", "key", "registry", "kind", "fields"])
def test_a_doctored_list_is_refused(doctored: str, ledger: Ledger, signer: Signer, tmp_path: Path):
    signed = _signed(signer, "https://example.org/other" if doctored == "kind" else PREDICATE)
    if doctored == "payload":
        changed = json.loads(base64.b64decode(signed["payload"]))
        changed["predicate"]["documents"][0]["document"] = "c" * 64
        signed["payload"] = base64.b64encode(json.dumps(changed).encode()).decode()
    elif doctored == "signature":
        signed["signatures"][0]["sig"] = base64.b64encode(b"no signature").decode()
    elif doctored == "key":
        signed["signatures"][0]["keyid"] = "0" * 64
    elif doctored == "fields":
        del signed["payloadType"]
    ledger.append(ERASURE, {"envelope": signed})
    if doctored == "registry":
        _registry(tmp_path).unlink()
    with pytest.raises(IntegrityError, match="exclusion list 1 of the ledger is"):
        load_exclusions(KeyRing(tmp_path / "keys", ledger))


@pytest.mark.parametrize(
    "changed",
    [
        {"valid_from": "2019-01-01T00:00:00+00:00", "valid_to": "2020-01-01T00:00:00+00:00"},
        {"revoked_at": "2020-01-01T00:00:00+00:00", "reason": "its file was copied"},
    ],
)
def test_a_key_counts_at_the_time_of_the_ledger(changed: dict, ledger: Ledger, signer: Signer, tmp_path: Path):
    ledger.append(ERASURE, {"envelope": _signed(signer)})
    registry = json.loads(_registry(tmp_path).read_bytes())
    registry["keys"][0] |= changed
    _registry(tmp_path).write_text(json.dumps(registry))
    with pytest.raises(IntegrityError, match="did not count at"):
        load_exclusions(KeyRing(tmp_path / "keys", ledger))


def test_the_rest_is_known_by_its_order():
    assert rest_of(["a", "b"]) != rest_of(["b", "a"])
    assert rest_of(iter(["a", "b"])) == rest_of(["a", "b"])
