"""Checkpoints are whole or not there; what is corrupt is found, set aside and told."""

import errno
import json
import os
import pickle
import resource
import signal
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from forge_dagster.errors import IntegrityError
from forge_dagster.training import checkpoint


def _save(folder: Path, step: int) -> Path:
    tensors = {"model": {"w": torch.full((3, 2), float(step))}, "optimizer": {"a/w/m": torch.arange(4).bfloat16()}}
    return checkpoint.save(folder, step, tensors, {"identity": "x", "skipped": step}, keep=())


def _load(folder: Path) -> tuple[checkpoint.Checkpoint | None, list[str]]:
    told: list[str] = []
    return checkpoint.load_newest(folder, tell=told.append), told


def test_what_is_saved_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    assert _load(tmp_path / "none") == (None, [])
    for step in (5, 9, 12):
        _save(tmp_path, step)
    assert [path.name for path in checkpoint.checkpoints(tmp_path)] == ["step-000000012", "step-000000009"]
    found, told = _load(tmp_path)
    assert found is not None
    assert (found.step, found.state, told) == (12, {"identity": "x", "skipped": 12}, [])
    assert torch.equal(found.tensors["model"]["w"], torch.full((3, 2), 12.0))
    assert torch.equal(found.tensors["optimizer"]["a/w/m"], torch.arange(4).bfloat16())


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _no_json(path: Path) -> None:
    path.write_text("{")


def _pickle(path: Path) -> None:
    """What somebody might put there, with a manifest that agrees."""
    path.write_bytes(pickle.dumps({"w": [1.0]}))
    manifest = path.with_name("MANIFEST.json")
    entries = json.loads(manifest.read_text()) | {path.name: checkpoint._digest(path)}
    manifest.write_text(json.dumps(entries))


def _swap(path: Path) -> None:
    other, aside = path.with_name("optimizer.safetensors"), path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


@pytest.mark.parametrize(
    ("name", "spoil", "problem"),
    [
        ("model.safetensors", _swap, "model.safetensors differs"),
        ("model.safetensors", _flip, "model.safetensors differs"),
        ("model.safetensors", _pickle, "model.safetensors is no safetensors file"),
        ("optimizer.safetensors", lambda path: os.truncate(path, 50), "optimizer.safetensors differs"),
        ("state.json", Path.unlink, "state.json is missing"),
        ("MANIFEST.json", Path.unlink, "MANIFEST.json is missing or unreadable"),
        ("MANIFEST.json", _no_json, "MANIFEST.json is missing or unreadable"),
    ],
)
def test_a_corrupt_newest_falls_back(tmp_path: Path, name: str, spoil, problem: str) -> None:
    _save(tmp_path, 1)
    spoil(_save(tmp_path, 2) / name)
    found, told = _load(tmp_path)
    assert found is not None
    assert found.step == 1
    assert told == [f"checkpoint step-000000002 is corrupt ({problem}); trying the one before"]
    assert list(tmp_path.glob(".corrupt-step-000000002-0"))
    _save(tmp_path, 2)
    again, told = _load(tmp_path)
    assert again is not None
    assert (again.step, told) == (2, [])


def test_none_sound_is_an_error_and_not_a_new_beginning(tmp_path: Path) -> None:
    _flip(_save(tmp_path, 1) / "model.safetensors")
    _flip(_save(tmp_path, 2) / "model.safetensors")
    with pytest.raises(IntegrityError, match="all 2 checkpoints"):
        _load(tmp_path)


def test_a_crash_while_saving_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path, 1)

    def power_cut(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "_flush", power_cut)
    with pytest.raises(KeyboardInterrupt):
        _save(tmp_path, 2)
    monkeypatch.undo()
    assert list(tmp_path.glob(".staging-*"))
    found, told = _load(tmp_path)
    assert found is not None
    assert (found.step, told) == (1, [])
    assert not list(tmp_path.glob(".staging-*"))


def test_a_disk_that_refuses_is_an_os_error_and_costs_nothing(tmp_path: Path) -> None:
    _save(tmp_path, 1)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            _save(tmp_path, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert caught.value.errno == errno.EFBIG
    assert not list(tmp_path.glob(".staging-*"))
    found, _ = _load(tmp_path)
    assert found is not None
    assert found.step == 1


def test_the_disks_number_is_read_from_safetensors() -> None:
    message = "Error while serializing: I/O error: No space left on device (os error 28)"
    with pytest.raises(OSError, match="No space left") as caught, checkpoint.disk_errors():
        raise SafetensorError(message)
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(SafetensorError, match="other"), checkpoint.disk_errors():
        raise SafetensorError("other")


def test_the_manifest_lists_every_file(tmp_path: Path) -> None:
    path = _save(tmp_path, 3)
    manifest = json.loads((path / "MANIFEST.json").read_text())
    assert set(manifest) == {file.name for file in path.iterdir()} - {"MANIFEST.json"}
