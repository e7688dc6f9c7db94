"""What a training took of the machine: peak memory, and energy where the processor counts it."""

import sys
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


def peak_memory(device: str) -> int:
    """Return the most bytes this process has held: resident memory on CPU, allocated memory on a GPU."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Energy:
    """Joules of all processor packages since the last reading, by RAPL (Linux powercap)."""

    def __init__(self, root: Path = POWERCAP) -> None:
        packages = sorted(root.glob("intel-rapl:[0-9]*")) if root.is_dir() else []
        self._zones = [zone for zone in packages if zone.name.count(":") == 1 and _readable(zone)]
        self._before = [_micro_joules(zone) for zone in self._zones]

    def joules(self) -> float | None:
        """Return what was used since the last call; None where nothing is counted or may be read."""
        if not self._zones:
            return None
        now, used = [_micro_joules(zone) for zone in self._zones], 0
        for zone, before, after in zip(self._zones, self._before, now, strict=True):
            wraps_at = int((zone / "max_energy_range_uj").read_text())
            used += after - before if after >= before else after + wraps_at - before
        self._before = now
        return used / 1e6


def _readable(zone: Path) -> bool:
    try:
        _micro_joules(zone)
    except OSError:  # since 2020 the counter is the administrator's alone
        return False
    return True


def _micro_joules(zone: Path) -> int:
    return int((zone / "energy_uj").read_text())
