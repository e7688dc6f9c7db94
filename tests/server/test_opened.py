"""Only a release that verifies and was not withdrawn is opened."""

import pytest

from benchmarks._small_release import KEY, small_release
from forge_dagster.errors import IntegrityError, UserError, VerdictError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.server.opened import open_release


def test_a_release_that_is_not_there_is_named(home: Home) -> None:
    with pytest.raises(UserError, match="small has no release"):
        open_release(home, KEY)


def test_bytes_that_differ_are_named_before_anything_is_loaded(home: Home) -> None:
    digest = small_release(home)
    path = ArtifactStore(home.artifacts).content(KEY, digest) / "model" / "model.safetensors"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(IntegrityError, match=r"model\.safetensors differs"):
        open_release(home, KEY)


def test_what_was_withdrawn_does_not_serve_though_it_is_named(home: Home) -> None:
    digest = small_release(home)
    Ledger(home.ledger).append("withdrawn", {"key": KEY, "digest": digest, "erasure": "e1"})
    with pytest.raises(VerdictError, match="was withdrawn by e1"):
        open_release(home, KEY, digest)
