"""A bundle of a small release, and what tests do to one."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks._small_release import KEY, small_release
from forge_dagster.bundle.write import write_bundle
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.signing.keys import KeyRing


class Bundled(NamedTuple):
    """One bundle with all that it was made from."""

    home: Home
    ring: KeyRing
    digest: str
    kid: str
    path: Path

    def files(self) -> dict[str, bytes]:
        """Its files by name."""
        with tarfile.open(self.path) as archive:
            return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


@pytest.fixture(scope="session")
def bundled_in() -> Callable[..., Bundled]:
    """Make a release and its bundle in a folder."""

    def make(root: Path, seed: int = 0, documents: int = 6, name: str = "doc", copies: int = 0) -> Bundled:
        home = Home(root / "home")
        digest = small_release(home, seed=seed, documents=documents, name=name, copies=copies)
        ring = KeyRing(home.root / "keys", Ledger(home.ledger))
        kid = ring.new("releases", "Ada Reed", 10).kid
        path = root / "release.tar"
        write_bundle(home, KEY, digest, ring, ring.signer("releases"), path)
        return Bundled(home, ring, digest, kid, path)

    return make


@pytest.fixture(scope="session")
def bundled(bundled_in: Callable[..., Bundled], tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """A bundle that tests read and copy, and do not change."""
    return bundled_in(tmp_path_factory.mktemp("bundle"))
