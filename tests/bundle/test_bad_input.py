"""What is no sound bundle, key or clock gets a plain line and an exit code, never a traceback."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks._small_release import small_release
from forge_dagster.bundle.archive import write_tar
from forge_dagster.bundle.verifier.checks import check, digest_of
from forge_dagster.bundle.verifier.main import main
from forge_dagster.bundle.verifier.opened import Opened
from forge_dagster.cli.main import app
from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.signing import keys


def verify(monkeypatch: pytest.MonkeyPatch, capsys: Any, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["verify.py", *arguments])
    return main(), capsys.readouterr().err


def forge(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    if done.exception:
        raise done.exception
    return done.stdout


def _older(files: dict[str, bytes]) -> None:
    """A bundle as version 1 was: it had no table of readings and no changes."""
    body = json.loads(files["manifest.json"]) | {"version": 1}
    for name in ("changes.json", "documents/use.json"):
        del files[name], body["files"][name]
    files["manifest.json"] = canonical_json(body)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_bundle_of_an_older_version_names_the_verifier_that_reads_it(
    bundled: Any, tmp_path: Path, monkeypatch: Any, capsys: Any, kind: str
):
    files, path = bundled.files(), tmp_path / "older"
    _older(files)
    if kind == "archive":
        write_tar(files, path)
    else:
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    code, said = verify(monkeypatch, capsys, str(path), "--questions")
    assert code == 1
    assert said == (
        "FAILED: this is a bundle of version 1, and this verifier reads 2: use the verify.py that came with it\n"
    )


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.999])
def test_a_bundle_that_is_cut_off_says_where(bundled: Any, tmp_path: Path, monkeypatch: Any, capsys: Any, share: float):
    data, path = bundled.path.read_bytes(), tmp_path / "cut.tar"
    path.write_bytes(data[: int(len(data) * share)])
    code, said = verify(monkeypatch, capsys, str(path), "--questions")
    assert code == 1
    assert "cut off" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "there is no such bundle"), (b"", "no bundle, or one that is cut off"), (b"\0" * 4096, "no bundle"),
     (b"PK\3\4" + b"x" * 900, "no bundle")],
)  # fmt: skip
def test_what_is_no_bundle_is_said_to_be_none(
    tmp_path: Path, monkeypatch: Any, capsys: Any, content: bytes | None, said: str
):
    path = tmp_path / "bundle.tar"
    if content is not None:
        path.write_bytes(content)
    code, told = verify(monkeypatch, capsys, str(path))
    assert code == 1
    assert said in told
    assert told.startswith("FAILED: ")


def test_a_newer_registry_that_is_none_is_said_to_be_none(bundled: Any, tmp_path: Path, monkeypatch: Any, capsys: Any):
    (tmp_path / "registry.json").write_text("{")
    assert verify(monkeypatch, capsys, str(bundled.path), "--keys", str(tmp_path / "registry.json"))[0] == 1
    assert verify(monkeypatch, capsys, str(bundled.path), "--keys", str(tmp_path / "missing.json"))[0] == 1


def test_a_key_that_others_may_read_makes_no_bundle(home: Home, tmp_path: Path):
    small_release(home)
    forge("keys", "new", "--name", "releases", "--owner", "Ada Reed")
    (home.root / "keys" / "releases.pem").chmod(0o644)
    with pytest.raises(UserError, match="permissions 0644") as error:
        forge("bundle", "small", "--out", str(tmp_path / "x.tar"), "--key", "releases")
    assert "chmod 600" in error.value.mend
    assert not (tmp_path / "x.tar").exists()


def test_a_key_that_this_user_may_not_read_is_said_so(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the refusal is the system's in name alone."""
    small_release(home)
    forge("keys", "new", "--name", "releases", "--owner", "Ada Reed")
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.suffix == ".pem":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match="this user may not read it"):
        forge("bundle", "small", "--out", str(tmp_path / "x.tar"), "--key", "releases")


class Clock(datetime):
    """A clock that is set wrong by `by`."""

    by = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + cls.by


def test_a_clock_that_is_behind_the_ledger_signs_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small_release(home)
    forge("keys", "new", "--name", "releases", "--owner", "Ada Reed")
    monkeypatch.setattr(keys, "datetime", Clock)
    monkeypatch.setattr(Clock, "by", timedelta(days=-3))
    for command in (["bundle", "small", "--out", str(tmp_path / "x.tar")], ["promote", "small"]):
        with pytest.raises(UserError, match=r"this machine's clock says .* and the ledger has a statement of") as error:
            forge(*command, "--key", "releases")
        assert "set the clock right" in error.value.mend
    monkeypatch.setattr(Clock, "by", timedelta(days=9999))
    with pytest.raises(UserError, match="does not count at"):
        forge("bundle", "small", "--out", str(tmp_path / "x.tar"), "--key", "releases")
    monkeypatch.setattr(Clock, "by", timedelta(minutes=1))
    forge("bundle", "small", "--out", str(tmp_path / "x.tar"), "--key", "releases")


@pytest.mark.parametrize(("shift", "warned"), [(timedelta(days=2), True), (timedelta(0), False)])
def test_the_verifier_warns_of_a_time_that_has_still_to_come(
    bundled: Any, tmp_path: Path, shift: timedelta, warned: bool
):
    files = bundled.files()
    entries = [json.loads(line) for line in files["ledger.jsonl"].splitlines()]
    last = {name: value for name, value in entries[-1].items() if name != "hash"}
    last["time"] = (datetime.now(UTC) + shift).isoformat(timespec="seconds")
    entries[-1] = {**last, "hash": digest_of(last)}
    files["ledger.jsonl"] = b"".join(canonical_json(each) + b"\n" for each in entries)
    write_tar(files, tmp_path / "ahead.tar")
    said = check(Opened(tmp_path / "ahead.tar"), [], []).said
    assert any("has still to reach" in line for line in said) == warned


def test_a_clock_that_went_back_is_warned_of(bundled: Any, tmp_path: Path):
    files = bundled.files()
    entries = [json.loads(line) for line in files["ledger.jsonl"].splitlines()]
    previous = "0" * 64
    for number, each in enumerate(entries):
        body = {**{k: v for k, v in each.items() if k != "hash"}, "previous": previous}
        body["time"] = "2031-01-01T00:00:00+00:00" if number == 2 else body["time"]
        previous = digest_of(body)
        entries[number] = {**body, "hash": previous}
    files["ledger.jsonl"] = b"".join(canonical_json(each) + b"\n" for each in entries)
    write_tar(files, tmp_path / "back.tar")
    said = check(Opened(tmp_path / "back.tar"), [], []).said
    assert any("the clock went back before statement 3" in line for line in said)
