"""Energy is counted where counters can be read, estimated where watts are stated, and else said not to be known."""

import time
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.errors import UserError
from forge_dagster.provenance.energy import Rapl, core_watts, measured, told


def _package(root: Path, number: int, used: int, *, part: str = "") -> Path:
    folder = root / f"intel-rapl:{number}{part}"
    folder.mkdir(parents=True)
    (folder / "energy_uj").write_text(f"{used}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    return folder / "energy_uj"


def test_packages_are_summed_and_their_parts_are_not(tmp_path: Path) -> None:
    first, second = _package(tmp_path, 0, 1_000_000), _package(tmp_path, 1, 0)
    core = _package(tmp_path, 0, 0, part=":0")
    said: dict[str, Any] = {}
    with measured(said, gpu=False, root=tmp_path):
        first.write_text("4000000\n")
        second.write_text("500000\n")
        core.write_text("900000000\n")
    assert (said["joules"], said["method"], said["scope"]) == (3.5, "RAPL", "the whole machine")


def test_a_counter_that_turned_over_went_on(tmp_path: Path) -> None:
    counter = _package(tmp_path, 0, 262_143_000_000)
    rapl = Rapl(tmp_path)
    counter.write_text("671150\n")
    rapl.sample()
    assert rapl.total == pytest.approx(1.0)
    counter.write_text("2671150\n")
    rapl.sample()
    assert rapl.total == pytest.approx(3.0)


def test_a_counter_that_cannot_be_read_any_more_is_no_measurement(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("FORGE_CORE_WATTS", raising=False)
    counter = _package(tmp_path, 0, 5)
    said: dict[str, Any] = {}
    with measured(said, gpu=False, root=tmp_path):
        counter.unlink()
    assert said["joules"] is None
    assert said["method"] == "not measured (processor: no readable RAPL counter, and FORGE_CORE_WATTS is not set)"


def test_without_counters_it_is_processor_seconds_by_stated_watts(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("FORGE_CORE_WATTS", "7.5")
    said: dict[str, Any] = {}
    with measured(said, gpu=False, root=tmp_path):
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    assert said["processor_seconds"] >= 0.1
    assert said["joules"] == pytest.approx(said["processor_seconds"] * 7.5, abs=0.2)
    assert said["method"] == "estimate: processor seconds x 7.5 W a busy thread (FORGE_CORE_WATTS)"
    assert said["scope"] == "this step's processes"


def test_a_gpu_that_says_nothing_leaves_the_sum_unknown() -> None:
    assert told(10.0, 5.0, 1.0, None, gpu=True)["joules"] == 15.0
    assert told(10.0, 5.0, 1.0, None, gpu=True)["method"] == "RAPL + NVML"
    assert told(10.0, None, 1.0, None, gpu=True)["joules"] is None
    assert "NVML does not say" in told(10.0, None, 1.0, None, gpu=True)["method"]


@pytest.mark.parametrize("given", ["", "many", "-3", "0", "nan", "1e9"])
def test_watts_are_a_number_of_watts(given: str) -> None:
    with pytest.raises(UserError, match="watts of one busy hardware thread"):
        core_watts({"FORGE_CORE_WATTS": given})


def _zone(root: Path, name: str, micro_joules: int) -> Path:
    zone = root / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "energy_uj").write_text(f"{micro_joules}\n")
    (zone / "max_energy_range_uj").write_text("1000000000\n")
    return zone


def test_joules_of_all_packages_since_the_last_reading(tmp_path: Path) -> None:
    one, two = _zone(tmp_path, "intel-rapl:0", 5_000_000), _zone(tmp_path, "intel-rapl:1", 999_000_000)
    _zone(tmp_path, "intel-rapl:0:0", 1)  # a part of package 0, counted there
    energy = Rapl(tmp_path)
    (one / "energy_uj").write_text("7500000")
    (two / "energy_uj").write_text("500000")  # wrapped at 1000 J
    assert energy.joules() == 2.5 + 1.5
    assert energy.joules() == 0.0


def test_without_counters_there_is_no_figure(tmp_path: Path) -> None:
    assert Rapl(tmp_path / "none").joules() is None
    assert Rapl(tmp_path).joules() is None
