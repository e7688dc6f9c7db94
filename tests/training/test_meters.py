"""The most memory of a process is in bytes."""

from forge_dagster.training.meters import peak_memory


def test_peak_memory_is_in_bytes() -> None:
    assert 10e6 < peak_memory("cpu") < 1e12
