"""Keys: who may read them, when they count, and what the ledger knows of them."""

import stat
from datetime import UTC, datetime, timedelta

import pytest

from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.signing.keys import KeyRing


@pytest.fixture
def ring(home: Home) -> KeyRing:
    return KeyRing(home.root / "keys", Ledger(home.ledger))


def test_a_new_key_is_private_registered_and_stated(ring: KeyRing):
    key = ring.new("releases", "Ada Reed", 10)
    assert stat.S_IMODE((ring.folder / "releases.pem").stat().st_mode) == 0o600
    assert ring.registry().keys == (key,)
    assert [entry["kid"] for entry in ring.ledger.statements("key")] == [key.kid]
    assert ring.signer("releases").key == key


def test_a_name_is_taken_once_and_has_a_form(ring: KeyRing):
    ring.new("releases", "Ada Reed", 10)
    for name, owner in (("releases", "Bo Lund"), ("../out", "Bo Lund"), ("two", " ")):
        with pytest.raises(UserError):
            ring.new(name, owner, 10)
    assert sorted(path.name for path in ring.folder.iterdir()) == ["registry.json", "releases.pem"]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_signs_nothing(ring: KeyRing, mode: int):
    ring.new("releases", "Ada Reed", 10)
    (ring.folder / "releases.pem").chmod(mode)
    with pytest.raises(UserError, match=f"permissions {mode:04o}"):
        ring.signer("releases")


def test_a_missing_a_torn_and_a_swapped_key_sign_nothing(ring: KeyRing):
    ring.new("one", "Ada Reed", 10)
    ring.new("two", "Bo Lund", 10)
    (ring.folder / "one.pem").write_bytes((ring.folder / "two.pem").read_bytes())
    with pytest.raises(UserError, match="another key"):
        ring.signer("one")
    (ring.folder / "one.pem").write_text("-----BEGIN")
    with pytest.raises(UserError, match="no private key"):
        ring.signer("one")
    (ring.folder / "one.pem").unlink()
    with pytest.raises(UserError, match="missing"):
        ring.signer("one")


def test_a_revoked_key_signs_nothing_and_stays_known(ring: KeyRing):
    made = ring.new("releases", "Ada Reed", 10)
    with pytest.raises(UserError, match="not revoked"):
        ring.revoke("releases", "short")
    key = ring.revoke("releases", "the laptop was stolen")
    assert not key.holds_at(datetime.now(UTC))
    assert key.holds_at(made.valid_from) or key.revoked_at == made.valid_from
    assert [entry["kid"] for entry in ring.ledger.statements("key-revoked")] == [made.kid]
    with pytest.raises(UserError, match="revoked at"):
        ring.signer("releases")
    with pytest.raises(UserError, match="once"):
        ring.revoke("releases", "the laptop was stolen")


def test_a_key_counts_within_its_time(ring: KeyRing):
    key = ring.new("releases", "Ada Reed", 10)
    assert not key.holds_at(key.valid_from - timedelta(seconds=1))
    assert key.holds_at(key.valid_to)
    assert not key.holds_at(key.valid_to + timedelta(seconds=1))


def test_a_damaged_registry_is_said_so(ring: KeyRing):
    ring.new("releases", "Ada Reed", 10)
    (ring.folder / "registry.json").write_text('{"keys": [{}]}')
    with pytest.raises(IntegrityError, match="no registry"):
        ring.registry()
