"""Energy is what the counters say, wrap included; where there are none, nothing is claimed."""

from pathlib import Path

from forge_dagster.training.meters import Energy, peak_memory


def _zone(root: Path, name: str, micro_joules: int) -> Path:
    zone = root / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "energy_uj").write_text(f"{micro_joules}\n")
    (zone / "max_energy_range_uj").write_text("1000000000\n")
    return zone


def test_joules_of_all_packages_since_the_last_reading(tmp_path: Path) -> None:
    one, two = _zone(tmp_path, "intel-rapl:0", 5_000_000), _zone(tmp_path, "intel-rapl:1", 999_000_000)
    _zone(tmp_path, "intel-rapl:0:0", 1)  # a part of package 0, counted there
    energy = Energy(tmp_path)
    (one / "energy_uj").write_text("7500000")
    (two / "energy_uj").write_text("500000")  # wrapped at 1000 J
    assert energy.joules() == 2.5 + 1.5
    assert energy.joules() == 0.0


def test_without_counters_there_is_no_figure(tmp_path: Path) -> None:
    assert Energy(tmp_path / "none").joules() is None
    assert Energy(tmp_path).joules() is None


def test_peak_memory_is_in_bytes() -> None:
    assert 10e6 < peak_memory("cpu") < 1e12
