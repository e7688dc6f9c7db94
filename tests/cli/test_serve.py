"""`forge serve`: what it refuses before it loads a model or takes a port."""

import pytest
from typer.testing import CliRunner

from benchmarks._small_release import KEY, small_release
from forge_dagster.cli.main import app
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore


def forge(*arguments: str) -> None:
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exception is not None
    raise done.exception


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["small", "--host", "0.0.0.0"], "without FORGE_SERVE_TOKEN"),
        (["small", "--host", "::"], "without FORGE_SERVE_TOKEN"),
        (["small", "--host", "a name"], "an IP address"),
        ([], "0 releases: none"),
        (["small"], "small has no release"),
        (["small/release"], "small has no release"),
        (["small@ffff"], "0 versions match"),
    ],
)
def test_what_is_wrong_is_said(home: Home, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORGE_SERVE_TOKEN", raising=False)
    with pytest.raises(UserError, match=said):
        forge(*arguments)


def test_a_short_token_is_none(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_SERVE_TOKEN", "secret")
    with pytest.raises(UserError, match="16 ASCII characters"):
        forge("small", "--host", "0.0.0.0")


def test_a_tampered_release_is_refused(home: Home) -> None:
    digest = small_release(home)
    (ArtifactStore(home.artifacts).content(KEY, digest) / "manifest.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"manifest\.json differs") as caught:
        forge("small")
    assert caught.value.exit_code == 3
