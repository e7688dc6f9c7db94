"""What serves: approved by a second person, moved in one step, stated in the ledger, and in the bundle."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks._small_release import KEY, small_release
from forge_dagster.bundle import serving
from forge_dagster.bundle.serving import approve, promote, rollback
from forge_dagster.bundle.verifier.checks import check
from forge_dagster.bundle.verifier.opened import Opened
from forge_dagster.bundle.verifier.questions import answers
from forge_dagster.bundle.write import write_bundle
from forge_dagster.errors import IntegrityError, UserError, VerdictError
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore


@pytest.fixture
def made(bundled_in: Any, tmp_path: Path) -> Any:
    """A home with one release and the keys of two people."""
    found = bundled_in(tmp_path)
    found.ring.new("second", "Bo Lund", 10)
    found.ring.new("double", "ada  REED", 10)
    return found


def _approved(made: Any, digest: str) -> None:
    approve(made.home, KEY, digest, made.ring.signer("second"), "scores and report were read")


def test_nobody_promotes_what_only_they_approved(made: Any):
    first = made.ring.signer("releases")
    with pytest.raises(VerdictError, match="approved by nobody"):
        promote(made.home, KEY, made.digest, made.ring, first)
    for key in ("releases", "double"):
        approve(made.home, KEY, made.digest, made.ring.signer(key), "I find it good enough")
    with pytest.raises(VerdictError, match="somebody other than Ada Reed"):
        promote(made.home, KEY, made.digest, made.ring, first)
    _approved(made, made.digest)
    promote(made.home, KEY, made.digest, made.ring, first)
    made.ring.revoke("second", "the laptop was stolen")
    with pytest.raises(VerdictError, match="somebody other"):
        promote(made.home, KEY, made.digest, made.ring, first)


def test_what_serves_stays_when_another_becomes_current_and_comes_back(made: Any):
    store, first = ArtifactStore(made.home.artifacts), made.ring.signer("releases")
    assert store.serving(KEY) == made.digest, "what is current serves until somebody promotes"
    _approved(made, made.digest)
    promote(made.home, KEY, made.digest, made.ring, first)
    newer = small_release(made.home, seed=1)
    assert (store.current(KEY), store.serving(KEY)) == (newer, made.digest)
    run = Run(made.home, "later")
    run.freeze({})
    assert run.frozen_serving(KEY) == made.digest
    _approved(made, newer)
    promote(made.home, KEY, newer, made.ring, first)
    assert store.serving(KEY) == newer
    entry = rollback(made.home, KEY, first, "it answers in the wrong form")
    assert store.serving(KEY) == made.digest
    assert entry["statement"]["reason"] == "it answers in the wrong form"
    with pytest.raises(UserError, match="nothing served before"):
        rollback(made.home, KEY, first, "it answers in the wrong form")
    assert store.serving(KEY) == made.digest


def test_damaged_bytes_and_missing_reasons_move_nothing(made: Any):
    store, first = ArtifactStore(made.home.artifacts), made.ring.signer("releases")
    with pytest.raises(UserError, match="--note"):
        approve(made.home, KEY, made.digest, first, "ok")
    with pytest.raises(UserError, match="--reason"):
        rollback(made.home, KEY, first, "bad")
    _approved(made, made.digest)
    (store.content(KEY, made.digest) / "model" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(IntegrityError):
        promote(made.home, KEY, made.digest, made.ring, first)
    assert not list(made.ring.ledger.statements("promoted"))


def test_a_crash_between_statement_and_pointer_leaves_the_old_one(made: Any, monkeypatch: pytest.MonkeyPatch):
    store, first = ArtifactStore(made.home.artifacts), made.ring.signer("releases")
    newer = small_release(made.home, seed=1)
    for digest in (made.digest, newer):
        _approved(made, digest)
    promote(made.home, KEY, made.digest, made.ring, first)

    def killed(self: object, key: str, digest: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(serving.ArtifactStore, "serve", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(made.home, KEY, newer, made.ring, first)
    assert store.serving(KEY) == made.digest
    promote(made.home, KEY, newer, made.ring, first)
    assert store.serving(KEY) == newer


def test_the_bundle_tells_who_approved_and_what_serves(made: Any):
    _approved(made, made.digest)
    promote(made.home, KEY, made.digest, made.ring, made.ring.signer("releases"))
    write_bundle(made.home, KEY, made.digest, made.ring, made.ring.signer("releases"), made.path)
    found = check(Opened(made.path), [made.kid], [])
    assert found.problems == []
    said = [answer for _, answer in answers(found)]
    assert "is in service" in said[0]
    assert "Bo Lund approved" in said[1]
    assert "promoted" in said[9]


def test_a_promotion_is_no_approval(made: Any):
    """The signature under one statement of a person does not do for another."""
    _approved(made, made.digest)
    said = next(made.ring.ledger.statements("approval"))
    made.ring.ledger.append("promoted", {**said, "previous": None, "undoes": False})
    write_bundle(made.home, KEY, made.digest, made.ring, made.ring.signer("releases"), made.path)
    found = check(Opened(made.path), [made.kid], [])
    assert any("its signature is of something else" in problem for problem in found.problems)
